// What people's folders and archives really hold: splits in names, hidden and binary files, links, encodings.
#include <cstdlib>

#include "lithe/base/log.h"
#include "lithe/data/corpus.h"
#include "lithe/data/corpus_reader.h"
#include "lithe/data/list_files.h"
#include "lithe/data/prepare.h"
#include "lithe/formats/packed.h"
#include "support/archives.h"
#include "support/errors.h"
#include "support/files.h"

namespace lithe {
namespace {

namespace fs = std::filesystem;
using Texts = std::vector<std::string>;

class FoundFiles : public ::testing::Test {
 protected:
    void SetUp() override { setenv("XDG_CACHE_HOME", folder.file("cache").c_str(), 1); }
    void TearDown() override { unsetenv("XDG_CACHE_HOME"); }
    DataConfig at(const std::string& name) const {
        DataConfig config;
        config.path = folder.file(name);
        return config;
    }
    std::string division(const std::string& name) const { return Corpus::open(at(name)).division(); }
    static std::string text_of(const Corpus& corpus, const std::string& split) {
        for (const CorpusSplit& each : corpus.splits())
            if (each.name == split) {
                std::vector<int64_t> ids(each.tokens->size());
                each.tokens->read(0, ids.size(), ids.data());
                return corpus.tokenizer().decode(ids);
            }
        return "";
    }
    static std::string all_text(const DataConfig& config) {
        std::string text;
        read_documents(config, list_inputs(config), [&](const DocumentPart& part) { text += part.text; });
        return text;
    }
    static Texts documents_of(const DataConfig& config) {
        Texts documents;
        read_documents(config, list_inputs(config), [&](const DocumentPart& part) {
            if (part.begins) documents.emplace_back();
            documents.back() += part.text;
        });
        return documents;
    }
    // Every file is its name, so that it is known wherever it is read.
    void expect_splits(const std::string& name, const std::string& train, const std::string& valid,
                       const std::string& test, const std::string& words) {
        const Corpus corpus = Corpus::open(at(name));
        EXPECT_EQ(text_of(corpus, "train"), train) << name;
        EXPECT_EQ(text_of(corpus, "valid"), valid) << name;
        EXPECT_EQ(text_of(corpus, "test"), test) << name;
        EXPECT_NE(corpus.division().find(words), std::string::npos) << corpus.division();
    }
    testing::TemporaryFolder folder;
};

TEST_F(FoundFiles, NamesSayTheSplitsWhateverElseIsThere) {
    for (const char* name : {"wiki.train.tokens", "wiki.valid.tokens", "wiki.test.tokens", "README", ".DS_Store"})
        folder.write(std::string("wiki/") + name, name);
    expect_splits(
        "wiki", "wiki.train.tokens", "wiki.valid.tokens", "wiki.test.tokens",
        "by names: train 1 file, valid 1, test 1; left out: .DS_Store (hidden); README (no split in the name)");
    for (const char* name :
         {"train/a.txt", "train/deep/test-drive.txt", "Validation/b.txt", "test/train_station.txt", "notes.md"})
        folder.write(std::string("folders/") + name, name);
    expect_splits("folders", "train/a.txttrain/deep/test-drive.txt", "Validation/b.txt", "test/train_station.txt",
                  "by names: train 2 files, valid 1, test 1; left out: notes.md");
    for (const char* name : {"dev/train-00000-of-00002.txt", "dev/train-00001-of-00002.txt", "dev/test2.txt"})
        folder.write(std::string("outer/") + name, name);
    expect_splits("outer", "dev/train-00000-of-00002.txtdev/train-00001-of-00002.txt", "", "dev/test2.txt",
                  "train 2 files, no validation text (data.valid names one), test 1");
}

// A program's train.py and test.py say nothing about the rest of its text; nor does a folder of trains.
TEST_F(FoundFiles, AFewNamesInAFolderOfOtherThingsAreNoSplits) {
    for (int i = 0; i < 30; ++i) folder.write("code/module" + std::to_string(i) + ".py", testing::sample_text(500));
    folder.write("code/train.py", testing::sample_text(300));
    folder.write("code/test.py", testing::sample_text(300));
    EXPECT_EQ(list_inputs(at("code")).size(), 32u);
    EXPECT_EQ(list_inputs(at("code"))[0].split, -1);
    EXPECT_NE(division("code").find("names that say a split do not count"), std::string::npos) << division("code");
    folder.write("trains/train1.txt", "a");
    folder.write("trains/train2.txt", "b");
    EXPECT_EQ(list_inputs(at("trains"))[0].split, -1);
    EXPECT_EQ(division("trains").find("names"), std::string::npos) << division("trains");
    testing::write_archive(folder.file("code.zip"), {{"c/train.py", testing::sample_text(300)},
                                                     {"c/test.py", testing::sample_text(300)},
                                                     {"c/module.py", testing::sample_text(5000)}});
    EXPECT_NE(division("code.zip").find("names that say a split do not count"), std::string::npos);
}

TEST_F(FoundFiles, MembersOfAnArchiveSayTheirSplitsToo) {
    for (const char* archive : {"wiki.zip", "wiki.tar.gz"}) {
        testing::write_archive(folder.file(archive), {{"w/wiki.test.tokens", "test text"},
                                                      {"w/wiki.train.tokens", "train text"},
                                                      {"w/README.txt", "read me"},
                                                      {"__MACOSX/w/._wiki.train.tokens", "hidden"},
                                                      {"w/.DS_Store", "hidden"},
                                                      {"w/wiki.valid.tokens", "valid text"}});
        for (int opened = 0; opened < 2; ++opened)  // prepared, and from the cache
            expect_splits(archive, "train text", "valid text", "test text",
                          "by names: train 1 file, valid 1, test 1; left out: w/README.txt (no split in the name); "
                          "__MACOSX/w/._wiki.train.tokens, w/.DS_Store (hidden)");
    }
}

// Whole documents would all begin before the border.
TEST_F(FoundFiles, FewFilesLeaveValidationText) {
    for (int i = 0; i < 5; ++i) folder.write("five/" + std::to_string(i) + ".txt", testing::sample_text(1000));
    const Corpus corpus = Corpus::open(at("five"));
    EXPECT_EQ(corpus.split("train").size(), 4500u);
    EXPECT_EQ(corpus.split("valid").size(), 250u);
    EXPECT_EQ(corpus.split("test").size(), 250u);
    EXPECT_NE(corpus.division().find("by bytes, 90/5/5: 5 files; cut at the exact places"), std::string::npos);
    DataConfig dealt = at("five");
    dealt.split = "files";
    EXPECT_ERROR(Corpus::open(dealt), ErrorKind::usage, "data.split = \"90/5/5\" divides any text by its bytes");
    // with characters instead of bytes, none is cut
    DataConfig words = at("five");
    words.tokenizer = "words";
    EXPECT_TRUE(Corpus::open(words).has("valid"));
    // many documents stay whole
    std::string lines;
    for (int i = 0; i < 200; ++i) lines += "line " + std::to_string(1000 + i) + "\n";
    folder.write("lines.txt", lines);
    DataConfig many = at("lines.txt");
    many.documents = "line";
    EXPECT_EQ(Corpus::open(many).split("valid").documents(), 10u);
    EXPECT_EQ(Corpus::open(many).division(), "by bytes, 90/5/5: 1 file");
}

TEST_F(FoundFiles, HiddenAndBinaryFilesAreLeftOutWithAWord) {
    const std::string png("\x89PNG\r\n\x1A\n\0\0\0\rIHDR", 16);
    folder.write("in/a.txt", "text. ");
    folder.write("in/latin1.txt", "caf\xE9 au lait, d\xE9j\xE0 vu. ");
    folder.write("in/.git/objects/ab/cdef", "x\x9C\x4B\xCA\xC9\x4F");
    folder.write("in/._a.txt", std::string("\0\x05\x16\x07\0\2\0\0", 8));
    folder.write("in/__MACOSX/a.txt", "metadata");
    folder.write("in/image", png);
    folder.write("in/zlib", "x\x9C\x4B\xCA\xC9\x4F\x52\x30\x34");
    folder.write("in/table.parquet", std::string("PAR1\x15\x04\x15\0\x15\0\0", 11));
    folder.write("in/paper.pdf", "%PDF-1.4\n1 0 obj << /Type /Catalog >>\n");
    const Listing listing = find_inputs(at("in"));
    EXPECT_EQ(all_text(at("in")), "text. caf\xE9 au lait, d\xE9j\xE0 vu. ");
    EXPECT_EQ(listing.left_out.words(),
              "._a.txt, .git, __MACOSX (hidden); image (PNG image); paper.pdf (PDF); table.parquet (Parquet table); "
              "zlib (zlib data)");
    DataConfig hidden = at("in");
    hidden.include = {".git/*"};
    hidden.format = TextFormat::text;
    EXPECT_EQ(all_text(hidden), "x\x9C\x4B\xCA\xC9\x4F");
    EXPECT_ERROR(find_inputs(at("in/image")), ErrorKind::bad_file, "PNG image");
    DataConfig stands = at("in/image");
    stands.format = TextFormat::text;
    EXPECT_EQ(all_text(stands), png) << "bytes as they stand, when that is asked for";
    fs::remove(folder.file("in/a.txt"));
    fs::remove(folder.file("in/latin1.txt"));
    EXPECT_ERROR(find_inputs(at("in")), ErrorKind::bad_file, "holds no text; left out: ._a.txt");
}

TEST_F(FoundFiles, BinaryMembersOfArchivesAreLeftOutWithAWord) {
    const std::string png("\x89PNG\r\n\x1A\n\0\0\0\rIHDR", 16);
    testing::compress(folder.file("inner.gz"), "packed text", testing::kFilters[0].add);
    testing::write_archive(folder.file("inner.tar"), {{"x.txt", "deep"}});
    testing::write_archive(folder.file("a.tar"), {{"a.txt", "text "},
                                                  {"b.png", png},
                                                  {"c.txt.gz", testing::read_all(folder.file("inner.gz"))},
                                                  {"d.tar", testing::read_all(folder.file("inner.tar"))},
                                                  {"link", "", "a.txt"},
                                                  {"._a.txt", "hidden"}});
    DataConfig config = at("a.tar");
    config.split = "100/0/0";
    const Corpus corpus = Corpus::open(config);
    EXPECT_EQ(text_of(corpus, "train"), "text packed text") << "what is compressed in an archive is unpacked";
    EXPECT_NE(corpus.division().find("left out: b.png (PNG image); d.tar (packed); link (a link or device); ._a.txt "
                                     "(hidden)"),
              std::string::npos)
        << corpus.division();
    testing::compress(folder.file("image.gz"), png, testing::kFilters[0].add);
    EXPECT_ERROR(Corpus::open(at("image.gz")), ErrorKind::bad_file, "PNG image");
}

// Caches of Hugging Face and DVC: names are links into a folder of files that are named by their hashes.
TEST_F(FoundFiles, LinksAreFollowedAndEachFileIsReadOnce) {
    folder.write("hub/blobs/0a1b", "{\"text\":\"one\"}\n");
    folder.write("hub/blobs/2c3d", "{\"text\":\"two\"}\n");
    folder.write("elsewhere/c.txt", "three");
    fs::create_directories(folder.file("hub/snapshots/1/data"));
    fs::create_symlink("../../../blobs/0a1b", folder.file("hub/snapshots/1/data/a.jsonl"));
    fs::create_symlink("../../../blobs/2c3d", folder.file("hub/snapshots/1/data/b.jsonl"));
    EXPECT_EQ(documents_of(at("hub/snapshots/1")), (Texts{"one", "two"}));
    fs::create_directories(folder.file("hub/snapshots/2"));
    fs::create_symlink("../1/data", folder.file("hub/snapshots/2/data"));
    fs::create_symlink("../../hub", folder.file("hub/snapshots/circle"));
    fs::create_symlink("nowhere", folder.file("hub/gone"));
    fs::create_symlink(folder.file("elsewhere"), folder.file("hub/more"));
    fs::create_symlink("/dev/zero", folder.file("hub/zeros"));
    EXPECT_EQ(documents_of(at("hub")), (Texts{"three", "one", "two"}));
    EXPECT_EQ(find_inputs(at("hub")).left_out.words(), "gone (a link to nothing); zeros (no file)");
    for (const Input& input : list_inputs(at("hub"))) EXPECT_EQ(input.path.find("blobs"), std::string::npos);
}

TEST_F(FoundFiles, JsonLinesAreKnownByTheirContent) {
    const std::string lines = "{\"text\":\"one\",\"n\":1}\n{\"text\":\"two\"}\n";
    testing::compress(folder.file("part.gz"), lines, testing::kFilters[0].add);
    testing::compress(folder.file("c4.json.gz"), lines, testing::kFilters[0].add);
    for (const std::string& path :
         {folder.write("a.json", lines), folder.write("spool", lines), folder.write("mark", "\xEF\xBB\xBF" + lines),
          folder.write("one.txt", "{\"text\":\"one\"}\n"), folder.file("part.gz"), folder.file("c4.json.gz")}) {
        DataConfig config;
        config.path = path;
        const Texts found = documents_of(config);
        EXPECT_EQ(found[0], "one") << path;
        EXPECT_FALSE(files_are_documents(config, list_inputs(config))) << path;
    }
    folder.write("body.json", "{\"body\":\"one\"}\n{\"body\":\"two\"}\n");
    EXPECT_ERROR(documents_of(at("body.json")), ErrorKind::bad_file, "the field \"text\" is missing; it has \"body\"");
    folder.write("list.json", "[\n {\"text\":\"one\"}\n]\n");
    EXPECT_ERROR(documents_of(at("list.json")), ErrorKind::bad_file, "one JSON list");
    folder.write("pretty.json", "{\n  \"text\": \"one\"\n}\n");
    EXPECT_ERROR(documents_of(at("pretty.json")), ErrorKind::bad_file, "JSON over several lines");
    // not everything that begins with a brace
    for (const char* text : {"{\n  \"name\": \"x\"\n}\n", "{ x }\n{ y }\n", "{\"name\":\"x\"}\n", "{}\n"}) {
        folder.write("settings.json", text);
        EXPECT_EQ(documents_of(at("settings.json")), (Texts{text}));
    }
    DataConfig stands = at("a.json");
    stands.format = TextFormat::text;
    EXPECT_EQ(documents_of(stands), (Texts{lines}));
}

std::string wide(const std::string& ascii, size_t width, bool big) {
    std::string out;
    for (const char c : ascii) {
        std::string unit(width, '\0');
        unit[big ? width - 1 : 0] = c;
        out += unit;
    }
    return out;
}

TEST_F(FoundFiles, Utf16AndUtf32BecomeUtf8) {
    const std::string text = testing::sample_text(3000);
    const std::pair<std::string, std::string> all[] = {
        {"le", wide(text, 2, false)},
        {"be", wide(text, 2, true)},
        {"le-mark", "\xFF\xFE" + wide(text, 2, false)},
        {"be-mark", "\xFE\xFF" + wide(text, 2, true)},
        {"32-le", wide(text, 4, false)},
        {"32-mark", std::string("\xFF\xFE\0\0", 4) + wide(text, 4, false)},
        {"utf8-mark", "\xEF\xBB\xBF" + text},
    };
    for (const auto& [name, bytes] : all) {
        folder.write(name, bytes);
        EXPECT_EQ(all_text(at(name)), text) << name;
        const Corpus corpus = Corpus::open(at(name));
        EXPECT_EQ(text_of(corpus, "train") + text_of(corpus, "valid") + text_of(corpus, "test"), text) << name;
        EXPECT_EQ(corpus.split("train").size(), 2700u) << name;
    }
    folder.write("pairs", std::string("\xFF\xFE\x3D\xD8\x00\xDE\x3D\xD8\x41\x00\x00\xDE", 12));
    EXPECT_EQ(all_text(at("pairs")),
              "\xF0\x9F\x98\x80\xEF\xBF\xBD"
              "A\xEF\xBF\xBD");
    folder.write("wide.csv", "\xFF\xFE" + wide("id,text\r\n1,one\r\n", 2, false));
    EXPECT_EQ(documents_of(at("wide.csv")), (Texts{"one"}));
    folder.write("wide.json", "\xFF\xFE" + wide("{\"text\":\"one\"}\r\n", 2, false));
    EXPECT_EQ(documents_of(at("wide.json")), (Texts{"one"}));
}

// One text on disk and prepared: the same bytes in the same splits.
TEST_F(FoundFiles, AMarkIsNoTextInPlaceOrPrepared) {
    folder.write("a.txt", "\xEF\xBB\xBF" + testing::sample_text(5000));
    prepare_tokens(at("a.txt"), folder.file("set"), {});
    EXPECT_EQ(Corpus::open(at("a.txt")).fingerprint(), Corpus::open(at("set")).fingerprint());
}

TEST_F(FoundFiles, WindowsLineEndsSeparateDocuments) {
    for (const char* mark : {"", "\xEF\xBB\xBF"}) {
        folder.write("a.txt", std::string(mark) + "one\r\ntwo\r\n\r\n\r\nthree\r\nfour\r\n");
        DataConfig config = at("a.txt");
        config.documents = "line";
        EXPECT_EQ(documents_of(config), (Texts{"one", "two", "three", "four"}));
        config.documents = "blank_line";
        EXPECT_EQ(documents_of(config), (Texts{"one\r\ntwo", "three\r\nfour\r\n"}));
        config.documents = "two\n\n";
        EXPECT_EQ(documents_of(config), (Texts{"one\r\n", "\r\nthree\r\nfour\r\n"}));
    }
    folder.write("mac.txt", "one\rtwo\r\r\rthree\r");
    DataConfig mac = at("mac.txt");
    mac.documents = "line";
    EXPECT_EQ(documents_of(mac), (Texts{"one", "two", "three"}));
    mac.documents = "blank_line";
    EXPECT_EQ(documents_of(mac), (Texts{"one\rtwo", "three\r"}));
    folder.write("late.txt", std::string(2 << 20, 'x') + "\ny\n");  // no line ends in what is read first
    mac = at("late.txt");
    mac.documents = "line";
    EXPECT_EQ(documents_of(mac).size(), 2u);
    std::string text;
    Texts expected;
    for (int i = 0; i < 300'000; ++i) {
        expected.push_back(std::to_string(i) + "x");
        text += expected.back() + "\r\n";
    }
    folder.write("long.txt", text);
    DataConfig config = at("long.txt");
    config.documents = "line";
    EXPECT_EQ(documents_of(config), expected) << "wherever the pieces that are read end";
    folder.write("p.de",
                 "\xEF\xBB\xBF"
                 "eins\r\nzwei\r\n");
    folder.write("p.en", wide("one\r\ntwo\r\n", 2, false));
    DataConfig pairs = at("p.de");
    pairs.parallel = ".en";
    EXPECT_EQ(documents_of(pairs), (Texts{"eins", "one", "zwei", "two"}));
    pairs.parallel = ".fr";
    EXPECT_ERROR(documents_of(pairs), ErrorKind::bad_file, "p.fr");
}

TEST_F(FoundFiles, OddTables) {
    auto texts = [&](const std::string& table, const std::string& field = "text", const std::string& name = "t.csv") {
        folder.write(name, table);
        DataConfig config = at(name);
        config.field = field;
        return documents_of(config);
    };
    EXPECT_EQ(texts("\xEF\xBB\xBFtext,n\r\na,1\r\n"), (Texts{"a"}));
    EXPECT_EQ(texts("\xEF\xBB\xBF\"text\",n\na,1\n"), (Texts{"a"}));
    EXPECT_EQ(texts("n,text\r1,a\r2,\"b\rc\"\r"), (Texts{"a", "b\rc"}));
    EXPECT_EQ(texts("text\tn\ra\t1\rb\t2", "text", "t.tsv"), (Texts{"a", "b"}));
    EXPECT_EQ(texts("n,text\r\r\n1,a\r\r\n"), (Texts{"a"})) << "line ends that were changed twice";
    EXPECT_EQ(texts("n,text\n1,a\rb\n2,c\n"), (Texts{"a\rb", "c"}));
    EXPECT_EQ(texts("n,text\n1,5\" disk\n2,a \"b\" c\n"), (Texts{"5\" disk", "a \"b\" c"}));
    EXPECT_EQ(texts("text,n\n\"ab\"c,1\n\"d\" ,2\n\"e\",3\n"), (Texts{"abc", "d ", "e"}));
    // a number is a name where it is one
    EXPECT_EQ(texts("id,2021\n1,a\n2,b\n", "2021"), (Texts{"a", "b"}));
    EXPECT_EQ(texts("0,1\n7,a\n8,b\n", "1"), (Texts{"a", "b"}));
    EXPECT_EQ(texts("2,title\n1,other\n", "2"), (Texts{"title", "other"})) << "a class that is 2 is no name";
    EXPECT_EQ(texts("one,two\n", "2"), (Texts{"two"}));
    folder.write("t.csv", "text,kind\na,x\n");
    DataConfig labelled = at("t.csv");
    labelled.field = "1";
    labelled.label = "kind";
    EXPECT_EQ(documents_of(labelled), (Texts{"a"})) << "the first row names the labels: it is no document";
}

TEST_F(FoundFiles, NamesInZipArchivesKeepTheirFormat) {
    testing::write_archive(folder.file("a.zip"),
                           {{"d\xC3\xBCrfen/\xE4\xB8\x96.csv", "text\nfour\n"}, {"b.txt", "five"}});
    std::string bytes = testing::read_all(folder.file("a.zip"));
    for (const bool flagged : {false, true}) {
        if (flagged) {  // "this name is UTF-8", in the headers of members and in the directory
            for (const auto& [magic, flags] :
                 {std::pair(std::string("PK\3\4"), 7), std::pair(std::string("PK\1\2"), 9)})
                for (size_t at = 0; (at = bytes.find(magic, at)) != std::string::npos; ++at)
                    bytes[at + size_t(flags)] |= 8;
            folder.write("a.zip", bytes);
        }
        EXPECT_EQ(documents_of(at("a.zip")), (Texts{"four", "five"})) << flagged;
        PackedFile file(folder.file("a.zip"));
        ASSERT_TRUE(file.next());
        EXPECT_EQ(file.name(), "d\xC3\xBCrfen/\xE4\xB8\x96.csv") << flagged;
    }
}

TEST_F(FoundFiles, AFolderOfPairsIsReadOnce) {
    folder.write("p/a.de", "eins\n");
    folder.write("p/a.en", "one\n");
    DataConfig pairs = at("p");
    pairs.parallel = ".en";
    EXPECT_EQ(documents_of(pairs), (Texts{"eins", "one"}));
    folder.write("p/a.de", "eins\n\nzwei\n");
    folder.write("p/a.en", "one\nlost\ntwo\n");
    prepare_tokens(pairs, folder.file("set"), {});
    EXPECT_EQ(TokenSet(folder.file("set")).info().division,
              "by bytes, 90/5/5: 1 file; left out: a.de line 2 (an empty side of a pair, which no score counts either: "
              "fill it in)");
}

}  // namespace
}  // namespace lithe
