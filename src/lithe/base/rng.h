// Counter-based random numbers: value i of stream `key` is a pure function of (key, i), so that order of use, resume,
// recomputation and the device do not change it. The mixer is SplitMix64's finalizer (Steele, Lea, Flood 2014) applied
// twice with the key folded in between.
#pragma once

#include <cstdint>
#include <string_view>

namespace lithe {

inline uint64_t mix64(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

// 64 random bits number `index` of stream `key`.
inline uint64_t random_bits(uint64_t key, uint64_t index) { return mix64(mix64(index + 0x9E3779B97F4A7C15ull) ^ key); }

// Uniform in [0, 1), 53 bits.
inline double random_unit(uint64_t key, uint64_t index) { return double(random_bits(key, index) >> 11) * 0x1.0p-53; }

// A key for a sub-stream; the chain combine(combine(seed, a), b) names streams by a path.
inline uint64_t combine_key(uint64_t key, uint64_t part) {
    return mix64(key * 0x9E3779B97F4A7C15ull + mix64(part + 0x632BE59BD9B4E019ull));
}

inline uint64_t combine_key(uint64_t key, std::string_view part) {
    uint64_t hash = 0xCBF29CE484222325ull;  // FNV-1a
    for (char c : part) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
    return combine_key(key, hash);
}

}  // namespace lithe
