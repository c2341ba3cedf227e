// The parts of a corpus with their splits decided, in order: what both the training of a tokenizer and the encoding
// read.
#pragma once

#include <functional>
#include <memory>

#include "lithe/data/documents.h"
#include "lithe/data/duplicates.h"

namespace lithe {

struct CorpusSize {
    uint64_t documents = 0, bytes = 0;
    bool cut = false;                    // whole documents would leave a split empty: they are cut at its border
    NamedBy members = NamedBy::nothing;  // of an archive: their names say the splits
};

class CorpusReader {
 public:
    // `exact_cuts`: cut a single document at the exact byte, as byte-level corpora are (else at the next character).
    CorpusReader(const DataConfig& config, bool exact_cuts, std::stop_token stop = {});

    // Counts what there is: one pass over the input, unless file sizes tell. Called by read() where splits need it.
    const CorpusSize& size(bool progress);
    void set_size(const CorpusSize& size) { size_ = std::make_unique<CorpusSize>(size); }
    bool needs_size() const { return by_bytes_; }
    uint64_t input_bytes() const { return input_bytes_; }  // on disk
    bool plain() const { return plain_; }                  // nothing is packed: input bytes are text bytes

    // Every part with split 0, 1 or 2, duplicates left out.
    void read(const std::function<void(const DocumentPart&)>& use);
    // Of the last read(), for people; empty when nothing was looked for.
    std::string removed() const;
    // How the text was divided by the last read(), and what was left out of it, for people.
    std::string division() const;

 private:
    void count(bool progress);
    int split_of(const DocumentPart& part, uint64_t offset) const;
    DataConfig config_;
    SplitRule rule_;
    Listing listing_;
    DocumentStatistics read_;  // of the last read()
    std::stop_token stop_;
    bool exact_cuts_, by_bytes_ = false, plain_ = true;
    uint64_t input_bytes_ = 0;
    std::unique_ptr<CorpusSize> size_;
    std::array<uint64_t, 2> borders_{};  // in bytes of text: where valid and test begin
    std::unique_ptr<DuplicateFinder> duplicates_;
    uint64_t removed_bytes_ = 0;
};

}  // namespace lithe
