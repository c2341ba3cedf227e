// Writes encoded parts into the shards of a token set: a round at a time, one shard for each split that has text in it.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>

#include "lithe/data/part_batches.h"
#include "lithe/formats/token_set.h"
#include "lithe/spec/config.h"
#include "lithe/tokenize/tokenizer.h"

namespace lithe {

// Bytes per token that a vocabulary needs: 1, 2 or 4.
int token_bytes_of(int64_t vocabulary);

class RoundWriter {
 public:
    // `info` has three splits; finished shards are added to it.
    RoundWriter(std::string folder, const Tokenizer& tokenizer, const DataConfig& config, TokenSetInfo& info);
    void write(const TextBatch& batch);
    // Closes the round's shards, durably.
    void finish_round();

 private:
    struct Open {
        std::unique_ptr<TokenFileWriter> writer;
        std::string name;
        uint64_t bytes = 0, documents = 0;
        std::vector<int32_t> labels;
        bool begins = false;  // a document whose first token has not come yet
        int32_t label = 0;
    };
    int32_t number_of(const std::string& label);
    void start(size_t split);
    void append(Open& open, const std::vector<int32_t>& ids);
    std::string folder_;
    TokenSetInfo& info_;
    std::string tokenizer_json_;
    std::optional<int32_t> end_;
    std::array<Open, 3> open_;
    bool labelled_, pairs_;
    std::map<std::string, int32_t> label_numbers_;
    std::vector<uint16_t> narrow_;
    std::vector<uint8_t> bytes_;
};

}  // namespace lithe
