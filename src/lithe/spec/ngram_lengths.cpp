#include "lithe/spec/ngram_lengths.h"

#include <numeric>
#include <sstream>

#include "lithe/base/error.h"
#include "lithe/base/text.h"

namespace lithe {

std::vector<int64_t> parse_ngram_lengths(const std::string& text) {
    std::vector<int64_t> lengths;
    const auto refuse = [&](const std::string& what) {
        fail({.kind = ErrorKind::usage,
              .what = "model.ngrams.lengths " + what,
              .where = "model.ngrams.lengths",
              .expected = "a rising list as \"2-6, 8, 12\", from 2 to " + std::to_string(kMostNgram) + ", or \"\"",
              .got = printable(text)});
    };
    if (trimmed(text).empty()) return lengths;
    std::istringstream parts(text);
    for (std::string part; std::getline(parts, part, ',');) {
        const size_t dash = part.find('-');
        const auto first = parse_count(trimmed(part.substr(0, dash)));
        const auto last = dash == std::string::npos ? first : parse_count(trimmed(part.substr(dash + 1)));
        if (first == 1) refuse("has the token itself, 1, which is looked up anyway");
        const int64_t before = lengths.empty() ? 1 : lengths.back();
        if (!first || !last || *first <= before || *last < *first || *last > kMostNgram) refuse("is not a rising list");
        lengths.resize(lengths.size() + size_t(*last - *first + 1));
        std::iota(lengths.end() - (*last - *first + 1), lengths.end(), *first);
    }
    return lengths;
}

int64_t longest_ngram(const std::string& text) {
    const std::vector<int64_t> lengths = parse_ngram_lengths(text);
    return lengths.empty() ? 0 : lengths.back();
}

std::string ngram_lengths_text(const std::vector<int64_t>& lengths) {
    std::vector<std::string> parts;
    for (size_t begin = 0, end = 0; begin < lengths.size(); begin = end) {
        end = begin + 1;
        while (end < lengths.size() && lengths[end] == lengths[end - 1] + 1) ++end;
        const std::string first = std::to_string(lengths[begin]);
        parts.push_back(end - begin == 1 ? first : first + "-" + std::to_string(lengths[end - 1]));
    }
    return join(parts, ", ");
}

}  // namespace lithe
