#include "lithe/tokenize/moses.h"

#include <algorithm>
#include <vector>

#include "lithe/base/error.h"
#include "lithe/base/text.h"
#include "lithe/tokenize/moses_characters.h"
#include "lithe/tokenize/unicode.h"

namespace lithe::tokenize {
namespace {

using Text = std::u32string;  // bad bytes as unicode.h has them
using View = std::u32string_view;

bool is_no_number(uint32_t c) { return !is_moses_number(c); }

// A comma stays where it has numbers on both sides. Two rules, since a character between two commas belongs to both.
constexpr MosesRule kCommas[] = {{.before = is_no_number, .middle = ',', .put = U" , "},
                                 {.middle = ',', .after = is_no_number, .put = U" , "},
                                 {.before = is_moses_number, .middle = ',', .put = U" , ", .at_end = true}};

const MosesLanguage& find_language(std::string_view code) {
    std::vector<std::string> known;
    for (const MosesLanguage& language : moses_languages()) {
        if (language.code == code) return language;
        known.emplace_back(language.code);
    }
    fail_usage("Moses' tokenizer does not know the language '" + printable(code) + "'", "",
               "known are: " + join(known, ", "));
}

// Python's \s: Unicode's white space and the separators of ASCII.
bool is_space(uint32_t c) { return is_white_space(c) || (c >= 0x1C && c <= 0x1F); }

// Without control characters and white space at the ends; every other run of white space is a space.
Text plain_spaces(std::string_view line) {
    Text text;
    bool in_space = false;
    each_code_point(line, [&](uint32_t c, std::string_view) {
        const bool space = is_space(c);
        if (space && !in_space) text += U' ';
        if (c >= 0x20 && !space) text += char32_t(c);
        in_space = space;
    });
    const size_t begin = text.find_first_not_of(U' ');
    return begin == Text::npos ? Text() : text.substr(begin, text.find_last_not_of(U' ') + 1 - begin);
}

// What is no letter, digit or mark of its own rule gets spaces around.
Text pad_others(View text) {
    Text out;
    for (const char32_t c : text) {
        const bool stays = View(U" .'`,-").find(c) != View::npos || is_moses_alphanumeric(c);
        if (stays) out += c;
        else out.append({U' ', c, U' '});
    }
    return out;
}

// Two dots and more are a token.
Text pad_dots(View text) {
    Text out;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find_first_not_of(U'.', at), text.size());
        if (end > at + 1) {
            out += U' ';
            out += text.substr(at, end - at);
            out += U' ';
            at = end;
        } else {
            out += text[at++];
        }
    }
    return out;
}

bool is_at(const MosesRule& rule, View text, size_t middle) {
    if (middle >= text.size() || text[middle] != rule.middle) return false;
    if (rule.before && !rule.before(text[middle - 1])) return false;
    if (rule.after && (middle + 1 == text.size() || !rule.after(text[middle + 1]))) return false;
    return !rule.at_end || middle + 1 == text.size();
}

void rewrite(Text& text, const MosesRule& rule) {
    if (text.find(rule.middle) == Text::npos) return;
    Text out;
    for (size_t at = 0; at < text.size();) {
        const size_t middle = at + (rule.before ? 1 : 0);
        if (!is_at(rule, text, middle)) {
            out += text[at++];
            continue;
        }
        if (rule.before) out += text[at];
        out += rule.put;
        if (rule.after) out += text[middle + 1];
        at = middle + (rule.after ? 2 : 1);
    }
    text = std::move(out);
}

std::vector<View> words_of(View text) {
    std::vector<View> words;
    for (size_t at = 0; (at = text.find_first_not_of(U' ', at)) != View::npos;) {
        const size_t end = std::min(text.find(U' ', at), text.size());
        words.push_back(text.substr(at, end - at));
        at = end;
    }
    return words;
}

std::string utf8_of(View text) {
    std::string out;
    for (const char32_t c : text) append_utf8(out, c);
    return out;
}

void append_escaped(std::string& out, View token) {
    for (const char32_t c : token) {
        if (c == '&') out += "&amp;";
        else if (c == '|') out += "&#124;";
        else if (c == '<') out += "&lt;";
        else if (c == '>') out += "&gt;";
        else if (c == '\'') out += "&apos;";
        else if (c == '"') out += "&quot;";
        else if (c == '[') out += "&#91;";
        else if (c == ']') out += "&#93;";
        else append_utf8(out, c);
    }
}

void append_token(std::string& out, View token) {
    if (token.empty()) return;
    if (!out.empty()) out += ' ';
    append_escaped(out, token);
}

void add_words(std::set<std::string, std::less<>>& words, std::string_view list) {
    for (size_t at = 0; at < list.size();) {
        const size_t end = std::min(list.find(' ', at), list.size());
        words.emplace(list.substr(at, end - at));
        at = end + 1;
    }
}

}  // namespace

MosesTokenizer::MosesTokenizer(std::string_view language) : language_(&find_language(language)) {
    for (const std::string_view list : language_->abbreviations) add_words(abbreviations_, list);
    add_words(before_numbers_, language_->before_numbers);
}

// Whether the full stop behind `word` is a part of it. `next`: the next word, empty at the end.
bool MosesTokenizer::keeps_stop(View word, View next) const {
    if (word.find(U'.') != View::npos && std::any_of(word.begin(), word.end(), is_moses_letter)) return true;
    if (!next.empty() && is_moses_lower(next[0])) return true;
    const std::string name = utf8_of(word);
    if (abbreviations_.contains(name)) return true;
    return before_numbers_.contains(name) && !next.empty() && next[0] >= '0' && next[0] <= '9';
}

std::string MosesTokenizer::tokenize(std::string_view line) const {
    Text text = pad_dots(pad_others(plain_spaces(line)));
    for (const MosesRule& rule : kCommas) rewrite(text, rule);
    for (const MosesRule& rule : language_->apostrophes) rewrite(text, rule);
    const std::vector<View> words = words_of(text);
    std::string out;
    for (size_t i = 0; i < words.size(); ++i) {
        const bool is_last = i + 1 == words.size();
        View word = words[i], tail;
        if (word.ends_with(U'.') && word.find_first_not_of(U'.') != View::npos &&
            !keeps_stop(word.substr(0, word.size() - 1), is_last ? View() : words[i + 1]))
            tail = U".";
        if (is_last && word.ends_with(U".'")) tail = U".'";
        append_token(out, word.substr(0, word.size() - tail.size()));
        for (const char32_t& each : tail) append_token(out, View(&each, 1));
    }
    return out;
}

}  // namespace lithe::tokenize
