// Tensors that units of a stack hand to later ones beside x: an encoder's output, the first layer's values, a second
// stream. Who reads or writes what is declared by block kinds (BlockTraits) and checked when a stack is built.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "lithe/ops/torch.h"

namespace lithe {

// Two keys of one name are the same.
struct BagKey {
    const char* name = "";
    bool operator==(const BagKey& other) const { return std::strcmp(name, other.name) == 0; }
};

class Bag {
 public:
    // Undefined: there is none.
    Tensor get(const BagKey& key) const {
        const auto found =
            std::find_if(list_.begin(), list_.end(), [&](const Entry& each) { return each.first == key; });
        return found == list_.end() ? Tensor() : found->second;
    }
    // Replaces what stands under the key.
    void put(const BagKey& key, Tensor value) {
        const auto found =
            std::find_if(list_.begin(), list_.end(), [&](const Entry& each) { return each.first == key; });
        if (found == list_.end()) list_.emplace_back(key, std::move(value));
        else found->second = std::move(value);
    }
    // Takes all entries of another.
    void put(const Bag& other) {
        for (const auto& [key, value] : other.list_) put(key, value);
    }
    bool empty() const { return list_.empty(); }
    using Entry = std::pair<BagKey, Tensor>;
    const std::vector<Entry>& entries() const { return list_; }
    std::vector<Entry>& entries() { return list_; }

 private:
    std::vector<Entry> list_;
};

// The encoder's output [S][B][D] and which of its positions are padding, [B][S] uint8 (undefined: none).
inline constexpr BagKey kSource{"the encoder's output"};
inline constexpr BagKey kSourcePadding{"the encoder's padding"};

}  // namespace lithe
