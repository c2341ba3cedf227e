#include "lithe/data/random_text.h"

#include <algorithm>

#include "lithe/base/rng.h"

namespace lithe {

int64_t random_id(uint64_t key, uint64_t i, int64_t vocabulary) {
    return int64_t(double(vocabulary) * random_unit(key, i) * random_unit(key + 1, i));
}

RandomText::RandomText(uint64_t size, const Config& config, int64_t vocabulary, std::vector<std::string> labels)
    : size_(size),
      document_(uint64_t(std::max<int64_t>(1, config.train.length - 1))),  // and an end token
      vocabulary_(vocabulary),
      labels_(std::move(labels)) {}

void RandomText::read(uint64_t begin, uint64_t count, int64_t* out) const {
    for (uint64_t i = 0; i < count; ++i) out[i] = random_id(1, begin + i, vocabulary_);
}

uint64_t RandomText::documents() const { return std::max<uint64_t>(2, size_ / document_ / 2 * 2); }

}  // namespace lithe
