#include "lithe/tokenize/word_models.h"

#include "lithe/tokenize/unicode.h"

namespace lithe::tokenize {
namespace {

int32_t unknown_of(const Json& json, const Vocabulary& vocabulary, const std::string& source) {
    return vocabulary.find(field<std::string>(json, "unk_token", "", source)).value_or(-1);
}

[[noreturn]] void fail_unknown(std::string_view word) {
    fail_usage("the word \"" + printable(word) + "\" is not in the vocabulary, which has no unknown token", "text");
}

}  // namespace

WordLevelModel::WordLevelModel(const Json& json, const SpecialTokens& special, const std::string& source)
    : VocabularyModel(json, source),
      special_(special),
      unknown_(unknown_of(json, vocabulary_, source)) {}

void WordLevelModel::encode(std::string_view piece, std::vector<int32_t>& ids, Workspace&) const {
    const auto found = vocabulary_.find(piece);
    if (found && !special_.contains(piece)) return ids.push_back(*found);
    if (unknown_ < 0) fail_unknown(piece);
    ids.push_back(unknown_);
}

WordPieceModel::WordPieceModel(const Json& json, const SpecialTokens& special, const std::string& source)
    : VocabularyModel(json, source),
      special_(special),
      prefix_(field<std::string>(json, "continuing_subword_prefix", "##", source)),
      longest_(field<int64_t>(json, "max_input_chars_per_word", 100, source)),
      unknown_(unknown_of(json, vocabulary_, source)) {}

void WordPieceModel::encode(std::string_view piece, std::vector<int32_t>& ids, Workspace& work) const {
    int64_t characters = 0;
    for (size_t at = 0; at < piece.size(); at += length_at(piece, at)) ++characters;
    work.symbols.clear();
    std::string spelled;
    bool good = characters <= longest_;
    for (size_t begin = 0, end; good && begin < piece.size(); begin = end) {
        for (end = piece.size(); end > begin;) {
            spelled = begin > 0 ? prefix_ : "";
            spelled += piece.substr(begin, end - begin);
            const auto found = vocabulary_.find(spelled);
            if (found && !special_.contains(spelled)) {
                work.symbols.push_back(*found);
                break;
            }
            --end;  // to the start of the last character
            while (end > begin && (static_cast<unsigned char>(piece[end]) & 0xC0) == 0x80) --end;
        }
        good = end > begin;
    }
    if (good) {
        ids.insert(ids.end(), work.symbols.begin(), work.symbols.end());
        return;
    }
    if (unknown_ < 0) fail_unknown(piece);
    ids.push_back(unknown_);
}

}  // namespace lithe::tokenize
