#pragma once

#include "lithe/tokenize/model.h"
#include "lithe/tokenize/vocabulary.h"

namespace lithe::tokenize {

// Whole words; others are the unknown token.
class WordLevelModel : public Model {
 public:
    WordLevelModel(const Json& json, const SpecialTokens& special, const std::string& source);
    void encode(std::string_view piece, std::vector<int32_t>& ids, Workspace& work) const override;
    int64_t size() const override { return vocabulary_.size(); }
    std::string_view token(int64_t id) const override { return vocabulary_.token(id); }
    std::optional<int32_t> find(std::string_view token) const override { return vocabulary_.find(token); }

 private:
    Vocabulary vocabulary_;
    SpecialTokens special_;
    int32_t unknown_ = -1;
};

// Greedy: the longest known piece from the left; a word with a part that is not known is the unknown token as a whole.
class WordPieceModel : public Model {
 public:
    WordPieceModel(const Json& json, const SpecialTokens& special, const std::string& source);
    void encode(std::string_view piece, std::vector<int32_t>& ids, Workspace& work) const override;
    int64_t size() const override { return vocabulary_.size(); }
    std::string_view token(int64_t id) const override { return vocabulary_.token(id); }
    std::optional<int32_t> find(std::string_view token) const override { return vocabulary_.find(token); }

 private:
    Vocabulary vocabulary_;
    SpecialTokens special_;
    std::string prefix_;
    int64_t longest_ = 100;  // characters
    int32_t unknown_ = -1;
};

}  // namespace lithe::tokenize
