#include "lithe/data/scored_text.h"

#include <algorithm>

namespace lithe {
namespace {

constexpr uint64_t kRead = 1 << 16;

// Calls `use` with stretches of the view from its first token on until it returns false.
template <class F> void each_stretch(const TokenView& tokens, const F& use) {
    std::vector<int64_t> ids(std::min(kRead, tokens.size()));
    for (uint64_t at = 0; at < tokens.size(); at += ids.size()) {
        ids.resize(std::min(kRead, tokens.size() - at));
        tokens.read(at, ids.size(), ids.data());
        if (!use(ids)) return;
    }
}

}  // namespace

ScoredText::ScoredText(const TokenView& tokens)
    : tokens_(&tokens),
      even_(double(tokens.bytes()) / double(std::max<uint64_t>(1, tokens.size()))) {}

ScoredText::ScoredText(const TokenView& tokens, const Tokenizer& tokenizer) : ScoredText(tokens) {
    const int64_t size = tokenizer.vocabulary_size();
    bytes_.resize(size_t(size));
    for (int64_t id = 0; id < size; ++id) bytes_[size_t(id)] = double(tokenizer.text_bytes(int32_t(id)));
    if (!tokenizer.lossless()) count(tokenizer);
}

void ScoredText::count(const Tokenizer& tokenizer) {
    const int64_t unknown = tokenizer.unknown().value_or(-1);
    double spoken = 0;
    uint64_t unknowns = 0;
    each_stretch(*tokens_, [&](const std::vector<int64_t>& ids) {
        for (const int64_t id : ids) {
            spoken += bytes_of(id);
            unknowns += id == unknown;
        }
        return true;
    });
    const auto all = double(tokens_->bytes());
    if (unknowns > 0 && all > spoken) {
        unknown_ = unknown;
        bytes_[size_t(unknown)] = (all - spoken) / double(unknowns);
        return;
    }
    if (spoken <= 0 || all <= 0) return bytes_.clear();
    for (double& bytes : bytes_) bytes *= all / spoken;
    spread_ = std::max(0.0, 1 - spoken / all);
}

double ScoredText::unspoken_of(int64_t id) const { return bytes_of(id) * (id == unknown_ ? 1 : spread_); }

uint64_t ScoredText::tokens_within(uint64_t bytes) const {
    const double limit = double(bytes) + 1e-6 * double(bytes);  // of sums that are not exact
    double sum = 0;
    uint64_t count = 0;
    each_stretch(*tokens_, [&](const std::vector<int64_t>& ids) {
        for (const int64_t id : ids) {
            if ((sum += bytes_of(id)) > limit) return false;
            ++count;
        }
        return true;
    });
    return count;
}

}  // namespace lithe
