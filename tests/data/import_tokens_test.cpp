#include "lithe/formats/foreign_tokens.h"

#include <cstring>

#include "lithe/data/corpus.h"
#include "lithe/data/import_tokens.h"
#include "lithe/tokenize/trainer.h"
#include "support/errors.h"
#include "support/files.h"

namespace lithe {
namespace {

template <class T> std::string bytes_of(const std::vector<T>& values) {
    return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::vector<int32_t> all(const ForeignTokens& file) {
    std::vector<int32_t> ids(file.size());
    file.read(0, ids.size(), ids.data());
    return ids;
}

std::string llmc(uint32_t magic, uint32_t version, uint32_t count, const std::string& ids) {
    std::vector<uint32_t> header(256, 0);
    header[0] = magic;
    header[1] = version;
    header[2] = count;
    return bytes_of(header) + ids;
}

std::string megatron_index(uint8_t code, const std::vector<int32_t>& sizes, const std::vector<int64_t>& pointers,
                           const std::vector<int64_t>& documents) {
    return std::string("MMIDIDX\0\0", 9) + bytes_of(std::vector<uint64_t>{1}) + std::string(1, char(code)) +
           bytes_of(std::vector<uint64_t>{sizes.size(), documents.size()}) + bytes_of(sizes) + bytes_of(pointers) +
           bytes_of(documents);
}

TEST(ForeignTokens, ReadsTheThreeKinds) {
    testing::TemporaryFolder folder;
    const std::vector<uint16_t> ids = {1, 2, 50256, 65535};
    const std::vector<int32_t> expected(ids.begin(), ids.end());
    EXPECT_EQ(all(ForeignTokens(folder.write("n.bin", bytes_of(ids)), "auto")), expected);
    ForeignTokens narrow(folder.write("l.bin", llmc(20240520, 1, 4, bytes_of(ids))), "auto");
    EXPECT_EQ(narrow.kind(), ForeignKind::llmc);
    EXPECT_EQ(all(narrow), expected);
    EXPECT_EQ(all(ForeignTokens(folder.write("w.bin", llmc(20240801, 7, 2, bytes_of(std::vector<uint32_t>{128000, 3}))),
                                "auto")),
              (std::vector<int32_t>{128000, 3}));
    folder.write("m.bin", bytes_of(std::vector<int32_t>{7, 8, 9, 10, 11}));
    folder.write("m.idx", megatron_index(4, {2, 1, 2}, {0, 8, 12}, {0, 2, 3}));
    ForeignTokens megatron(folder.file("m.bin"), "auto");
    EXPECT_EQ(all(megatron), (std::vector<int32_t>{7, 8, 9, 10, 11}));
    EXPECT_EQ(megatron.documents(), (std::vector<uint64_t>{0, 3}));
}

// Ids without a header: as wide as they look, and refused where they look like nothing for sure.
TEST(ForeignTokens, WidthsWithoutAHeaderAreTold) {
    testing::TemporaryFolder folder;
    std::vector<int32_t> small, large;
    for (int i = 0; i < 3000; ++i) {
        small.push_back(i * 7919 % 50257);
        large.push_back(i * 7919 % 128256);
    }
    auto read = [&](const std::string& bytes, const char* kind = "auto") {
        return all(ForeignTokens(folder.write("ids.bin", bytes), kind));
    };
    const std::vector<uint16_t> narrow(small.begin(), small.end());
    EXPECT_EQ(read(bytes_of(narrow)), small);
    EXPECT_EQ(read(bytes_of(small)), small) << "32 bits, upper halves 0";
    EXPECT_EQ(read(bytes_of(large)), large) << "32 bits, upper halves 0 and 1";
    EXPECT_EQ(read(bytes_of(std::vector<int64_t>(small.begin(), small.end()))), small);
    std::vector<uint16_t> characters;
    for (int i = 0; i < 3000; ++i) characters.push_back(uint16_t(i * 31 % 65));
    EXPECT_EQ(read(bytes_of(characters)), std::vector<int32_t>(characters.begin(), characters.end()));
    const std::string doubtful = bytes_of(std::vector<uint16_t>{5, 0, 7, 0});
    EXPECT_ERROR(read(doubtful), ErrorKind::bad_file, "kind nanogpt, kind uint32");
    EXPECT_EQ(read(doubtful, "nanogpt"), (std::vector<int32_t>{5, 0, 7, 0}));
    EXPECT_EQ(read(doubtful, "uint32"), (std::vector<int32_t>{5, 7}));
    EXPECT_ERROR(read("\x93NUMPY" + bytes_of(narrow)), ErrorKind::bad_file, "a NumPy array with its header");
    EXPECT_ERROR(read(testing::sample_text(1000)), ErrorKind::bad_file, "not a token file but text");
    EXPECT_ERROR(read("\x1F\x8B" + bytes_of(narrow)), ErrorKind::bad_file, "something packed");
    EXPECT_EQ(read("\x1F\x8B" + bytes_of(narrow), "nanogpt").size(), 3001u);
}

TEST(ForeignTokens, RefusesDamage) {
    auto parse = [](const std::string& data, const std::string& index, ForeignKind kind) {
        ForeignTokens file({reinterpret_cast<const std::byte*>(data.data()), data.size()},
                           {reinterpret_cast<const std::byte*>(index.data()), index.size()}, kind, "f");
        all(file);
    };
    EXPECT_ERROR(parse("abc", "", ForeignKind::raw), ErrorKind::bad_file, "no whole number of ids");
    EXPECT_ERROR(parse("abc", "", ForeignKind::llmc), ErrorKind::bad_file, "less than llm.c's header");
    EXPECT_ERROR(parse(llmc(1, 1, 0, ""), "", ForeignKind::llmc), ErrorKind::bad_file, "its magic is 1");
    EXPECT_ERROR(parse(llmc(20240520, 2, 0, ""), "", ForeignKind::llmc), ErrorKind::bad_file, "version 2");
    EXPECT_ERROR(parse(llmc(20240520, 1, 9, "aabb"), "", ForeignKind::llmc), ErrorKind::bad_file,
                 "claims 9 tokens and it holds 2");
    const std::string ids = bytes_of(std::vector<int32_t>{1, -2, 3});
    EXPECT_ERROR(parse(ids, megatron_index(4, {3}, {0}, {0, 1}), ForeignKind::megatron), ErrorKind::bad_file,
                 "token 1 has the id -2");
    EXPECT_ERROR(parse(ids, "", ForeignKind::megatron), ErrorKind::bad_file, "does not begin with MMIDIDX");
    EXPECT_ERROR(parse(ids, megatron_index(7, {3}, {0}, {0, 1}), ForeignKind::megatron), ErrorKind::bad_file,
                 "type code 7");
    EXPECT_ERROR(parse(ids, megatron_index(4, {2}, {0}, {0, 1}), ForeignKind::megatron), ErrorKind::bad_file,
                 "have 2 tokens and the file 3");
    EXPECT_ERROR(parse(ids, megatron_index(4, {1, 2}, {0, 8}, {0, 1}), ForeignKind::megatron), ErrorKind::bad_file,
                 "sequence 1 does not follow");
    EXPECT_ERROR(parse(ids, megatron_index(4, {3}, {0}, {0, 5}), ForeignKind::megatron), ErrorKind::bad_file,
                 "lies outside its sequences");
    const std::string index = megatron_index(4, {3}, {0}, {0, 1});
    for (size_t size = 0; size < index.size(); ++size)
        EXPECT_THROW(parse(ids, index.substr(0, size), ForeignKind::megatron), Error) << size;
}

TEST(ImportTokens, KeepsIdsDocumentsAndByteCounts) {
    testing::TemporaryFolder folder;
    auto trainer = make_tokenizer_trainer({.kind = "bpe", .size = 300});
    trainer->feed(testing::sample_text(20'000));
    const auto tokenizer = trainer->finish();
    const int32_t end = *tokenizer->document_end();
    std::vector<uint16_t> ids;
    uint64_t bytes = 0;
    for (int d = 0; d < 50; ++d) {
        const std::string text = "document " + std::to_string(d) + " " + testing::sample_text(size_t(100 + 3000 * d));
        bytes += text.size();
        for (int64_t id : tokenizer->encode(text)) ids.push_back(uint16_t(id));
        ids.push_back(uint16_t(end));
    }
    ImportOptions options{.files = {folder.write("train.bin", bytes_of(ids)),
                                    folder.write("val.bin", bytes_of(std::vector<uint16_t>{1, 2, 3})), ""},
                          .round_tokens = 20'000};
    const auto info = import_tokens(options, tokenizer, folder.file("set"));
    EXPECT_EQ(info.splits[0].bytes, bytes);
    EXPECT_EQ(info.splits[0].documents, 50u);
    EXPECT_GT(info.splits[0].shards.size(), 1u);
    const Corpus corpus = Corpus::open({.path = folder.file("set")});
    std::vector<int64_t> back(corpus.split("train").size());
    corpus.split("train").read(0, back.size(), back.data());
    EXPECT_TRUE(std::equal(back.begin(), back.end(), ids.begin(), ids.end()));
    EXPECT_EQ(corpus.split("train").documents(), 50u);
    EXPECT_EQ(corpus.split("valid").size(), 3u);
    options.files[1] = folder.write("wrong.bin", bytes_of(std::vector<uint16_t>{1, 2, 9999}));
    EXPECT_ERROR(import_tokens(options, tokenizer, folder.file("other")), ErrorKind::bad_file,
                 "token 2 has the id 9999, the tokenizer's vocabulary has ");
    EXPECT_FALSE(std::filesystem::exists(folder.file("other")) ||
                 std::filesystem::exists(folder.file("other.unfinished")));
    EXPECT_ERROR(import_tokens(options, tokenizer, folder.file("set")), ErrorKind::usage, "is there already");
    folder.write("mine.unfinished/thesis.txt", "years of work");
    EXPECT_ERROR(import_tokens(options, tokenizer, folder.file("mine")), ErrorKind::usage, "holds other files");
    EXPECT_EQ(testing::read_all(folder.file("mine.unfinished/thesis.txt")), "years of work");
}

}  // namespace
}  // namespace lithe
