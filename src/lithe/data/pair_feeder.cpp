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

struct PairLengths {
    uint64_t number;
    int64_t target, source;
    int64_t longer() const { return std::max(target, source); }
};

// The pairs of a window, sorted by length and cut into batches, which come in a random order.
class PairWindow {
 public:
    PairWindow() = default;
    PairWindow(std::vector<PairLengths> pairs, int64_t tokens, uint64_t key) : pairs_(std::move(pairs)), key_(key) {
        std::sort(pairs_.begin(), pairs_.end(), [](const PairLengths& a, const PairLengths& b) {
            return std::make_tuple(a.longer(), a.target, a.source, a.number) <
                   std::make_tuple(b.longer(), b.target, b.source, b.number);
        });
        for (size_t i = 0, begin = 0; i < pairs_.size(); ++i) {
            const bool full = int64_t(i + 1 - begin) * pairs_[i].longer() > tokens;
            if (full && i > begin) ends_.push_back(begin = i);
            if (i + 1 == pairs_.size()) ends_.push_back(i + 1);
        }
    }
    uint64_t batches() const { return ends_.size(); }
    std::vector<uint64_t> batch(uint64_t number) const {
        const auto taken = size_t(permuted(number, batches(), key_));
        std::vector<uint64_t> numbers;
        for (size_t i = taken == 0 ? 0 : ends_[taken - 1]; i < ends_[taken]; ++i) numbers.push_back(pairs_[i].number);
        return numbers;
    }

 private:
    std::vector<PairLengths> pairs_;
    std::vector<size_t> ends_;  // of batches
    uint64_t key_ = 0;
};

class PairFeeder : public Feeder {
 public:
    PairFeeder(const TokenView& tokens, const PairOptions& options) : view_(tokens, options.end), options_(options) {
        uint64_t longer = 0;
        for (uint64_t number = 0; number < view_.size(); ++number) {
            const PairLengths pair{number, view_.target_length(number), view_.source_length(number)};
            if (pair.longer() > options_.length) ++longer;
            else if (std::min(pair.source, pair.target) > 1) pairs_.push_back(pair);
        }
        if (pairs_.empty())
            fail({.kind = ErrorKind::usage,
                  .what = "no pair is short enough",
                  .where = "train.length",
                  .expected = "pairs of at most " + std::to_string(options_.length) + " tokens a side",
                  .got = std::to_string(view_.size()) + " longer or empty ones",
                  .hint = "raise train.length"});
        if (longer > 0)
            log_info("pairs      " + std::to_string(longer) + " of " + std::to_string(view_.size()) +
                     " are longer than train.length and are left out");
        open(0, 0);
    }

    void next(Batch& batch) override {
        step_over_ends();
        fill_pairs(view_, window_.batch(in_window_), batch);
        ++in_window_;
        ++at_.at;
    }
    FeedPosition position() const override { return at_; }
    void seek(const FeedPosition& position) override {
        uint64_t number = 0, left = position.at;
        open(position.epoch, 0);
        while (left > window_.batches() && number + 1 < windows()) {
            left -= window_.batches();
            open(position.epoch, ++number);
        }
        if (left > window_.batches() || !position.rows.empty())
            fail_file("data position " + std::to_string(position.at) + " is none of pairs", "checkpoint",
                      "resume with the settings that the run was started with");
        in_window_ = left;
        at_ = position;
    }
    bool uses_flags() const override { return true; }

 private:
    static constexpr uint64_t kWindow = 32;  // batches of the longest pairs, at least

    uint64_t window_size() const { return kWindow * uint64_t(options_.batch); }
    uint64_t windows() const { return (pairs_.size() + window_size() - 1) / window_size(); }

    void step_over_ends() {
        if (in_window_ < window_.batches()) return;
        if (number_ + 1 < windows()) return open(at_.epoch, number_ + 1);
        ++at_.epoch;
        at_.at = 0;
        open(at_.epoch, 0);
    }

    void open(uint64_t epoch, uint64_t number) {
        const uint64_t order = combine_key(combine_key(options_.seed, "pairs"), epoch), size = window_size();
        std::vector<PairLengths> pairs;
        for (uint64_t i = number * size; i < std::min<uint64_t>(pairs_.size(), (number + 1) * size); ++i)
            pairs.push_back(pairs_[permuted(i, pairs_.size(), order)]);
        window_ = PairWindow(std::move(pairs), options_.batch * options_.length,
                             combine_key(combine_key(options_.seed, epoch), number));
        number_ = number;
        in_window_ = 0;
    }

    PairView view_;
    PairOptions options_;
    std::vector<PairLengths> pairs_;
    FeedPosition at_;
    PairWindow window_;
    uint64_t number_ = 0, in_window_ = 0;  // the window's number in the epoch, and the next batch's in the window
};

}  // namespace

std::unique_ptr<Feeder> make_pair_feeder(const TokenView& tokens, const PairOptions& options) {
    return std::make_unique<PairFeeder>(tokens, options);
}

}  // namespace lithe
