// A token set: a folder of token files (shards) with index.json, the form in which a prepared corpus is kept. A single
// token file opens as a set of one shard. The byte layout is in docs/file_formats.md.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lithe/formats/token_file.h"

namespace lithe {

struct TokenShard {
    std::string file;  // plain name inside the folder
    uint64_t tokens = 0, bytes = 0, documents = 0;
    std::string root;  // hash of the shard's header, which seals all of it
};

struct TokenSetSplit {
    std::string name;
    uint64_t tokens = 0, bytes = 0, documents = 0;
    std::vector<TokenShard> shards;
};

struct TokenSetInfo {
    int64_t vocabulary_size = 0;
    int token_bytes = 1;
    std::string tokenizer_hash;
    std::string identity;  // of what it was made from, and how
    std::string source;    // words for people
    std::string removed;   // words for people: what was left out as duplicate
    std::string division;  // words for people: how it was divided, and what was left out
    std::vector<TokenSetSplit> splits;
    std::vector<std::string> labels;  // names of document labels by number; empty: none
    bool parallel = false;            // documents come in pairs
    uint64_t tokens() const;
};

std::string to_json(const TokenSetInfo& info);
// Throws bad_file for damage and for file names that leave the folder.
TokenSetInfo token_set_from_json(const std::string& text, const std::string& source);

// A run of tokens inside one file.
struct TokenRange {
    std::shared_ptr<const TokenFile> file;
    uint64_t begin = 0, end = 0;
};

class TokenSet {
 public:
    // A folder or a token file. Checks every header and that shards are those of the index.
    explicit TokenSet(const std::string& path);
    // Whether it is meant as a token set: finished, unfinished or damaged.
    static bool looks_like(const std::string& path);
    static bool is_finished(const std::string& path);
    // Whether a plain name is one that the making of a token set gives: its files, their temporaries, journal and lock.
    static bool is_own_file(const std::string& name);
    // "train-00002.tokens"
    static std::string shard_name(const std::string& split, size_t number);

    const TokenSetInfo& info() const { return info_; }
    const std::string& tokenizer_json() const { return tokenizer_json_; }
    const std::string& path() const { return path_; }
    // Where split number s stands, in order.
    const std::vector<TokenRange>& ranges(size_t s) const { return ranges_[s]; }
    // Every checksum and every id.
    void verify() const;

 private:
    void open_folder();
    void open_file();
    std::string path_, tokenizer_json_;
    TokenSetInfo info_;
    std::vector<std::vector<TokenRange>> ranges_;
};

}  // namespace lithe
