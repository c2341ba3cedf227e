#include "lithe/tokenize/tokenizer.h"

#include <nlohmann/json.hpp>

#include "lithe/base/text.h"
#include "lithe/tokenize/base64.h"
#include "lithe/tokenize/bytes.h"
#include "lithe/tokenize/characters.h"
#include "lithe/tokenize/unicode.h"
#include "lithe/tokenize/words.h"
#include "support/errors.h"
#include "support/files.h"
#include "support/trained_tokenizer.h"

namespace lithe {
namespace {

TokenizerPtr train(const std::string& kind, const std::string& text, int64_t size = 0) {
    return testing::train_tokenizer({.kind = kind, .size = size}, text);
}

TEST(Tokenizer, BytesInOrder) {
    const auto used = train("bytes", "cabbac");
    EXPECT_EQ(used->vocabulary_size(), 3);
    EXPECT_EQ(used->encode("abc"), (std::vector<int64_t>{0, 1, 2}));
    EXPECT_ERROR(used->encode("abz"), ErrorKind::usage, "byte 122 at offset 2");
    EXPECT_ERROR(used->decode(std::vector<int64_t>{3}), ErrorKind::bad_file, "token id 3 is outside");
    EXPECT_NE(used->hash(), tokenize::ByteTokenizer().hash());
}

TEST(Tokenizer, CharactersAreCodePointsAndKeepBadBytes) {
    const auto all = train("characters",
                           "aé世\xFF\xF0\x9F\x91\x8D"
                           "a");
    EXPECT_EQ(all->vocabulary_size(), 5);
    EXPECT_EQ(all->encode("世a\xFF"), (std::vector<int64_t>{2, 0, 4}));
    EXPECT_EQ(all->decode(std::vector<int64_t>{2, 0, 4}), "世a\xFF");
    EXPECT_ERROR(all->encode("ab"), ErrorKind::usage, "the character \"b\" at byte 1");
    EXPECT_TRUE(all->lossless());
    const auto frequent = testing::train_tokenizer({.kind = "characters", .size = 0, .min_count = 2}, "aab");
    EXPECT_EQ(frequent->vocabulary_size(), 2);  // <unk>, a
    EXPECT_EQ(frequent->encode("abz"), (std::vector<int64_t>{1, 0, 0}));
    EXPECT_FALSE(frequent->lossless());
}

// WikiText: words between white space, <eos> at line ends, ids by falling count and first appearance.
TEST(Tokenizer, WordsFollowTheWikiTextConvention) {
    const auto words = train("words", " = Title = \n \n the cat <unk> the dog \n");
    const auto json = nlohmann::json::parse(words->to_json());
    EXPECT_EQ(json["words"], (nlohmann::json{"<eos>", "=", "the", "Title", "cat", "<unk>", "dog"}));
    EXPECT_EQ(words->encode("the fish\n\nthe <eos>\n"), (std::vector<int64_t>{2, 5, 0, 0, 2, 5, 0}));
    EXPECT_EQ(words->encode("<eos>", SpecialText::parsed), (std::vector<int64_t>{0}));
    EXPECT_EQ(words->decode(std::vector<int64_t>{2, 4, 0, 0, 6}), "the cat\n\ndog");
}

TEST(Tokenizer, WordsOfTheOtherConventions) {
    const auto lower =
        testing::train_tokenizer({.kind = "words", .size = 0, .lower = true}, "The the CAT\n");  // Penn Treebank
    EXPECT_EQ(lower->encode("THE cat"), (std::vector<int64_t>{2, 3}));
    const auto billion =
        testing::train_tokenizer({.kind = "words", .size = 0, .line_end = "<S>", .line_start = true}, "a b\nb\n");
    EXPECT_EQ(billion->encode("a b\nb\n"), (std::vector<int64_t>{0, 3, 2, 0, 0, 2, 0}));
    const auto rare = testing::train_tokenizer({.kind = "words", .size = 0, .min_count = 2}, "a a b\n");
    EXPECT_EQ(rare->encode("a b"), (std::vector<int64_t>{2, 1}));
    const auto few = testing::train_tokenizer({.kind = "words", .size = 3}, "a a a b b c\n");
    EXPECT_EQ(few->vocabulary_size(), 3);
    EXPECT_EQ(few->encode("a b"), (std::vector<int64_t>{2, 1}));
}

TEST(Tokenizer, SpecialTokensComeOutOfTextOnlyWhenAskedFor) {
    const auto bpe = train("bpe", testing::varied_text(), 400);
    const int64_t end = *bpe->document_end();
    EXPECT_EQ(end, bpe->vocabulary_size() - 1);
    for (int64_t id : bpe->encode("a<|endoftext|>b")) EXPECT_NE(id, end);
    EXPECT_EQ(bpe->decode(bpe->encode("a<|endoftext|>b")), "a<|endoftext|>b");
    const auto parsed = bpe->encode("a<|endoftext|>b", SpecialText::parsed);
    EXPECT_EQ(parsed.size(), 3u);
    EXPECT_EQ(parsed[1], end);
    for (const char* kind : {"unigram", "sentencepiece-bpe"}) {
        const auto pieces = train(kind, testing::varied_text(), 500);
        for (int64_t id : pieces->encode("a</s>b<unk><s>")) EXPECT_GT(id, 2) << kind;
    }
    // a model whose own vocabulary holds the special token
    const auto unigram = tokenizer_from_json(
        R"({"added_tokens":[{"id":1,"content":"</s>","special":true}],"model":{"type":"Unigram","unk_id":0,
            "vocab":[["<unk>",0],["</s>",0],["<",-2],["/",-2],["s",-2],[">",-2]]}})",
        "test");
    EXPECT_EQ(unigram->encode("</s>"), (std::vector<int64_t>{2, 3, 4, 5}));
    EXPECT_EQ(unigram->encode("</s>", SpecialText::parsed), (std::vector<int64_t>{1}));
}

TEST(Tokenizer, LosslessOnesKeepEveryByte) {
    std::string every;
    for (int byte = 0; byte < 256; ++byte) every += char(byte);
    for (const char* kind : {"bpe", "characters", "bytes"}) {
        const auto tokenizer = train(kind, testing::varied_text() + every, 600);
        ASSERT_TRUE(tokenizer->lossless()) << kind;
        if (std::string(kind) == "characters") continue;  // of this text only
        for (uint64_t seed = 0; seed < 2000; ++seed) {
            const std::string text = testing::random_text(seed, true);
            EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text) << kind;
        }
    }
}

// A trained SentencePiece model with the rule "identity" gives back text that is UTF-8.
TEST(Tokenizer, SentencePieceIdentityComesBack) {
    for (const char* kind : {"unigram", "sentencepiece-bpe"}) {
        const auto tokenizer = train(kind, testing::varied_text(), 600);
        for (uint64_t seed = 0; seed < 500; ++seed) {
            const std::string text = testing::random_text(seed);
            EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text) << kind;
        }
    }
}

uint64_t varint(const std::string& data, size_t& at) {
    uint64_t value = 0;
    for (int shift = 0; at < data.size(); shift += 7) {
        const auto byte = static_cast<unsigned char>(data[at++]);
        value |= uint64_t(byte & 0x7F) << shift;
        if (byte < 0x80) break;
    }
    return value;
}

// Calls use(field number, bytes) for the length-delimited fields of a protobuf message.
template <class F> void each_field(const std::string& data, const F& use) {
    for (size_t at = 0; at < data.size();) {
        const uint64_t key = varint(data, at);
        if (key % 8 == 0) varint(data, at);
        else if (key % 8 == 5) at += 4;
        else {
            const uint64_t size = varint(data, at);
            use(key / 8, data.substr(at, size));
            at += size;
        }
    }
}

// The character map of a SentencePiece model inside a tokenizer.json normalizes as the library does.
TEST(TokenizerJson, PrecompiledMapEqualsSentencePiece) {
    const auto library =
        testing::train_tokenizer({.kind = "unigram", .size = 700, .normalization = "nmt_nfkc"}, testing::varied_text());
    const auto model =
        tokenize::decode_base64(nlohmann::json::parse(library->to_json())["model"].get<std::string>(), "test");
    std::string charsmap;
    nlohmann::json vocabulary = nlohmann::json::array();
    each_field(model, [&](uint64_t number, const std::string& bytes) {
        if (number == 3)  // normalizer_spec
            each_field(bytes, [&](uint64_t inner, const std::string& value) {
                if (inner == 2) charsmap = value;
            });
        if (number != 1) return;  // a piece: its text, then its score
        std::string piece;
        float score = 0;
        each_field(bytes, [&](uint64_t inner, const std::string& value) {
            if (inner == 1) piece = value;
        });
        const size_t place = 2 + piece.size();
        if (bytes.size() >= place + 5 && bytes[place] == 0x15) std::memcpy(&score, bytes.data() + place + 1, 4);
        vocabulary.push_back({piece, score});
    });
    ASSERT_GT(charsmap.size(), 1000u);
    const nlohmann::json json = {
        {"normalizer",
         {{"type", "Sequence"},
          {"normalizers",
           {{{"type", "Precompiled"}, {"precompiled_charsmap", tokenize::encode_base64(charsmap)}},
            {{"type", "Strip"}},
            {{"type", "Replace"}, {"pattern", {{"Regex", " {2,}"}}}, {"content", " "}}}}}},
        {"pre_tokenizer", {{"type", "Metaspace"}, {"prepend_scheme", "always"}, {"split", false}}},
        {"added_tokens",
         {{{"id", 1}, {"content", "<s>"}, {"special", true}}, {{"id", 2}, {"content", "</s>"}, {"special", true}}}},
        {"model", {{"type", "Unigram"}, {"unk_id", 0}, {"byte_fallback", true}, {"vocab", vocabulary}}}};
    const auto ours = tokenizer_from_json(json.dump(), "test");
    int compared = 0;
    for (uint64_t seed = 0; seed < 800; ++seed) {
        const std::string text = testing::random_text(seed);
        if (text.find('\n') != std::string::npos || text.find("endoftext") != std::string::npos)
            continue;  // a symbol of its own there
        // the library maps code points; `tokenizers` maps grapheme clusters, which differs where one is in the map
        if (text.find("\xE2\x80\x8D") != std::string::npos || text.find("\xCC\x81") != std::string::npos) continue;
        EXPECT_EQ(ours->encode(text), library->encode(text)) << text;
        ++compared;
    }
    EXPECT_GT(compared, 100);
}

// A small vocabulary of the kind.
TokenizerPtr small(const std::string& kind) {
    return train(kind, testing::varied_text(), kind == "unigram" ? 600 : kind == "bpe" ? 300 : 0);
}

TEST(StreamDecoder, HoldsBackHalfCharactersAndLosesNothing) {
    for (const char* kind : {"bpe", "unigram", "bytes", "words"}) {
        const auto tokenizer = small(kind);
        for (uint64_t seed = 0; seed < 200; ++seed) {
            const std::string text = testing::random_text(seed);
            const std::vector<int64_t> ids = tokenizer->encode(text);
            StreamDecoder decoder(*tokenizer);
            std::string streamed;
            for (int64_t id : ids) {
                const std::string piece = decoder.next(id);
                EXPECT_TRUE(is_valid_utf8(piece)) << kind;
                streamed += piece;
            }
            EXPECT_EQ(streamed + decoder.rest(), tokenizer->decode(ids)) << kind << ": " << text;
        }
    }
}

TEST(StreamDecoder, GoesOnFromAPrompt) {
    for (const char* kind : {"bpe", "unigram", "bytes", "words"}) {
        const auto tokenizer = small(kind);
        const auto all = tokenizer->encode(testing::varied_text().substr(0, 60));
        for (size_t cut = 1; cut < all.size(); ++cut) {
            const std::vector<int64_t> prompt(all.begin(), all.begin() + int64_t(cut)),
                rest(all.begin() + int64_t(cut), all.end());
            EXPECT_EQ(tokenizer->decode(prompt) + continuation(*tokenizer, prompt, rest), tokenizer->decode(all))
                << kind << " at " << cut;
        }
    }
}

TEST(Tokenizer, FilesAreChecked) {
    struct Case {
        const char* text;
        const char* words;
    };
    const Case cases[] = {
        {"", "not valid JSON"},
        {"[]", "no JSON object"},
        {R"({"kind":"runes"})", "known are bytes, characters, words, sentencepiece"},
        {R"({"kind":"bytes"})", "\"bytes\" is missing"},
        {R"({"kind":"bytes","bytes":[3,2]})", "not rising"},
        {R"({"kind":"characters","characters":[1,1]})", "not rising"},
        {R"({"kind":"characters","characters":[99999999]})", "not rising"},
        {R"({"kind":"words","words":["a",""]})", "is no word"},
        {R"({"kind":"words","words":["a","a"]})", "stands twice"},
        {R"({"kind":"words","words":["a"],"line_end":"<eos>"})", "the line end \"<eos>\" is not among"},
        {R"({"kind":"sentencepiece","model":"!!!!"})", "no base64"},
        {R"({"kind":"sentencepiece","model":"AAAA"})", "refuses the model"},
        // a piece that begins with a zero byte: the library throws
        {R"({"kind":"sentencepiece","model":"CgkKBTx1bms+GAIKCgoDAJaBFQAAgL8KCAoBbBUAAADA"})", "refuses the model"},
        {R"({})", "\"model\" is missing"},
        {R"({"model":{"type":"Markov"}})", "the model \"Markov\" is not supported"},
        {R"({"model":{"type":"WordLevel","vocab":{"a":-1}}})", "has id -1"},
        {R"({"model":{"type":"WordLevel","vocab":{"a":0,"b":0}}})", "have the same id 0"},
        {R"({"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}})", "merge 0"},
        {R"({"model":{"type":"BPE","vocab":{"a":0},"merges":["a"]}})", "is not a pair"},
        {R"({"model":{"type":"BPE","vocab":{"a":0},"merges":[],"dropout":0.1}})", "dropout is not supported"},
        {R"({"model":{"type":"BPE","vocab":{"a":0},"merges":[],"unk_token":"u"}})", "unk_token \"u\""},
        {R"({"model":{"type":"Unigram","vocab":[["a"]]}})", "no [token, score]"},
        {R"({"model":{"type":"Unigram","vocab":[["a",0]],"unk_id":5}})", "unk_id 5"},
        {R"({"normalizer":{"type":"Rot13"},"model":{"type":"WordLevel","vocab":{"a":0}}})",
         "normalizer \"Rot13\" is not supported"},
        {R"({"pre_tokenizer":{"type":"Split","pattern":{"Regex":"("},"behavior":"Isolated"},"model":{"type":"WordLevel","vocab":{"a":0}}})",
         "cannot be used"},
        {R"({"pre_tokenizer":{"type":"UnicodeScripts"},"model":{"type":"WordLevel","vocab":{"a":0}}})",
         "pre_tokenizer \"UnicodeScripts\" is not supported"},
        {R"({"decoder":{"type":"Hex"},"model":{"type":"WordLevel","vocab":{"a":0}}})",
         "decoder \"Hex\" is not supported"},
        {R"({"post_processor":{"type":"X"},"model":{"type":"WordLevel","vocab":{"a":0}}})",
         "post_processor \"X\" is not supported"},
        {R"({"added_tokens":[{"id":1,"content":"a"}],"model":{"type":"WordLevel","vocab":{"a":0}}})",
         "the vocabulary says 0"},
        {R"({"added_tokens":[{"id":0,"content":"b"}],"model":{"type":"WordLevel","vocab":{"a":0}}})",
         "id 0, which is \"a\""},
        {R"({"added_tokens":[{"id":1,"content":"b"},{"id":1,"content":"c"}],"model":{"type":"WordLevel","vocab":{"a":0}}})",
         "id 1, which is \"c\""},
        {R"({"added_tokens":[{"id":256.5,"content":"b"}],"model":{"type":"WordLevel","vocab":{"a":0}}})",
         "\"id\" has the wrong type: 256.5"},
        {R"({"added_tokens":[{"id":18446744073709551615,"content":"b"}],"model":{"type":"WordLevel","vocab":{"a":0}}})",
         "\"id\" has the wrong type"},
        {R"({"added_tokens":[{"id":1,"content":""}],"model":{"type":"WordLevel","vocab":{"a":0}}})",
         "the added token with id 1 has no content"},
        {R"({"added_tokens":[{"id":1}],"model":{"type":"WordLevel","vocab":{"a":0}}})", "has no content"},
        {R"({"added_tokens":[{"id":1,"content":"b"},{"id":2,"content":"b"}],"model":{"type":"WordLevel","vocab":{"a":0}}})",
         "expected one id for \"b\", got 1 and 2"},
        {R"({"model":{"type":"Unigram","vocab":[["a",0]],"unk_id":0.5}})", "\"unk_id\" has the wrong type: 0.5"},
        {R"({"pre_tokenizer":{"type":"Metaspace","replacement":""},"model":{"type":"WordLevel","vocab":{"a":0}}})",
         "replacement is empty"},
        {R"({"normalizer":{"type":"Precompiled","precompiled_charsmap":"AAAA"},"model":{"type":"WordLevel","vocab":{"a":0}}})",
         "character map is damaged"},
    };
    for (const Case& each : cases) {
        SCOPED_TRACE(each.text);
        EXPECT_ERROR(tokenizer_from_json(each.text, "t.json"), ErrorKind::bad_file, each.words);
    }
    testing::TemporaryFolder folder;
    EXPECT_ERROR(tokenizer_from_file(folder.write("x", "GIF89a")), ErrorKind::bad_file,
                 "neither a tokenizer.json nor a SentencePiece model");
    EXPECT_ERROR(tokenizer_from_file(folder.write("m", "\nrubbish")), ErrorKind::bad_file, "refuses the model");
}

// A segmentation fault before the parse had a limit.
TEST(Tokenizer, DeeplyNestedFilesAreRefused) {
    for (const char* part : {"normalizer", "pre_tokenizer", "decoder"}) {
        const std::string list = part == std::string("normalizer")      ? "normalizers"
                                 : part == std::string("pre_tokenizer") ? "pretokenizers"
                                                                        : "decoders";
        for (const size_t depth : {100ul, 100'000ul}) {
            std::string text = "{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0}},\"" + std::string(part) + "\":";
            for (size_t i = 0; i < depth; ++i) text += "{\"type\":\"Sequence\",\"" + list + "\":[";
            text += "{\"type\":\"Nothing\"}";
            for (size_t i = 0; i < depth; ++i) text += "]}";
            SCOPED_TRACE(std::string(part) + " " + std::to_string(depth));
            EXPECT_ERROR(tokenizer_from_json(text + "}", "t.json"), ErrorKind::bad_file,
                         depth == 100 ? "not supported" : "nested deeper");
        }
    }
}

TEST(Tokenizer, CostlyRegularExpressionsGiveUp) {
    const auto evil = tokenizer_from_json(
        R"({"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(a+)+$"},"behavior":"Isolated"},"model":{"type":"WordLevel","vocab":{"a":0},"unk_token":"a"}})",
        "t");
    EXPECT_ERROR(evil->encode(std::string(5000, 'a') + "b"), ErrorKind::bad_file, "gave up");
}

}  // namespace
}  // namespace lithe
