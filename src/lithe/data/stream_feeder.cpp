#include <algorithm>
#include <cmath>

#include "lithe/base/error.h"
#include "lithe/base/rng.h"
#include "lithe/data/feeder.h"

namespace lithe {
namespace {

class StreamFeeder : public Feeder {
 public:
    StreamFeeder(std::vector<FeedSource> sources, const FeedOptions& options)
        : batch_(options.batch),
          length_(uint64_t(options.length)),
          buffer_(size_t(options.length) + 1) {
        const auto rows = deal_rows(sources, batch_);
        for (size_t s = 0; s < sources.size(); ++s) {
            const auto count = uint64_t(rows[s]);
            if (sources[s].tokens->size() / count < length_ + 1)
                fail({.kind = ErrorKind::usage,
                      .what = "the split is too short for this batch",
                      .where = sources.size() == 1 ? "train.batch, train.length" : sources[s].name,
                      .expected = "at least " + std::to_string(count * (length_ + 1)) + " tokens (rows x (length + 1))",
                      .got = std::to_string(sources[s].tokens->size()),
                      .hint = "lower train.batch or train.length"});
            sources_.emplace_back(*sources[s].tokens, count, options, s);
            for (uint64_t r = 0; r < count; ++r) rows_.push_back({s, r});
        }
    }

    void next(Batch& batch) override {
        const auto size = size_t(length_) * size_t(batch_);
        const uint64_t first = sources_[0].segments();
        batch.length = int64_t(length_);
        batch.rows = batch_;
        batch.inputs.resize(size);
        batch.targets.resize(size);
        batch.flags.clear();
        batch.tokens = int64_t(size);
        batch.begins = segments_ % first == 0 && (segments_ == 0 || sources_.size() == 1);
        for (int64_t b = 0; b < batch_; ++b) {
            const Row& row = rows_[size_t(b)];
            const Source& source = sources_[row.source];
            source.read(row.number, segments_, buffer_);
            for (uint64_t t = 0; t < length_; ++t) {
                batch.inputs[t * size_t(batch_) + size_t(b)] = buffer_[t];
                batch.targets[t * size_t(batch_) + size_t(b)] = buffer_[t + 1];
            }
            if (segments_ % source.segments() > 0 || batch.begins) continue;  // another epoch of this source alone
            if (batch.flags.empty()) batch.flags.assign(size, 0);
            batch.flags[size_t(b)] = kDocumentBegins;
        }
        ++segments_;
    }

    FeedPosition position() const override {
        // the position behind a segment belongs to its epoch, also at the end
        FeedPosition position;
        if (segments_ == 0) return position;
        position.epoch = (segments_ - 1) / sources_[0].segments();
        position.at = (segments_ - position.epoch * sources_[0].segments()) * length_;
        return position;
    }
    void seek(const FeedPosition& position) override {
        if (position.at % length_ != 0 || position.at / length_ > sources_[0].segments() || !position.rows.empty())
            fail_file("data position " + std::to_string(position.at) + " does not fit segments of " +
                          std::to_string(length_) + " tokens",
                      "state.json");
        segments_ = position.epoch * sources_[0].segments() + position.at / length_;
    }
    bool uses_flags() const override { return sources_.size() > 1; }

 private:
    // A text and the chunks of it that its rows read one after the other; without an order, one for each row.
    class Source {
     public:
        Source(const TokenView& tokens, uint64_t rows, const FeedOptions& options, uint64_t number)
            : tokens_(tokens),
              length_(uint64_t(options.length)),
              key_(combine_key(options.seed, number)) {
            const uint64_t most = (tokens.size() / rows - 1) / length_;  // segments of a row
            chunk_ = most;
            if (options.chunk > 0)
                chunk_ = std::clamp<uint64_t>(uint64_t(options.chunk) / length_, 1, std::max<uint64_t>(most / 8, 1));
            shuffled_ = options.chunk > 0;
            stride_ = shuffled_ ? chunk_ * length_ : tokens.size() / rows;
            chunks_ = shuffled_ ? (tokens.size() - 1) / stride_ : rows;
            per_row_ = chunks_ / rows;
        }
        // of a row in an epoch
        uint64_t segments() const { return per_row_ * chunk_; }

        void read(uint64_t row, uint64_t segment, std::vector<int64_t>& out) const {
            const uint64_t epoch = segment / segments(), place = segment % segments();
            uint64_t chunk = row * per_row_ + place / chunk_, begin = 0;
            if (shuffled_) {
                const uint64_t key = combine_key(key_, epoch);
                chunk = permuted(chunk, chunks_, key);
                // what is left over is now at the text's beginning, now at its end, and chunks are cut elsewhere
                begin = random_bits(key, chunks_) % (tokens_.size() - chunks_ * stride_);
            }
            tokens_.read(begin + chunk * stride_ + place % chunk_ * length_, length_ + 1, out.data());
        }

     private:
        const TokenView& tokens_;
        uint64_t length_, key_;
        bool shuffled_ = false;
        uint64_t chunk_ = 0, stride_ = 0;    // segments of a chunk; tokens from one to the next
        uint64_t chunks_ = 0, per_row_ = 0;  // of the text; of these a row reads in an epoch
    };
    struct Row {
        size_t source;
        uint64_t number;
    };
    int64_t batch_;
    uint64_t length_;
    std::vector<Source> sources_;
    std::vector<Row> rows_;
    uint64_t segments_ = 0;
    std::vector<int64_t> buffer_;
};

}  // namespace

std::vector<int64_t> deal_rows(const std::vector<FeedSource>& sources, int64_t rows) {
    const auto count = int64_t(sources.size());
    if (count > rows)
        fail_usage(
            std::to_string(count) + " sources need at least as many rows, train.batch is " + std::to_string(rows),
            "train.batch", "raise train.batch, or shuffle documents: data.order = \"documents\"");
    double total = 0;
    for (const FeedSource& source : sources) total += source.share;
    std::vector<int64_t> dealt(sources.size(), 1);
    std::vector<double> exact;
    for (const FeedSource& source : sources) exact.push_back(double(rows) * source.share / total);
    for (int64_t left = rows - count; left > 0; --left) {
        size_t most = 0;
        for (size_t s = 1; s < sources.size(); ++s)
            if (exact[s] - double(dealt[s]) > exact[most] - double(dealt[most])) most = s;
        ++dealt[most];
    }
    return dealt;
}

std::unique_ptr<Feeder> make_stream_feeder(std::vector<FeedSource> sources, const FeedOptions& options) {
    return std::make_unique<StreamFeeder>(std::move(sources), options);
}

}  // namespace lithe
