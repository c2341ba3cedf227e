#include "lithe/tokenize/pre_tokenizer.h"

#include <vector>

#include "lithe/tokenize/byte_alphabet.h"
#include "lithe/tokenize/gpt2_split.h"
#include "lithe/tokenize/json_fields.h"
#include "lithe/tokenize/pattern.h"
#include "lithe/tokenize/unicode.h"

namespace lithe::tokenize {
namespace {

enum class Behavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

Behavior behavior_of(const std::string& name, const std::string& source) {
    if (name == "Removed") return Behavior::removed;
    if (name == "Isolated") return Behavior::isolated;
    if (name == "MergedWithPrevious") return Behavior::merged_with_previous;
    if (name == "MergedWithNext") return Behavior::merged_with_next;
    if (name == "Contiguous") return Behavior::contiguous;
    unsupported("split behavior", name, source);
}

// What becomes of matches and of what lies between them.
std::vector<Span> arrange(const std::vector<Span>& spans, Behavior behavior) {
    std::vector<Span> out;
    bool before = false;  // whether the neighbour was a match
    switch (behavior) {
        case Behavior::isolated: return spans;
        case Behavior::removed:
            for (const Span& span : spans)
                if (!span.match) out.push_back(span);
            return out;
        case Behavior::contiguous:
            for (const Span& span : spans) {
                if (!out.empty() && span.match == before) out.back().end = span.end;
                else out.push_back(span);
                before = span.match;
            }
            return out;
        case Behavior::merged_with_previous:
            for (const Span& span : spans) {
                if (span.match && !before && !out.empty()) out.back().end = span.end;
                else out.push_back(span);
                before = span.match;
            }
            return out;
        case Behavior::merged_with_next:
            for (size_t i = spans.size(); i-- > 0;) {
                if (spans[i].match && !before && !out.empty()) out.back().begin = spans[i].begin;
                else out.push_back(spans[i]);
                before = spans[i].match;
            }
            return {out.rbegin(), out.rend()};
    }
    return out;
}

void emit(const Piece& piece, const std::vector<Span>& spans, PieceSink sink) {
    for (const Span& span : spans) sink(piece.part(span.begin, span.end));
}

// Spans by a test of single code points: each match stands alone.
template <class F> std::vector<Span> spans_by(std::string_view text, const F& matches) {
    std::vector<Span> spans;
    for (size_t at = 0; at < text.size();) {
        const CodePoint c = decode_at(text, at);
        const bool match = matches(c.value);
        if (!match && !spans.empty() && !spans.back().match) spans.back().end += c.length;
        else spans.push_back({at, at + c.length, match});
        at += c.length;
    }
    return spans;
}

// Splits by a test of code points.
class ByTest : public PreTokenizer {
 public:
    using Test = bool (*)(uint32_t);
    ByTest(Test test, Behavior behavior) : test_(test), behavior_(behavior) {}
    void split(const Piece& piece, PieceSink sink) const override {
        emit(piece, arrange(spans_by(piece.text, test_), behavior_), sink);
    }

 private:
    Test test_;
    Behavior behavior_;
};

class Delimiter : public PreTokenizer {
 public:
    explicit Delimiter(uint32_t c) : delimiter_(c) {}
    void split(const Piece& piece, PieceSink sink) const override {
        emit(piece, arrange(spans_by(piece.text, [&](uint32_t c) { return c == delimiter_; }), Behavior::removed),
             sink);
    }

 private:
    uint32_t delimiter_;
};

// \w+|[^\w\s]+
class Words : public PreTokenizer {
 public:
    void split(const Piece& piece, PieceSink sink) const override {
        size_t begin = 0;
        int kind = 0;  // 0 space, 1 word, 2 rest
        auto close = [&](size_t end) {
            if (kind) sink(piece.part(begin, end));
        };
        for (size_t at = 0; at < piece.text.size();) {
            const CodePoint c = decode_at(piece.text, at);
            const int next = is_word(c.value) ? 1 : is_white_space(c.value) ? 0 : 2;
            if (next != kind) {
                close(at);
                begin = at;
                kind = next;
            }
            at += c.length;
        }
        close(piece.text.size());
    }
};

class Split : public PreTokenizer {
 public:
    Split(const Json& json, const std::string& source)
        : pattern_(make_pattern(need(json, "pattern", source), source)),
          behavior_(behavior_of(field<std::string>(json, "behavior", "", source), source)),
          invert_(field(json, "invert", false, source)) {}
    void split(const Piece& piece, PieceSink sink) const override {
        std::vector<Span> spans;
        pattern_->spans(piece.text, spans);
        for (Span& span : spans) span.match = !span.bad && span.match != invert_;
        emit(piece, arrange(spans, behavior_), sink);
    }

 private:
    std::unique_ptr<Pattern> pattern_;
    Behavior behavior_;
    bool invert_;
};

class ByteLevel : public PreTokenizer {
 public:
    ByteLevel(const Json& json, bool byte_words, const std::string& source)
        : prefix_space_(field(json, "add_prefix_space", true, source)),
          split_(field(json, "use_regex", true, source)),
          byte_words_(byte_words) {}
    void split(const Piece& piece, PieceSink sink) const override {
        if (prefix_space_ && piece.text[0] != ' ') {
            const std::string spaced = " " + std::string(piece.text);
            return cut({spaced, piece.first}, sink);
        }
        cut(piece, sink);
    }

 private:
    void cut(const Piece& piece, PieceSink sink) const {
        if (!split_) return pass(piece, sink);
        for (size_t at = 0, end; at < piece.text.size(); at = end) {
            end = gpt2_next(piece.text, at);
            pass(piece.part(at, end), sink);
        }
    }
    void pass(const Piece& piece, PieceSink sink) const {
        if (byte_words_) return sink(piece);
        std::string word;
        append_byte_alphabet(word, piece.text);
        sink({word, piece.first});
    }
    bool prefix_space_, split_, byte_words_;
};

class Metaspace : public PreTokenizer {
 public:
    Metaspace(const Json& json, const std::string& source)
        : replacement_(field<std::string>(json, "replacement", "\xE2\x96\x81", source)),
          split_(field(json, "split", true, source)) {
        if (replacement_.empty()) fail_file("the Metaspace replacement is empty; one character is expected", source);
        // before version 0.15 of the library: add_prefix_space
        const bool prefix = field(json, "add_prefix_space", true, source);
        scheme_ = field<std::string>(json, "prepend_scheme", prefix ? "always" : "never", source);
        if (scheme_ != "always" && scheme_ != "never" && scheme_ != "first")
            unsupported("Metaspace prepend_scheme", scheme_, source);
    }
    void split(const Piece& piece, PieceSink sink) const override {
        std::string text;
        for (char c : piece.text) {
            if (c == ' ') text += replacement_;
            else text += c;
        }
        const bool wanted = scheme_ == "always" || (scheme_ == "first" && piece.first > 0);
        if (wanted && !text.starts_with(replacement_)) text = replacement_ + text;
        const Piece spelled{text, piece.first};
        if (!split_) return sink(spelled);
        // every replacement begins a piece
        size_t begin = 0;
        for (size_t at; (at = text.find(replacement_, begin + (begin < text.size() ? 1 : 0))) != std::string::npos;) {
            sink(spelled.part(begin, at));
            begin = at;
        }
        sink(spelled.part(begin, text.size()));
    }

 private:
    std::string replacement_, scheme_;
    bool split_;
};

class FixedLength : public PreTokenizer {
 public:
    explicit FixedLength(size_t length) : length_(length) {}
    void split(const Piece& piece, PieceSink sink) const override {
        size_t begin = 0, count = 0;
        for (size_t at = 0; at < piece.text.size();) {
            at += length_at(piece.text, at);
            if (++count < length_ && at < piece.text.size()) continue;
            sink(piece.part(begin, at));
            begin = at;
            count = 0;
        }
    }

 private:
    size_t length_;
};

class Sequence : public PreTokenizer {
 public:
    Sequence(const Json& list, bool byte_words, const std::string& source) {
        for (size_t i = 0; i < list.size(); ++i)
            parts_.push_back(make_pre_tokenizer(list[i], byte_words && i + 1 == list.size(), source));
    }
    void split(const Piece& piece, PieceSink sink) const override { from(0, piece, sink); }

 private:
    void from(size_t part, const Piece& piece, PieceSink sink) const {
        if (part == parts_.size()) return sink(piece);
        auto next = [&](const Piece& each) { from(part + 1, each, sink); };
        parts_[part]->split(piece, next);
    }
    std::vector<std::unique_ptr<PreTokenizer>> parts_;
};

// White space goes, punctuation stands alone.
class Bert : public PreTokenizer {
 public:
    void split(const Piece& piece, PieceSink sink) const override {
        auto words = [&](const Piece& each) { punctuation_.split(each, sink); };
        spaces_.split(piece, words);
    }

 private:
    ByTest spaces_{is_white_space, Behavior::removed}, punctuation_{is_punctuation, Behavior::isolated};
};

uint32_t only_character(const std::string& text, const std::string& source) {
    if (text.empty() || decode_at(text, 0).length != text.size())
        fail_file("a delimiter must be one character, got \"" + printable(text) + "\"", source);
    return decode_at(text, 0).value;
}

}  // namespace

bool ends_in_byte_level(const Json& json) {
    if (!json.is_object() || !json.contains("type")) return false;
    if (json["type"] == "ByteLevel") return true;
    return json["type"] == "Sequence" && json.contains("pretokenizers") && json["pretokenizers"].is_array() &&
           !json["pretokenizers"].empty() && ends_in_byte_level(json["pretokenizers"].back());
}

std::unique_ptr<PreTokenizer> make_pre_tokenizer(const Json& json, bool byte_words, const std::string& source) {
    if (json.is_null()) return nullptr;
    const std::string type = type_of(json, "pre_tokenizer", source);
    if (type == "ByteLevel") return std::make_unique<ByteLevel>(json, byte_words, source);
    if (type == "Whitespace") return std::make_unique<Words>();
    if (type == "WhitespaceSplit") return std::make_unique<ByTest>(is_white_space, Behavior::removed);
    if (type == "BertPreTokenizer") return std::make_unique<Bert>();
    if (type == "Punctuation")
        return std::make_unique<ByTest>(is_punctuation,
                                        behavior_of(field<std::string>(json, "behavior", "Isolated", source), source));
    if (type == "Digits")
        return std::make_unique<ByTest>(
            is_number, field(json, "individual_digits", false, source) ? Behavior::isolated : Behavior::contiguous);
    if (type == "CharDelimiterSplit")
        return std::make_unique<Delimiter>(only_character(field<std::string>(json, "delimiter", "", source), source));
    if (type == "Split") return std::make_unique<Split>(json, source);
    if (type == "Metaspace") return std::make_unique<Metaspace>(json, source);
    if (type == "FixedLength") {
        const auto length = field<int64_t>(json, "length", 5, source);
        if (length < 1) fail_file("FixedLength needs a length of at least 1", source);
        return std::make_unique<FixedLength>(size_t(length));
    }
    if (type == "Sequence")
        return std::make_unique<Sequence>(need_parts(json, "pretokenizers", source), byte_words, source);
    unsupported("pre_tokenizer", type, source);
}

}  // namespace lithe::tokenize
