#include "lithe/data/corpus_reader.h"

#include <algorithm>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/log.h"
#include "lithe/base/rng.h"
#include "lithe/base/text.h"
#include "lithe/base/timer.h"
#include "lithe/formats/packed.h"

namespace lithe {
namespace {

constexpr size_t kLargestCompared = size_t(64) << 20;  // longer documents are never duplicates

// Holds a document back until it is whole and known to be new.
class WithoutDuplicates {
 public:
    WithoutDuplicates(DuplicateFinder& finder, const std::function<void(const DocumentPart&)>& use, uint64_t& removed)
        : finder_(finder),
          use_(use),
          removed_(removed) {}
    void take(const DocumentPart& part) {
        if (part.begins) through_ = false;
        if (through_) return use_(part);
        held_.push_back({std::string(part.text), std::string(part.label), part});
        bytes_ += part.text.size();
        if (!part.ends && bytes_ <= kLargestCompared) return;
        through_ = !part.ends;
        if (through_ || !finder_.seen(whole())) release();
        else removed_ += bytes_;
        held_.clear();
        bytes_ = 0;
    }

 private:
    struct Held {
        std::string text, label;
        DocumentPart part;
    };
    std::string_view whole() {
        if (held_.size() == 1) return held_[0].text;
        joined_.clear();
        for (const Held& each : held_) joined_ += each.text;
        return joined_;
    }
    void release() {
        for (Held& each : held_) {
            each.part.text = each.text;
            each.part.label = each.label;
            use_(each.part);
        }
    }
    DuplicateFinder& finder_;
    const std::function<void(const DocumentPart&)>& use_;
    uint64_t& removed_;
    std::vector<Held> held_;
    std::string joined_;
    size_t bytes_ = 0;
    bool through_ = false;
};

}  // namespace

CorpusReader::CorpusReader(const DataConfig& config, bool exact_cuts)
    : config_(config),
      rule_(parse_split(config.split)),
      inputs_(list_inputs(config)),
      exact_cuts_(exact_cuts) {
    if (inputs_.empty())
        fail_usage("no data is named", "data.path",
                   "add to the configuration, or to the command line: --set data.path=FILE");
    if (rule_.by == SplitBy::files && inputs_[0].split < 0)
        fail_usage("data.split = \"files\" needs a folder", config.path);
    if (!config.parallel.empty() && config.deduplicate != "none")
        fail_usage("data.deduplicate cannot look at pairs of documents", "data.parallel", "remove one of the two");
    by_bytes_ = rule_.by == SplitBy::bytes && inputs_[0].split < 0;
    for (const Input& input : inputs_) {
        input_bytes_ += file_size(input.path);
        plain_ = plain_ && PackedFile::kind_of(input.path) == PackedKind::plain;
    }
}

const CorpusSize& CorpusReader::size(bool progress) {
    if (size_) return *size_;
    size_ = std::make_unique<CorpusSize>();
    if (inputs_.size() == 1 && files_are_documents(config_, inputs_)) return *size_ = {1, input_bytes_};
    Timer timer;
    double shown = 0;
    const auto statistics = read_documents(config_, inputs_, [&](const DocumentPart& part) {
        if (!progress || timer.seconds() < shown + 0.5) return;
        shown = timer.seconds();
        log_progress("counting " + format_bytes(double(part.input_bytes)) + ", " +
                     format_bytes(double(part.input_bytes) / shown) + "/s");
    });
    log_progress("");
    *size_ = {statistics.documents, statistics.bytes};
    return *size_;
}

int CorpusReader::split_of(const DocumentPart& part, uint64_t offset) const {
    if (part.split >= 0) return part.split;
    if (by_bytes_) return offset < borders_[0] ? 0 : offset < borders_[1] ? 1 : 2;
    // by document: a number in [0, 1) from its beginning
    const double place = random_unit(hash_bytes(part.text), 0);
    const double total = rule_.shares[0] + rule_.shares[1] + rule_.shares[2];
    return place < rule_.shares[0] / total ? 0 : place < (rule_.shares[0] + rule_.shares[1]) / total ? 1 : 2;
}

void CorpusReader::read(const std::function<void(const DocumentPart&)>& use) {
    std::vector<uint64_t> cuts;
    bool one = false;
    if (by_bytes_) {
        const CorpusSize& all = size(false);
        borders_ = split_borders(rule_.shares, all.bytes);
        one = all.documents == 1;
        if (one) cuts = {borders_[0], borders_[1]};
    }
    removed_bytes_ = 0;
    duplicates_.reset();
    if (config_.deduplicate != "none") duplicates_ = std::make_unique<DuplicateFinder>(config_.deduplicate == "near");
    std::unique_ptr<WithoutDuplicates> filter;
    if (duplicates_ && !one) filter = std::make_unique<WithoutDuplicates>(*duplicates_, use, removed_bytes_);
    uint64_t offset = 0;
    int split = 0;
    read_documents(
        config_, inputs_,
        [&](const DocumentPart& given) {
            DocumentPart part = given;
            if ((part.begins && !part.second) || one) {
                const int before = split;
                split = split_of(part, offset);
                // the pieces of a single document are documents of their splits
                part.begins = part.begins || split != before;
            }
            part.split = split;
            offset += part.text.size();
            if (filter) filter->take(part);
            else use(part);
        },
        cuts, exact_cuts_);
}

std::string CorpusReader::removed() const {
    if (!duplicates_) return "";
    std::string text = std::to_string(duplicates_->exact()) + " equal";
    if (config_.deduplicate == "near") text += " and " + std::to_string(duplicates_->near()) + " similar";
    return text + " documents of " + format_bytes(double(removed_bytes_)) + " left out";
}

}  // namespace lithe
