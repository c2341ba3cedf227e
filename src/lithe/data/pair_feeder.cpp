#include "lithe/data/pair_feeder.h"

#include <algorithm>
#include <iterator>
#include <tuple>

#include "lithe/base/error.h"
#include "lithe/base/log.h"
#include "lithe/base/rng.h"

namespace lithe {

PairView::PairView(const TokenView& tokens, int64_t end) : tokens_(&tokens), end_(end) {
    if (tokens.documents() % 2 != 0)
        fail_file("the text does not consist of pairs: it has " + std::to_string(tokens.documents()) + " documents",
                  "data", "data.parallel names the other side of a parallel text");
}

std::vector<int64_t> PairView::read(uint64_t document) const {
    const uint64_t begin = tokens_->document_begin(document);
    const bool last = document + 1 == tokens_->documents();
    const uint64_t end = last ? tokens_->size() : tokens_->document_begin(document + 1);
    std::vector<int64_t> ids(size_t(end - begin));
    if (!ids.empty()) tokens_->read(begin, end - begin, ids.data());
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

void PairView::fill(Batch& batch, int64_t row, uint64_t pair) const {
    const std::vector<int64_t> source = read(2 * pair), target = read(2 * pair + 1);
    std::vector<int64_t> inputs = {end_};
    inputs.insert(inputs.end(), target.begin(), target.end() - 1);
    put(source, row, batch.rows, batch.source.ids);
    put(inputs, row, batch.rows, batch.inputs);
    put(target, row, batch.rows, batch.targets);
    pad(int64_t(source.size()), batch.source.length, row, batch.rows, batch.source.flags);
    pad(int64_t(target.size()), batch.length, row, batch.rows, batch.flags);
    batch.tokens += int64_t(target.size());
}

void fill_pairs(const PairView& view, const std::vector<uint64_t>& pairs, Batch& batch) {
    batch = Batch();
    batch.rows = int64_t(pairs.size());
    batch.begins = true;
    for (const uint64_t pair : pairs) {
        batch.length = std::max(batch.length, view.target_length(pair));
        batch.source.length = std::max(batch.source.length, view.source_length(pair));
    }
    const auto positions = size_t(batch.length * batch.rows), of_source = size_t(batch.source.length * batch.rows);
    batch.inputs.assign(positions, 0);
    batch.targets.assign(positions, -1);
    batch.flags.assign(positions, 0);
    batch.source.ids.assign(of_source, 0);
    batch.source.flags.assign(of_source, 0);
    for (int64_t row = 0; row < batch.rows; ++row) view.fill(batch, row, pairs[size_t(row)]);
}

namespace {

class PairFeeder : public Feeder {
 public:
    PairFeeder(const TokenView& tokens, const PairOptions& options) : view_(tokens, options.end), options_(options) {
        uint64_t longer = 0;
        for (uint64_t pair = 0; pair < view_.size(); ++pair) {
            const int64_t source = view_.source_length(pair), target = view_.target_length(pair);
            if (std::max(source, target) > options_.length) {
                ++longer;
                continue;
            }
            if (std::min(source, target) > 1) pairs_.push_back({pair, target, source});
        }
        if (int64_t(pairs_.size()) < options_.batch)
            fail({.kind = ErrorKind::usage,
                  .what = "too few pairs for a batch",
                  .where = "train.batch, train.length",
                  .expected = "at least " + std::to_string(options_.batch) + " pairs of at most " +
                              std::to_string(options_.length) + " tokens a side",
                  .got = std::to_string(pairs_.size()),
                  .hint = "lower train.batch, or raise train.length"});
        if (longer > 0)
            log_info("pairs      " + std::to_string(longer) + " of " + std::to_string(view_.size()) +
                     " are longer than train.length and are left out");
    }

    void next(Batch& batch) override {
        if (at_.at == batches()) {
            ++at_.epoch;
            at_.at = 0;
        }
        fill_pairs(view_, batch_number(at_.epoch, at_.at), batch);
        ++at_.at;
    }
    FeedPosition position() const override { return at_; }
    void seek(const FeedPosition& position) override {
        if (position.at > batches() || !position.rows.empty())
            fail_file("data position " + std::to_string(position.at) + " is none of pairs", "checkpoint",
                      "resume with the settings that the run was started with");
        at_ = position;
    }
    bool uses_flags() const override { return true; }

 private:
    struct Pair {
        uint64_t number;
        int64_t target, source;  // lengths
    };
    static constexpr uint64_t kWindow = 32;  // batches whose pairs are sorted together

    uint64_t batches() const { return pairs_.size() / uint64_t(options_.batch); }

    std::vector<uint64_t> batch_number(uint64_t epoch, uint64_t number) {
        const uint64_t window = number / kWindow, key = combine_key(options_.seed, epoch);
        sort_window(epoch, window);
        const uint64_t of_window = std::min(kWindow, batches() - window * kWindow);
        const uint64_t taken = permuted(number % kWindow, of_window, combine_key(key, window));
        const auto begin = window_.begin() + int64_t(taken) * options_.batch;
        std::vector<uint64_t> numbers;
        std::transform(begin, begin + options_.batch, std::back_inserter(numbers),
                       [](const Pair& pair) { return pair.number; });
        return numbers;
    }

    void sort_window(uint64_t epoch, uint64_t window) {
        if (sorted_epoch_ == epoch && sorted_window_ == window && !window_.empty()) return;
        sorted_epoch_ = epoch;
        sorted_window_ = window;
        const uint64_t size = kWindow * uint64_t(options_.batch), used = batches() * uint64_t(options_.batch);
        const uint64_t key = combine_key(combine_key(options_.seed, "pairs"), epoch);
        window_.clear();
        for (uint64_t i = window * size; i < std::min(used, (window + 1) * size); ++i)
            window_.push_back(pairs_[permuted(i, pairs_.size(), key)]);
        std::sort(window_.begin(), window_.end(), [](const Pair& a, const Pair& b) {
            return std::tie(a.target, a.source, a.number) < std::tie(b.target, b.source, b.number);
        });
    }

    PairView view_;
    PairOptions options_;
    std::vector<Pair> pairs_;
    FeedPosition at_;
    std::vector<Pair> window_;
    uint64_t sorted_epoch_ = 0, sorted_window_ = 0;
};

}  // namespace

std::unique_ptr<Feeder> make_pair_feeder(const TokenView& tokens, const PairOptions& options) {
    return std::make_unique<PairFeeder>(tokens, options);
}

}  // namespace lithe
