// Which keys a query sees: one rule for the softmax and the attention kernel, on CPU and GPU.
//
// Query i stands at key position p = keys - queries + i. It sees key j iff all of these hold:
//
//   causal:        j <= p + ahead       (0: up to itself; -1: not itself; w: and w keys behind itself)
//   window >= 0:   j >= p - window
//   first:         j >= first[b][i]
//   spans:         j lies in a span of the query's block
//   hidden:        not hidden[b][j]
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#define LITHE_OF_MASKS __host__ __device__ static inline
#else
#define LITHE_OF_MASKS static inline
#endif

namespace lithe::kernels {

// Keys [begin, end).
struct KeyRange {
    int64_t begin, end;
};

// The same in lists, which hold many.
struct KeySpan {
    int32_t begin, end;
};
// Queries [begin, end) see what lies in the spans [first, last).
struct QueryBlock {
    int32_t begin, end, first, last;
};

// Lists of blocks of queries, for each batch row or for all alike, for each head or for all alike. The blocks of a list
// ascend and hold every query; a block's spans ascend and stand apart.
struct KeySpans {
    const int32_t* lists = nullptr;  // [lists + 1]: the first block of each; null: there are no spans
    const QueryBlock* blocks = nullptr;
    const KeySpan* spans = nullptr;
    bool by_row = false, by_head = false;  // lists [batch, if by_row][heads, if by_head]
};

struct SoftmaxMask {
    int64_t batch = 0, heads = 1, queries = 0, keys = 0;
    bool causal = true;
    int64_t window = -1;              // -1: none
    const uint8_t* hidden = nullptr;  // [batch][keys]; null: none
    const int32_t* first = nullptr;   // [batch][queries]; null: 0
    int64_t ahead = 0;
    KeySpans spans = {};
};

// The keys that query i of batch row b may see, before spans and `hidden`.
LITHE_OF_MASKS KeyRange visible_keys(const SoftmaxMask& mask, int64_t b, int64_t i) {
    const int64_t position = mask.keys - mask.queries + i;
    int64_t begin = 0, end = mask.causal ? position + mask.ahead + 1 : mask.keys;
    if (end > mask.keys) end = mask.keys;
    if (end < 0) end = 0;
    if (mask.window >= 0 && position - mask.window > begin) begin = position - mask.window;
    if (mask.first && mask.first[b * mask.queries + i] > begin) begin = mask.first[b * mask.queries + i];
    return {begin < end ? begin : end, end};
}

// The blocks [begin, end) of one head of one batch row.
LITHE_OF_MASKS KeyRange blocks_of(const SoftmaxMask& mask, int64_t b, int64_t h) {
    const int64_t heads = mask.spans.by_head ? mask.heads : 1;
    const int64_t list = (mask.spans.by_row ? b * heads : 0) + (mask.spans.by_head ? h : 0);
    return {mask.spans.lists[list], mask.spans.lists[list + 1]};
}

// The block of query i; there are spans.
LITHE_OF_MASKS const QueryBlock& block_of(const SoftmaxMask& mask, int64_t b, int64_t h, int64_t i) {
    const KeyRange blocks = blocks_of(mask, b, h);
    int64_t low = blocks.begin, high = blocks.end;
    while (high - low > 1) {
        const int64_t middle = (low + high) / 2;
        if (mask.spans.blocks[middle].begin <= i) low = middle;
        else high = middle;
    }
    return mask.spans.blocks[low];
}

LITHE_OF_MASKS bool in_spans(const KeySpans& spans, const QueryBlock& block, int64_t j) {
    int64_t low = block.first, high = block.last;  // the last span that begins at j or before
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (spans.spans[middle].begin <= j) low = middle + 1;
        else high = middle;
    }
    return low > block.first && j < spans.spans[low - 1].end;
}

// All of the rule.
LITHE_OF_MASKS bool sees(const SoftmaxMask& mask, int64_t b, int64_t h, int64_t i, int64_t j) {
    const KeyRange range = visible_keys(mask, b, i);
    if (j < range.begin || j >= range.end || (mask.hidden && mask.hidden[b * mask.keys + j])) return false;
    return !mask.spans.lists || in_spans(mask.spans, block_of(mask, b, h, i), j);
}

}  // namespace lithe::kernels
