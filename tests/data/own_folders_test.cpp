// Folders of lithe's own beside and inside a text.
#include <cstdlib>

#include "lithe/data/corpus.h"
#include "lithe/data/documents.h"
#include "lithe/data/prepare.h"
#include "support/errors.h"
#include "support/files.h"

namespace lithe {
namespace {

namespace fs = std::filesystem;
using Texts = std::vector<std::string>;

class OwnFolders : public ::testing::Test {
 protected:
    void SetUp() override { setenv("XDG_CACHE_HOME", folder.file("cache").c_str(), 1); }
    void TearDown() override { unsetenv("XDG_CACHE_HOME"); }
    DataConfig at(const std::string& name) const {
        DataConfig config;
        config.path = folder.file(name);
        return config;
    }
    static std::string all_text(const DataConfig& config) {
        std::string text;
        read_documents(config, list_inputs(config), [&](const DocumentPart& part) { text += part.text; });
        return text;
    }
    testing::TemporaryFolder folder;
};

// Folders that lithe makes beside a text, by the files that identify each.
TEST_F(OwnFolders, FoldersOfLithesOwnAreNoText) {
    const Texts runs = {"{\n  \"schema\": \"lithe.run/1\"}", "{\"schema\": \"lithe.checkpoint/1\"}"};
    for (const char* name : {"1.txt", "2.txt"}) folder.write(std::string("t/") + name, name);
    const std::string before = all_text(at("t"));
    const std::string identity = corpus_identity(at("t"), "bytes");
    folder.write("t/runs/a/run.json", runs[0]);
    folder.write("t/runs/a/metrics.jsonl", "{\"step\": 1}\n");
    folder.write("t/runs/a/checkpoints/step-000000001/manifest.json", runs[1]);
    folder.write("t/runs/b/config.toml", "[model]\n");  // killed before its run.json
    folder.write("t/runs/b/.lock", "");
    fs::create_directories(folder.file("t/runs/b/checkpoints"));
    folder.write("t/runs/c/config.toml", "[model]\n");  // a copy of a part
    folder.write("t/runs/c/checkpoints/step-000000001/manifest.json", runs[1]);
    folder.write("t/set/index.json", "{\n \"schema\": \"lithe.tokens/1\"}");
    folder.write("t/set/tokenizer.json", "{}");
    folder.write("t/begun/progress.json", "{\n \"schema\": \"lithe.prepare/1\"}");
    folder.write("t/model/manifest.json", runs[1]);
    folder.write("t/model/config.json", "{}");
    folder.write("t/search/config.toml", "[search]\n");
    folder.write("t/search/costs.json", "{\n \"schema\": \"lithe.costs/1\"}");
    folder.write("t/cache/notes.txt", "x");
    setenv("XDG_CACHE_HOME", folder.file("t").c_str(), 1);
    fs::rename(folder.file("t/cache"), folder.file("t/lithe"));
    fs::create_directory_symlink(folder.file("t/set"), folder.file("t/link"));
    EXPECT_EQ(all_text(at("t")), before);
    EXPECT_EQ(corpus_identity(at("t"), "bytes"), identity);
    const std::string words = division_words(find_inputs(at("t")), at("t"));
    for (const char* part :
         {"runs/a, runs/b, runs/c (a run of lithe)", "begun, set", "(a token set of lithe)",
          "model (a checkpoint of lithe)", "search (a search of lithe)", "lithe (the cache of lithe)"})
        EXPECT_NE(words.find(part), std::string::npos) << part << " is not in: " << words;
    // what only looks like them is text
    folder.write("t/notes/config.toml", "a");
    folder.write("t/notes/checkpoints/1.txt", "b");
    folder.write("t/notes/index.json", "{}");
    folder.write("t/notes/run.json", "{\"schema\": \"other\"}");
    EXPECT_EQ(list_inputs(at("t")).size(), 6u);
}

// Named themselves, they are told as what they are.
TEST_F(OwnFolders, AFolderOfLithesOwnThatIsNamedIsAnError) {
    folder.write("run/run.json", "{\"schema\": \"lithe.run/1\"}");
    folder.write("run/config.toml", "[model]\n");
    folder.write("run/checkpoints/step-000000001/manifest.json", "{\"schema\": \"lithe.checkpoint/1\"}");
    EXPECT_ERROR(find_inputs(at("run")), ErrorKind::usage, "this is a run of lithe, and no text");
    EXPECT_ERROR(find_inputs(at("run")), ErrorKind::usage, "lithe train ");
    EXPECT_ERROR(find_inputs(at("run/checkpoints")), ErrorKind::usage, "the checkpoints of a run of lithe");
    EXPECT_ERROR(find_inputs(at("run/checkpoints/step-000000001")), ErrorKind::usage, "with resume ");
    folder.write("a.txt", testing::sample_text(1000));
    prepare_tokens(at("a.txt"), folder.file("set"), {});
    DataConfig by_split;
    by_split.train = folder.file("a.txt");
    by_split.valid = folder.file("set");
    EXPECT_ERROR(find_inputs(by_split), ErrorKind::usage, "this is a token set of lithe, and no text");
}

TEST_F(OwnFolders, ATokenSetInsideItsTextIsNoTextOfTheNext) {
    folder.write("t/1.txt", testing::sample_text(1000));
    const TokenSetInfo first = prepare_tokens(at("t"), folder.file("t/out"), {});
    const TokenSetInfo second = prepare_tokens(at("t"), folder.file("t/out2"), {});
    EXPECT_EQ(first.tokens(), 1000u);
    EXPECT_EQ(second.tokens(), 1000u);
    EXPECT_NE(second.division.find("out (a token set of lithe)"), std::string::npos) << second.division;
}

}  // namespace
}  // namespace lithe
