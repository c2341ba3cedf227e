// Lithe's token file: any number of tokens, memory-mapped, with checksums, splits, document offsets and the tokenizer
// inside. The byte layout is in docs/file_formats.md.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lithe/base/file.h"

namespace lithe {

struct TokenSplit {
    std::string name;             // "train", "valid", "test"
    uint64_t begin = 0, end = 0;  // in tokens
    uint64_t bytes = 0;           // of the text that these tokens stand for
};

struct TokenFileInfo {
    int token_bytes = 1;  // 1, 2 or 4
    uint64_t tokens = 0;
    int64_t vocabulary_size = 0;
    std::string tokenizer;  // JSON text
    std::string tokenizer_hash;
    std::vector<TokenSplit> splits;
    std::string source;           // words for people: what it was made from
    std::vector<int32_t> labels;  // of each document; empty: none
};

// Writes data in one pass with bounded memory, to a temporary file that finish() renames into place.
class TokenFileWriter {
 public:
    TokenFileWriter(std::string path, int token_bytes);
    ~TokenFileWriter();
    void append(const void* tokens, uint64_t count);
    void start_document();  // the next token begins a document
    uint64_t tokens() const { return tokens_; }
    // info.tokens and info.token_bytes are filled in here. Returns the file's root (TokenFile::root).
    std::string finish(TokenFileInfo info);

 private:
    void flush_block();
    std::string path_, temporary_;
    std::unique_ptr<FileWriter> writer_;
    int token_bytes_;
    uint64_t tokens_ = 0;
    std::string block_;
    std::vector<uint64_t> checksums_, documents_;
};

class TokenFile {
 public:
    // Checks header, trailer and all sizes; throws bad_file with the offset in words otherwise.
    explicit TokenFile(const std::string& path);
    // The same on bytes in memory, for fuzzing; nothing is copied.
    TokenFile(std::span<const std::byte> bytes, std::string name);

    const TokenFileInfo& info() const { return info_; }
    std::span<const uint64_t> documents() const { return documents_; }
    const std::string& name() const { return name_; }
    // Hash of the header, which seals header, trailer, tables and, through the block checksums, every token.
    const std::string& root() const { return root_; }
    // Copies tokens [begin, begin + count) after checking the checksums of the blocks they lie in (once per block) and
    // that every id is below the vocabulary size.
    void read(uint64_t begin, uint64_t count, int64_t* out) const;
    // Every checksum and every id.
    void verify() const;

    static bool looks_like(const std::string& path);

 private:
    void parse();
    void check_blocks(uint64_t first_byte, uint64_t last_byte) const;
    std::unique_ptr<MappedFile> file_;
    std::span<const std::byte> bytes_;
    std::string name_, root_;
    TokenFileInfo info_;
    uint64_t data_offset_ = 0, data_bytes_ = 0;
    std::span<const uint64_t> checksums_, documents_;
    mutable std::unique_ptr<std::atomic<bool>[]> checked_;  // blocks; read from several threads
};

}  // namespace lithe
