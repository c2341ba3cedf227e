#include <algorithm>
#include <cmath>
#include <numeric>

#include "lithe/base/error.h"
#include "lithe/data/feeder.h"

namespace lithe {
namespace {

class StreamFeeder : public Feeder {
 public:
    StreamFeeder(std::vector<FeedSource> sources, const FeedOptions& options)
        : sources_(std::move(sources)),
          batch_(options.batch),
          length_(uint64_t(options.length)),
          buffer_(size_t(options.length) + 1) {
        const auto rows = deal_rows(sources_, batch_);
        for (size_t s = 0; s < sources_.size(); ++s) {
            const uint64_t size = sources_[s].tokens->size(), piece = size / uint64_t(rows[s]);
            if (piece < length_ + 1)
                fail({.code = ExitCode::usage,
                      .what = "the split is too short for this batch",
                      .where = sources_.size() == 1 ? "train.batch, train.length" : sources_[s].name,
                      .expected = "at least " + std::to_string(uint64_t(rows[s]) * (length_ + 1)) +
                                  " tokens (rows x (length + 1))",
                      .got = std::to_string(size),
                      .hint = "lower train.batch or train.length"});
            pieces_.push_back((piece - 1) / length_);
            for (int64_t r = 0; r < rows[s]; ++r) rows_.push_back({s, uint64_t(r) * piece});
        }
    }

    void next(Segment& segment) override {
        const auto size = size_t(length_) * size_t(batch_);
        segment.inputs.resize(size);
        segment.targets.resize(size);
        segment.flags.clear();
        segment.tokens = int64_t(size);
        segment.begins = segments_ % pieces_[0] == 0 && (segments_ == 0 || sources_.size() == 1);
        for (int64_t b = 0; b < batch_; ++b) {
            const Row& row = rows_[size_t(b)];
            const uint64_t place = segments_ % pieces_[row.source];
            sources_[row.source].tokens->read(row.begin + place * length_, length_ + 1, buffer_.data());
            for (uint64_t t = 0; t < length_; ++t) {
                segment.inputs[t * size_t(batch_) + size_t(b)] = buffer_[t];
                segment.targets[t * size_t(batch_) + size_t(b)] = buffer_[t + 1];
            }
            if (place > 0 || segment.begins) continue;  // another epoch of this source alone
            if (segment.flags.empty()) segment.flags.assign(size, 0);
            segment.flags[size_t(b)] = kFlagReset;
        }
        ++segments_;
    }

    FeedPosition position() const override {
        // the position behind a segment belongs to its epoch, also at the end
        FeedPosition position;
        if (segments_ == 0) return position;
        position.epoch = (segments_ - 1) / pieces_[0];
        position.at = (segments_ - position.epoch * pieces_[0]) * length_;
        return position;
    }
    void seek(const FeedPosition& position) override {
        if (position.at % length_ != 0 || position.at / length_ > pieces_[0] || !position.rows.empty())
            fail_file("data position " + std::to_string(position.at) + " does not fit segments of " +
                          std::to_string(length_) + " tokens",
                      "state.json");
        segments_ = position.epoch * pieces_[0] + position.at / length_;
    }
    bool uses_flags() const override { return sources_.size() > 1; }

 private:
    struct Row {
        size_t source;
        uint64_t begin;
    };
    std::vector<FeedSource> sources_;
    int64_t batch_;
    uint64_t length_;
    std::vector<uint64_t> pieces_;  // segments of each source's pieces
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
