#include "lithe/data/pair_feeder.h"

#include <algorithm>

#include "lithe/base/error.h"
#include "lithe/base/log.h"
#include "lithe/data/window_feeder.h"

namespace lithe {

PairView::PairView(const TokenView& tokens, int64_t end) : tokens_(&tokens), end_(end) {
    if (tokens.documents() % 2 != 0)
        fail_file("the text does not consist of pairs: it has " + std::to_string(tokens.documents()) + " documents",
                  "data", "data.parallel names the other side of a parallel text");
}

std::vector<int64_t> PairView::read(uint64_t document) const {
    std::vector<int64_t> ids = read_document(*tokens_, document);
    if (ids.empty() || ids.back() != end_) ids.push_back(end_);
    return ids;
}

int64_t PairView::length(uint64_t document) const { return int64_t(read(document).size()); }

// Writes a row of [length][rows]; padding behind it.
static void put(const std::vector<int64_t>& ids, int64_t row, int64_t rows, std::vector<int64_t>& to) {
    for (size_t t = 0; t < ids.size(); ++t) to[t * size_t(rows) + size_t(row)] = ids[t];
}

static void pad(int64_t from, int64_t to, int64_t row, int64_t rows, std::vector<uint8_t>& flags) {
    for (int64_t t = from; t < to; ++t) flags[size_t(t * rows + row)] = kPadding;
}

void fill_pairs(const std::vector<TokenPair>& pairs, int64_t end, Batch& batch) {
    batch = Batch();
    batch.rows = int64_t(pairs.size());
    batch.length = batch.source.length = 1;  // where all are empty
    batch.begins = true;
    for (const TokenPair& pair : pairs) {
        batch.length = std::max(batch.length, int64_t(pair.target.size()));
        batch.source.length = std::max(batch.source.length, int64_t(pair.source.size()));
        batch.tokens += int64_t(pair.target.size());
    }
    const auto positions = size_t(batch.length * batch.rows), of_source = size_t(batch.source.length * batch.rows);
    batch.inputs.assign(positions, 0);
    batch.targets.assign(positions, -1);
    batch.flags.assign(positions, 0);
    batch.source.ids.assign(of_source, 0);
    batch.source.flags.assign(of_source, 0);
    for (int64_t row = 0; row < batch.rows; ++row) {
        const auto& [source, target] = pairs[size_t(row)];
        std::vector<int64_t> inputs = {end};
        if (target.empty()) inputs.clear();
        else inputs.insert(inputs.end(), target.begin(), target.end() - 1);
        put(source, row, batch.rows, batch.source.ids);
        put(inputs, row, batch.rows, batch.inputs);
        put(target, row, batch.rows, batch.targets);
        pad(int64_t(source.size()), batch.source.length, row, batch.rows, batch.source.flags);
        pad(int64_t(target.size()), batch.length, row, batch.rows, batch.flags);
    }
}

void fill_pairs(const PairView& view, const std::vector<uint64_t>& pairs, Batch& batch) {
    std::vector<TokenPair> rows;
    rows.reserve(pairs.size());
    for (const uint64_t pair : pairs) rows.push_back({view.source(pair), view.target(pair)});
    fill_pairs(rows, view.end(), batch);
}

std::string which_pairs(const std::vector<uint64_t>& pairs, uint64_t all) {
    constexpr size_t kNamed = 5;
    std::string text = std::to_string(pairs.size()) + " of " + std::to_string(all) + " (number ";
    for (size_t i = 0; i < std::min(kNamed, pairs.size()); ++i)
        text += (i > 0 ? ", " : "") + std::to_string(pairs[i] + 1);
    return text + (pairs.size() > kNamed ? ", …)" : ")");
}

std::unique_ptr<Feeder> make_pair_feeder(const TokenView& tokens, const PairOptions& options) {
    const PairView view(tokens, options.end);
    std::vector<SizedRow> pairs;
    std::vector<uint64_t> longer;
    for (uint64_t number = 0; number < view.size(); ++number) {
        const SizedRow pair{number, view.target_length(number), view.source_length(number)};
        if (pair.longer() > options.length) longer.push_back(number);
        else if (std::min(pair.first, pair.second) > 1) pairs.push_back(pair);
    }
    if (pairs.empty())
        fail({.kind = ErrorKind::usage,
              .what = "no pair is short enough",
              .where = "train.length",
              .expected = "pairs of at most " + std::to_string(options.length) + " tokens a side",
              .got = std::to_string(view.size()) + " longer or empty ones",
              .hint = "raise train.length"});
    if (!longer.empty())
        log_info("pairs      " + which_pairs(longer, view.size()) + " are longer than train.length = " +
                 std::to_string(options.length) + " tokens a side and are left out: raise it to train on them");
    return make_window_feeder(
        std::move(pairs),
        {.most_tokens = options.batch * options.length,
         .window = options.batch * kBatchesOfWindow,
         .seed = options.seed},
        [view](const std::vector<uint64_t>& numbers, Batch& batch) { fill_pairs(view, numbers, batch); });
}

}  // namespace lithe
