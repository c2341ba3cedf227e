// A corpus: text on disk seen as tokens in the splits train, valid, test. A plain file read as bytes is memory-mapped
// as it is; everything else is turned into a token set once (kept in the cache folder, found again by paths, sizes,
// times and settings).
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "lithe/data/token_view.h"
#include "lithe/spec/config.h"
#include "lithe/tokenize/tokenizer.h"

namespace lithe {

struct CorpusSplit {
    std::string name;
    std::shared_ptr<const TokenView> tokens;
};

// One of data.sources, or the corpus itself.
struct CorpusSource {
    std::string name;
    double share = 1;  // of what is fed; relative
    std::shared_ptr<const TokenView> train;
};

// "2 * PATH" or "PATH" (weight 0: by size), an entry of data.sources.
std::pair<double, std::string> parse_source(const std::string& entry);

class Corpus {
 public:
    // `tokenizer`: read the text with this one instead of what the configuration names; a token set must have been made
    // with it. Throws: bad_file for missing, empty or damaged input, usage for settings that do not fit, stopped when a
    // stop is asked for.
    static Corpus open(const DataConfig& config, TokenizerPtr tokenizer = nullptr, std::stop_token stop = {});

    const Tokenizer& tokenizer() const { return *tokenizer_; }
    // Throws when the corpus has no such split or it is empty.
    const TokenView& split(const std::string& name) const;
    bool has(const std::string& name) const;  // with at least 2 tokens
    const std::vector<CorpusSplit>& splits() const { return splits_; }
    // What training draws from; the split "train" is all of it in a row.
    const std::vector<CorpusSource>& sources() const { return sources_; }
    // Identifies content: a hash of the tokenizer and of every token, whatever file they stand in. Reads all of them at
    // the first call. Travels with checkpoints.
    const std::string& fingerprint() const;
    // What stood in checkpoints before: sizes and three samples of each split.
    std::string sampled_fingerprint() const;
    // How the text was divided and what was left out, for people; open() says it once.
    const std::string& division() const { return division_; }
    // Whether this is the fingerprint, of either kind.
    bool is(const std::string& fingerprint) const;

 private:
    TokenizerPtr tokenizer_;
    std::vector<CorpusSplit> splits_;
    std::vector<CorpusSource> sources_;
    mutable std::string fingerprint_;
    std::string division_;
    friend class CorpusBuilder;
};

}  // namespace lithe
