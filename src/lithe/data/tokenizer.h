// Text to token ids and back. Bytes only so far: every byte value is a token, or those that a corpus uses, in order
// (the enwik8 convention of the SRU++ and Transformer-XL recipes).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lithe {

class Tokenizer {
 public:
    Tokenizer();                                            // all 256 byte values
    explicit Tokenizer(const std::array<bool, 256>& used);  // those that are used
    static Tokenizer from_json(std::string_view text, const std::string& source);

    int64_t vocabulary_size() const { return int64_t(bytes_.size()); }
    // Throws a usage error that names the first byte outside the vocabulary.
    std::vector<int64_t> encode(std::string_view text) const;
    std::string decode(const std::vector<int64_t>& ids) const;
    char byte_of(int64_t id) const { return char(bytes_[size_t(id)]); }
    int id_of(unsigned char byte) const { return ids_[byte]; }  // -1: not in the vocabulary
    std::string to_json() const;
    std::string hash() const;  // of to_json()

 private:
    void number();
    std::vector<unsigned char> bytes_;
    std::array<int, 256> ids_{};
};

}  // namespace lithe
