#include "lithe/blocks/bigbird.h"

#include <algorithm>

namespace lithe {

BigBirdValues BigBirdValues::defaults(const ModelConfig& model) {
    BigBirdValues values;
    values.heads = model.heads;
    return values;
}

void BigBirdValues::visit(FieldVisitor& v) {
    visit_shared(v);
    v.field({.name = "block", .help = "positions in a block", .minimum = 1, .maximum = 1 << 20}, block);
    v.field({.name = "random", .help = "random blocks that a block of queries sees", .minimum = 0, .maximum = 1 << 16},
            random);
    v.field({.name = "seed", .help = "of the random blocks", .minimum = 0, .maximum = 1 << 30}, seed);
}

void BigBirdValues::check(const ModelConfig& model, const std::string& where, Problems& problems) const {
    check_shared(model, where, problems);
}

BlockRows bigbird_rows(int64_t blocks, const DrawBlocks& draw) {
    BlockRows rows(static_cast<size_t>(blocks));
    for (int64_t a = 0; a < blocks; ++a) {
        const bool sees_all = a == 0 || a == blocks - 1;
        std::vector<int64_t>& row = rows[size_t(a)];
        std::vector<int64_t> candidates;
        for (int64_t key = 0; key < blocks; ++key) {
            const bool global = key == 0 || key == blocks - 1, near = key >= a - 1 && key <= a + 1;
            if (sees_all || global || near) row.push_back(key);
            else if (!(a == 1 && key == blocks - 2) && !(a == blocks - 2 && key == 1)) candidates.push_back(key);
        }
        if (sees_all) continue;
        for (const int64_t key : draw(a, std::move(candidates))) row.push_back(key);
        std::sort(row.begin(), row.end());
    }
    return rows;
}

ops::KeySpans block_spans(int64_t n, int64_t block, const std::vector<BlockRows>& heads) {
    ops::KeySpanLists lists;
    for (const BlockRows& rows : heads) {
        for (size_t a = 0; a < rows.size(); ++a) {
            lists.block(int64_t(a) * block, std::min(n, int64_t(a + 1) * block));
            for (const int64_t key : rows[a]) lists.span(key * block, std::min(n, (key + 1) * block));
        }
        lists.end_list();
    }
    return lists.get(false, heads.size() > 1);
}

BigBirdBlock::BigBirdBlock(const BigBirdValues& values, const BlockSite& site)
    : PatternedBlock(values, site),
      values_(values),
      key_(combine_key(uint64_t(values.seed), site.name)) {}

BlockRows BigBirdBlock::rows(int64_t n, int64_t head) const {
    const int64_t blocks = (n + values_.block - 1) / values_.block;
    const uint64_t key = combine_key(key_, uint64_t(head));
    return bigbird_rows(blocks, [&](int64_t row, std::vector<int64_t> candidates) {
        const auto lot = [&](int64_t each) { return random_bits(key, uint64_t(row * blocks + each)); };
        std::sort(candidates.begin(), candidates.end(), [&](int64_t a, int64_t b) { return lot(a) < lot(b); });
        candidates.resize(std::min(candidates.size(), size_t(values_.random)));
        return candidates;
    });
}

Tensor BigBirdBlock::attended(const ops::AttentionInput& in, const Tensor&, const State&, const Call&) const {
    const int64_t n = in.kv_TBX.size(0);
    std::vector<BlockRows> heads;
    for (int64_t h = 0; h < heads_; ++h) heads.push_back(rows(n, h));
    ops::AttentionInput listed = in;
    listed.mask.spans = block_spans(n, values_.block, heads).to(in.kv_TBX.device());
    return ops::attention(listed);
}

double BigBirdBlock::pairs(const CostShape& shape) const {
    const int64_t n = shape.length, block = values_.block;
    const auto size_of = [&](int64_t a) { return double(std::min(n, (a + 1) * block) - a * block); };
    const BlockRows seen = rows(n, 0);  // heads see as many
    double pairs = 0;
    for (size_t a = 0; a < seen.size(); ++a)
        for (const int64_t key : seen[a]) pairs += size_of(int64_t(a)) * size_of(key);
    return pairs;
}

}  // namespace lithe
