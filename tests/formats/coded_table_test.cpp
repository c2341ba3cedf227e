// Tables in files: what fits together is read, everything else is refused in words.
#include "lithe/formats/coded_table.h"

#include <cstring>
#include <map>

#include "support/errors.h"

namespace lithe {
namespace {

// Nine rows of three numbers, five of them kept.
struct Table {
    std::vector<int64_t> sizes = {9, 3};
    std::vector<uint8_t> kept = {0b10110001, 0b1};
    std::vector<uint16_t> scales = std::vector<uint16_t>(5, 0x3F80);
    std::vector<int8_t> codes = std::vector<int8_t>(15, int8_t(7));
    std::map<std::string, TensorBytes> tensors;

    Table() {
        put("t.shape", DType::i64, {2}, sizes);
        put("t.kept", DType::u8, {2}, kept);
        put("t.scales", DType::bf16, {5}, scales);
        put("t.codes", DType::i8, {5, 3}, codes);
    }
    template <class T>
    void put(const std::string& name, DType type, std::vector<int64_t> shape, const std::vector<T>& values) {
        tensors[name] = {type, std::move(shape), std::as_bytes(std::span(values))};
    }
    CodedTableParts read() const {
        return read_coded_table(
            "t",
            [&](const std::string& name) -> std::optional<TensorBytes> {
                const auto found = tensors.find(name);
                return found == tensors.end() ? std::nullopt : std::optional(found->second);
            },
            "the file");
    }
    void refused(const std::string& words) const {
        EXPECT_ERROR(read(), ErrorKind::bad_file, words);
        EXPECT_ERROR(read(), ErrorKind::bad_file, "the file");
    }
};

TEST(CodedTable, IsRead) {
    const CodedTableParts parts = Table().read();
    EXPECT_EQ(parts.rows, 9);
    EXPECT_EQ(parts.width, 3);
    EXPECT_EQ(parts.kept.list(), (std::vector<int64_t>{0, 4, 5, 7, 8}));
    EXPECT_EQ(parts.codes.size(), 15u);
    EXPECT_EQ(parts.scales.size(), 10u);
}

TEST(CodedTable, WhatIsMissingIsNamed) {
    for (const std::string name : {"t.shape", "t.kept", "t.scales", "t.codes"}) {
        Table table;
        table.tensors.erase(name);
        table.refused("the tensor '" + name + "' is missing");
    }
}

TEST(CodedTable, AnotherTypeOrAnotherNumberOfAxesIsRefused) {
    for (const std::string name : {"t.shape", "t.kept", "t.scales", "t.codes"}) {
        Table table;
        table.tensors[name].dtype = DType::f16;
        table.refused("the tensor '" + name + "' is not ");
        Table other;
        other.tensors[name].shape = {1, 1, 1};
        other.refused("the tensor '" + name + "' is not ");
    }
}

TEST(CodedTable, CountsThatDisagreeAreRefused) {
    Table table;
    table.put("t.scales", DType::bf16, {4}, std::vector<uint16_t>(4));
    table.refused("has 5 rows and 4 scales");
    Table wide;
    wide.put("t.codes", DType::i8, {5, 2}, std::vector<int8_t>(10));
    wide.refused("has rows of 2 numbers where the table's have 3");
    Table more;
    more.kept[0] = 0xFF;
    more.refused("keeps 9 rows, and there are 5");
}

TEST(CodedTable, RowsThatNoTableHasAreRefused) {
    Table beyond;
    beyond.kept[1] = 0b10;
    beyond.refused("does not have a bit for each of 9 rows and no others");
    Table longer;
    longer.sizes[0] = 17;
    longer.refused("does not have a bit for each of 17 rows and no others");
    for (const std::vector<int64_t>& sizes :
         {std::vector<int64_t>{-1, 3}, {9, -3}, {INT64_MAX, 3}, {INT64_MAX / 2, 4}, {3, INT64_MAX}}) {
        Table table;
        table.sizes = sizes;
        table.put("t.shape", DType::i64, {2}, table.sizes);
        table.refused("holds sizes that no table has");
    }
    Table three;
    three.put("t.shape", DType::i64, {3}, std::vector<int64_t>(3));
    three.refused("does not hold two sizes");
}

TEST(CodedTable, MayKeepNothing) {
    Table table;
    table.kept = {0, 0};
    table.put("t.kept", DType::u8, {2}, table.kept);
    table.put("t.scales", DType::bf16, {0}, std::vector<uint16_t>());
    table.put("t.codes", DType::i8, {0, 3}, std::vector<int8_t>());
    EXPECT_EQ(table.read().kept.count(), 0);
}

}  // namespace
}  // namespace lithe
