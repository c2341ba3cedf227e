#include "lithe/objectives/translator.h"

#include <algorithm>
#include <numeric>

#include "lithe/base/error.h"
#include "lithe/base/position_flags.h"
#include "lithe/infer/beam_search.h"

namespace lithe {
namespace {

using Sources = std::vector<std::vector<int64_t>>;

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

}  // namespace

Translator::Translator(const LanguageModel& model, const Tokenizer& tokenizer, int64_t end)
    : model_(model),
      tokenizer_(tokenizer),
      end_(end) {
    if (!model.has_encoder())
        fail_usage("this model reads no text to translate: it goes on with one", "model.encoder",
                   "objective.name = \"translate\" trains models that do");
}

std::vector<Translated> Translator::translate(const std::vector<std::string>& lines, const TranslateOptions& options,
                                              const std::string& source) const {
    const int64_t most = model_.encoder()->embedding().max_positions();
    Problems problems;
    Sources sources;
    std::vector<size_t> of_line;  // of each source
    for (size_t i = 0; i < lines.size(); ++i) {
        const std::string where = source + ", line " + std::to_string(i + 1);
        const bool blank = lines[i].find_first_not_of(" \t\r") == std::string::npos;
        if (blank && options.keeps_empty) continue;
        if (blank) {
            problems.add("the line is empty", where, "leave it out, or keep empty lines as they are");
            continue;
        }
        std::vector<int64_t> ids;
        try {
            ids = tokenizer_.encode(lines[i]);
        } catch (const Error& error) {
            problems.add(error.parts().what, where, error.parts().hint);
            continue;
        }
        ids.push_back(end_);
        if (most > 0 && int64_t(ids.size()) > most)
            problems.add("the line has " + std::to_string(ids.size()) + " tokens with its end, and the encoder reads " +
                             std::to_string(most),
                         where, "cut it into sentences");
        sources.push_back(std::move(ids));
        of_line.push_back(i);
    }
    problems.throw_if_any("the text cannot be translated");
    std::vector<Translated> result(lines.size());
    std::vector<Translated> made = translate(sources, options);
    for (size_t i = 0; i < made.size(); ++i) result[of_line[i]] = std::move(made[i]);
    return result;
}

std::vector<Translated> Translator::translate(const Sources& sources, const TranslateOptions& options) const {
    const at::NoGradGuard no_grad;
    const std::vector<size_t> order = by_length(sources);
    const auto at_a_time = size_t(std::max<int64_t>(1, options.rows / options.beam));
    BeamOptions search{.beam = options.beam,
                       .end = end_,
                       .length_penalty = options.length_penalty,
                       .per_source = options.per_source,
                       .most_tokens = options.most_tokens,
                       .stop = options.stop};
    // ids that are no text: only a model that has more than its tokenizer knows them
    for (int64_t id = tokenizer_.vocabulary_size(); id < model_.vocabulary_size(); ++id)
        if (id != end_) search.banned.push_back(id);
    Session session(model_, {.most_rows = int64_t(at_a_time) * options.beam});
    std::vector<Translated> result(sources.size());
    for (size_t begin = 0; begin < order.size(); begin += at_a_time) {
        const std::span<const size_t> numbers(order.data() + begin, std::min(at_a_time, order.size() - begin));
        const auto [ids_SB, flags_SB] = padded(sources, numbers);
        Aux aux;
        const Bag source =
            model_.encode_source(ids_SB.to(model_.device()), flags_SB.to(model_.device()), false, {}, aux);
        std::vector<int64_t> lengths;
        for (const size_t number : numbers) lengths.push_back(int64_t(sources[number].size()));
        const std::vector<std::vector<int64_t>> prompts(numbers.size(), {end_});
        const auto found = beam_search(session, prompts, search, source, lengths);
        if (options.stop.stop_requested()) fail({.kind = ErrorKind::stopped, .what = "stopped while translating"});
        for (size_t i = 0; i < found.size(); ++i)
            if (!found[i].empty())
                result[numbers[i]] = {one_line(tokenizer_.decode(found[i][0].tokens)), found[i][0].score};
        if (options.progress) options.progress(double(begin + numbers.size()) / double(order.size()));
    }
    return result;
}

}  // namespace lithe
