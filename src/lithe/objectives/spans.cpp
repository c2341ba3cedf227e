#include "lithe/objectives/spans.h"

#include <algorithm>

#include "lithe/base/error.h"
#include "lithe/base/rng.h"
#include "lithe/data/pair_feeder.h"

namespace lithe {

void SpansValues::visit(FieldVisitor& v) {
    v.field({.name = "rate", .help = "spans: share of tokens to take out", .minimum = 0.01, .maximum = 0.9}, rate);
    v.field({.name = "mean_length", .help = "spans: tokens of one, in the mean", .minimum = 1, .maximum = 1000},
            mean_length);
    v.field({.name = "sentinels",
             .help = "spans: ids that stand for spans, more than the tokenizer has",
             .minimum = 1,
             .maximum = 1 << 16},
            sentinels);
}

void SpansValues::check(const Config& config, Problems& problems) const {
    if (!config.encoder)
        problems.add("a second stack reads what is left of the text", "objective.name",
                     "[model.encoder] layout = \"(sf)x6\", and blocks of letter c in the decoder: (scf)x6");
    if (config.train.length < 3) {
        problems.add("the encoder reads a token, a sentinel and the end at least: train.length = 3", "train.length");
        return;
    }
    const SpanCorruption corruption{.rate = rate, .mean_length = mean_length};
    const int64_t spans = corruption.sizes(corruption.tokens_for(config.train.length)).spans;
    if (spans > sentinels)
        problems.add("a text of train.length has " + std::to_string(spans) + " spans, and there are " +
                         std::to_string(sentinels) + " sentinels",
                     "objective.sentinels", "raise objective.sentinels, or shorten train.length");
}

namespace {

// What is left of a row's tokens, and what was taken out. Fewer than two tokens are nothing.
TokenPair corrupted(const SpanCorruption& corruption, const std::vector<int64_t>& tokens, uint64_t key) {
    if (tokens.size() < 2) return {};
    SpanCorruption::Pair pair = corruption.apply(tokens, key);
    return {std::move(pair.input), std::move(pair.target)};
}

std::vector<int64_t> tokens_of_row(const Batch& batch, int64_t row) {
    std::vector<int64_t> tokens;
    for (int64_t t = 0; t < batch.length; ++t) {
        const auto place = size_t(t * batch.rows + row);
        if (!batch.is_padding(place)) tokens.push_back(batch.inputs[place]);
    }
    return tokens;
}

// Texts in a row, so many at a time, each corrupted by its number.
class SpanBatches : public ScoredBatches {
 public:
    SpanBatches(const ScoredText& text, const EvaluationProtocol& protocol, const SpanCorruption& corruption)
        : tokens_(text.tokens()),
          corruption_(corruption),
          each_(uint64_t(corruption.tokens_for(protocol.length))),
          end_(protocol.bytes > 0 ? text.tokens_within(protocol.bytes) : text.tokens().size()) {
        if (end_ < 2) fail_file("split '" + protocol.split + "' has too few tokens to be scored", "data");
        rows_ = int64_t(std::clamp<uint64_t>(end_ / each_, 1, uint64_t(protocol.batch)));
    }
    const Batch* next() override {
        std::vector<TokenPair> pairs;
        for (; int64_t(pairs.size()) < rows_ && at_ + 2 <= end_; at_ += each_) {
            std::vector<int64_t> ids(size_t(std::min(each_, end_ - at_)));
            tokens_.read(at_, ids.size(), ids.data());
            pairs.push_back(corrupted(corruption_, ids, combine_key(combine_key(0, "evaluation"), at_)));
        }
        if (pairs.empty()) return nullptr;
        fill_pairs(pairs, corruption_.end, batch_);
        return &batch_;
    }
    double progress() const override { return double(std::min(at_, end_)) / double(end_); }
    int64_t rows() const override { return rows_; }

 private:
    const TokenView& tokens_;
    SpanCorruption corruption_;
    uint64_t each_, end_, at_ = 0;
    int64_t rows_ = 1;
    Batch batch_;
};

}  // namespace

void SpansObjective::prepare(Batch& batch, uint64_t key, int64_t first_row) const {
    std::vector<TokenPair> pairs;
    for (int64_t row = 0; row < batch.rows; ++row) {
        const uint64_t row_key = combine_key(combine_key(key, "spans"), uint64_t(first_row + row));
        pairs.push_back(corrupted(corruption_, tokens_of_row(batch, row), row_key));
    }
    const int64_t tokens = batch.tokens;  // of the text
    fill_pairs(pairs, corruption_.end, batch);
    batch.tokens = tokens;
}

std::unique_ptr<Feeder> SpansObjective::feeder(const Config& config, const Tokenizer& tokenizer,
                                               std::vector<FeedSource> sources) const {
    Config longer = config;
    longer.train.length = corruption_.tokens_for(config.train.length);
    return TokenObjective::feeder(longer, tokenizer, std::move(sources));
}

std::unique_ptr<ScoredBatches> SpansObjective::scored_batches(const ScoredText& text,
                                                              const EvaluationProtocol& protocol) const {
    if (protocol.length < 3)
        fail_usage("the encoder reads a token, a sentinel and the end at least", "evaluation.length", "3 or more");
    const int64_t spans = corruption_.sizes(corruption_.tokens_for(protocol.length)).spans;
    if (spans > sentinels_)
        fail_usage("a text of this length has " + std::to_string(spans) + " spans, and the model knows " +
                       std::to_string(sentinels_) + " sentinels",
                   "evaluation.length", "shorten it");
    return std::make_unique<SpanBatches>(text, protocol, corruption_);
}

std::unique_ptr<Objective> make_spans(const ObjectiveOptions& options, const Config&, const Tokenizer& tokenizer) {
    const auto& values = values_of<SpansValues>(options);
    const int64_t size = tokenizer.vocabulary_size();
    const int64_t end = tokenizer.document_end().value_or(int32_t(size));
    const int64_t vocabulary = std::max(size, end + 1) + values.sentinels;
    const SpanCorruption corruption{
        .rate = values.rate, .mean_length = values.mean_length, .end = end, .first_sentinel = vocabulary - 1};
    return std::make_unique<SpansObjective>(corruption, values.sentinels, vocabulary);
}

}  // namespace lithe
