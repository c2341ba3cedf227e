#include "lithe/data/batcher.h"

#include "lithe/base/error.h"

namespace lithe {

StreamBatcher::StreamBatcher(const TokenView& tokens, int64_t batch, int64_t length)
    : tokens_(tokens),
      batch_(batch),
      length_(length),
      piece_(tokens.size() / uint64_t(batch)),
      buffer_(size_t(length) + 1) {
    if (piece_ < uint64_t(length) + 1)
        fail({.code = ExitCode::usage,
              .what = "the split is too short for this batch",
              .where = "train.batch, train.length",
              .expected = "at least " + std::to_string(uint64_t(batch) * (uint64_t(length) + 1)) +
                          " tokens (batch x (length + 1))",
              .got = std::to_string(tokens.size()),
              .hint = "lower train.batch or train.length"});
}

bool StreamBatcher::next(int64_t* inputs, int64_t* targets) {
    if (position_.at + uint64_t(length_) + 1 > piece_) {
        position_.at = 0;
        ++position_.epoch;
    }
    bool first = position_.at == 0;
    for (int64_t b = 0; b < batch_; ++b) {
        tokens_.read(uint64_t(b) * piece_ + position_.at, uint64_t(length_) + 1, buffer_.data());
        for (int64_t t = 0; t < length_; ++t) {
            inputs[t * batch_ + b] = buffer_[size_t(t)];
            targets[t * batch_ + b] = buffer_[size_t(t) + 1];
        }
    }
    position_.at += uint64_t(length_);
    return first;
}

void StreamBatcher::seek(const StreamPosition& position) {
    if (position.at % uint64_t(length_) != 0 || position.at > piece_)
        fail_file("data position " + std::to_string(position.at) + " does not fit segments of " +
                      std::to_string(length_) + " tokens",
                  "state.json");
    position_ = position;
}

}  // namespace lithe
