// The models of a tokenizer.json: pieces of text to token ids.
//   BPE        merges the pair of lowest rank again and again    Sennrich et al. 2016
//   Unigram    the most probable segmentation (Viterbi)          Kudo 2018
//   WordPiece  the longest known piece from the left             Schuster and Nakajima 2012
//   WordLevel  whole words
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace lithe::tokenize {

using Json = nlohmann::ordered_json;

// The text of tokens that a model must not make out of text, even where its vocabulary holds them.
class SpecialTokens {
 public:
    void add(std::string token) { tokens_.insert(std::move(token)); }
    bool contains(std::string_view token) const { return !tokens_.empty() && tokens_.contains(token); }

 private:
    struct Hash {
        using is_transparent = void;
        size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
    };
    std::unordered_set<std::string, Hash, std::equal_to<>> tokens_;
};

// "<0x0A>": how models with byte fallback spell a byte.
std::string byte_token(int byte);

// Room that a model works in; one per thread.
struct Workspace {
    std::vector<int32_t> symbols, previous, next;
    std::vector<uint32_t> ranks;
    std::vector<std::pair<uint64_t, uint32_t>> heap;
    std::vector<double> scores;
};

class Model {
 public:
    virtual ~Model() = default;
    // Appends the ids of one piece, which is not empty.
    virtual void encode(std::string_view piece, std::vector<int32_t>& ids, Workspace& work) const = 0;
    // One more than the largest id.
    virtual int64_t size() const = 0;
    // As it stands in the file; empty for an id that is not used.
    virtual std::string_view token(int64_t id) const = 0;
    virtual std::optional<int32_t> find(std::string_view token) const = 0;
    // The token of what the vocabulary cannot express; -1: none.
    virtual int32_t unknown() const = 0;
};

// `byte_words`: pieces come as bytes, the vocabulary of the file is in GPT-2's byte alphabet. Throws bad_file naming
// what is wrong or not supported.
std::unique_ptr<Model> make_model(const Json& json, bool byte_words, const SpecialTokens& special,
                                  const std::string& source);

}  // namespace lithe::tokenize
