#include "lithe/tokenize/normalizer.h"

#include <vector>

#include "lithe/tokenize/byte_alphabet.h"
#include "lithe/tokenize/charsmap.h"
#include "lithe/tokenize/json_fields.h"
#include "lithe/tokenize/pattern.h"
#include "lithe/tokenize/unicode.h"

namespace lithe::tokenize {
namespace {

class Form : public Normalizer {
 public:
    explicit Form(NormalForm form) : form_(form) {}
    std::string apply(std::string_view text) const override { return normal_form(text, form_); }

 private:
    NormalForm form_;
};

// A mapping of each code point on its own.
class Map : public Normalizer {
 public:
    using Function = void (*)(std::string& out, uint32_t c, std::string_view bytes);
    explicit Map(Function function) : function_(function) {}
    std::string apply(std::string_view text) const override {
        std::string out;
        out.reserve(text.size());
        each_code_point(text, [&](uint32_t c, std::string_view bytes) { function_(out, c, bytes); });
        return out;
    }

 private:
    Function function_;
};

void lower(std::string& out, uint32_t c, std::string_view) { append_lower(out, c); }
void drop_marks(std::string& out, uint32_t c, std::string_view bytes) {
    if (!is_mark(c)) out += bytes;
}
void drop_nonspacing(std::string& out, uint32_t c, std::string_view bytes) {
    if (!is_nonspacing(c)) out += bytes;
}
void space_han(std::string& out, uint32_t c, std::string_view bytes) {
    if (is_han(c)) out += ' ';
    out += bytes;
    if (is_han(c)) out += ' ';
}
void clean(std::string& out, uint32_t c, std::string_view bytes) {
    if (c == '\t' || c == '\n' || c == '\r' || is_white_space(c)) out += ' ';
    else if (c != 0 && c != 0xFFFD && !is_other(c)) out += bytes;
}
void nmt(std::string& out, uint32_t c, std::string_view bytes) {
    if ((c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F) return;
    const bool space = c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
                       c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
    if (space) out += ' ';
    else out += bytes;
}
void byte_level(std::string& out, uint32_t, std::string_view bytes) { append_byte_alphabet(out, bytes); }

class Bert : public Normalizer {
 public:
    Bert(const Json& json, const std::string& source)
        : clean_(field(json, "clean_text", true, source)),
          han_(field(json, "handle_chinese_chars", true, source)),
          lower_(field(json, "lowercase", true, source)),
          strip_(field(json, "strip_accents", lower_, source)) {}
    std::string apply(std::string_view text) const override {
        std::string out(text);
        if (clean_) out = Map(clean).apply(out);
        if (han_) out = Map(space_han).apply(out);
        if (strip_) out = Map(drop_nonspacing).apply(normal_form(out, NormalForm::nfd));
        if (lower_) out = Map(lower).apply(out);
        return out;
    }

 private:
    bool clean_, han_, lower_, strip_;
};

class Strip : public Normalizer {
 public:
    Strip(bool left, bool right) : left_(left), right_(right) {}
    std::string apply(std::string_view text) const override {
        size_t begin = std::string_view::npos, end = 0, at = 0;
        each_code_point(text, [&](uint32_t c, std::string_view bytes) {
            if (!is_white_space(c)) {
                begin = std::min(begin, at);
                end = at + bytes.size();
            }
            at += bytes.size();
        });
        if (begin == std::string_view::npos) return left_ || right_ ? "" : std::string(text);
        if (!left_) begin = 0;
        if (!right_) end = text.size();
        return std::string(text.substr(begin, end - begin));
    }

 private:
    bool left_, right_;
};

class Replace : public Normalizer {
 public:
    Replace(const Json& json, const std::string& source)
        : pattern_(make_pattern(need(json, "pattern", source), source)),
          content_(need_value<std::string>(json, "content", source)) {}
    std::string apply(std::string_view text) const override {
        std::string out;
        std::vector<Span> spans;
        pattern_->spans(text, spans);
        for (const Span& span : spans)
            out += span.match ? std::string_view(content_) : text.substr(span.begin, span.end - span.begin);
        return out;
    }

 private:
    std::unique_ptr<Pattern> pattern_;
    std::string content_;
};

class Prepend : public Normalizer {
 public:
    explicit Prepend(std::string text) : text_(std::move(text)) {}
    std::string apply(std::string_view text) const override {
        return text.empty() ? std::string() : text_ + std::string(text);
    }

 private:
    std::string text_;
};

class Sequence : public Normalizer {
 public:
    Sequence(const Json& list, const std::string& source) {
        for (const Json& each : list) parts_.push_back(make_normalizer(each, source));
    }
    std::string apply(std::string_view text) const override {
        std::string out(text);
        for (const auto& part : parts_) out = part->apply(out);
        return out;
    }

 private:
    std::vector<std::unique_ptr<Normalizer>> parts_;
};

}  // namespace

std::unique_ptr<Normalizer> make_normalizer(const Json& json, const std::string& source) {
    if (json.is_null()) return nullptr;
    const std::string type = type_of(json, "normalizer", source);
    if (type == "NFC") return std::make_unique<Form>(NormalForm::nfc);
    if (type == "NFD") return std::make_unique<Form>(NormalForm::nfd);
    if (type == "NFKC") return std::make_unique<Form>(NormalForm::nfkc);
    if (type == "NFKD") return std::make_unique<Form>(NormalForm::nfkd);
    if (type == "Lowercase") return std::make_unique<Map>(lower);
    if (type == "StripAccents") return std::make_unique<Map>(drop_marks);
    if (type == "Nmt") return std::make_unique<Map>(nmt);
    if (type == "ByteLevel") return std::make_unique<Map>(byte_level);
    if (type == "BertNormalizer") return std::make_unique<Bert>(json, source);
    if (type == "Strip")
        return std::make_unique<Strip>(field(json, "strip_left", true, source),
                                       field(json, "strip_right", true, source));
    if (type == "Replace") return std::make_unique<Replace>(json, source);
    if (type == "Prepend") return std::make_unique<Prepend>(field<std::string>(json, "prepend", "", source));
    if (type == "Precompiled")
        return make_charsmap(field<std::string>(json, "precompiled_charsmap", "", source), source);
    if (type == "Sequence") return std::make_unique<Sequence>(need_parts(json, "normalizers", source), source);
    unsupported("normalizer", type, source);
}

}  // namespace lithe::tokenize
