#pragma once

#include "lithe/tokenize/json_fields.h"
#include "lithe/tokenize/model.h"
#include "lithe/tokenize/vocabulary.h"

namespace lithe::tokenize {

// A model whose tokens are a plain vocabulary: {"vocab": {token: id}} of the file.
class VocabularyModel : public Model {
 public:
    int64_t size() const override { return vocabulary_.size(); }
    std::string_view token(int64_t id) const override { return vocabulary_.token(id); }
    std::optional<int32_t> find(std::string_view token) const override { return vocabulary_.find(token); }

 protected:
    VocabularyModel(const Json& json, const std::string& source)
        : vocabulary_(Vocabulary::from_object(need(json, "vocab", source), source)) {}
    Vocabulary vocabulary_;
};

}  // namespace lithe::tokenize
