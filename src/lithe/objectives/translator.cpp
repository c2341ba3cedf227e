#include "lithe/objectives/translator.h"

#include <algorithm>
#include <numeric>

#include "lithe/base/error.h"
#include "lithe/base/position_flags.h"
#include "lithe/base/wording.h"
#include "lithe/infer/beam_search.h"

namespace lithe {
namespace {

using Sources = std::vector<std::vector<int64_t>>;

constexpr size_t kBatchesOfWindow = 8;

// A line end in a translation would move all lines behind it.
std::string one_line(std::string text) {
    for (char& each : text)
        if (each == '\n' || each == '\r') each = ' ';
    return text;
}

// Numbers of the sources, the shortest first, so that those side by side are of a length.
std::vector<size_t> by_length(const Sources& sources) {
    std::vector<size_t> order(sources.size());
    std::iota(order.begin(), order.end(), size_t(0));
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return sources[a].size() < sources[b].size(); });
    return order;
}

// Ids and flags [S][B] of these sources.
std::pair<Tensor, Tensor> padded(const Sources& sources, std::span<const size_t> numbers) {
    size_t longest = 0;
    for (const size_t number : numbers) longest = std::max(longest, sources[number].size());
    const auto rows = int64_t(numbers.size());
    Tensor ids_SB = at::zeros({int64_t(longest), rows}, at::kLong);
    Tensor flags_SB = at::full({int64_t(longest), rows}, int64_t(kPadding), at::kByte);
    for (int64_t row = 0; row < rows; ++row) {
        const std::vector<int64_t>& source = sources[numbers[size_t(row)]];
        for (size_t t = 0; t < source.size(); ++t) {
            ids_SB.data_ptr<int64_t>()[int64_t(t) * rows + row] = source[t];
            flags_SB.data_ptr<uint8_t>()[int64_t(t) * rows + row] = 0;
        }
    }
    return {ids_SB, flags_SB};
}

void check_stop(const std::stop_token& stop) {
    if (stop.stop_requested()) fail({.kind = ErrorKind::stopped, .what = "stopped while translating"});
}

}  // namespace

Translator::Translator(const LanguageModel& model, const Tokenizer& tokenizer, int64_t end)
    : model_(model),
      tokenizer_(tokenizer),
      end_(end) {
    if (!model.has_encoder())
        fail_usage("this model reads no text to translate: it goes on with one", "model.encoder",
                   "objective.name = \"translate\" trains models that do");
}

// Empty ones for the empty lines that stay.
Sources Translator::sources_of(const std::vector<std::string>& lines, const TranslateOptions& options,
                               const std::string& source) const {
    const int64_t most = model_.encoder()->embedding().max_positions();
    Problems problems;
    Sources sources(lines.size());
    for (size_t i = 0; i < lines.size(); ++i) {
        const std::string where = source + ", line " + std::to_string(i + 1);
        const bool blank = lines[i].find_first_not_of(" \t\r") == std::string::npos;
        if (blank && !options.keeps_empty)
            problems.add("the line is empty", where,
                         "leave it out, or keep empty lines as they are: " + option("keep-empty"));
        if (blank) continue;
        try {
            sources[i] = tokenizer_.encode(lines[i]);
        } catch (const Error& error) {
            problems.add(error.parts().what, where, error.parts().hint);
            continue;
        }
        sources[i].push_back(end_);
        if (most > 0 && int64_t(sources[i].size()) > most)
            problems.add("the line has " + std::to_string(sources[i].size()) +
                             " tokens with its end, and the encoder reads " + std::to_string(most),
                         where, "cut it into sentences");
    }
    problems.throw_if_any("the text cannot be translated");
    return sources;
}

void Translator::translate(const std::vector<std::string>& lines, const TranslateOptions& options,
                           const std::string& source, const std::function<void(std::vector<Translated>)>& use) const {
    // Lines that are sorted by length together; what a stop loses at most.
    const size_t window_size = kBatchesOfWindow * size_t(std::max<int64_t>(1, options.rows / options.beam));
    const Sources all = sources_of(lines, options, source);
    for (size_t begin = 0; begin < all.size(); begin += window_size) {
        const size_t end = std::min(all.size(), begin + window_size);
        Sources sources;
        for (size_t i = begin; i < end; ++i)
            if (!all[i].empty()) sources.push_back(all[i]);
        TranslateOptions own = options;
        own.progress = [&](double done) {
            if (options.progress) options.progress((double(begin) + done * double(end - begin)) / double(all.size()));
        };
        std::vector<Translated> made = translate(sources, own), window(end - begin);
        for (size_t i = begin, next = 0; i < end; ++i)
            if (!all[i].empty()) window[i - begin] = std::move(made[next++]);
        use(std::move(window));
    }
}

std::vector<Translated> Translator::translate(const std::vector<std::string>& lines, const TranslateOptions& options,
                                              const std::string& source) const {
    std::vector<Translated> result;
    translate(lines, options, source, [&](std::vector<Translated> window) {
        for (Translated& each : window) result.push_back(std::move(each));
    });
    return result;
}

std::vector<Translated> Translator::translate(const Sources& sources, const TranslateOptions& options) const {
    const at::NoGradGuard no_grad;
    const std::vector<size_t> order = by_length(sources);
    const auto at_a_time = size_t(std::max<int64_t>(1, options.rows / options.beam));
    BeamOptions search{.beam = options.beam,
                       .end = end_,
                       .length_penalty = options.length_penalty,
                       .least_tokens = options.least_tokens,
                       .per_source = options.per_source,
                       .most_tokens = options.most_tokens,
                       .unknown_penalty = options.unknown_penalty,
                       .unknown = tokenizer_.unknown(),
                       .no_repeat_ngram = options.no_repeat_ngram,
                       .stop = options.stop};
    // ids that are no text: only a model that has more than its tokenizer knows them
    for (int64_t id = tokenizer_.vocabulary_size(); id < model_.vocabulary_size(); ++id)
        if (id != end_) search.banned.push_back(id);
    Session session(model_, {.most_rows = int64_t(at_a_time) * options.beam, .stop = options.stop});
    std::vector<Translated> result(sources.size());
    for (size_t begin = 0; begin < order.size(); begin += at_a_time) {
        const std::span<const size_t> numbers(order.data() + begin, std::min(at_a_time, order.size() - begin));
        check_stop(options.stop);
        const auto [ids_SB, flags_SB] = padded(sources, numbers);
        Aux aux;
        const Bag source =
            model_.encode_source(ids_SB.to(model_.device()), flags_SB.to(model_.device()), false, {}, aux);
        std::vector<int64_t> lengths;
        for (const size_t number : numbers) lengths.push_back(int64_t(sources[number].size()));
        const std::vector<std::vector<int64_t>> prompts(numbers.size(), {end_});
        const auto found = beam_search(session, prompts, search, source, lengths);
        check_stop(options.stop);
        for (size_t i = 0; i < found.size(); ++i)
            if (!found[i].empty())
                result[numbers[i]] = {one_line(tokenizer_.decode(found[i][0].tokens)), found[i][0].score,
                                      found[i][0].cut};
        if (options.progress) options.progress(double(begin + numbers.size()) / double(order.size()));
    }
    return result;
}

}  // namespace lithe
