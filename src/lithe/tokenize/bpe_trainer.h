#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>
#include <unordered_map>

#include "lithe/tokenize/json_fields.h"

namespace lithe::tokenize {

// Learns byte-level BPE in GPT-2's form (Sennrich et al. 2016; Radford et al. 2019): the most frequent pair of
// neighbours becomes a token, again and again; of equally frequent pairs the one of smallest ids. Pieces are GPT-2's.
class BpeTrainer {
 public:
    void feed(std::string_view text);
    // A tokenizer.json of at most `size` tokens: 256 bytes, merges, and `end` as the last one. Pairs seen fewer than
    // `min_count` times are left alone. Throws `stopped` when a stop is asked for.
    Json finish(int64_t size, int64_t min_count, const std::string& end, const std::stop_token& stop);
    size_t distinct() const { return counts_.size(); }

 private:
    struct Hash {
        using is_transparent = void;
        size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
    };
    std::unordered_map<std::string, int64_t, Hash, std::equal_to<>> counts_;
};

}  // namespace lithe::tokenize
