// Between the readers of formats and those who take documents: any pieces in, parts of bounded size out.
#pragma once

#include <algorithm>
#include <functional>

#include "lithe/base/error.h"
#include "lithe/data/documents.h"

namespace lithe {

// Takes whole documents or pieces of them, gives parts of bounded size.
class PartEmitter {
 public:
    // `use` must outlive it.
    PartEmitter(const std::function<void(const DocumentPart&)>& use, ReadOptions options)
        : use_(use),
          options_(std::move(options)) {}
    int split = -1;
    bool second = false;
    uint64_t input_bytes = 0;
    DocumentStatistics statistics;

    const ReadOptions& options() const { return options_; }
    // Throws when a stop is asked for; `where` is what is being read.
    void check_stop(const std::string& where) const {
        if (options_.stop.stop_requested())
            fail({.kind = ErrorKind::stopped, .what = "stopped while reading data", .where = where});
    }

    // More of the current document; the first piece begins one and brings its label.
    void add(std::string_view text, std::string_view label = {}) {
        if (held_.empty() && !begun_) label_ = label;
        while (!text.empty()) {
            const size_t room = std::min(kLargestPart + kSlack - held_.size(), text.size());
            held_ += text.substr(0, room);
            text.remove_prefix(room);
            while (held_.size() > kLargestPart) give(part_length(held_, kLargestPart), false);
        }
    }
    // A whole document, or a pair of them where `second_text` is not empty; both have the label.
    void add_record(std::string_view text, std::string_view second_text, std::string_view label) {
        second = false;
        add(text, label);
        end();
        if (second_text.empty()) return;
        second = true;
        add(second_text, label);
        end();
        second = false;
    }
    void end() {
        if (!held_.empty()) give(held_.size(), true);
        label_.clear();
    }

 private:
    static constexpr size_t kSlack = 64;  // so that the last part is never empty

    void give(size_t length, bool last) {
        std::vector<uint64_t>& cuts = options_.cuts;
        while (!cuts.empty() && statistics.bytes + length > cuts.front()) {
            size_t cut = size_t(cuts.front() - std::min(cuts.front(), statistics.bytes));
            if (!options_.exact)
                while (cut < held_.size() && (static_cast<unsigned char>(held_[cut]) & 0xC0) == 0x80) ++cut;
            cuts.erase(cuts.begin());
            if (cut == 0 || cut >= length) continue;
            give_one(cut, false);
            length -= cut;
        }
        give_one(length, last);
    }
    void give_one(size_t length, bool last) {
        DocumentPart part{std::string_view(held_).substr(0, length), !begun_, last, split, second, {}, input_bytes};
        if (!begun_) {
            part.label = label_;
            ++statistics.documents;
        }
        statistics.bytes += length;
        begun_ = !last;
        use_(part);
        held_.erase(0, length);
    }
    const std::function<void(const DocumentPart&)>& use_;
    ReadOptions options_;
    std::string held_;
    std::string label_;
    bool begun_ = false;
};

}  // namespace lithe
