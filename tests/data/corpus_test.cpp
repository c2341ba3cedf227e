#include "lithe/data/corpus.h"

#include <sys/stat.h>

#include <cmath>
#include <cstdlib>
#include <thread>

#include "lithe/base/log.h"
#include "lithe/data/cache_folder.h"
#include "lithe/data/prepare.h"
#include "support/errors.h"
#include "support/files.h"

namespace lithe {
namespace {

DataConfig at_path(const std::string& path) {
    DataConfig config;
    config.path = path;
    return config;
}

TEST(Corpus, PlainFileIsSplitByBytes) {
    testing::TemporaryFolder folder;
    std::string text = testing::sample_text(1000);
    Corpus corpus = Corpus::open(at_path(folder.write("a.txt", text)));
    EXPECT_EQ(corpus.split("train").size(), 900u);
    EXPECT_EQ(corpus.split("valid").size(), 50u);
    EXPECT_EQ(corpus.split("test").size(), 50u);
    std::vector<int64_t> ids(50);
    corpus.split("valid").read(0, 50, ids.data());
    EXPECT_EQ(corpus.tokenizer().decode(ids), text.substr(900, 50));
    EXPECT_EQ(corpus.tokenizer().vocabulary_size(), 256);
    EXPECT_ERROR(corpus.split("dev"), ErrorKind::usage, "no split 'dev', it has: train, valid, test");
}

TEST(Corpus, AFolderWhoseFilesNameTheirSplitsIsDividedSo) {
    testing::TemporaryFolder folder;
    setenv("XDG_CACHE_HOME", folder.file("cache").c_str(), 1);
    auto sizes = [&](const std::string& name, const std::string& split = "90/5/5") {
        DataConfig config = at_path(folder.file(name));
        config.split = split;
        const Corpus corpus = Corpus::open(config);
        std::vector<uint64_t> result;
        for (const CorpusSplit& each : corpus.splits()) result.push_back(each.tokens->bytes());
        return result;
    };
    for (const auto& [name, train, valid, test] :
         {std::tuple("plain", "train.txt", "valid.txt", "test.txt"),
          {"wiki", "wiki.train.tokens", "wiki.valid.tokens", "wiki.test.tokens"},
          {"tsv", "a_train.txt", "a-dev.txt", "test.txt"}}) {
        folder.write(std::string(name) + "/" + train, testing::sample_text(700));
        folder.write(std::string(name) + "/" + valid, testing::sample_text(200));
        folder.write(std::string(name) + "/" + test, testing::sample_text(100));
        folder.write(std::string(name) + "/SOURCE.json", "{}");  // of data get
        EXPECT_EQ(sizes(name), (std::vector<uint64_t>{700, 200, 100})) << name;
    }
    EXPECT_NE(sizes("plain", "documents 80/10/10"), (std::vector<uint64_t>{700, 200, 100})) << "the user's rule wins";
    folder.write("plain/notes.txt", testing::sample_text(50));
    EXPECT_EQ(sizes("plain"), (std::vector<uint64_t>{700, 200, 100})) << "a file that names no split is left out";
}

TEST(Corpus, UsedVocabularyNumbersBytesInOrder) {
    testing::TemporaryFolder folder;
    DataConfig config = at_path(folder.write("a.txt", "cabbac" + std::string(100, 'b')));
    config.vocabulary = ByteVocabulary::used;
    Corpus corpus = Corpus::open(config);
    EXPECT_EQ(corpus.tokenizer().vocabulary_size(), 3);
    EXPECT_EQ(corpus.tokenizer().encode("abc"), (std::vector<int64_t>{0, 1, 2}));
    const auto again = tokenizer_from_json(corpus.tokenizer().to_json(), "t");
    EXPECT_EQ(again->hash(), corpus.tokenizer().hash());
}

TEST(Corpus, FolderGoesThroughTheCacheAndSplitsByFile) {
    testing::TemporaryFolder folder, cache;
    setenv("XDG_CACHE_HOME", cache.path().c_str(), 1);
    for (int i = 0; i < 40; ++i) {
        char name[40];
        std::snprintf(name, sizeof name, "d%d/f%02d.txt", i / 20, i);
        folder.write(name, "file " + std::to_string(100 + i) + "\n");
    }
    folder.write("d0/skip.bin", "no");
    DataConfig config = at_path(folder.path());
    config.split = "files";
    config.include = {"*.txt"};
    Corpus corpus = Corpus::open(config);
    std::vector<int64_t> ids(corpus.split("valid").size());
    corpus.split("valid").read(0, ids.size(), ids.data());
    std::string text = corpus.tokenizer().decode(ids);
    EXPECT_TRUE(text == "file 109\nfile 129\n" || text == "file 129\nfile 109\n") << text;
    EXPECT_EQ(corpus.split("train").size(), 36u * 9);
    Corpus again = Corpus::open(config);
    EXPECT_EQ(again.fingerprint(), corpus.fingerprint());
    unsetenv("XDG_CACHE_HOME");
}

// A set of the cache that another process is still making is not taken for a damaged one and removed.
TEST(Corpus, UnfinishedSetsOfTheCacheAreLeftToTheirMaker) {
    testing::TemporaryFolder folder, cache;
    setenv("XDG_CACHE_HOME", cache.path().c_str(), 1);
    DataConfig config = at_path(folder.write("a.txt", testing::sample_text(5000)));
    config.documents = "line";
    const std::string fingerprint = Corpus::open(config).fingerprint();
    std::string set;
    for (const auto& entry : std::filesystem::directory_iterator(cache.file("lithe"))) set = entry.path().string();
    std::filesystem::rename(set + "/index.json", set + "/progress.json");
    const std::string log = folder.file("log");
    set_log_file(log);
    std::string waited;
    std::thread waiting;
    {
        FileLock other(set + "/.lock", "the other process");
        waiting = std::thread([&] { waited = Corpus::open(config).fingerprint(); });
        while (testing::read_all(log).find("another process") == std::string::npos) std::this_thread::yield();
        EXPECT_TRUE(std::filesystem::exists(set + "/progress.json"));
        std::filesystem::rename(set + "/progress.json", set + "/index.json");  // the other one has finished it
    }
    waiting.join();
    EXPECT_EQ(waited, fingerprint);
    // the other one was killed: its beginnings are no obstacle, and what is not of a token set stays
    std::filesystem::rename(set + "/index.json", set + "/progress.json");
    {
        FileLock other(set + "/.lock", "the other process");
        std::stop_source stop;
        stop.request_stop();
        EXPECT_ERROR(Corpus::open(config, nullptr, stop.get_token()), ErrorKind::stopped,
                     "stopped while waiting for another process");
    }
    EXPECT_EQ(Corpus::open(config).fingerprint(), fingerprint);
    EXPECT_FALSE(std::filesystem::exists(set + "/progress.json"));
    set_log_file("");
    unsetenv("XDG_CACHE_HOME");
}

// Several runs that start at once on a text that must be prepared first.
TEST(Corpus, SeveralAtOnceMakeOneSet) {
    testing::TemporaryFolder folder, cache;
    setenv("XDG_CACHE_HOME", cache.path().c_str(), 1);
    DataConfig config = at_path(folder.write("a.txt", testing::sample_text(500'000)));
    config.tokenizer = "words";
    std::vector<std::string> fingerprints(4);
    std::vector<std::thread> all;
    for (std::string& each : fingerprints) all.emplace_back([&] { each = Corpus::open(config).fingerprint(); });
    for (std::thread& each : all) each.join();
    for (const std::string& each : fingerprints) EXPECT_EQ(each, fingerprints[0]);
    EXPECT_FALSE(fingerprints[0].empty());
    unsetenv("XDG_CACHE_HOME");
}

// A damaged set of the cache is made anew; a file of someone else in its folder is not removed.
TEST(Corpus, OnlyTokenSetsOfTheCacheAreRemoved) {
    testing::TemporaryFolder folder, cache;
    setenv("XDG_CACHE_HOME", cache.path().c_str(), 1);
    DataConfig config = at_path(folder.write("a.txt", testing::sample_text(5000)));
    config.documents = "line";
    const std::string fingerprint = Corpus::open(config).fingerprint();
    struct stat status {};
    ASSERT_EQ(stat(cache.file("lithe").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0700u);
    std::string set;
    for (const auto& entry : std::filesystem::directory_iterator(cache.file("lithe"))) set = entry.path().string();
    std::ofstream(set + "/index.json") << "{}";
    EXPECT_EQ(Corpus::open(config).fingerprint(), fingerprint);
    std::ofstream(set + "/index.json") << "{}";
    std::ofstream(set + "/thesis.txt") << "years of work";
    EXPECT_ERROR(Corpus::open(config), ErrorKind::usage, "it holds thesis.txt");
    EXPECT_EQ(testing::read_all(set + "/thesis.txt"), "years of work");
    unsetenv("XDG_CACHE_HOME");
}

TEST(Corpus, TheCacheIsNeverAFolderThatOthersCanForesee) {
    testing::TemporaryFolder folder;
    const char* home = std::getenv("HOME");
    const std::string before = home ? home : "";
    setenv("HOME", folder.path().c_str(), 1);
    unsetenv("XDG_CACHE_HOME");
    EXPECT_EQ(cache_folder(), folder.file(".cache/lithe"));
    for (const char* none : {"", static_cast<const char*>(nullptr)}) {
        if (none) setenv("HOME", none, 1);
        else unsetenv("HOME");
        try {
            EXPECT_NE(cache_folder().rfind("/tmp", 0), 0u);
        } catch (const Error& error) { EXPECT_NE(std::string(error.what()).find("XDG_CACHE_HOME"), std::string::npos); }
    }
    if (home) setenv("HOME", before.c_str(), 1);
}

TEST(Corpus, TokenSetEqualsItsText) {
    testing::TemporaryFolder folder;
    std::string path = folder.write("a.txt", testing::sample_text(5000));
    prepare_tokens(at_path(path), folder.file("a.tokens"), {});
    Corpus plain = Corpus::open(at_path(path)), tokens = Corpus::open(at_path(folder.file("a.tokens")));
    EXPECT_EQ(plain.fingerprint(), tokens.fingerprint());
}

TEST(Corpus, SeparateFiles) {
    testing::TemporaryFolder folder;
    DataConfig config;
    config.train = folder.write("t.txt", "aaaaaaaaaa");
    config.valid = folder.write("v.txt", "bbbb");
    Corpus corpus = Corpus::open(config);
    EXPECT_EQ(corpus.split("train").size(), 10u);
    EXPECT_EQ(corpus.split("valid").size(), 4u);
    EXPECT_FALSE(corpus.has("test"));
}

TEST(Corpus, SourcesHaveWeightsAndOneTokenizer) {
    testing::TemporaryFolder folder;
    const std::string a = folder.write("a.txt", testing::sample_text(1000)),
                      b = folder.write("b.txt", testing::sample_text(3000));
    DataConfig config;
    config.sources = {a, b};
    Corpus sized = Corpus::open(config);
    ASSERT_EQ(sized.sources().size(), 2u);
    EXPECT_EQ(sized.sources()[1].share / sized.sources()[0].share, 3);
    EXPECT_EQ(sized.split("valid").size(), 200u);
    EXPECT_EQ(sized.split("train").size(), 3600u);
    config.temperature = 2;
    EXPECT_NEAR(Corpus::open(config).sources()[1].share / Corpus::open(config).sources()[0].share, std::sqrt(3.0),
                1e-9);
    config.temperature = 1;
    config.sources = {"3 * " + a, "1.5*" + b};
    Corpus weighted = Corpus::open(config);
    EXPECT_EQ(weighted.sources()[0].share / weighted.sources()[1].share, 2);
    config.sources = {"3 * " + a, b};
    EXPECT_ERROR(Corpus::open(config), ErrorKind::usage, "some of data.sources have a weight and some have none");
    config.sources = {"-1 * " + a};
    EXPECT_ERROR(Corpus::open(config), ErrorKind::usage, "must be above 0");
    config.sources = {a, folder.file("none")};
    EXPECT_ERROR(Corpus::open(config), ErrorKind::bad_file, "cannot find the data");
    DataConfig words;
    words.path = b;
    words.tokenizer = "words";
    prepare_tokens(words, folder.file("words"), {});
    config.sources = {a, folder.file("words")};
    EXPECT_ERROR(Corpus::open(config), ErrorKind::bad_file,
                 "the data has another tokenizer than it is to be read with");
    config.path = a;
    EXPECT_ERROR(Corpus::open(config), ErrorKind::usage, "stands beside data.path");
}

TEST(Corpus, RefusesWhatIsNotThere) {
    testing::TemporaryFolder folder;
    EXPECT_ERROR(Corpus::open(at_path("/no/such/file")), ErrorKind::bad_file, "cannot find the data");
    EXPECT_ERROR(Corpus::open(at_path("")), ErrorKind::usage, "no data is named");
    EXPECT_ERROR(Corpus::open(at_path(folder.write("empty", ""))), ErrorKind::bad_file, "the file is empty");
    EXPECT_ERROR(Corpus::open(at_path(folder.path() + "/empty")).split("train"), ErrorKind::bad_file, "empty");
    DataConfig config = at_path(folder.write("a", "some text that is long enough"));
    config.split = "90/x";
    EXPECT_ERROR(Corpus::open(config), ErrorKind::usage, "expected three shares");
    std::filesystem::create_directory(folder.file("none"));
    EXPECT_ERROR(Corpus::open(at_path(folder.file("none"))), ErrorKind::bad_file, "no files that match");
}

}  // namespace
}  // namespace lithe
