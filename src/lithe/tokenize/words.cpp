#include "lithe/tokenize/words.h"

#include <unordered_map>

#include "lithe/tokenize/vocabulary.h"

namespace lithe::tokenize {
namespace {

class WordTokenizer : public Tokenizer {
 public:
    WordTokenizer(std::vector<std::string> words, const WordRules& rules, const std::string& source)
        : words_(std::move(words)),
          rules_(rules) {
        for (size_t id = 0; id < words_.size(); ++id) vocabulary_.add(words_[id], int64_t(id), source);
        for (size_t id = 0; id < words_.size(); ++id)
            if (*vocabulary_.find(words_[id]) != int32_t(id))
                fail_file("the word \"" + printable(words_[id]) + "\" stands twice in the vocabulary", source);
        auto id_of = [&](const std::string& word, const char* what) {
            const auto id = vocabulary_.find(word);
            if (!id)
                fail_file(std::string("the ") + what + " \"" + printable(word) + "\" is not among the words", source);
            return *id;
        };
        if (!rules_.line_end.empty()) line_end_ = id_of(rules_.line_end, "line end");
        if (!rules_.unknown.empty()) unknown_ = id_of(rules_.unknown, "unknown word");
    }
    std::string kind() const override { return "words"; }
    int64_t vocabulary_size() const override { return int64_t(words_.size()); }
    bool lossless() const override { return false; }
    std::optional<int32_t> document_end() const override {
        return line_end_ >= 0 ? std::optional<int32_t>(line_end_) : std::nullopt;
    }
    std::optional<int32_t> text_end() const override { return std::nullopt; }
    std::optional<int32_t> unknown() const override {
        return unknown_ >= 0 ? std::optional<int32_t>(unknown_) : std::nullopt;
    }
    // With the one white space that stands beside each word.
    uint64_t text_bytes(int32_t id) const override {
        check_id(id);
        if (id == unknown_) return 0;
        return id == line_end_ ? 1 : words_[size_t(id)].size() + 1;
    }

    void encode(std::string_view text, std::vector<int32_t>& ids, SpecialText special) const override {
        bool line_started = false;
        auto start_line = [&] {
            if (rules_.line_start && !line_started && line_end_ >= 0) ids.push_back(line_end_);
            line_started = true;
        };
        each_word(
            text,
            [&](std::string_view word) {
                start_line();
                ids.push_back(id_of(word, special));
            },
            [&] {
                start_line();
                if (line_end_ >= 0) ids.push_back(line_end_);
                line_started = false;
            });
        if (line_started && rules_.line_start && line_end_ >= 0) ids.push_back(line_end_);
    }
    std::string decode(std::span<const int32_t> ids) const override {
        std::string text;
        bool line = true;
        for (int32_t id : ids) {
            check_id(id);
            if (id == line_end_) {
                if (!rules_.line_start || !line) text += '\n';
                line = true;
                continue;
            }
            if (!line) text += ' ';
            text += words_[size_t(id)];
            line = false;
        }
        return text;
    }
    std::string to_json() const override {
        return Json{{"kind", "words"},
                    {"lower", rules_.lower},
                    {"line_end", rules_.line_end},
                    {"line_start", rules_.line_start},
                    {"unknown", rules_.unknown},
                    {"words", words_}}
                   .dump() +
               "\n";
    }

 private:
    int32_t id_of(std::string_view word, SpecialText special) const {
        std::string lowered;
        if (rules_.lower) word = lowered = lower_case(word);
        const auto id = vocabulary_.find(word);
        if (id && (*id != line_end_ || special == SpecialText::parsed)) return *id;
        if (unknown_ < 0)
            fail_usage("the word \"" + printable(word) + "\" is not in the vocabulary, which has no unknown word",
                       "text");
        return unknown_;
    }
    std::vector<std::string> words_;
    Vocabulary vocabulary_;
    WordRules rules_;
    int32_t line_end_ = -1, unknown_ = -1;
};

}  // namespace

TokenizerPtr make_words(std::vector<std::string> words, const WordRules& rules, const std::string& source) {
    return std::make_shared<WordTokenizer>(std::move(words), rules, source);
}

TokenizerPtr read_words(const Json& json, const std::string& source) {
    const Json& list = need(json, "words", source);
    if (!list.is_array() || list.empty()) fail_file("a tokenizer of words without a list of them", source);
    std::vector<std::string> words;
    for (const Json& value : list) {
        if (!value.is_string() || value.get_ref<const std::string&>().empty())
            fail_file("entry " + std::to_string(words.size()) + " of \"words\" is no word", source);
        words.push_back(value.get<std::string>());
    }
    WordRules rules;
    rules.lower = field(json, "lower", false, source);
    rules.line_end = field<std::string>(json, "line_end", "", source);
    rules.line_start = field(json, "line_start", false, source);
    rules.unknown = field<std::string>(json, "unknown", "", source);
    return make_words(std::move(words), rules, source);
}

}  // namespace lithe::tokenize
