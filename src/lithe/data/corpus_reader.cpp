#include "lithe/data/corpus_reader.h"

#include <algorithm>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/log.h"
#include "lithe/base/rng.h"
#include "lithe/base/text.h"
#include "lithe/base/timer.h"
#include "lithe/base/wording.h"
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

CorpusReader::CorpusReader(const DataConfig& config, bool exact_cuts, std::stop_token stop)
    : config_(config),
      rule_(parse_split(config.split)),
      listing_(find_inputs(config)),
      stop_(std::move(stop)),
      exact_cuts_(exact_cuts) {
    if (listing_.inputs.empty())
        fail_usage("no data is named", "data.path",
                   "add to the configuration, or to the command line: " + setting("data.path=FILE"));
    if (rule_.by == SplitBy::files && listing_.inputs[0].split < 0)
        fail_usage("data.split = \"files\" needs a folder", config.path);
    if (has_pairs(config) && config.deduplicate != Duplicates::none)
        fail_usage("data.deduplicate cannot look at pairs of documents",
                   config.parallel.empty() ? "data.second" : "data.parallel", "remove one of the two");
    by_bytes_ = rule_.by == SplitBy::bytes && listing_.inputs[0].split < 0;
    for (const Input& input : listing_.inputs) {
        input_bytes_ += file_size(input.path);
        plain_ = plain_ && PackedFile::kind_of(input.path) == PackedKind::plain;
    }
}

// Where documents begin, as far as it takes to see whether some stretch of the text has none: thinned out when they are
// many.
class Beginnings {
 public:
    void add(uint64_t offset) {
        if (number_++ % stride_ != 0) return;
        places_.push_back(offset);
        if (places_.size() < kMost) return;
        for (size_t i = 0; i < kMost / 2; ++i) places_[i] = places_[2 * i];
        places_.resize(kMost / 2);
        stride_ *= 2;
    }
    bool any(uint64_t begin, uint64_t end) const {
        const auto first = std::lower_bound(places_.begin(), places_.end(), begin);
        return first != places_.end() && *first < end;
    }

 private:
    static constexpr size_t kMost = 8192;
    std::vector<uint64_t> places_;
    uint64_t number_ = 0, stride_ = 1;
};

const CorpusSize& CorpusReader::size(bool progress) {
    if (!size_) count(progress);
    return *size_;
}

void CorpusReader::count(bool progress) {
    size_ = std::make_unique<CorpusSize>();
    const std::vector<Input>& inputs = listing_.inputs;
    if (inputs.size() == 1 && files_are_documents(config_, inputs)) {
        *size_ = {.documents = 1, .bytes = input_bytes_ - mark_of_file(inputs[0].path)};
        return;
    }
    Timer timer;
    double shown = 0;
    uint64_t offset = 0;
    Beginnings beginnings;
    const auto tell = [&](const DocumentPart& part) {
        if (part.begins) beginnings.add(offset);
        offset += part.text.size();
        if (!progress || timer.seconds() < shown + 0.5) return;
        shown = timer.seconds();
        log_progress("counting " + format_bytes(double(part.input_bytes)) + ", " +
                     format_bytes(double(part.input_bytes) / shown) + "/s");
    };
    const auto statistics = read_documents(config_, inputs, tell, {.stop = stop_});
    log_progress("");
    *size_ = {.documents = statistics.documents, .bytes = statistics.bytes};
    if (!by_bytes_) return;
    if (inputs.size() == 1) size_->members = splits_in_names(statistics.members);
    const auto [valid, test] = split_borders(rule_.shares, size_->bytes);
    const uint64_t borders[4] = {0, valid, test, size_->bytes};
    for (size_t s = 0; s < 3; ++s)
        if (borders[s] < borders[s + 1] && !beginnings.any(borders[s], borders[s + 1])) size_->cut = true;
    // pairs stay pairs, labels are of whole documents, and duplicates are sought among these
    if (size_->documents == 1 || has_pairs(config_) || !config_.label.empty() ||
        config_.deduplicate != Duplicates::none || size_->members != NamedBy::nothing)
        size_->cut = false;
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
    ReadOptions options{.exact = exact_cuts_, .stop = stop_};
    bool cut = false;
    if (by_bytes_) {
        const CorpusSize& all = size(false);
        borders_ = split_borders(rule_.shares, all.bytes);
        options.members = all.members;
        cut = all.members == NamedBy::nothing && (all.cut || all.documents == 1);
        if (cut) options.cuts = {borders_[0], borders_[1]};
    }
    removed_bytes_ = 0;
    duplicates_.reset();
    if (config_.deduplicate != Duplicates::none)
        duplicates_ = std::make_unique<DuplicateFinder>(config_.deduplicate == Duplicates::near);
    std::unique_ptr<WithoutDuplicates> filter;
    if (duplicates_ && !cut) filter = std::make_unique<WithoutDuplicates>(*duplicates_, use, removed_bytes_);
    uint64_t offset = 0;
    int split = 0;
    read_ = read_documents(
        config_, listing_.inputs,
        [&](const DocumentPart& given) {
            DocumentPart part = given;
            if ((part.begins && !part.second) || cut) {
                const int before = split;
                split = split_of(part, offset);
                // the pieces of a document that is cut are documents of their splits
                part.begins = part.begins || split != before;
            }
            part.split = split;
            offset += part.text.size();
            if (filter) filter->take(part);
            else use(part);
        },
        options);
}

std::string CorpusReader::division() const {
    Listing listing = listing_;
    listing.left_out.add(read_.left_out);
    listing.names_passed_over = listing.names_passed_over || (by_bytes_ && names_passed_over(read_.members));
    if (size_ && size_->members != NamedBy::nothing) {
        std::array<uint64_t, 3> files{};
        for (const NamedFile& member : read_.members) ++files[size_t(split_in_name(member.name, size_->members))];
        const std::string text = division_words("by names", files);
        return listing.left_out.empty() ? text : text + "; left out: " + listing.left_out.words();
    }
    std::string text = division_words(listing, config_);
    if (size_ && size_->cut) text += "; cut at the exact places, for whole documents would leave a split without text";
    return text;
}

std::string CorpusReader::removed() const {
    if (!duplicates_) return "";
    std::string text = std::to_string(duplicates_->exact()) + " equal";
    if (config_.deduplicate == Duplicates::near) text += " and " + std::to_string(duplicates_->near()) + " similar";
    return text + " documents of " + format_bytes(double(removed_bytes_)) + " left out";
}

}  // namespace lithe
