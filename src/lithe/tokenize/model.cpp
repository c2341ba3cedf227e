#include "lithe/tokenize/model.h"

#include <cstdio>

#include "lithe/tokenize/bpe.h"
#include "lithe/tokenize/json_fields.h"
#include "lithe/tokenize/unigram.h"
#include "lithe/tokenize/word_models.h"

namespace lithe::tokenize {
namespace {

// Files written before the library named types: told apart by their keys.
std::string model_type(const Json& json, const std::string& source) {
    if (!json.is_object()) fail_file("the model is no JSON object", source);
    if (json.contains("type")) return type_of(json, "model", source);
    if (json.contains("merges")) return "BPE";
    if (json.contains("continuing_subword_prefix")) return "WordPiece";
    return json.contains("vocab") && json["vocab"].is_array() ? "Unigram" : "WordLevel";
}

}  // namespace

std::string byte_token(int byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", unsigned(byte) & 0xFF);
    return name;
}

std::unique_ptr<Model> make_model(const Json& json, bool byte_words, const SpecialTokens& special,
                                  const std::string& source) {
    const std::string type = model_type(json, source);
    if (type == "BPE") return std::make_unique<BpeModel>(json, byte_words, special, source);
    if (type == "Unigram") return std::make_unique<UnigramModel>(json, special, source);
    if (type == "WordPiece") return std::make_unique<WordPieceModel>(json, special, source);
    if (type == "WordLevel") return std::make_unique<WordLevelModel>(json, special, source);
    unsupported("model", type, source);
}

}  // namespace lithe::tokenize
