#include "lithe/base/file.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "lithe/base/log.h"
#include "lithe/base/parallel.h"
#include "lithe/base/rng.h"
#include "lithe/base/text.h"
#include "support/errors.h"
#include "support/files.h"

static int flock_answer = 0;  // what flock fails with in these tests; 0: as the system says

extern "C" int flock(int descriptor, int operation) noexcept {
    if (flock_answer == 0) return int(syscall(SYS_flock, descriptor, operation));
    errno = flock_answer;
    return -1;
}

namespace lithe {
namespace {

TEST(Text, Amounts) {
    EXPECT_EQ(parse_count("50M"), 50'000'000);
    EXPECT_EQ(parse_count("1.5k"), 1500);
    EXPECT_EQ(parse_count("7"), 7);
    for (const char* bad : {"", "M", "-1", "1.5", "1e300", "nan", "5 M", "0x10"}) EXPECT_FALSE(parse_count(bad)) << bad;
    EXPECT_EQ(format_seconds(1e300).back(), 'd') << "more seconds than an integer holds";
    EXPECT_EQ(parse_seconds("90s"), 90);
    EXPECT_EQ(parse_seconds("1.5h"), 5400);
    EXPECT_EQ(parse_seconds("2d"), 172800);
    for (const char* bad : {"", "m", "-1m", "1y"}) EXPECT_FALSE(parse_seconds(bad)) << bad;
}

TEST(Text, Trimmed) {
    EXPECT_EQ(trimmed(" \t a b\r\n"), "a b");
    EXPECT_EQ(trimmed("a"), "a");
    EXPECT_EQ(trimmed("\ta ", " "), "\ta");
    EXPECT_EQ(trimmed(" \n "), "");
    EXPECT_EQ(trimmed(""), "");
}

TEST(Text, Nearest) {
    EXPECT_EQ(nearest("widht", {"width", "heads"}), "width");
    EXPECT_FALSE(nearest("zzzz", {"width", "heads"}));
    EXPECT_EQ(nearest("U", {"s", "u"}), "u");
    EXPECT_EQ(nearest("sru", {"SRU", "sr"}), "SRU");
    EXPECT_FALSE(nearest("z", {"s", "u"})) << "nothing of it would be kept";
}

TEST(Text, Utf8) {
    EXPECT_TRUE(is_valid_utf8("gr\xc3\xbc\xc3\x9f"));
    for (const char* bad : {"\xff", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80"})
        EXPECT_FALSE(is_valid_utf8(bad));
    EXPECT_EQ(printable("a\xff"), "a\xEF\xBF\xBD");
}

TEST(Error, SaysWhatWhereExpectedGotAndHint) {
    Error error({.kind = ErrorKind::usage,
                 .what = "width is odd",
                 .where = "model.width",
                 .expected = "an even number",
                 .got = "3",
                 .hint = "take 4"});
    EXPECT_STREQ(error.what(), "width is odd [model.width]: expected an even number, got 3\nhint: take 4");
}

TEST(Error, OneProblemSaysItsPlaceOnce) {
    Problems problems;
    problems.add("unknown key a", "x.toml line 3");
    try {
        problems.throw_if_any("x.toml");
    } catch (const Error& error) { EXPECT_STREQ(error.what(), "unknown key a [x.toml line 3]"); }
    Problems elsewhere;
    elsewhere.add("too few layers");
    EXPECT_ERROR(elsewhere.throw_if_any("x.toml"), ErrorKind::usage, "too few layers [x.toml]");
}

TEST(File, ReplaceIsWholeAndLockIsExclusive) {
    testing::TemporaryFolder folder;
    replace_file(folder.file("a"), "one");
    replace_file(folder.file("a"), "two");
    EXPECT_EQ(read_file(folder.file("a")), "two");
    EXPECT_ERROR(read_file(folder.file("a"), 2), ErrorKind::bad_file, "too large");
    EXPECT_ERROR(replace_file(folder.file("no/a"), "x"), ErrorKind::bad_file, "cannot create file");
    FileLock lock(folder.file("lock"), "wait");
    EXPECT_ERROR(FileLock(folder.file("lock"), "wait"), ErrorKind::failed, "another process uses it");
}

// A file system without locks is no other process.
TEST(File, LocksThatFailAreToldAsWhatTheyAre) {
    testing::TemporaryFolder folder;
    flock_answer = ENOLCK;
    for (const IfHeld if_held : {IfHeld::fail, IfHeld::wait})
        EXPECT_ERROR(FileLock(folder.file("lock"), "wait", if_held), ErrorKind::failed, "No locks available");
    flock_answer = 0;
    FileLock lock(folder.file("lock"), "wait");
}

TEST(File, OwnFilesAreKnownByTheirNames) {
    EXPECT_TRUE(is_temporary_of("run.json.tmp-12", "run.json"));
    for (const char* other : {"run.json", "run.json.tmp-", "run.json.tmp-x", "run.json.tmp-1x", "a.tmp-12", "tmp-1"})
        EXPECT_FALSE(is_temporary_of(other, "run.json")) << other;
    testing::TemporaryFolder folder;
    folder.write("d/ours", "1");
    folder.write("d/other", "2");
    folder.write("d/sub/ours", "3");
    std::filesystem::create_symlink(folder.file("d/other"), folder.file("d/link"));
    const auto ours = [](const std::string& name) { return name != "other"; };
    EXPECT_FALSE(remove_own_files(folder.file("d"), ours));
    EXPECT_FALSE(std::filesystem::exists(folder.file("d/ours")));
    for (const char* kept : {"d/other", "d/sub/ours", "d/link"})
        EXPECT_TRUE(std::filesystem::exists(folder.file(kept)));
    folder.write("e/ours", "1");
    EXPECT_TRUE(remove_own_files(folder.file("e"), ours));
    EXPECT_FALSE(std::filesystem::exists(folder.file("e")));
}

TEST(File, FullDiskIsOfTheKindResources) {
    FileWriter writer("/dev/full");
    EXPECT_ERROR(writer.write("x"), ErrorKind::resources, "No space left");
}

TEST(Log, WhatIsSaidOnceComesAgainInAnotherLog) {
    testing::TemporaryFolder folder;
    const auto lines = [&](const char* name) {
        set_log_file(folder.file(name));
        for (int i = 0; i < 3; ++i) log_info_once("pairs left out");
        log_info_once("another line");
        set_log_file("");
        const std::string text = testing::read_all(folder.file(name));
        return std::count(text.begin(), text.end(), '\n');
    };
    EXPECT_EQ(lines("first"), 2);
    EXPECT_EQ(lines("second"), 2);
}

TEST(Random, StreamsAreReproducibleAndUniform) {
    EXPECT_EQ(random_bits(1, 2), random_bits(1, 2));
    EXPECT_NE(random_bits(1, 2), random_bits(2, 1));
    double sum = 0;
    for (uint64_t i = 0; i < 100'000; ++i) sum += random_unit(7, i);
    EXPECT_NEAR(sum / 1e5, 0.5, 0.005);
    EXPECT_NE(combine_key(1, "a"), combine_key(1, "b"));
}

TEST(Parallel, SerialBackendCoversTheRange) {
    int64_t total = 0;
    parallel_for(10, 3, [&](int64_t begin, int64_t end) { total += end - begin; });
    EXPECT_EQ(total, 10);
}

}  // namespace
}  // namespace lithe
