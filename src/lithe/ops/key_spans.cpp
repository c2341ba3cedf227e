#include "lithe/ops/key_spans.h"

#include <algorithm>

namespace lithe::ops {
namespace {

constexpr int64_t kWindowQueries = 128;  // in a block: packing a window's keys costs as much as so few queries do

template <class T> Tensor tensor_of(const std::vector<T>& list, int64_t width) {
    Tensor all = at::empty({int64_t(list.size()) * int64_t(sizeof(T) / sizeof(int32_t)) / width, width}, at::kInt);
    if (!list.empty()) std::copy_n(reinterpret_cast<const int32_t*>(list.data()), all.numel(), all.data_ptr<int32_t>());
    return all;
}

}  // namespace

kernels::KeySpans KeySpans::get() const {
    if (!defined()) return {};
    return {pointer<int32_t>(lists), pointer<kernels::QueryBlock>(blocks), pointer<kernels::KeySpan>(spans), by_row,
            by_head};
}

bool KeySpans::end_at_queries(int64_t queries, int64_t keys, int64_t ahead) const {
    const kernels::KeySpans all = get();
    for (int64_t n = 0; n < blocks.size(0); ++n) {
        const kernels::QueryBlock& block = all.blocks[n];
        if (block.first == block.last) continue;
        const int64_t end = std::min(keys, keys - queries + block.end + ahead);
        if (block.last - block.first != 1 || all.spans[block.first].end != end) return false;
    }
    return true;
}

void KeySpans::check(int64_t batch, int64_t heads, int64_t queries, int64_t keys, const char* op) const {
    if (!defined()) return;
    const int64_t expected = (by_row ? batch : 1) * (by_head ? heads : 1);
    ops::check(lists.numel() == expected + 1, op,
               std::to_string(lists.numel() - 1) + " lists of key spans, expected " + std::to_string(expected));
    if (lists.is_cuda()) return;  // a look would wait for the device
    const kernels::KeySpans all = get();
    for (int64_t list = 0; list < expected; ++list) {
        int64_t at = 0;
        for (int64_t n = all.lists[list]; n < all.lists[list + 1]; ++n) {
            const kernels::QueryBlock& block = all.blocks[n];
            ops::check(block.begin == at && block.end >= at, op, "blocks of queries do not follow one another");
            at = block.end;
            int64_t key = 0;
            for (int64_t s = block.first; s < block.last; ++s) {
                ops::check(all.spans[s].begin >= key && all.spans[s].end <= keys, op,
                           "key spans do not ascend within " + std::to_string(keys) + " keys");
                key = all.spans[s].end;
            }
        }
        ops::check(at == queries, op,
                   "blocks of queries end at " + std::to_string(at) + " of " + std::to_string(queries));
    }
}

void KeySpanLists::block(int64_t begin, int64_t end) {
    const auto at = int32_t(spans_.size());
    blocks_.push_back({int32_t(begin), int32_t(end), at, at});
}

void KeySpanLists::span(int64_t begin, int64_t end) {
    if (begin >= end) return;
    kernels::QueryBlock& block = blocks_.back();
    if (block.first < block.last && spans_.back().end == begin) {
        spans_.back().end = int32_t(end);
        return;
    }
    spans_.push_back({int32_t(begin), int32_t(end)});
    block.last = int32_t(spans_.size());
}

KeySpans KeySpanLists::get(bool by_row, bool by_head) const {
    return {tensor_of(lists_, 1).view(-1), tensor_of(blocks_, 4), tensor_of(spans_, 2), by_row, by_head};
}

KeySpans window_spans(int64_t queries, int64_t keys, int64_t back, int64_t ahead) {
    KeySpanLists lists;
    for (int64_t begin = 0; begin < queries; begin += kWindowQueries) {
        const int64_t end = std::min(queries, begin + kWindowQueries), first = keys - queries;
        lists.block(begin, end);
        lists.span(std::max<int64_t>(0, first + begin - back), std::min(keys, first + end + ahead));
    }
    lists.end_list();
    return lists.get(false, false);
}

}  // namespace lithe::ops
