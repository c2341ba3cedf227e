#pragma once

#include <array>

#include "lithe/tokenize/model.h"
#include "lithe/tokenize/vocabulary.h"

namespace lithe::tokenize {

// The segmentation of highest total log probability (Viterbi), Kudo 2018, section 3.2. A character that no token covers
// costs 10 nats more than the least probable token, as in SentencePiece; runs of such characters are one unknown token.
class UnigramModel : public Model {
 public:
    UnigramModel(const Json& json, const SpecialTokens& special, const std::string& source);
    void encode(std::string_view piece, std::vector<int32_t>& ids, Workspace& work) const override;
    int32_t unknown() const override { return unknown_; }
    int64_t size() const override { return int64_t(tokens_.size()); }
    std::string_view token(int64_t id) const override {
        return id >= 0 && id < size() ? std::string_view(tokens_[size_t(id)]) : std::string_view();
    }
    std::optional<int32_t> find(std::string_view token) const override;

 private:
    void add_to_trie(std::string_view token, int32_t id);
    void search(std::string_view piece, Workspace& work) const;
    void emit(std::string_view unknown, std::vector<int32_t>& ids) const;

    std::vector<std::string> tokens_;
    std::vector<double> scores_;
    FlatMap children_;               // (node << 8 | byte) -> node
    std::vector<int32_t> leaf_{-1};  // token that ends at a node, -1 for none
    std::unordered_map<std::string, int32_t> ids_;
    std::array<int32_t, 256> fallback_ids_{};
    double unknown_score_ = 0;
    int32_t unknown_ = -1;
    bool byte_fallback_ = false;
};

}  // namespace lithe::tokenize
