#include "lithe/tokenize/charsmap.h"

#include <utf8proc.h>

#include <cstring>
#include <optional>
#include <vector>

#include "lithe/base/error.h"
#include "lithe/tokenize/base64.h"
#include "lithe/tokenize/unicode.h"

namespace lithe::tokenize {
namespace {

// A unit of Darts-clone's double array.
bool has_leaf(uint32_t unit) { return unit >> 8 & 1; }
uint32_t value_of(uint32_t unit) { return unit & 0x7FFFFFFF; }
uint32_t label_of(uint32_t unit) { return unit & 0x800000FF; }
uint32_t offset_of(uint32_t unit) { return unit >> 10 << ((unit & 0x200) >> 6); }

class Charsmap : public Normalizer {
 public:
    Charsmap(std::vector<uint32_t> trie, std::string strings) : trie_(std::move(trie)), strings_(std::move(strings)) {}

    std::string apply(std::string_view text) const override {
        std::string out;
        for (size_t at = 0, end; at < text.size(); at = end) {
            end = grapheme_end(text, at);
            const std::string_view cluster = text.substr(at, end - at);
            std::optional<std::string_view> mapped;
            if (cluster.size() < 6) mapped = find(cluster);
            if (mapped) out += *mapped;
            else append_each(out, cluster);
        }
        return out;
    }

 private:
    void append_each(std::string& out, std::string_view cluster) const {
        for (size_t at = 0; at < cluster.size();) {
            const std::string_view part = cluster.substr(at, length_at(cluster, at));
            out += find(part).value_or(part);
            at += part.size();
        }
    }
    static size_t grapheme_end(std::string_view text, size_t at) {
        utf8proc_int32_t state = 0;
        CodePoint c = decode_at(text, at);
        for (;;) {
            at += c.length;
            if (at >= text.size() || c.bad()) return at;
            const CodePoint next = decode_at(text, at);
            if (next.bad() ||
                utf8proc_grapheme_break_stateful(utf8proc_int32_t(c.value), utf8proc_int32_t(next.value), &state))
                return at;
            c = next;
        }
    }
    // The string of the shortest entry that `key` begins with.
    std::optional<std::string_view> find(std::string_view key) const {
        if (trie_.empty()) return std::nullopt;
        size_t node = offset_of(trie_[0]);
        for (char byte : key) {
            const auto c = static_cast<unsigned char>(byte);
            if (c == 0) return std::nullopt;
            node ^= c;
            if (node >= trie_.size() || label_of(trie_[node]) != c) return std::nullopt;
            const bool leaf = has_leaf(trie_[node]);
            node ^= offset_of(trie_[node]);
            if (!leaf) continue;
            if (node >= trie_.size() || value_of(trie_[node]) >= strings_.size()) return std::nullopt;
            return std::string_view(strings_.c_str() + value_of(trie_[node]));
        }
        return std::nullopt;
    }
    std::vector<uint32_t> trie_;
    std::string strings_;
};

}  // namespace

std::unique_ptr<Normalizer> make_charsmap(const std::string& base64, const std::string& source) {
    const std::string blob = decode_base64(base64, source);
    uint32_t size = 0;
    if (blob.size() >= 4) std::memcpy(&size, blob.data(), 4);
    if (blob.size() < 4 || size > blob.size() - 4 || size % 4 != 0)
        fail_file("the precompiled character map is damaged: its trie has " + std::to_string(size) + " of " +
                      std::to_string(blob.size()) + " bytes",
                  source);
    std::vector<uint32_t> trie(size / 4);
    std::memcpy(trie.data(), blob.data() + 4, size);
    return std::make_unique<Charsmap>(std::move(trie), blob.substr(4 + size));
}

}  // namespace lithe::tokenize
