#include "lithe/tokenize/vocabulary.h"

#include <bit>

#include "lithe/base/error.h"
#include "lithe/base/text.h"

namespace lithe::tokenize {
namespace {

constexpr int64_t kMaximum = 1 << 24;

}  // namespace

Vocabulary Vocabulary::from_object(const Json& json, const std::string& source) {
    if (!json.is_object()) fail_file("the vocabulary is no JSON object", source);
    Vocabulary vocabulary;
    for (const auto& [token, id] : json.items()) {
        if (!id.is_number_integer())
            fail_file("the id of the token \"" + printable(token) + "\" is no whole number", source);
        vocabulary.add(token, id.get<int64_t>(), source);
    }
    return vocabulary;
}

void Vocabulary::add(std::string token, int64_t id, const std::string& source) {
    if (id < 0 || id >= kMaximum)
        fail_file("the token \"" + printable(token) + "\" has id " + std::to_string(id) + ", expected 0 to " +
                      std::to_string(kMaximum - 1),
                  source);
    if (id >= size()) tokens_.resize(size_t(id) + 1);
    if (!ids_.emplace(token, int32_t(id)).second) return;  // the first wins
    if (tokens_[size_t(id)].empty()) tokens_[size_t(id)] = std::move(token);
    else
        fail_file("the tokens \"" + printable(tokens_[size_t(id)]) + "\" and \"" + printable(token) +
                      "\" have the same id " + std::to_string(id),
                  source);
}

std::optional<int32_t> Vocabulary::find(std::string_view token) const {
    const auto found = ids_.find(token);
    return found == ids_.end() ? std::nullopt : std::optional<int32_t>(found->second);
}

FlatMap::FlatMap(size_t expected) {
    const size_t slots = std::bit_ceil(std::max<size_t>(16, expected * 2));
    keys_.assign(slots, kEmpty);
    values_.assign(slots, 0);
    mask_ = slots - 1;
}

void FlatMap::insert(uint64_t key, uint64_t value) {
    if ((size_ + 1) * 2 > keys_.size()) grow();
    size_t at = slot(key);
    while (keys_[at] != kEmpty) {
        if (keys_[at] == key) return;
        at = (at + 1) & mask_;
    }
    keys_[at] = key;
    values_[at] = value;
    ++size_;
}

void FlatMap::grow() {
    FlatMap larger(keys_.size());
    for (size_t i = 0; i < keys_.size(); ++i)
        if (keys_[i] != kEmpty) larger.insert(keys_[i], values_[i]);
    *this = std::move(larger);
}

}  // namespace lithe::tokenize
