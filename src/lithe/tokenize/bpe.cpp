#include "lithe/tokenize/bpe.h"

#include <algorithm>

#include "lithe/tokenize/byte_alphabet.h"
#include "lithe/tokenize/unicode.h"

namespace lithe::tokenize {
namespace {

constexpr size_t kShort = 48;  // symbols; beyond it a heap is faster than searching for the lowest rank
constexpr uint32_t kNone = ~uint32_t(0);

uint64_t pair_of(int32_t left, int32_t right) { return uint64_t(uint32_t(left)) << 32 | uint32_t(right); }
uint32_t rank_of(uint64_t value) { return uint32_t(value >> 32); }
int32_t merged_of(uint64_t value) { return int32_t(uint32_t(value)); }

std::pair<std::string, std::string> merge_parts(const Json& merge, size_t index, const std::string& source) {
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string())
        return {merge[0].get<std::string>(), merge[1].get<std::string>()};
    if (merge.is_string()) {
        const auto text = merge.get<std::string>();
        const size_t space = text.find(' ');
        if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos)
            return {text.substr(0, space), text.substr(space + 1)};
    }
    fail_file("merge " + std::to_string(index) + " is not a pair of tokens: " + printable(merge.dump().substr(0, 80)),
              source);
}

}  // namespace

BpeModel::BpeModel(const Json& json, bool byte_words, const SpecialTokens& special, const std::string& source)
    : VocabularyModel(json, source),
      prefix_(field<std::string>(json, "continuing_subword_prefix", "", source)),
      suffix_(field<std::string>(json, "end_of_word_suffix", "", source)),
      byte_words_(byte_words),
      fuse_unknown_(field(json, "fuse_unk", false, source)),
      byte_fallback_(field(json, "byte_fallback", false, source)),
      ignore_merges_(field(json, "ignore_merges", false, source)) {
    if (field(json, "dropout", 0.0, source) != 0)
        fail_file("BPE dropout is not supported", source, "set \"dropout\" to null: ids must be the same every time");
    const auto unknown = field<std::string>(json, "unk_token", "", source);
    if (!unknown.empty()) {
        if (!vocabulary_.find(unknown))
            fail_file("the unk_token \"" + printable(unknown) + "\" is not in the vocabulary", source);
        unknown_ = *vocabulary_.find(unknown);
    }
    for (int byte = 0; byte < 256; ++byte) {
        fallback_ids_[size_t(byte)] = vocabulary_.find(byte_token(byte)).value_or(-1);
        std::string character;
        append_utf8(character, character_of_byte(static_cast<unsigned char>(byte)));
        byte_ids_[size_t(byte)] = vocabulary_.find(character).value_or(-1);
    }
    if (ignore_merges_)
        for (int64_t id = 0; id < vocabulary_.size(); ++id) {
            const std::string token(vocabulary_.token(id));
            const auto bytes = byte_words_ ? bytes_of_alphabet(token) : token;
            if (!token.empty() && bytes && !special.contains(token)) whole_.emplace(*bytes, int32_t(id));
        }
    read_merges(need(json, "merges", source), source);
}

void BpeModel::read_merges(const Json& merges, const std::string& source) {
    if (!merges.is_array()) fail_file("\"merges\" is no list", source);
    merges_ = FlatMap(merges.size());
    for (size_t rank = 0; rank < merges.size(); ++rank) {
        const auto [left, right] = merge_parts(merges[rank], rank, source);
        const bool prefixed = !prefix_.empty() && right.starts_with(prefix_);
        const auto a = vocabulary_.find(left), b = vocabulary_.find(right),
                   merged = vocabulary_.find(left + (prefixed ? right.substr(prefix_.size()) : right));
        if (!a || !b || !merged)
            fail_file("merge " + std::to_string(rank) + " (\"" + printable(left) + "\", \"" + printable(right) +
                          "\") names a token that is not in the vocabulary",
                      source);
        merges_.insert(pair_of(*a, *b), uint64_t(rank) << 32 | uint32_t(*merged));
    }
}

// One symbol per code point (or byte), as ids.
void BpeModel::start(std::string_view piece, Workspace& work) const {
    work.symbols.clear();
    bool unknown = false;
    if (byte_words_) {
        for (char c : piece) {
            const int32_t id = byte_ids_[static_cast<unsigned char>(c)];
            if (id >= 0) {
                work.symbols.push_back(id);
                unknown = false;
            } else if (unknown_ >= 0 && !(unknown && fuse_unknown_)) {
                work.symbols.push_back(unknown_);
                unknown = true;
            }
        }
        return;
    }
    for (size_t at = 0; at < piece.size();) {
        const size_t length = length_at(piece, at);
        start_with(piece.substr(at, length), at == 0, at + length == piece.size(), work, unknown);
        at += length;
    }
}

void BpeModel::start_with(std::string_view symbol, bool first, bool last, Workspace& work, bool& unknown) const {
    std::string spelled;
    if (!first) spelled += prefix_;
    spelled += symbol;
    if (last) spelled += suffix_;
    if (const auto id = vocabulary_.find(spelled)) {
        work.symbols.push_back(*id);
        unknown = false;
        return;
    }
    const bool all = byte_fallback_ && std::all_of(spelled.begin(), spelled.end(), [&](char c) {
                         return fallback_ids_[static_cast<unsigned char>(c)] >= 0;
                     });
    if (all) {
        for (char c : spelled) work.symbols.push_back(fallback_ids_[static_cast<unsigned char>(c)]);
        unknown = false;
    } else if (unknown_ >= 0 && !(unknown && fuse_unknown_)) {
        work.symbols.push_back(unknown_);
        unknown = true;
    }
}

void BpeModel::encode(std::string_view piece, std::vector<int32_t>& ids, Workspace& work) const {
    if (ignore_merges_)
        if (const auto found = whole_.find(std::string(piece)); found != whole_.end())
            return ids.push_back(found->second);
    start(piece, work);
    if (work.symbols.size() > kShort) merge_long(work);
    else merge_short(work.symbols, work.ranks);
    ids.insert(ids.end(), work.symbols.begin(), work.symbols.end());
}

void BpeModel::merge_short(std::vector<int32_t>& symbols, std::vector<uint32_t>& ranks) const {
    auto rank_at = [&](size_t i) {
        if (i + 1 >= symbols.size()) return kNone;
        const uint64_t* merge = merges_.find(pair_of(symbols[i], symbols[i + 1]));
        return merge ? rank_of(*merge) : kNone;
    };
    ranks.resize(symbols.size());
    for (size_t i = 0; i < symbols.size(); ++i) ranks[i] = rank_at(i);
    while (symbols.size() > 1) {
        const size_t at = size_t(std::min_element(ranks.begin(), ranks.end()) - ranks.begin());
        if (ranks[at] == kNone) return;
        symbols[at] = merged_of(*merges_.find(pair_of(symbols[at], symbols[at + 1])));
        symbols.erase(symbols.begin() + int64_t(at) + 1);
        ranks.erase(ranks.begin() + int64_t(at) + 1);
        ranks[at] = rank_at(at);
        if (at > 0) ranks[at - 1] = rank_at(at - 1);
    }
}

// A linked list of symbols and a heap of candidate merges (rank, place); stale candidates are passed over.
void BpeModel::merge_long(Workspace& work) const {
    auto &symbols = work.symbols, &previous = work.previous, &next = work.next;
    auto& heap = work.heap;
    const auto count = int32_t(symbols.size());
    previous.resize(size_t(count));
    next.resize(size_t(count));
    for (int32_t i = 0; i < count; ++i) {
        previous[size_t(i)] = i - 1;
        next[size_t(i)] = i + 1 < count ? i + 1 : -1;
    }
    heap.clear();
    const auto later = std::greater<>();
    auto offer = [&](int32_t at) {
        if (at < 0 || next[size_t(at)] < 0) return;
        const uint64_t* merge = merges_.find(pair_of(symbols[size_t(at)], symbols[size_t(next[size_t(at)])]));
        if (!merge) return;
        heap.push_back({uint64_t(rank_of(*merge)) << 32 | uint32_t(at), uint32_t(merged_of(*merge))});
        std::push_heap(heap.begin(), heap.end(), later);
    };
    for (int32_t i = 0; i < count; ++i) offer(i);
    while (!heap.empty()) {
        std::pop_heap(heap.begin(), heap.end(), later);
        const auto [key, merged] = heap.back();
        heap.pop_back();
        const auto at = int32_t(uint32_t(key));
        const int32_t right = symbols[size_t(at)] < 0 ? -1 : next[size_t(at)];
        if (right < 0) continue;
        const uint64_t* merge = merges_.find(pair_of(symbols[size_t(at)], symbols[size_t(right)]));
        if (!merge || merged_of(*merge) != int32_t(merged)) continue;
        symbols[size_t(at)] = int32_t(merged);
        symbols[size_t(right)] = -1;
        next[size_t(at)] = next[size_t(right)];
        if (next[size_t(at)] >= 0) previous[size_t(next[size_t(at)])] = at;
        offer(previous[size_t(at)]);
        offer(at);
    }
    std::erase(symbols, -1);
}

}  // namespace lithe::tokenize
