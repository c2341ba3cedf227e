// Token files of other programs:
//   raw       16-, 32- or 64-bit ids, no header; nanoGPT's have 16 bits
//   llm.c     256 32-bit words of header (magic 20240520, version 1: 16-bit ids; 20240801, 7: 32-bit ids), then ids
//   Megatron  ids in NAME.bin, and NAME.idx with type, sequence lengths and document bounds
// All are little-endian. Sizes are checked before use. Without a header the width is told by the zeros that wide ids
// have in their upper halves; a file in doubt is refused.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lithe/base/file.h"

namespace lithe {

enum class ForeignKind { raw, llmc, megatron };

class ForeignTokens {
 public:
    // `kind`: "auto" (Megatron where the .idx is there, llm.c by its magic, else raw ids of the width that they show),
    // "nanogpt" (16 bits, whatever they look like), "uint32", "uint64", "llm.c", "megatron".
    ForeignTokens(const std::string& path, const std::string& kind);
    // The same on bytes in memory, for fuzzing; `index` only for Megatron.
    ForeignTokens(std::span<const std::byte> data, std::span<const std::byte> index, ForeignKind kind,
                  std::string name);

    ForeignKind kind() const { return kind_; }
    int width() const { return width_; }  // bytes of an id
    uint64_t size() const { return tokens_; }
    // First tokens of documents, rising; empty where the file does not say.
    const std::vector<uint64_t>& documents() const { return documents_; }
    // Throws bad_file for ids below 0 or above 2^31 - 1.
    void read(uint64_t begin, uint64_t count, int32_t* out) const;

 private:
    void parse_llmc();
    void parse_megatron(std::span<const std::byte> index);
    void take_raw(const std::string& kind);
    void take_rest(uint64_t offset, int width, bool is_signed);
    std::unique_ptr<MappedFile> file_, index_file_;
    std::span<const std::byte> data_;
    std::string name_;
    ForeignKind kind_ = ForeignKind::raw;
    uint64_t offset_ = 0, tokens_ = 0;
    int width_ = 2;  // bytes of an id
    bool signed_ = false;
    std::vector<uint64_t> documents_;
};

}  // namespace lithe
