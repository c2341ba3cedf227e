#include "lithe/tokenize/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "lithe/base/error.h"
#include "lithe/base/text.h"
#include "lithe/tokenize/unicode.h"

namespace lithe::tokenize {
namespace {

const char kWhiteSpace[] =
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}";

std::string message_of(int code) {
    unsigned char text[256] = {};
    pcre2_get_error_message(code, text, sizeof text);
    return reinterpret_cast<const char*>(text);
}

}  // namespace

struct Regex::Impl {
    pcre2_code* code = nullptr;
    pcre2_match_context* context = nullptr;
    ~Impl() {
        pcre2_match_context_free(context);
        pcre2_code_free(code);
    }
};

std::string spell_out_white_space(const std::string& pattern) {
    std::string out;
    bool in_class = false;
    for (size_t i = 0; i < pattern.size(); ++i) {
        const char c = pattern[i];
        if (c != '\\' || i + 1 == pattern.size()) {
            if (c == '[') in_class = true;
            if (c == ']') in_class = false;
            out += c;
            continue;
        }
        const char next = pattern[++i];
        if (next == 's') out += in_class ? std::string(kWhiteSpace) : "[" + std::string(kWhiteSpace) + "]";
        else if (next == 'S' && !in_class) out += "[^" + std::string(kWhiteSpace) + "]";
        else out += {c, next};
    }
    return out;
}

Regex::Regex(const std::string& pattern, const std::string& source)
    : impl_(std::make_unique<Impl>()),
      pattern_(pattern) {
    const std::string spelled = spell_out_white_space(pattern);
    int error = 0;
    size_t offset = 0;
    impl_->code =
        pcre2_compile(reinterpret_cast<PCRE2_SPTR>(spelled.data()), spelled.size(),
                      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr);
    if (!impl_->code)
        fail_file("the regular expression \"" + printable(pattern) + "\" cannot be used: " + message_of(error), source);
    pcre2_jit_compile(impl_->code, PCRE2_JIT_COMPLETE);  // not available everywhere; the interpreter then does
    impl_->context = pcre2_match_context_create(nullptr);
    pcre2_set_match_limit(impl_->context, 10'000'000);
    pcre2_set_heap_limit(impl_->context, 64 * 1024);  // KiB
}

Regex::~Regex() = default;

void Regex::spans(std::string_view text, std::vector<Span>& out) const {
    out.clear();
    size_t good = 0;
    for (size_t at = 0; at < text.size();) {
        const CodePoint c = decode_at(text, at);
        if (c.bad()) {
            if (at > good) valid_spans(text.substr(good, at - good), good, out);
            if (!out.empty() && out.back().bad && out.back().end == at) ++out.back().end;
            else out.push_back({at, at + 1, false, true});
            good = at + 1;
        }
        at += c.length;
    }
    if (good < text.size()) valid_spans(text.substr(good), good, out);
}

void Regex::valid_spans(std::string_view text, size_t offset, std::vector<Span>& out) const {
    thread_local std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data*)> data(
        pcre2_match_data_create(1, nullptr), pcre2_match_data_free);
    auto add = [&](size_t begin, size_t end, bool match) {
        out.push_back({offset + begin, offset + end, match, false});
    };
    size_t done = 0, at = 0;
    while (at <= text.size()) {
        // 0: matched, with more groups than there is room for
        const int count = pcre2_match(impl_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at,
                                      PCRE2_NO_UTF_CHECK, data.get(), impl_->context);
        if (count == PCRE2_ERROR_NOMATCH) break;
        if (count < 0)
            fail_file("the regular expression \"" + printable(pattern_) + "\" gave up at byte " + std::to_string(at) +
                          ": " + message_of(count),
                      "tokenizer");
        const size_t* place = pcre2_get_ovector_pointer(data.get());
        const size_t begin = place[0], end = place[1];
        if (begin > done) add(done, begin, false);
        if (end > begin) {
            add(begin, end, true);
            at = done = end;
            continue;
        }
        done = begin;  // an empty match cuts the text here; go on behind the next character
        at = begin + 1;
        while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
    }
    if (done < text.size()) add(done, text.size(), false);
}

}  // namespace lithe::tokenize
