#include "lithe/tokenize/unigram.h"

#include <algorithm>
#include <cmath>

#include "lithe/tokenize/json_fields.h"
#include "lithe/tokenize/unicode.h"

namespace lithe::tokenize {
namespace {

constexpr double kUnknownPenalty = 10;
constexpr int32_t kNowhere = -1;

}  // namespace

UnigramModel::UnigramModel(const Json& json, const SpecialTokens& special, const std::string& source)
    : byte_fallback_(field(json, "byte_fallback", false, source)) {
    const Json& vocabulary = need(json, "vocab", source);
    if (!vocabulary.is_array() || vocabulary.empty()) fail_file("the vocabulary of a Unigram model is no list", source);
    double lowest = INFINITY;
    for (const Json& each : vocabulary) {
        if (!each.is_array() || each.size() != 2 || !each[0].is_string() || !each[1].is_number())
            fail_file("entry " + std::to_string(tokens_.size()) + " of the vocabulary is no [token, score]", source);
        tokens_.push_back(each[0].get<std::string>());
        scores_.push_back(each[1].get<double>());
        lowest = std::min(lowest, scores_.back());
    }
    unknown_score_ = lowest - kUnknownPenalty;
    unknown_ = field<int32_t>(json, "unk_id", -1, source);
    if (unknown_ >= size()) fail_file("unk_id " + std::to_string(unknown_) + " is outside the vocabulary", source);
    for (int64_t id = 0; id < size(); ++id) {
        const std::string& token = tokens_[size_t(id)];
        ids_.emplace(token, int32_t(id));
        if (!token.empty() && !special.contains(token)) add_to_trie(token, int32_t(id));
    }
    for (int byte = 0; byte < 256; ++byte) fallback_ids_[size_t(byte)] = find(byte_token(byte)).value_or(-1);
}

std::optional<int32_t> UnigramModel::find(std::string_view token) const {
    const auto found = ids_.find(std::string(token));
    return found == ids_.end() ? std::nullopt : std::optional<int32_t>(found->second);
}

void UnigramModel::add_to_trie(std::string_view token, int32_t id) {
    uint64_t node = 0;
    for (char c : token) {
        const uint64_t key = node << 8 | static_cast<unsigned char>(c);
        if (const uint64_t* next = children_.find(key)) {
            node = *next;
            continue;
        }
        node = leaf_.size();
        leaf_.push_back(-1);
        children_.insert(key, node);
    }
    if (leaf_[node] < 0) leaf_[node] = id;  // the first of equal tokens
}

// Fills work.scores, work.previous (where the best token that ends here begins) and work.symbols (its id).
void UnigramModel::search(std::string_view piece, Workspace& work) const {
    const size_t size = piece.size();
    work.scores.assign(size + 1, 0);
    work.previous.assign(size + 1, kNowhere);
    work.symbols.assign(size + 1, -1);
    for (size_t at = 0, length; at < size; at += length) {
        length = length_at(piece, at);
        const double before = work.scores[at];
        bool covered = false;
        auto offer = [&](size_t end, int32_t id, double score) {
            if (work.previous[end] != kNowhere && before + score <= work.scores[end]) return;
            work.scores[end] = before + score;
            work.previous[end] = int32_t(at);
            work.symbols[end] = id;
        };
        uint64_t node = 0;
        for (size_t end = at; end < size;) {
            const uint64_t* next = children_.find(node << 8 | static_cast<unsigned char>(piece[end++]));
            if (!next) break;
            node = *next;
            if (leaf_[node] < 0) continue;
            offer(end, leaf_[node], scores_[size_t(leaf_[node])]);
            covered = covered || end - at == length;
        }
        if (!covered) offer(at + length, unknown_, unknown_score_);
    }
}

// A run of characters that no token covers, whole.
void UnigramModel::emit(std::string_view unknown, std::vector<int32_t>& ids) const {
    const bool bytes = byte_fallback_ && std::all_of(unknown.begin(), unknown.end(), [&](char c) {
                           return fallback_ids_[static_cast<unsigned char>(c)] >= 0;
                       });
    if (bytes) {
        for (char c : unknown) ids.push_back(fallback_ids_[static_cast<unsigned char>(c)]);
        return;
    }
    if (unknown_ < 0)
        fail_usage("the text \"" + printable(unknown) + "\" is not in the vocabulary, which has no unknown token",
                   "text");
    ids.push_back(unknown_);
}

void UnigramModel::encode(std::string_view piece, std::vector<int32_t>& ids, Workspace& work) const {
    search(piece, work);
    auto &symbols = work.symbols, &starts = work.previous, &order = work.next;
    order.clear();  // ends of tokens, last first
    for (size_t end = piece.size(); end > 0; end = size_t(starts[end])) order.push_back(int32_t(end));
    std::reverse(order.begin(), order.end());
    for (size_t i = 0; i < order.size();) {
        const auto end = size_t(order[i]), begin = size_t(starts[end]);
        if (symbols[end] != unknown_) {
            ids.push_back(symbols[end]);
            ++i;
            continue;
        }
        size_t last = end;
        while (++i < order.size() && symbols[size_t(order[i])] == unknown_) last = size_t(order[i]);
        emit(piece.substr(begin, last - begin), ids);
    }
}

}  // namespace lithe::tokenize
