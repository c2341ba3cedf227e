#include "lithe/formats/safetensors.h"

#include <cstring>

#include "support/errors.h"
#include "support/files.h"

namespace lithe {
namespace {

std::string with_header(std::string header, const std::string& data) {
    uint64_t length = header.size();
    return std::string(reinterpret_cast<const char*>(&length), 8) + header + data;
}

SafetensorsHeader parse(const std::string& bytes) {
    return parse_safetensors({reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()}, "test");
}

std::string reference_file() {  // tests/golden/make_formats.py makes it too, and has it read by the package
                                // `safetensors`
    std::string header =
        R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"e":{"dtype":"F32","shape":[0,4],"data_offsets":[16,16]},"s":{"dtype":"F32","shape":[],"data_offsets":[16,20]},"b":{"dtype":"BF16","shape":[3],"data_offsets":[20,26]}})";
    header.resize(256, ' ');
    float values[] = {1, 2, 3, 4, 0.5};
    return with_header(
        header, std::string(reinterpret_cast<const char*>(values), 20) + std::string("\x80\x3f\x00\x40\xc0\x40", 6));
}

TEST(Safetensors, ReadsTheReferenceVector) {
    std::string file = reference_file();
    EXPECT_EQ(file.size(), 290u);
    SafetensorsHeader header = parse(file);
    ASSERT_EQ(header.tensors.size(), 4u);
    EXPECT_EQ(header.metadata.at("format"), "pt");
    EXPECT_EQ(header.tensors[0].name, "a");
    EXPECT_EQ(header.tensors[0].shape, (std::vector<int64_t>{2, 2}));
    EXPECT_EQ(header.tensors[3].dtype, DType::bf16);
}

TEST(Safetensors, WritesWhatItReads) {
    testing::TemporaryFolder folder;
    float a[] = {1, 2, 3, 4, 5, 6};
    uint16_t b[] = {7, 8};
    int64_t i = 42;
    {
        FileWriter writer(folder.file("x.safetensors"));
        write_safetensors(writer,
                          {{"b", DType::bf16, {2}, b},
                           {"a", DType::f32, {2, 3}, a},
                           {"i", DType::i64, {}, &i},
                           {"none", DType::f32, {0, 3}, nullptr}},
                          {{"format", "pt"}});
        writer.close();
    }
    SafetensorsFile file(folder.file("x.safetensors"));
    ASSERT_EQ(file.header().tensors.size(), 4u);
    EXPECT_EQ(file.header().tensors[0].name, "i");  // widest type first
    EXPECT_EQ(std::memcmp(file.data(*file.find("a")).data(), a, sizeof a), 0);
    EXPECT_EQ(std::memcmp(file.data(*file.find("b")).data(), b, sizeof b), 0);
    EXPECT_EQ(file.find("none")->shape, (std::vector<int64_t>{0, 3}));
    EXPECT_EQ(file.find("missing"), nullptr);
}

TEST(Safetensors, RefusesDamage) {
    struct Case {
        std::string bytes;
        const char* words;
    };
    auto entry = [](const char* text, size_t data = 4) { return with_header(text, std::string(data, 'x')); };
    const Case cases[] = {
        {"", "it has 0 bytes"},
        {std::string("\xff\xff\xff\xff\xff\xff\xff\x7f", 8), "its header claims"},
        {with_header("[]", ""), "not a JSON object"},
        {with_header("{\"a\"", ""), "not valid JSON"},
        {with_header("{\"\xff\":1}", ""), "not UTF-8"},
        {entry(
             R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})"),
         "stands twice"},
        {entry(R"({"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}})"), "unknown dtype"},
        {entry(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})"), "where its shape needs 8"},
        {entry(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})"), "not a whole number"},
        {entry(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4611686018427387904],"data_offsets":[0,4]}})"),
         "larger than any file"},
        {entry(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8), "a hole or an overlap"},
        {entry(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 5), "it holds 5"},
        {entry(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 3), "it holds 3"},
        {entry(R"({"__metadata__":{"a":1}})", 0), "something else than text"},
        {entry(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})"), "where its shape needs"},
        {entry(R"({"a":[[[[[[[1]]]]]]]})"), "nested deeper than"},
    };
    for (const Case& each : cases) EXPECT_ERROR(parse(each.bytes), ErrorKind::bad_file, each.words);
}

// A model file without its manifest still tells when one bit of a weight is not what was written.
TEST(Safetensors, EveryFlippedBitOfTheValuesIsNoticed) {
    testing::TemporaryFolder folder;
    float values[] = {1, 2, 3, 4, 5, 6, 7, 8};
    {
        FileWriter writer(folder.file("x.safetensors"));
        write_safetensors(writer, {{"a", DType::f32, {3}, values}, {"b", DType::f32, {5}, values + 3}}, {});
        writer.close();
    }
    const std::string good = testing::read_all(folder.file("x.safetensors"));
    for (size_t bit = 0; bit < sizeof values * 8; ++bit) {
        std::string file = good;
        file[file.size() - sizeof values + bit / 8] ^= char(1 << bit % 8);
        EXPECT_ERROR(SafetensorsFile(folder.write("y.safetensors", file)), ErrorKind::bad_file,
                     "checksum of its values");
    }
}

TEST(Safetensors, EveryCutIsNoticed) {
    std::string file = reference_file();
    for (size_t size = 0; size < file.size(); ++size) EXPECT_THROW(parse(file.substr(0, size)), Error) << size;
}

}  // namespace
}  // namespace lithe
