#include "lithe/data/talk_pairs.h"

#include <algorithm>
#include <string_view>

#include "lithe/base/error.h"
#include "lithe/tokenize/moses.h"
#include "lithe/tokenize/unicode.h"

namespace lithe {
namespace {

using Lines = std::vector<std::string>;

constexpr size_t kMostWords = 175, kLongestWord = 1000;
constexpr double kRatio = 1.5;
constexpr std::string_view kLeftOut[] = {"<url>", "<talkid>", "<keywords>"};
constexpr std::string_view kMarks[] = {"<title>", "</title>", "<description>", "</description>"};

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

template <class F> void each_line(std::string_view text, const F& f) {
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        f(text.substr(at, end - at));
        at = end + 1;
    }
}

void replace_all(std::string& text, std::string_view part, std::string_view by) {
    for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += by.size())
        text.replace(at, part.size(), by);
}

Lines tagged_lines(const std::string& text) {
    Lines lines;
    each_line(text, [&](std::string_view line) {
        const auto is_in = [&](std::string_view tag) { return contains(line, tag); };
        if (std::any_of(std::begin(kLeftOut), std::end(kLeftOut), is_in)) return;
        lines.emplace_back(line);
        for (const std::string_view mark : kMarks) replace_all(lines.back(), mark, "");
    });
    return lines;
}

constexpr std::string_view kSpaces = " \t\r\v\f";

size_t end_of_spaces(std::string_view line, size_t at) {
    return std::min(line.find_first_not_of(kSpaces, at), line.size());
}

// Takes <seg id="12"> off with the white space behind it.
void remove_segment_begins(std::string& line) {
    constexpr std::string_view kBegin = "<seg id=\"", kEnd = "\">";
    for (size_t at = 0; (at = line.find(kBegin, at)) != std::string::npos;) {
        const size_t end = line.find_first_not_of("0123456789", at + kBegin.size());
        if (end != std::string::npos && line.compare(end, kEnd.size(), kEnd) == 0)
            line.erase(at, end_of_spaces(line, end + kEnd.size()) - at);
        else at += kBegin.size();
    }
}

// Takes </seg> off with the white space on both sides.
void remove_segment_ends(std::string& line) {
    constexpr std::string_view kEnd = "</seg>";
    for (size_t at; (at = line.find(kEnd)) != std::string::npos;) {
        const size_t begin = at == 0 ? 0 : line.find_last_not_of(kSpaces, at - 1) + 1;
        line.erase(begin, end_of_spaces(line, at + kEnd.size()) - begin);
    }
}

Lines segment_lines(const std::string& text) {
    Lines lines;
    each_line(text, [&](std::string_view line) {
        if (!contains(line, "<seg id")) return;
        std::string& segment = lines.emplace_back(line);
        remove_segment_begins(segment);
        remove_segment_ends(segment);
        replace_all(segment, "\xE2\x80\x99", "'");
    });
    return lines;
}

SideLines tokenized(const SideTexts& sides, Lines (*lines_of)(const std::string&), const std::string& where) {
    SideLines all;
    for (size_t side = 0; side < 2; ++side) {
        const tokenize::MosesTokenizer tokenizer(sides.languages[side]);
        all[side] = lines_of(sides.texts[side]);
        for (std::string& line : all[side]) line = tokenizer.tokenize(line);
    }
    if (all[0].size() != all[1].size())
        fail({.kind = ErrorKind::bad_file,
              .what = "the two sides of the pairs differ in length",
              .where = where,
              .expected = std::to_string(all[0].size()) + " lines as in " + sides.languages[0],
              .got = std::to_string(all[1].size()) + " in " + sides.languages[1],
              .hint = "the file is damaged or another version of the data set"});
    return all;
}

// Words of a tokenized line: they have one space between two.
size_t count_words(std::string_view line) {
    return line.empty() ? 0 : size_t(std::count(line.begin(), line.end(), ' ')) + 1;
}

bool has_long_word(std::string_view line) {
    size_t length = 0;
    bool found = false;
    tokenize::each_code_point(line, [&](uint32_t c, std::string_view) {
        length = c == ' ' ? 0 : length + 1;
        found = found || length > kLongestWord;
    });
    return found;
}

bool is_kept(std::string_view first, std::string_view second) {
    const auto [fewer, more] = std::minmax({count_words(first), count_words(second)});
    if (fewer == 0 || more > kMostWords || double(more) / double(fewer) > kRatio) return false;
    return !has_long_word(first) && !has_long_word(second);
}

void lower(SideLines& sides) {
    for (Lines& lines : sides)
        for (std::string& line : lines) line = tokenize::lower_case(line);
}

}  // namespace

SideLines tagged_pairs(const SideTexts& sides, const std::string& where) {
    SideLines all = tokenized(sides, tagged_lines, where), kept;
    for (size_t i = 0; i < all[0].size(); ++i) {
        if (!is_kept(all[0][i], all[1][i])) continue;
        for (size_t side = 0; side < 2; ++side) kept[side].push_back(std::move(all[side][i]));
    }
    lower(kept);
    return kept;
}

SideLines segment_pairs(const SideTexts& sides, const std::string& where) {
    SideLines all = tokenized(sides, segment_lines, where);
    lower(all);
    return all;
}

}  // namespace lithe
