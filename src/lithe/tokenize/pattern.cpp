#include "lithe/tokenize/pattern.h"

#include "lithe/tokenize/gpt2_split.h"
#include "lithe/tokenize/json_fields.h"

namespace lithe::tokenize {
namespace {

class Literal : public Pattern {
 public:
    explicit Literal(std::string text) : literal_(std::move(text)) {}
    void spans(std::string_view text, std::vector<Span>& out) const override {
        out.clear();
        size_t done = 0;
        for (size_t at; !literal_.empty() && (at = text.find(literal_, done)) != std::string_view::npos;) {
            if (at > done) out.push_back({done, at, false});
            out.push_back({at, at + literal_.size(), true});
            done = at + literal_.size();
        }
        if (done < text.size()) out.push_back({done, text.size(), false});
    }

 private:
    std::string literal_;
};

class Expression : public Pattern {
 public:
    Expression(const std::string& pattern, const std::string& source) : regex_(pattern, source) {}
    void spans(std::string_view text, std::vector<Span>& out) const override { regex_.spans(text, out); }

 private:
    Regex regex_;
};

// GPT-2's own expression has a splitter of its own, which is faster and takes bad bytes.
class Gpt2 : public Pattern {
 public:
    void spans(std::string_view text, std::vector<Span>& out) const override {
        out.clear();
        for (size_t at = 0, end; at < text.size(); at = end) {
            end = gpt2_next(text, at);
            out.push_back({at, end, true});
        }
    }
};

}  // namespace

std::unique_ptr<Pattern> make_pattern(const Json& json, const std::string& source) {
    if (json.is_object() && json.contains("String") && json["String"].is_string())
        return std::make_unique<Literal>(json["String"].get<std::string>());
    if (json.is_object() && json.contains("Regex") && json["Regex"].is_string()) {
        const auto pattern = json["Regex"].get<std::string>();
        if (pattern == kGpt2Pattern) return std::make_unique<Gpt2>();
        return std::make_unique<Expression>(pattern, source);
    }
    fail_file("a pattern must be {\"String\": ...} or {\"Regex\": ...}, got " + printable(json.dump().substr(0, 80)),
              source);
}

}  // namespace lithe::tokenize
