#include "lithe/data/token_view.h"

#include <algorithm>

#include "lithe/base/error.h"

namespace lithe {

MappedText::MappedText(std::shared_ptr<const MappedFile> file, uint64_t begin, uint64_t end,
                       const std::array<int32_t, 256>& ids)
    : file_(std::move(file)),
      begin_(begin),
      end_(end),
      ids_(ids) {}

void MappedText::read(uint64_t begin, uint64_t count, int64_t* out) const {
    if (begin > size() || count > size() - begin)
        fail({.what = "reading beyond the end of a split", .where = file_->path()});
    file_->check_unchanged();
    const std::byte* data = file_->bytes().data() + begin_ + begin;
    for (uint64_t i = 0; i < count; ++i) {
        out[i] = ids_[size_t(data[i])];
        if (out[i] < 0)
            fail_file("byte " + std::to_string(int(data[i])) + " at offset " + std::to_string(begin_ + begin + i) +
                          " is not in the vocabulary",
                      file_->path());
    }
}

const std::vector<std::string>& TokenView::label_names() const {
    static const std::vector<std::string> none;
    return none;
}

std::vector<int64_t> read_document(const TokenView& tokens, uint64_t number) {
    const uint64_t begin = tokens.document_begin(number);
    const bool last = number + 1 == tokens.documents();
    const uint64_t end = last ? tokens.size() : tokens.document_begin(number + 1);
    std::vector<int64_t> ids(size_t(end - begin));
    if (!ids.empty()) tokens.read(begin, end - begin, ids.data());
    return ids;
}

ShardedTokens::ShardedTokens(std::vector<TokenRange> ranges, uint64_t bytes, KnownDocuments known)
    : ranges_(std::move(ranges)),
      bytes_(bytes),
      known_(std::move(known)) {
    starts_.push_back(0);
    document_starts_.push_back(0);
    for (const TokenRange& range : ranges_) {
        starts_.push_back(starts_.back() + (range.end - range.begin));
        const auto table = range.file->documents();
        const auto first = std::lower_bound(table.begin(), table.end(), range.begin);
        const auto last = std::lower_bound(first, table.end(), range.end);
        first_document_.push_back(uint64_t(first - table.begin()));
        document_starts_.push_back(document_starts_.back() + uint64_t(last - first));
    }
}

void ShardedTokens::read(uint64_t begin, uint64_t count, int64_t* out) const {
    if (begin > size() || count > size() - begin)
        fail({.what = "reading beyond the end of a split", .where = "token set"});
    size_t r = size_t(std::upper_bound(starts_.begin(), starts_.end(), begin) - starts_.begin()) - 1;
    while (count > 0) {
        const uint64_t inside = begin - starts_[r], part = std::min(count, starts_[r + 1] - begin);
        if (part > 0) ranges_[r].file->read(ranges_[r].begin + inside, part, out);
        begin += part;
        count -= part;
        out += part;
        ++r;
    }
}

std::pair<size_t, uint64_t> ShardedTokens::find_document(uint64_t number) const {
    if (number >= documents())
        fail({.what = "document " + std::to_string(number) + " asked for", .where = "token set"});
    const auto after = std::upper_bound(document_starts_.begin(), document_starts_.end(), number);
    const auto r = size_t(after - document_starts_.begin()) - 1;
    return {r, first_document_[r] + (number - document_starts_[r])};
}

uint64_t ShardedTokens::document_begin(uint64_t number) const {
    const auto [r, place] = find_document(number);
    return starts_[r] + (ranges_[r].file->documents()[place] - ranges_[r].begin);
}

int32_t ShardedTokens::document_label(uint64_t number) const {
    const auto [r, place] = find_document(number);
    const auto& labels = ranges_[r].file->info().labels;
    return labels.empty() ? -1 : labels[place];
}

void TokenList::add(const std::vector<int64_t>& ids, uint64_t bytes) {
    begins_.push_back(ids_.size());
    ids_.insert(ids_.end(), ids.begin(), ids.end());
    bytes_ += bytes;
}

JoinedTokens::JoinedTokens(std::vector<std::shared_ptr<const TokenView>> parts) : parts_(std::move(parts)) {
    for (const auto& part : parts_) {
        starts_.push_back(starts_.back() + part->size());
        document_starts_.push_back(document_starts_.back() + (part->size() > 0 ? part->documents() : 0));
    }
}

uint64_t JoinedTokens::bytes() const {
    uint64_t sum = 0;
    for (const auto& part : parts_) sum += part->bytes();
    return sum;
}

void JoinedTokens::read(uint64_t begin, uint64_t count, int64_t* out) const {
    if (begin > size() || count > size() - begin)
        fail({.what = "reading beyond the end of a split", .where = "sources"});
    auto p = size_t(std::upper_bound(starts_.begin(), starts_.end(), begin) - starts_.begin()) - 1;
    while (count > 0) {
        const uint64_t part = std::min(count, starts_[p + 1] - begin);
        if (part > 0) parts_[p]->read(begin - starts_[p], part, out);
        begin += part;
        count -= part;
        out += part;
        ++p;
    }
}

uint64_t JoinedTokens::document_begin(uint64_t number) const {
    if (number >= documents()) fail({.what = "document " + std::to_string(number) + " asked for", .where = "sources"});
    const auto p =
        size_t(std::upper_bound(document_starts_.begin(), document_starts_.end(), number) - document_starts_.begin()) -
        1;
    return starts_[p] + parts_[p]->document_begin(number - document_starts_[p]);
}

}  // namespace lithe
