// Lists of the keys that blocks of queries see, as tensors: kernels/softmax/mask.h.
#pragma once

#include <vector>

#include "lithe/kernels/softmax/mask.h"
#include "lithe/ops/torch.h"

namespace lithe::ops {

struct KeySpans {
    Tensor lists, blocks, spans;           // int32 [lists + 1], [blocks][4], [spans][2]; undefined: there are none
    bool by_row = false, by_head = false;  // lists [B, if by_row][H, if by_head]
    bool defined() const { return lists.defined(); }
    KeySpans to(at::Device device) const {
        return {lists.to(device), blocks.to(device), spans.to(device), by_row, by_head};
    }
    kernels::KeySpans get() const;
    // Whether a block of queries has one span, up to the last key that its last query may see.
    bool end_at_queries(int64_t queries, int64_t keys, int64_t ahead) const;
    // Throws, in the name of `op`, when they do not fit.
    void check(int64_t batch, int64_t heads, int64_t queries, int64_t keys, const char* op) const;
};

// Makes lists one after the other.
class KeySpanLists {
 public:
    // Queries [begin, end), behind those of the list's block before; spans that follow belong to them.
    void block(int64_t begin, int64_t end);
    // Keys [begin, end), behind those of the block's span before or next to them; nothing where begin >= end.
    void span(int64_t begin, int64_t end);
    void end_list() { lists_.push_back(int32_t(blocks_.size())); }
    KeySpans get(bool by_row, bool by_head) const;

 private:
    std::vector<int32_t> lists_ = {0};
    std::vector<kernels::QueryBlock> blocks_;
    std::vector<kernels::KeySpan> spans_;
};

// What a window leaves for blocks of queries: of keys [p - back, p + ahead], p = keys - queries + i.
KeySpans window_spans(int64_t queries, int64_t keys, int64_t back, int64_t ahead);

}  // namespace lithe::ops
