// Remembers the ids of short pieces, most of which come again and again. Fixed size, one per thread; a newer piece
// takes the place of an older one with the same slot.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace lithe::tokenize {

class PieceCache {
 public:
    static constexpr size_t kLongest = 22;  // bytes
    static constexpr size_t kMostIds = 9;

    PieceCache() : entries_(size_t(1) << kBits) {}
    void clear() { entries_.assign(entries_.size(), Entry()); }

    struct Key {
        uint64_t word[3] = {0, 0, 0};
        size_t slot = 0;
    };
    // The piece has 1 to kLongest bytes.
    static Key key_of(std::string_view piece) {
        Key key;
        std::memcpy(key.word, piece.data(), piece.size());
        key.word[2] |= uint64_t(piece.size()) << 56;
        uint64_t h = key.word[0] * 0x9E3779B97F4A7C15ull ^ key.word[1] * 0xC2B2AE3D27D4EB4Full ^
                     key.word[2] * 0x165667B19E3779F9ull;
        h ^= h >> 29;
        key.slot = size_t((h * 0xBF58476D1CE4E5B9ull) >> (64 - kBits));
        return key;
    }
    // Appends the ids and says true, where the piece is known.
    bool find(const Key& key, std::vector<int32_t>& ids) const {
        const Entry& entry = entries_[key.slot];
        if (std::memcmp(entry.word, key.word, sizeof key.word) != 0) return false;
        ids.insert(ids.end(), entry.ids, entry.ids + entry.count);
        return true;
    }
    void store(const Key& key, const int32_t* ids, size_t count) {
        if (count > kMostIds) return;
        Entry& entry = entries_[key.slot];
        std::memcpy(entry.word, key.word, sizeof key.word);
        std::copy_n(ids, count, entry.ids);
        entry.count = int32_t(count);
    }

 private:
    static constexpr int kBits = 16;  // of 64 bytes each: 4 MiB
    struct Entry {
        uint64_t word[3] = {0, 0, 0};
        int32_t count = 0;
        int32_t ids[kMostIds] = {};
    };
    static_assert(sizeof(Entry) == 64);
    std::vector<Entry> entries_;
};

}  // namespace lithe::tokenize
