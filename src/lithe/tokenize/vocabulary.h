// Tokens by id and ids by token, and an open-addressing table for the pairs and tries of the models.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace lithe::tokenize {

using Json = nlohmann::ordered_json;

// Strings by id. Ids may have gaps (added tokens fill them).
class Vocabulary {
 public:
    // {"token": id}; throws bad_file for negative, huge or repeated ids.
    static Vocabulary from_object(const Json& json, const std::string& source);
    void add(std::string token, int64_t id, const std::string& source);
    std::optional<int32_t> find(std::string_view token) const;
    std::string_view token(int64_t id) const {
        return id >= 0 && id < size() ? std::string_view(tokens_[size_t(id)]) : std::string_view();
    }
    int64_t size() const { return int64_t(tokens_.size()); }

 private:
    struct Hash {
        using is_transparent = void;
        size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
    };
    std::vector<std::string> tokens_;
    std::unordered_map<std::string, int32_t, Hash, std::equal_to<>> ids_;
};

// uint64 keys to 64-bit values; keys are never ~0.
class FlatMap {
 public:
    explicit FlatMap(size_t expected = 0);
    void insert(uint64_t key, uint64_t value);  // keeps the first value of a key
    const uint64_t* find(uint64_t key) const {
        for (size_t at = slot(key);; at = (at + 1) & mask_) {
            if (keys_[at] == key) return &values_[at];
            if (keys_[at] == kEmpty) return nullptr;
        }
    }
    size_t size() const { return size_; }

 private:
    static constexpr uint64_t kEmpty = ~uint64_t(0);
    size_t slot(uint64_t key) const { return size_t((key * 0x9E3779B97F4A7C15ull) >> 20) & mask_; }
    void grow();
    std::vector<uint64_t> keys_, values_;
    size_t mask_ = 0, size_ = 0;
};

}  // namespace lithe::tokenize
