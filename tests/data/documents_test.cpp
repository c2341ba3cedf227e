#include "lithe/data/documents.h"

#include "lithe/data/corpus_reader.h"
#include "lithe/formats/csv.h"
#include "lithe/tokenize/trainer.h"
#include "support/archives.h"
#include "support/errors.h"
#include "support/files.h"
#include "support/random_text.h"

namespace lithe {
namespace {

using Texts = std::vector<std::string>;

DataConfig at_path(const std::string& path) {
    DataConfig config;
    config.path = path;
    return config;
}

Texts documents_of(const DataConfig& config) {
    Texts documents;
    read_documents(config, list_inputs(config), [&](const DocumentPart& part) {
        if (part.begins) documents.emplace_back();
        documents.back() += part.text;
        EXPECT_FALSE(part.text.empty());
    });
    return documents;
}

TEST(Documents, TextBySeparator) {
    testing::TemporaryFolder folder;
    DataConfig config = at_path(folder.write("a.txt", "one\ntwo\n\n\n\nthree<|endoftext|>four"));
    EXPECT_EQ(documents_of(config).size(), 1u);
    config.documents = "line";
    EXPECT_EQ(documents_of(config), (Texts{"one", "two", "three<|endoftext|>four"}));
    config.documents = "blank_line";
    EXPECT_EQ(documents_of(config), (Texts{"one\ntwo", "three<|endoftext|>four"}));
    config.documents = "<|endoftext|>";
    EXPECT_EQ(documents_of(config), (Texts{"one\ntwo\n\n\n\nthree", "four"}));
}

// Separators are found wherever the pieces that are read end.
TEST(Documents, SeparatorsAcrossReadsAndLongDocuments) {
    testing::TemporaryFolder folder;
    std::string text;
    Texts expected;
    for (size_t i = 0; i < 40; ++i) {
        expected.push_back(testing::sample_text(100'000 + i * 1013));
        text += expected.back() + "<|sep|>";
    }
    expected.push_back(testing::sample_text(3'500'000));
    text += expected.back();
    DataConfig config = at_path(folder.write("a.txt", text));
    config.documents = "<|sep|>";
    EXPECT_EQ(documents_of(config), expected);
}

TEST(Documents, JsonLines) {
    testing::TemporaryFolder folder;
    DataConfig config = at_path(
        folder.write("a.jsonl", "{\"text\":\"a\\nb\",\"n\":1}\n\n{\"text\":null}\n{\"n\":2,\"text\":\"\\u4e16\"}"));
    EXPECT_EQ(documents_of(config), (Texts{"a\nb", "世"}));
    auto refused = [&](const std::string& content, const char* words) {
        EXPECT_ERROR(documents_of(at_path(folder.write("b.jsonl", content))), ErrorKind::bad_file, words);
    };
    refused("{\"text\":\"a\"}\n{\"text\":", "line 2 (byte 13): it is not valid JSON");
    refused("[1]", "it is no JSON object");
    refused("{\"body\":\"a\"}", "the field \"text\" is missing; it has \"body\"");
    refused("{\"text\":3}", "the field \"text\" is no text");
    const std::string deep(100'000, '[');
    refused("{\"text\":\"a\",\"label\":" + deep + std::string(deep.size(), ']') + "}", "nested deeper than");
    config = at_path(folder.write("c.ndjson", "{\"body\":\"x\"}"));
    config.field = "body";
    EXPECT_EQ(documents_of(config), (Texts{"x"}));
}

TEST(Documents, Tables) {
    testing::TemporaryFolder folder;
    DataConfig config = at_path(folder.write("a.csv", "id,text,label\r\n1,\"a, \"\"b\"\"\nc\",x\r\n2,d,y\r\n3,,z\r\n"));
    EXPECT_EQ(documents_of(config), (Texts{"a, \"b\"\nc", "d"}));
    config.field = "1";
    EXPECT_EQ(documents_of(config), (Texts{"id", "1", "2", "3"}));
    config.field = "body";
    EXPECT_ERROR(documents_of(config), ErrorKind::bad_file, "no column \"body\"; the first row has: id, text, label");
    config = at_path(folder.write("a.tsv", "text\tlabel\nit's \"quoted\tx\n"));
    EXPECT_EQ(documents_of(config), (Texts{"it's \"quoted"}));
    EXPECT_ERROR(documents_of(at_path(folder.write("b.csv", "text\n\"never closed\n"))), ErrorKind::bad_file,
                 "never closed");
    EXPECT_ERROR(documents_of(at_path(folder.write("c.csv", "id,text\n1,a\n2\n"))), ErrorKind::bad_file,
                 "row 3 has 1 fields, expected at least 2");
}

// What has no text is no document, which is said.
TEST(Documents, RecordsWithoutTextAreCounted) {
    testing::TemporaryFolder folder;
    auto left_out = [&](const std::string& name, const std::string& content) {
        DataConfig config;
        config.path = folder.write(name, content);
        config.field = name.ends_with(".jsonl") ? "text" : "b";
        return read_documents(config, list_inputs(config), [](const DocumentPart&) {}).left_out.words();
    };
    EXPECT_EQ(left_out("a.jsonl", "{\"text\":null}\n{\"text\":\"x\"}\n{\"text\":\"\"}\n"),
              "2 records of a.jsonl (\"text\" is null or empty)");
    EXPECT_EQ(left_out("b.jsonl", "{\"text\":\"x\"}\n\n"), "");
    EXPECT_EQ(left_out("c.csv", "a,b\n1,\n2,x\n"), "1 row of c.csv (the field is empty)");
    DataConfig config;
    config.path = folder.file("a.jsonl");
    CorpusReader reader(config, true);
    reader.read([](const DocumentPart&) {});
    EXPECT_NE(reader.division().find("left out: 2 records of a.jsonl"), std::string::npos) << reader.division();
}

TEST(Documents, ColumnsAreCountedFromOne) {
    testing::TemporaryFolder folder;
    DataConfig config;
    config.path = folder.write("a.csv", "first,second\nthird,fourth\n");
    config.field = "0";
    EXPECT_ERROR(read_documents(config, list_inputs(config), [](const DocumentPart&) {}), ErrorKind::bad_file,
                 "columns are counted from 1");
    config.path = folder.write("named.csv", "0,1\nfirst,second\n");  // as pandas names them
    EXPECT_EQ(read_documents(config, list_inputs(config), [](const DocumentPart&) {}).documents, 1u);
}

TEST(Documents, ArchivesAndFoldersInOrder) {
    testing::TemporaryFolder folder;
    std::filesystem::create_directories(folder.file("in"));
    testing::write_archive(
        folder.file("in/b.tar.gz"),
        {{"x.txt", "one"}, {"y.jsonl", "{\"text\":\"two\"}\n{\"text\":\"three\"}"}, {"z.bin", "no"}});
    testing::write_archive(folder.file("in/c.zip"), {{"q/z.csv", "text\nfour\n"}});
    folder.write("in/a.txt", "zero");
    DataConfig config = at_path(folder.file("in"));
    config.exclude = {"*.bin"};
    EXPECT_EQ(documents_of(config), (Texts{"zero", "one", "two", "three", "four"}));
}

// For GPT-2's rules, and for words and characters, parts have the tokens of the whole.
TEST(Documents, PartsHaveTheTokensOfTheWhole) {
    std::string text;
    for (uint64_t i = 0; i < 3000; ++i) text += testing::random_text(i) + (i % 3 ? "\n" : " and a few words\n");
    for (const char* kind : {"bpe", "words", "characters"}) {
        auto trainer = make_tokenizer_trainer({.kind = kind, .size = kind == std::string("bpe") ? 400 : 0});
        trainer->feed(text);
        const auto tokenizer = trainer->finish();
        for (size_t limit : {1000, 1500, 5000}) {
            std::vector<int32_t> whole, parts;
            tokenizer->encode(text, whole);
            std::string_view rest = text;
            while (rest.size() > limit) {
                const size_t length = part_length(rest, limit);
                ASSERT_GT(length, 0u);
                ASSERT_LE(length, limit);
                tokenizer->encode(rest.substr(0, length), parts);
                rest.remove_prefix(length);
            }
            tokenizer->encode(rest, parts);
            EXPECT_EQ(parts, whole) << kind << " " << limit;
        }
    }
}

std::map<int, Texts> splits_of(const DataConfig& config) {
    std::map<int, Texts> splits;
    CorpusReader reader(config, true);
    reader.read([&](const DocumentPart& part) {
        if (part.begins) splits[part.split].emplace_back();
        splits[part.split].back() += part.text;
    });
    return splits;
}

TEST(CorpusReader, ManyDocumentsStayWhole) {
    testing::TemporaryFolder folder;
    std::string text;
    for (int i = 0; i < 100; ++i) text += "document " + std::to_string(1000 + i) + "\n";
    DataConfig config = at_path(folder.write("a.txt", text));
    config.documents = "line";
    auto by_bytes = splits_of(config);
    EXPECT_EQ(by_bytes[0].size(), 90u);
    EXPECT_EQ(by_bytes[1].size(), 5u);
    EXPECT_EQ(by_bytes[1][0], "document 1090");
    config.documents = "file";
    auto cut = splits_of(config);
    EXPECT_EQ(cut[0][0].size(), 1260u);
    EXPECT_EQ(cut[0][0] + cut[1][0] + cut[2][0], text);
}

// By document: the split depends on the document alone, whatever stands beside it; equal ones share a split.
TEST(CorpusReader, DocumentsAreSplitByTheirHash) {
    testing::TemporaryFolder folder;
    std::string forward, backward;
    for (int i = 0; i < 500; ++i) {
        forward += "document " + std::to_string(i) + "\n";
        backward = "document " + std::to_string(i % 250) + "\n" + backward;
    }
    DataConfig config = at_path(folder.write("a.txt", forward));
    config.documents = "line";
    config.split = "documents 80/10/10";
    auto a = splits_of(config);
    config.path = folder.write("b.txt", backward);
    auto b = splits_of(config);
    EXPECT_NEAR(double(a[0].size()), 400, 40);
    EXPECT_NEAR(double(a[1].size()), 50, 25);
    std::map<std::string, int> where;
    for (const auto& [split, texts] : a)
        for (const std::string& text : texts) where[text] = split;
    for (const auto& [split, texts] : b)
        for (const std::string& text : texts) EXPECT_EQ(where.at(text), split);
}

TEST(CorpusReader, DuplicatesAreLeftOut) {
    testing::TemporaryFolder folder;
    std::string text, other;
    for (int i = 0; i < 60; ++i) text += "word" + std::to_string(i * i % 97) + " ";
    for (int i = 0; i < 60; ++i) other += "term" + std::to_string(i * i % 89) + " ";
    std::string nearly = text;
    nearly.replace(nearly.find("word64"), 6, "changed");
    DataConfig config = at_path(folder.write("a.txt", text + "\n" + other + "\n" + text + " \n" + nearly + "\n"));
    config.documents = "line";
    config.split = "100/0/0";
    EXPECT_EQ(splits_of(config)[0].size(), 4u);
    config.deduplicate = Duplicates::exact;
    EXPECT_EQ(splits_of(config)[0], (Texts{text, other, nearly}));
    config.deduplicate = Duplicates::near;
    CorpusReader reader(config, true);
    Texts kept;
    reader.read([&](const DocumentPart& part) { kept.emplace_back(part.text); });
    EXPECT_EQ(kept, (Texts{text, other}));
    EXPECT_EQ(reader.removed().substr(0, 33), "1 equal and 1 similar documents o");
}

// The estimate of Jaccard similarity from signatures.
TEST(Duplicates, SignaturesEstimateSimilarity) {
    auto text = [](int from, int to) {
        std::string words;
        for (int i = from; i < to; ++i) words += "w" + std::to_string(i) + " ";
        return words;
    };
    const auto a = DuplicateFinder::signature(text(0, 1000)), b = DuplicateFinder::signature(text(500, 1500));
    int equal = 0;
    for (size_t i = 0; i < a.size(); ++i) equal += a[i] == b[i];
    EXPECT_NEAR(double(equal) / double(a.size()), 1.0 / 3, 0.2);  // 496 of 1496 shingles are shared
}

}  // namespace
}  // namespace lithe
