#include "lithe/tokenize/characters.h"

#include <algorithm>

#include "lithe/tokenize/unicode.h"

namespace lithe::tokenize {
namespace {

constexpr uint32_t kPages = (kBadByte + 256) >> 8;

class CharacterTokenizer : public Tokenizer {
 public:
    CharacterTokenizer(std::vector<uint32_t> characters, bool unknown)
        : characters_(std::move(characters)),
          unknown_(unknown),
          page_of_(kPages, 0),
          pages_(256, -1) {
        for (size_t i = 0; i < characters_.size(); ++i) {
            uint32_t& page = page_of_[characters_[i] >> 8];
            if (page == 0) {
                page = uint32_t(pages_.size() >> 8);
                pages_.resize(pages_.size() + 256, -1);
            }
            pages_[size_t(page) << 8 | (characters_[i] & 255)] = int32_t(i + size_t(unknown_));
        }
    }
    std::string kind() const override { return "characters"; }
    int64_t vocabulary_size() const override { return int64_t(characters_.size()) + unknown_; }
    bool lossless() const override { return !unknown_; }
    std::optional<int32_t> unknown() const override { return unknown_ ? std::optional<int32_t>(0) : std::nullopt; }
    uint64_t text_bytes(int32_t id) const override {
        check_id(id);
        if (unknown_ && id == 0) return 0;
        std::string text;
        append_utf8(text, characters_[size_t(id) - size_t(unknown_)]);
        return text.size();
    }

    void encode(std::string_view text, std::vector<int32_t>& ids, SpecialText) const override {
        for (size_t at = 0; at < text.size();) {
            const CodePoint c = decode_at(text, at);
            int32_t id = pages_[size_t(page_of_[c.value >> 8]) << 8 | (c.value & 255)];
            if (id < 0 && !unknown_)
                fail_usage("the character \"" + printable(text.substr(at, c.length)) + "\" at byte " +
                               std::to_string(at) + " is not among the " + std::to_string(characters_.size()) +
                               " of this vocabulary",
                           "text", "the model was trained on text without that character");
            ids.push_back(std::max(id, 0));
            at += c.length;
        }
    }
    std::string decode(std::span<const int32_t> ids) const override {
        std::string text;
        for (int32_t id : ids) {
            check_id(id);
            if (unknown_ && id == 0) text += "\xEF\xBF\xBD";
            else append_utf8(text, characters_[size_t(id) - size_t(unknown_)]);
        }
        return text;
    }
    std::string to_json() const override {
        return Json{{"kind", "characters"}, {"unknown", unknown_}, {"characters", characters_}}.dump() + "\n";
    }

 private:
    std::vector<uint32_t> characters_;
    bool unknown_;
    std::vector<uint32_t> page_of_;  // of 256 characters each; page 0 is empty
    std::vector<int32_t> pages_;
};

}  // namespace

TokenizerPtr make_characters(std::vector<uint32_t> characters, bool unknown) {
    return std::make_shared<CharacterTokenizer>(std::move(characters), unknown);
}

TokenizerPtr read_characters(const Json& json, const std::string& source) {
    const Json& list = need(json, "characters", source);
    if (!list.is_array() || list.empty()) fail_file("a tokenizer of characters without a list of them", source);
    std::vector<uint32_t> characters;
    for (const Json& value : list) {
        if (!value.is_number_unsigned() || value.get<uint64_t>() >= kBadByte + 256 ||
            (!characters.empty() && value.get<uint64_t>() <= characters.back()))
            fail_file("the characters of a tokenizer are not rising code points", source);
        characters.push_back(value.get<uint32_t>());
    }
    return make_characters(std::move(characters), field(json, "unknown", false, source));
}

}  // namespace lithe::tokenize
