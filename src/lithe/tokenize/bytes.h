#pragma once

#include <array>

#include "lithe/tokenize/json_fields.h"
#include "lithe/tokenize/tokenizer.h"

namespace lithe::tokenize {

// {"kind": "bytes", "bytes": [10, 32, ...]}: the byte values that are tokens, rising.
class ByteTokenizer : public Tokenizer {
 public:
    ByteTokenizer();                                            // all 256 byte values
    explicit ByteTokenizer(const std::array<bool, 256>& used);  // those that are used

    std::string kind() const override { return "bytes"; }
    int64_t vocabulary_size() const override { return int64_t(bytes_.size()); }
    // Throws a usage error that names the first byte outside the vocabulary.
    using Tokenizer::decode;
    using Tokenizer::encode;
    void encode(std::string_view text, std::vector<int32_t>& ids, SpecialText special) const override;
    std::string decode(std::span<const int32_t> ids) const override;
    bool lossless() const override { return true; }
    uint64_t text_bytes(int32_t id) const override {
        check_id(id);
        return 1;
    }
    std::string to_json() const override;
    int32_t id_of(unsigned char byte) const { return ids_[byte]; }  // -1: not in the vocabulary

 private:
    void number();
    std::vector<unsigned char> bytes_;
    std::array<int32_t, 256> ids_{};
};

TokenizerPtr read_bytes(const Json& json, const std::string& source);

}  // namespace lithe::tokenize
