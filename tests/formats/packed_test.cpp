#include "lithe/formats/packed.h"

#include <archive.h>
#include <archive_entry.h>

#include "support/archives.h"
#include "support/errors.h"
#include "support/files.h"

namespace lithe {
namespace {

struct Member {
    std::string name, text;
};

std::vector<Member> read_members(const std::string& path, std::vector<std::string>* skipped = nullptr) {
    PackedFile file(path);
    std::vector<Member> members;
    std::string buffer(1000, '\0');
    for (bool more = true; more;) {
        more = file.next();
        if (skipped) skipped->insert(skipped->end(), file.skipped().begin(), file.skipped().end());
        if (!more) break;
        members.push_back({file.name(), ""});
        while (uint64_t count = file.read(buffer.data(), buffer.size())) members.back().text.append(buffer, 0, count);
    }
    return members;
}

std::string read_one(const std::string& path) {
    const auto members = read_members(path);
    EXPECT_EQ(members.size(), 1u);
    return members.empty() ? "" : members[0].text;
}

TEST(PackedFile, ReadsEveryCompressionAndNoticesCuts) {
    testing::TemporaryFolder folder;
    std::string text = testing::sample_text(200'000);
    EXPECT_EQ(read_one(folder.write("plain", text)), text);
    for (const testing::Filter& filter : testing::kFilters) {
        const std::string path = folder.file(std::string("t") + filter.suffix);
        testing::compress(path, text, filter.add);
        EXPECT_EQ(PackedFile::kind_of(path), PackedKind::compressed);
        EXPECT_EQ(read_one(path), text) << filter.suffix;
        const std::string packed = testing::read_all(path);
        EXPECT_ERROR(read_one(folder.write(std::string("cut") + filter.suffix, packed.substr(0, packed.size() / 2))),
                     ErrorKind::bad_file, "cannot decompress");
        EXPECT_THROW(read_one(folder.write(std::string("more") + filter.suffix, packed + "and more text")), Error);
        EXPECT_EQ(read_one(folder.write(std::string("two") + filter.suffix, packed + packed)), text + text);
    }
    const std::string padding(1000, '\0');  // as on tapes
    EXPECT_EQ(read_one(folder.write("padded.gz", testing::read_all(folder.file("t.gz")) + padding)), text);
    EXPECT_ERROR(read_one(folder.file("missing")), ErrorKind::bad_file, "cannot open file");
    EXPECT_ERROR(read_one(folder.path()), ErrorKind::bad_file, "a folder where a file is expected");
}

// Names that leave the folder are only names: nothing is written. Links are passed over and counted.
TEST(PackedFile, ArchivesHaveAMemberForEveryFile) {
    testing::TemporaryFolder folder;
    const std::vector<testing::ArchiveMember> members = {{"a/b.txt", "first"},
                                                         {"../../evil.txt", "second"},
                                                         {"/etc/evil.txt", "third"},
                                                         {"link", "", "/etc/passwd"},
                                                         {"empty", ""}};
    for (const char* name : {"t.tar", "t.tar.gz", "t.tar.zst", "t.tar.xz", "t.zip"}) {
        const std::string path = folder.file(name);
        testing::write_archive(path, members);
        std::vector<std::string> skipped;
        const auto found = read_members(path, &skipped);
        ASSERT_EQ(found.size(), 4u) << name;
        EXPECT_EQ(found[0].name, "a/b.txt");
        EXPECT_EQ(found[1].text, "second");
        EXPECT_EQ(found[2].text, "third");
        EXPECT_EQ(found[3].text, "");
        EXPECT_EQ(skipped, (std::vector<std::string>{"link"})) << name;
    }
    EXPECT_FALSE(std::filesystem::exists(folder.path() + "/../evil.txt"));
    const std::string tar = testing::read_all(folder.file("t.tar"));
    EXPECT_ERROR(read_members(folder.write("cut.tar", tar.substr(0, 514))), ErrorKind::bad_file, "cannot decompress");
}

// Read while the archive is, without a copy on disk; its damage is that of a member.
TEST(PackedFile, CompressedMembersOfArchives) {
    testing::TemporaryFolder folder;
    const std::string text = testing::sample_text(3'000'000);
    for (const testing::Filter& filter : testing::kFilters) {
        testing::compress(folder.file("inner"), text, filter.add);
        const std::string packed = testing::read_all(folder.file("inner"));
        testing::write_archive(folder.file("a.tar"), {{"a", packed}, {"b", "behind"}, {"c", packed.substr(0, 5000)}});
        PackedFile file(folder.file("a.tar"));
        ASSERT_TRUE(file.next());
        {
            PackedFile inner(file, file.read_full(512), 500);
            ASSERT_TRUE(inner.next());
            EXPECT_EQ(inner.name(), "a");
            EXPECT_FALSE(inner.is_archive());
            EXPECT_TRUE(inner.read_full(1 << 22) == text) << filter.suffix;
            EXPECT_FALSE(inner.next());
        }
        ASSERT_TRUE(file.next());
        EXPECT_EQ(file.read_full(100), "behind");
        ASSERT_TRUE(file.next());
        auto read_cut = [&] {
            PackedFile inner(file, file.read_full(512), 500);
            inner.next();
            inner.read_full(1 << 22);
        };
        EXPECT_ERROR(read_cut(), ErrorKind::bad_file, "a.tar, member c");
    }
}

// libarchive takes the end of the file for the archive's.
TEST(PackedFile, ATarThatIsCutBehindAMemberIsRefused) {
    testing::TemporaryFolder folder;
    const std::string path = folder.file("a.tar");
    testing::write_archive(path, {{"a.txt", std::string(512, 'a')}, {"b.txt", "bbb"}});
    const std::string whole = testing::read_all(path);
    EXPECT_EQ(read_members(path).size(), 2u);
    const size_t end = whole.find("bbb") + 512;
    for (const size_t members : {1, 2}) {
        const std::string cut = whole.substr(0, members == 1 ? whole.find(std::string(512, 'a')) + 512 : end);
        EXPECT_ERROR(read_members(folder.write("cut.tar", cut)), ErrorKind::bad_file, "cut off after a member");
        testing::compress(folder.file("cut.tar.gz"), cut, archive_write_add_filter_gzip);
        EXPECT_ERROR(read_members(folder.file("cut.tar.gz")), ErrorKind::bad_file, "cut off after a member");
    }
    // one block of zeros is an end, whatever padding follows
    EXPECT_EQ(read_members(folder.write("one.tar", whole.substr(0, end + 512))).size(), 2u);
}

TEST(PackedFile, BombsAreRefused) {
    testing::TemporaryFolder folder;
    const std::string zeros(80 << 20, '\0');
    for (const testing::Filter& filter : testing::kFilters) {
        const std::string path = folder.file(std::string("bomb") + filter.suffix);
        testing::compress(path, zeros, filter.add);
        EXPECT_ERROR(read_one(path), ErrorKind::bad_file, "an archive bomb");
    }
    testing::write_archive(folder.file("bomb.zip"), {{"zeros", zeros}});
    EXPECT_ERROR(read_one(folder.file("bomb.zip")), ErrorKind::bad_file, "bomb.zip, member zeros");
    PackedFile allowed(folder.file("bomb.gz"), 1e6);
    std::string buffer(1 << 20, '\0');
    uint64_t total = 0;
    ASSERT_TRUE(allowed.next());
    while (uint64_t count = allowed.read(buffer.data(), buffer.size())) total += count;
    EXPECT_EQ(total, zeros.size());
}

}  // namespace
}  // namespace lithe
