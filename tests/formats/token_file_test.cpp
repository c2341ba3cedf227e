#include "lithe/formats/token_file.h"

#include "support/errors.h"
#include "support/files.h"

namespace lithe {
namespace {

std::string make(const testing::TemporaryFolder& folder, size_t count, int64_t vocabulary = 256) {
    TokenFileWriter writer(folder.file("t.tokens"), 1);
    std::string tokens = testing::sample_text(count);
    writer.start_document();
    writer.append(tokens.data(), count / 2);
    writer.start_document();
    writer.append(tokens.data() + count / 2, count - count / 2);
    writer.finish({.vocabulary_size = vocabulary,
                   .tokenizer = "{}",
                   .tokenizer_hash = "h",
                   .splits = {{"train", 0, count / 2, count / 2}, {"valid", count / 2, count, count - count / 2}},
                   .source = "test"});
    return folder.file("t.tokens");
}

TEST(TokenFile, ReadsWhatWasWritten) {
    testing::TemporaryFolder folder;
    TokenFile file(make(folder, 3'000'000));
    EXPECT_EQ(file.info().tokens, 3'000'000u);
    EXPECT_EQ(file.info().splits[1].name, "valid");
    ASSERT_EQ(file.documents().size(), 2u);
    EXPECT_EQ(file.documents()[1], 1'500'000u);
    file.verify();
    std::string text = testing::sample_text(3'000'000);
    std::vector<int64_t> ids(100);
    file.read(1'048'530, 100, ids.data());  // across a block
    for (size_t i = 0; i < 100; ++i) EXPECT_EQ(ids[i], text[1'048'530 + i]);
    EXPECT_ERROR(file.read(2'999'999, 2, ids.data()), ErrorKind::failed, "asked for");
    EXPECT_TRUE(TokenFile::looks_like(folder.file("t.tokens")));
}

TEST(TokenFile, AbandonedWriterLeavesNothing) {
    testing::TemporaryFolder folder;
    { TokenFileWriter writer(folder.file("t.tokens"), 2); }
    EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(TokenFile, EveryFlippedByteIsNoticed) {
    testing::TemporaryFolder folder;
    std::string good = testing::read_all(make(folder, 500)), path = folder.file("bad.tokens");
    for (size_t at = 0; at < good.size(); ++at) {
        if (at >= 88 && at < 4096) continue;  // padding after the header
        std::string bad = good;
        bad[at] = char(bad[at] ^ 0x41);
        try {
            TokenFile file({reinterpret_cast<const std::byte*>(bad.data()), bad.size()}, "bad");
            file.verify();
            bool padding = at >= 4096 + 500 && at < 4096 + 504;  // up to the table of checksums
            EXPECT_TRUE(padding) << "byte " << at << " was flipped unnoticed";
        } catch (const Error& error) { EXPECT_EQ(error.kind(), ErrorKind::bad_file); }
    }
}

TEST(TokenFile, EveryCutIsNoticed) {
    testing::TemporaryFolder folder;
    std::string good = testing::read_all(make(folder, 300));
    for (size_t size = 0; size < good.size(); size += size < 4096 ? 64 : 1)
        EXPECT_THROW(TokenFile({reinterpret_cast<const std::byte*>(good.data()), size}, "cut"), Error) << size;
}

TEST(TokenFile, IdsOutsideTheVocabularyAreAnError) {
    testing::TemporaryFolder folder;
    TokenFile file(make(folder, 1000, 50));
    std::vector<int64_t> ids(10);
    EXPECT_ERROR(file.read(0, 10, ids.data()), ErrorKind::bad_file, "outside the vocabulary of 50");
}

}  // namespace
}  // namespace lithe
