#include "lithe/blocks/blockbert.h"

namespace lithe {

BlockBertValues BlockBertValues::defaults(const ModelConfig& model) {
    BlockBertValues values;
    values.heads = model.heads;
    values.shifted = model.heads > 1 ? std::max<int64_t>(1, model.heads / 6) : 0;  // the paper's 2 of 12
    return values;
}

void BlockBertValues::visit(FieldVisitor& v) {
    visit_shared(v);
    v.field({.name = "blocks", .help = "that a segment is cut into", .minimum = 1, .maximum = 1 << 16}, blocks);
    v.field({.name = "shifted",
             .help = "heads of each shift by 1, 2, ... blocks; the others keep to their own block",
             .minimum = 0,
             .maximum = 4096},
            shifted);
}

void BlockBertValues::check(const ModelConfig& model, const std::string& where, Problems& problems) const {
    check_shared(model, where, problems);
    if (shifted * (blocks - 1) > heads)
        problems.add(where + ": " + std::to_string(blocks - 1) + " shifts of " + std::to_string(shifted) +
                     " heads are more than heads " + std::to_string(heads));
}

int64_t BlockBertValues::shift_of(int64_t head) const {
    const int64_t own = heads - shifted * (blocks - 1);  // heads that keep to their block
    return head < own ? 0 : 1 + (head - own) / shifted;
}

BlockBertBlock::BlockBertBlock(const BlockBertValues& values, const BlockSite& site)
    : PatternedBlock(values, site),
      values_(values) {}

Tensor BlockBertBlock::attended(const ops::AttentionInput& in, const Tensor&, const State&, const Call&) const {
    const int64_t n = in.kv_TBX.size(0), blocks = values_.blocks;
    const auto begin_of = [&](int64_t block) { return (block * n + blocks - 1) / blocks; };
    ops::KeySpanLists lists;
    for (int64_t h = 0; h < heads_; ++h) {
        for (int64_t a = 0; a < blocks; ++a) {
            const int64_t seen = (a + values_.shift_of(h)) % blocks;
            lists.block(begin_of(a), begin_of(a + 1));
            lists.span(begin_of(seen), begin_of(seen + 1));
        }
        lists.end_list();
    }
    ops::AttentionInput listed = in;
    listed.mask.spans = lists.get(false, true).to(in.kv_TBX.device());
    return ops::attention(listed);
}

double BlockBertBlock::pairs(const CostShape& shape) const {
    const int64_t n = shape.length, blocks = values_.blocks;
    const auto size_of = [&](int64_t block) {
        return double(((block + 1) * n + blocks - 1) / blocks - (block * n + blocks - 1) / blocks);
    };
    double pairs = 0;
    for (int64_t h = 0; h < heads_; ++h)
        for (int64_t a = 0; a < blocks; ++a) pairs += size_of(a) * size_of((a + values_.shift_of(h)) % blocks);
    return pairs / double(heads_);
}

}  // namespace lithe
