// A corpus: text on disk seen as tokens in the splits train, valid, test. A plain file is memory-mapped as it is;
// folders and compressed files are turned into a token file once (kept in the cache folder, found again by path, size
// and time).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lithe/data/tokenizer.h"
#include "lithe/formats/token_file.h"
#include "lithe/spec/config.h"

namespace lithe {

// A run of tokens that can be read at any place. Thread-compatible.
class TokenView {
 public:
    virtual ~TokenView() = default;
    virtual uint64_t size() const = 0;
    virtual void read(uint64_t begin, uint64_t count, int64_t* out) const = 0;
    virtual uint64_t bytes() const = 0;  // of the text that the tokens stand for
};

struct CorpusSplit {
    std::string name;
    std::shared_ptr<const TokenView> tokens;
};

class Corpus {
 public:
    // Throws: bad_file for missing, empty or damaged input, usage for settings that do not fit.
    static Corpus open(const DataConfig& config);

    const Tokenizer& tokenizer() const { return tokenizer_; }
    // Throws when the corpus has no such split or it is empty.
    const TokenView& split(const std::string& name) const;
    bool has(const std::string& name) const;  // with at least 2 tokens
    const std::vector<CorpusSplit>& splits() const { return splits_; }
    // Identifies content cheaply: hash of paths, sizes and a sample of the bytes. Travels with checkpoints.
    const std::string& fingerprint() const { return fingerprint_; }

 private:
    Tokenizer tokenizer_;
    std::vector<CorpusSplit> splits_;
    std::string fingerprint_;
    friend class CorpusBuilder;
};

// Makes a token file of what `config` names. Returns what it holds. Bounded memory; the disk space is checked before.
TokenFileInfo prepare_tokens(const DataConfig& config, const std::string& output, bool show_progress);

// "90/5/5" -> the three shares; throws a usage error for anything else.
std::array<double, 3> parse_split(const std::string& split);

// All regular files below a folder, sorted by path, links not followed, filtered by patterns on the relative path.
std::vector<std::string> list_files(const std::string& folder, const std::vector<std::string>& include,
                                    const std::vector<std::string>& exclude);

}  // namespace lithe
