#include "lithe/data/prepare.h"

#include <atomic>
#include <csignal>
#include <thread>

#include "lithe/data/corpus.h"
#include "support/errors.h"
#include "support/files.h"
#include "support/random_text.h"

namespace lithe {
namespace {

std::map<std::string, std::string> contents(const std::string& folder) {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        files[entry.path().filename().string()] = testing::read_all(entry.path().string());
    return files;
}

std::string lines(int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += "line " + std::to_string(i) + " the old mill turns slowly past the river\n";
    return text;
}

DataConfig words_by_line(const std::string& path) {
    DataConfig config;
    config.path = path;
    config.documents = "line";
    config.tokenizer = "words";
    config.split = "documents 90/5/5";
    return config;
}

TEST(Prepare, ShardsHoldTheWholeTextInOrder) {
    testing::TemporaryFolder folder;
    const std::string text = lines(100'000);
    DataConfig config;
    config.path = folder.write("a.txt", text);
    config.split = "80/10/10";
    const auto info = prepare_tokens(config, folder.file("set"), {.round_bytes = 1 << 16});
    EXPECT_GE(info.splits[0].shards.size(), 4u);
    EXPECT_EQ(info.tokens(), text.size());
    const Corpus corpus = Corpus::open({.path = folder.file("set")});
    std::string back;
    for (const CorpusSplit& split : corpus.splits()) {
        std::vector<int64_t> ids(split.tokens->size());
        split.tokens->read(0, ids.size(), ids.data());
        back += corpus.tokenizer().decode(ids);
    }
    EXPECT_EQ(back, text);
    EXPECT_EQ(corpus.split("train").bytes(), text.size() * 8 / 10);
}

TEST(Prepare, DocumentsKeepTheirPlaces) {
    testing::TemporaryFolder folder;
    DataConfig config = words_by_line(folder.write("a.txt", lines(3000)));
    prepare_tokens(config, folder.file("set"), {.round_bytes = 1 << 16});
    const Corpus corpus = Corpus::open({.path = folder.file("set")});
    uint64_t documents = 0;
    for (const CorpusSplit& split : corpus.splits()) {
        documents += split.tokens->documents();
        for (uint64_t d = 0; d < split.tokens->documents(); ++d) {
            int64_t id = 0;
            split.tokens->read(split.tokens->document_begin(d), 1, &id);
            EXPECT_EQ(corpus.tokenizer().decode(std::vector<int64_t>{id}), "line");
        }
    }
    EXPECT_EQ(documents, 3000u);
}

TEST(Prepare, LabelsAndPairsTravelWithDocuments) {
    testing::TemporaryFolder folder;
    std::string table = "text,kind\n";
    for (int i = 0; i < 300; ++i) table += "some words " + std::to_string(i) + "," + (i % 3 ? "good" : "bad") + "\n";
    DataConfig config;
    config.path = folder.write("a.csv", table);
    config.label = "kind";
    config.split = "100/0/0";
    const auto info = prepare_tokens(config, folder.file("labelled"), {});
    EXPECT_EQ(info.labels, (std::vector<std::string>{"bad", "good"}));
    const Corpus labelled = Corpus::open({.path = folder.file("labelled")});
    for (uint64_t d = 0; d < 300; ++d) EXPECT_EQ(labelled.split("train").document_label(d), d % 3 ? 1 : 0);

    std::string german, english;
    for (int i = 0; i < 100; ++i) {
        german += i == 7 ? "\n" : "Zeile " + std::to_string(i) + "\n";
        english += "line " + std::to_string(i) + "\n";
    }
    DataConfig pairs;
    pairs.path = folder.write("a.de", german);
    folder.write("a.en", english);
    pairs.parallel = ".en";
    const auto both = prepare_tokens(pairs, folder.file("pairs"), {});
    EXPECT_TRUE(both.parallel);
    const Corpus corpus = Corpus::open({.path = folder.file("pairs")});
    uint64_t documents = 0;
    for (const CorpusSplit& split : corpus.splits()) {
        EXPECT_EQ(split.tokens->documents() % 2, 0u) << "pairs stay together";
        for (uint64_t d = 0; d < split.tokens->documents(); ++d) {
            std::vector<int64_t> id(1);
            split.tokens->read(split.tokens->document_begin(d), 1, id.data());
            EXPECT_EQ(corpus.tokenizer().decode(id), d % 2 ? "l" : "Z");
        }
        documents += split.tokens->documents();
    }
    EXPECT_EQ(documents, 198u);  // line 7 has an empty side
    folder.write("a.en", english + "more\n");
    EXPECT_ERROR(prepare_tokens(pairs, folder.file("uneven"), {}), ErrorKind::bad_file, "a.en]");
}

TEST(Prepare, ThreadsDoNotChangeTheBytes) {
    testing::TemporaryFolder folder;
    const DataConfig config = words_by_line(folder.write("a.txt", lines(5000)));
    prepare_tokens(config, folder.file("one"), {.threads = 1, .round_bytes = 1 << 17});
    prepare_tokens(config, folder.file("four"), {.threads = 4, .round_bytes = 1 << 17});
    EXPECT_EQ(contents(folder.file("one")), contents(folder.file("four")));
}

// Stopped whenever another round is durable and started again, it makes the same bytes.
TEST(Prepare, GoesOnWhereItWasStopped) {
    testing::TemporaryFolder folder;
    const DataConfig config = words_by_line(folder.write("a.txt", lines(30'000)));
    const PrepareOptions options{.round_bytes = 1 << 16};
    prepare_tokens(config, folder.file("unbroken"), options);
    const std::string broken = folder.file("broken"), journal = broken + "/progress.json";
    int stops = 0;
    for (std::atomic<bool> finished = false; !finished;) {
        std::stop_source stop;
        std::thread stopper([&, before = testing::read_all(journal)] {
            while (!finished && (testing::read_all(journal).empty() || testing::read_all(journal) == before))
                std::this_thread::yield();
            stop.request_stop();
        });
        try {
            prepare_tokens(config, broken, {.round_bytes = options.round_bytes, .stop = stop.get_token()});
            finished = true;
        } catch (const Error& error) {
            EXPECT_EQ(int(error.kind()), int(ErrorKind::stopped)) << error.what();
            ++stops;
        }
        stopper.join();
    }
    EXPECT_GT(stops, 0);
    EXPECT_EQ(contents(folder.file("unbroken")), contents(broken));
}

// Killed between its first two files: it starts anew.
TEST(Prepare, GoesOnWithoutATokenizerOfItsOwn) {
    testing::TemporaryFolder folder;
    const DataConfig config = words_by_line(folder.write("a.txt", lines(30'000)));
    const PrepareOptions options{.round_bytes = 1 << 16};
    prepare_tokens(config, folder.file("unbroken"), options);
    const std::string broken = folder.file("broken"), journal = broken + "/progress.json";
    std::stop_source stop;
    std::thread stopper([&] {
        while (!std::filesystem::exists(journal)) std::this_thread::yield();
        stop.request_stop();
    });
    EXPECT_THROW(prepare_tokens(config, broken, {.round_bytes = options.round_bytes, .stop = stop.get_token()}), Error);
    stopper.join();
    ASSERT_TRUE(std::filesystem::exists(journal));
    std::filesystem::remove(broken + "/tokenizer.json");
    prepare_tokens(config, broken, options);
    EXPECT_EQ(contents(folder.file("unbroken")), contents(broken));
}

TEST(Prepare, RefusesWhatWouldLoseSomething) {
    testing::TemporaryFolder folder;
    DataConfig config;
    config.path = folder.write("a.txt", lines(100));
    prepare_tokens(config, folder.file("set"), {});
    EXPECT_ERROR(prepare_tokens(config, folder.file("set"), {}), ErrorKind::usage, "holds a finished token set");
    folder.write("other/precious", "x");
    EXPECT_ERROR(prepare_tokens(config, folder.file("other"), {}), ErrorKind::usage, "not empty: it holds precious");
    EXPECT_ERROR(prepare_tokens(config, folder.write("file", "x"), {}), ErrorKind::usage, "a token set is a folder");
    config.path = "/dev/zero";
    EXPECT_ERROR(prepare_tokens(config, folder.file("z"), {}), ErrorKind::bad_file,
                 "a device or pipe cannot be read twice");
    config.path = folder.write("a.txt", lines(100));
    config.label = "kind";
    EXPECT_ERROR(prepare_tokens(config, folder.file("l"), {}), ErrorKind::usage, "plain text has no field \"kind\"");
    config.label = "";
    auto trainer = make_tokenizer_trainer({.kind = "characters", .size = 0});
    trainer->feed("abc");
    EXPECT_ERROR(
        prepare_tokens(config, folder.file("u"), {}, trainer->finish()), ErrorKind::bad_file,
        "the character \"l\" at byte 0 is not among the 3 of this vocabulary (counted from byte 0 of the text)");
    config.tokenizer = "byts";
    EXPECT_ERROR(prepare_tokens(config, folder.file("b"), {}), ErrorKind::usage, "did you mean 'bytes'");
    config.tokenizer = "bytes";
    config.path = folder.write("empty", "");
    EXPECT_ERROR(prepare_tokens(config, folder.file("c"), {}), ErrorKind::bad_file, "the data is empty");
    config.path = folder.path() + "/other";
    config.split = "files";
    config.include = {"*.none"};
    EXPECT_ERROR(prepare_tokens(config, folder.file("d"), {}), ErrorKind::bad_file, "no files that match");
}

// A progress.json of someone else does not make a folder ours; in one that is ours, only what the journal names goes.
TEST(Prepare, RemovesOnlyWhatIsItsOwn) {
    testing::TemporaryFolder folder;
    const DataConfig config = words_by_line(folder.write("a.txt", lines(30'000)));
    const PrepareOptions options{.round_bytes = 1 << 16};
    for (const char* journal : {"{}", "[]", "not JSON", "{\"schema\":\"other/1\",\"done\":3}"}) {
        folder.write("home/progress.json", journal);
        folder.write("home/thesis.txt", "years of work");
        const auto before = contents(folder.file("home"));
        EXPECT_ERROR(prepare_tokens(config, folder.file("home"), options), ErrorKind::usage, "the folder is not empty");
        EXPECT_EQ(contents(folder.file("home")), before);
    }
    const std::string broken = folder.file("broken");
    std::stop_source stop;
    std::thread stopper([&] {
        while (!std::filesystem::exists(broken + "/train-00001.tokens")) std::this_thread::yield();
        stop.request_stop();
    });
    EXPECT_THROW(prepare_tokens(config, broken, {.round_bytes = options.round_bytes, .stop = stop.get_token()}), Error);
    stopper.join();
    std::map<std::string, std::string> kept = {{"thesis.txt", "years of work"},
                                               {"train-99999.tokens", "mine"},
                                               {"notes.tmp-12", "mine"},
                                               {"train-00000.tokens.tmp-x", "mine"}};
    for (const auto& [name, text] : kept) folder.write("broken/" + name, text);
    folder.write("broken/folder.tmp-1/precious", "mine");
    folder.write("broken/progress.json.tmp-1", "ours");
    DataConfig other = config;
    other.split = "documents 80/10/10";
    prepare_tokens(other, broken, options);  // starts anew
    for (const auto& [name, text] : kept) EXPECT_EQ(testing::read_all(broken + "/" + name), text) << name;
    EXPECT_EQ(testing::read_all(broken + "/folder.tmp-1/precious"), "mine");
    EXPECT_FALSE(std::filesystem::exists(broken + "/progress.json.tmp-1"));
    TokenSet(broken).verify();
}

// Another shard of the same shape, an index that points elsewhere, a damaged block: each is named.
TEST(TokenSet, NoticesWhatWasExchanged) {
    testing::TemporaryFolder folder;
    DataConfig config;
    config.path = folder.write("a.txt", lines(3000));
    config.documents = "line";
    prepare_tokens(config, folder.file("a"), {.round_bytes = 1 << 16});
    const std::string index = testing::read_all(folder.file("a/index.json"));
    std::filesystem::copy(folder.file("a"), folder.file("b"));
    std::filesystem::copy(folder.file("b/train-00001.tokens"), folder.file("b/train-00000.tokens"),
                          std::filesystem::copy_options::overwrite_existing);
    EXPECT_ERROR(TokenSet(folder.file("b")), ErrorKind::bad_file, "it is not the shard that the index names");
    std::string changed = index;
    changed.replace(changed.find("train-00000"), 5, "../tr");
    folder.write("c/index.json", changed);
    std::filesystem::copy(folder.file("a/tokenizer.json"), folder.file("c/tokenizer.json"));
    EXPECT_ERROR(TokenSet(folder.file("c")), ErrorKind::bad_file, "is no plain file name");
    std::filesystem::copy(folder.file("a"), folder.file("d"));
    std::string shard = testing::read_all(folder.file("d/valid-00000.tokens"));
    shard[4096 + 3] ^= 1;
    folder.write("d/valid-00000.tokens", shard);
    EXPECT_ERROR(TokenSet(folder.file("d")).verify(), ErrorKind::bad_file, "block 0 (offset 4096)");
    std::filesystem::remove(folder.file("d/valid-00000.tokens"));
    EXPECT_ERROR(TokenSet(folder.file("d")), ErrorKind::bad_file, "valid-00000.tokens");
    // a folder that lacks a part of it is no folder of texts
    std::filesystem::copy(folder.file("a"), folder.file("f"));
    std::filesystem::remove(folder.file("f/tokenizer.json"));
    EXPECT_ERROR(Corpus::open({.path = folder.file("f")}), ErrorKind::bad_file, "tokenizer.json");
    folder.write("g/progress.json", "{}");
    std::filesystem::copy(folder.file("a/tokenizer.json"), folder.file("g/tokenizer.json"));
    EXPECT_ERROR(Corpus::open({.path = folder.file("g")}), ErrorKind::bad_file, "the token set is not finished");
    // another tokenizer beside the same tokens
    std::filesystem::copy(folder.file("a"), folder.file("e"));
    folder.write("e/tokenizer.json", "{\"kind\":\"bytes\",\"bytes\":[1,2]}");
    EXPECT_ERROR(Corpus::open({.path = folder.file("e")}), ErrorKind::bad_file, "the index claims");
}

}  // namespace
}  // namespace lithe
