// Turns text into a token set: read, split, leave out duplicates, encode on all cores, write shard by shard. Bounded
// memory on any input size. A run that was killed goes on at the last finished round and makes the same bytes.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "lithe/data/choose_tokenizer.h"
#include "lithe/formats/token_set.h"
#include "lithe/spec/config.h"

namespace lithe {

struct PrepareOptions {
    bool progress = false;
    int threads = 0;     // 0: as many as this process may use; never changes the result
    bool share = false;  // waits for another process that makes the same set, and takes the set that is finished then
    std::string source;  // what to call the input; empty: its path
    uint64_t round_bytes =
        uint64_t(256) << 20;  // of text between two durable points; a shard holds one round of a split
    std::stop_token stop = {};
};

// `output` is a folder: new, empty, or one that an interrupted prepare left; of that one only files that its journal
// names are ever removed. Throws usage for settings that do not fit,
// bad_file for input that cannot be read, resources when the disk is (or would be) full, stopped when a stop is asked
// for. `tokenizer`: used instead of what the configuration names.
TokenSetInfo prepare_tokens(const DataConfig& config, const std::string& output, const PrepareOptions& options,
                            TokenizerPtr tokenizer = nullptr);

// Whether the folder holds the journal of an interrupted preparation.
bool is_preparation(const std::string& folder);

// Identifies inputs and settings: equal identities make equal token sets.
std::string corpus_identity(const DataConfig& config, const std::string& tokenizer);

}  // namespace lithe
