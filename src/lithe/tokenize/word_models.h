#pragma once

#include "lithe/tokenize/vocabulary_model.h"

namespace lithe::tokenize {

// Whole words; others are the unknown token.
class WordLevelModel : public VocabularyModel {
 public:
    WordLevelModel(const Json& json, const SpecialTokens& special, const std::string& source);
    void encode(std::string_view piece, std::vector<int32_t>& ids, Workspace& work) const override;
    int32_t unknown() const override { return unknown_; }

 private:
    SpecialTokens special_;
    int32_t unknown_ = -1;
};

// Greedy: the longest known piece from the left; a word with a part that is not known is the unknown token as a whole.
class WordPieceModel : public VocabularyModel {
 public:
    WordPieceModel(const Json& json, const SpecialTokens& special, const std::string& source);
    void encode(std::string_view piece, std::vector<int32_t>& ids, Workspace& work) const override;
    int32_t unknown() const override { return unknown_; }

 private:
    SpecialTokens special_;
    std::string prefix_;
    int64_t longest_ = 100;  // characters
    int32_t unknown_ = -1;
};

}  // namespace lithe::tokenize
