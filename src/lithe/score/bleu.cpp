#include "lithe/score/bleu.h"

#include <cmath>
#include <map>

#include "lithe/base/error.h"
#include "lithe/base/text.h"
#include "lithe/score/unicode_space.h"

namespace lithe {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_stop(char c) { return c == '.' || c == ','; }

// Signs that stand alone in every language: those between letters and digits in ASCII, but for ' , - and .
bool stands_alone(char c) {
    return (c >= '{' && c <= '~') || (c >= '[' && c <= '`') || (c >= ' ' && c <= '&') || (c >= '(' && c <= '+') ||
           (c >= ':' && c <= '@') || c == '/';
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
        text.replace(at, from.size(), to);
    return text;
}

// Each rule goes through the line once, from the left; what it took is not looked at again.
std::string apart(const std::string& line) {
    std::string out;
    for (const char c : line) out += stands_alone(c) ? std::string(" ") + c + " " : std::string(1, c);
    return out;
}

// Of pairs of characters: what `takes` says yes to becomes what `gives` says.
template <class Takes, class Gives> std::string pairs(const std::string& line, Takes takes, Gives gives) {
    std::string out;
    for (size_t i = 0; i < line.size(); ++i) {
        if (i + 1 < line.size() && takes(line[i], line[i + 1])) {
            out += gives(line[i], line[i + 1]);
            ++i;
        } else {
            out += line[i];
        }
    }
    return out;
}

std::vector<std::string> tokens_of(const std::string& segment, BleuTokens tokens) {
    const std::string text = tokens == BleuTokens::t13a ? tokenize_13a(segment) : segment;
    std::vector<std::string> words;
    for (const std::string_view word : words_of(text)) words.emplace_back(word);
    return words;
}

// How often each n-gram of 1 to 4 words stands in a segment; by order.
using Counts = std::array<std::map<std::string, int64_t>, kBleuOrder>;

Counts count_ngrams(const std::vector<std::string>& words) {
    Counts counts;
    for (size_t begin = 0; begin < words.size(); ++begin) {
        std::string ngram;
        for (size_t n = 0; n < kBleuOrder && begin + n < words.size(); ++n) {
            ngram += words[begin + n] + " ";  // a word holds no space
            ++counts[n][ngram];
        }
    }
    return counts;
}

struct Totals {
    std::array<int64_t, kBleuOrder> matches{}, ngrams{};
    void add(const Counts& hypothesis, const Counts& reference) {
        for (size_t n = 0; n < kBleuOrder; ++n)
            for (const auto& [ngram, count] : hypothesis[n]) {
                ngrams[n] += count;
                const auto found = reference[n].find(ngram);
                if (found != reference[n].end()) matches[n] += std::min(count, found->second);
            }
    }
};

void set_precisions(const Totals& totals, Bleu& bleu) {
    double smoothing = 1;
    for (size_t n = 0; n < kBleuOrder && totals.ngrams[n] > 0; ++n) {
        double matches = double(totals.matches[n]);
        if (matches == 0) {
            smoothing *= 2;
            matches = 1 / smoothing;
        }
        bleu.precisions[n] = 100 * matches / double(totals.ngrams[n]);
    }
}

}  // namespace

std::string tokenize_13a(std::string_view line) {
    std::string text(line);
    for (const auto& [from, to] : {std::pair("<skipped>", ""),
                                   {"-\n", ""},
                                   {"\n", " "},
                                   {"&quot;", "\""},
                                   {"&amp;", "&"},
                                   {"&lt;", "<"},
                                   {"&gt;", ">"}})
        text = replaced(std::move(text), from, to);
    text = apart(" " + text + " ");
    const auto spaced = [](const char* before, char a, const char* between, char b, const char* after) {
        return std::string(before) + a + between + b + after;
    };
    // a point or comma behind what is no digit, then one before what is no digit, then a dash behind a digit
    text = pairs(
        text, [](char a, char b) { return !is_digit(a) && is_stop(b); },
        [&](char a, char b) { return spaced("", a, " ", b, " "); });
    text = pairs(
        text, [](char a, char b) { return is_stop(a) && !is_digit(b); },
        [&](char a, char b) { return spaced(" ", a, " ", b, ""); });
    text = pairs(
        text, [](char a, char b) { return is_digit(a) && b == '-'; },
        [&](char a, char b) { return spaced("", a, " ", b, " "); });
    std::vector<std::string> words;
    for (const std::string_view word : words_of(text)) words.emplace_back(word);
    return join(words, " ");
}

Bleu corpus_bleu(const std::vector<std::string>& hypotheses, const std::vector<std::string>& references,
                 BleuTokens tokens) {
    if (hypotheses.size() != references.size())
        fail({.what = "BLEU: " + std::to_string(hypotheses.size()) + " hypotheses for " +
                      std::to_string(references.size()) + " references"});
    Bleu bleu;
    Totals totals;
    for (size_t i = 0; i < hypotheses.size(); ++i) {
        const auto hypothesis = tokens_of(hypotheses[i], tokens), reference = tokens_of(references[i], tokens);
        bleu.hypothesis_tokens += int64_t(hypothesis.size());
        bleu.reference_tokens += int64_t(reference.size());
        totals.add(count_ngrams(hypothesis), count_ngrams(reference));
    }
    const double longer = double(bleu.reference_tokens), own = double(bleu.hypothesis_tokens);
    if (own < longer) bleu.brevity_penalty = own > 0 ? std::exp(1 - longer / own) : 0;
    if (totals.matches == std::array<int64_t, kBleuOrder>{}) return bleu;
    set_precisions(totals, bleu);
    double sum = 0;
    for (const double precision : bleu.precisions) sum += precision > 0 ? std::log(precision) : -9999999999.0;
    bleu.score = bleu.brevity_penalty * std::exp(sum / kBleuOrder);
    return bleu;
}

std::string bleu_signature(BleuTokens tokens) {
    return std::string("nrefs:1|case:mixed|eff:no|tok:") + (tokens == BleuTokens::t13a ? "13a" : "none") +
           "|smooth:exp|version:2.6.0";
}

}  // namespace lithe
