#pragma once

#include <array>

#include "lithe/tokenize/vocabulary_model.h"

namespace lithe::tokenize {

// Byte-pair encoding as the `tokenizers` library means it: the pair of lowest rank is merged first, the leftmost of
// equal ones first. O(n log n) in the length of a piece.
class BpeModel : public VocabularyModel {
 public:
    BpeModel(const Json& json, bool byte_words, const SpecialTokens& special, const std::string& source);
    void encode(std::string_view piece, std::vector<int32_t>& ids, Workspace& work) const override;
    int32_t unknown() const override { return unknown_; }

 private:
    void read_merges(const Json& merges, const std::string& source);
    void start(std::string_view piece, Workspace& work) const;
    void start_with(std::string_view symbol, bool first, bool last, Workspace& work, bool& unknown) const;
    void merge_short(std::vector<int32_t>& symbols, std::vector<uint32_t>& ranks) const;
    void merge_long(Workspace& work) const;

    FlatMap merges_;                                  // (left, right) -> (rank, merged)
    std::array<int32_t, 256> byte_ids_{};             // byte_words: the symbol of each byte
    std::array<int32_t, 256> fallback_ids_{};         // <0x00> ..., -1 where missing
    std::unordered_map<std::string, int32_t> whole_;  // ignore_merges: pieces that are tokens
    std::string prefix_, suffix_;
    int32_t unknown_ = -1;
    bool byte_words_ = false, fuse_unknown_ = false, byte_fallback_ = false, ignore_merges_ = false;
};

}  // namespace lithe::tokenize
