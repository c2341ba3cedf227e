#include "lithe/blocks/sparse.h"

#include "lithe/ops/patterned_attention.h"

namespace lithe {
namespace {

// Where in its document query i of a row stands: at i - origin.
struct Piece {
    int64_t begin, end, origin;
};

// `first`: the first keys of a row's queries, of which those from `memory` on are document begins; null: there are
// none.
std::vector<Piece> pieces_of(const int32_t* first, int64_t steps, int64_t memory, int64_t place) {
    std::vector<Piece> list;
    for (int64_t i = 0; i < steps; ++i) {
        const bool begins = first && first[i] > 0 && first[i] >= memory;
        const int64_t origin = begins ? first[i] - memory : -place;
        if (list.empty() || list.back().origin != origin) list.push_back({i, i, origin});
        list.back().end = i + 1;
    }
    return list;
}

}  // namespace

SparseValues SparseValues::defaults(const ModelConfig& model) {
    SparseValues values;
    values.heads = model.heads;
    return values;
}

void SparseValues::visit(FieldVisitor& v) {
    visit_shared(v);
    v.field({.name = "pattern", .help = "of keys: strided (for what has a period), or fixed (for text)"}, pattern);
    v.field({.name = "stride", .help = "of the pattern: near the root of the length", .minimum = 1, .maximum = 1 << 20},
            stride);
    v.field({.name = "summary",
             .help = "fixed: keys at the end of a block that all later ones see",
             .minimum = 1,
             .maximum = 1 << 20},
            summary);
}

void SparseValues::check(const ModelConfig& model, const std::string& where, Problems& problems) const {
    check_shared(model, where, problems);
    if (pattern == SparsePattern::fixed && summary > stride)
        problems.add(where + ": summary " + std::to_string(summary) + " is more than a block of stride " +
                     std::to_string(stride));
}

SparseBlock::SparseBlock(const SparseValues& values, const BlockSite& site)
    : PatternedBlock(values, site),
      values_(values) {}

ops::KeySpans fixed_spans(const SparseValues& values, const ops::AttentionInput& in, const Tensor& place_B) {
    const int64_t steps = in.kv_TBX.size(0), batch = in.kv_TBX.size(1), l = values.stride, c = values.summary;
    const int64_t memory = in.memory_MBX.defined() ? in.memory_MBX.size(0) : 0;
    const Tensor first_BT = in.mask.first_BT.defined() ? in.mask.first_BT.cpu() : Tensor();
    const Tensor places = place_B.defined() ? place_B.cpu() : Tensor();
    const bool by_row = first_BT.defined() || places.defined(), by_head = in.heads > 1 && l / c > 1;
    ops::KeySpanLists lists;
    for (int64_t b = 0; b < (by_row ? batch : 1); ++b) {
        const int32_t* first = first_BT.defined() ? first_BT.data_ptr<int32_t>() + b * steps : nullptr;
        const int64_t place = places.defined() ? places.data_ptr<int64_t>()[b] : 0;
        const std::vector<Piece> pieces = pieces_of(first, steps, memory, place);
        for (int64_t h = 0; h < (by_head ? in.heads : 1); ++h) {
            for (const Piece& piece : pieces)
                for (int64_t i = piece.begin; i < piece.end;) {
                    const int64_t block = (i - piece.origin) / l,
                                  end = std::min(piece.end, piece.origin + (block + 1) * l);
                    const auto span = [&](int64_t at, int64_t length) {  // at a place in the document
                        const int64_t key = memory + piece.origin + at;
                        lists.span(std::max<int64_t>(0, key), std::max<int64_t>(0, key + length));
                    };
                    lists.block(i, end);
                    for (int64_t k = 0; k < block; ++k) span((k + 1) * l - c * (1 + h % (l / c)), c);
                    span(block * l, end - piece.origin - block * l);
                    i = end;
                }
            lists.end_list();
        }
    }
    return lists.get(by_row, by_head).to(in.kv_TBX.device());
}

Tensor SparseBlock::attended(const ops::AttentionInput& in, const Tensor&, const State& before, const Call&) const {
    if (values_.pattern == SparsePattern::strided)
        return ops::joined(
            {ops::local_attention(in, values_.stride - 1, 0), ops::dilated_attention(in, values_.stride, -1, -1)});
    ops::AttentionInput fixed = in;
    fixed.mask.spans = fixed_spans(values_, in, before.get("place"));
    return ops::attention(fixed);
}

void SparseBlock::carry(const Tensor& x_TBD, const State& before, const Pass& pass, State& after) const {
    if (values_.pattern == SparsePattern::strided || pass.memory == 0 || !pass.causal) return;
    const int64_t steps = x_TBD.size(0);
    Tensor place = before.get("place");
    if (!place.defined()) place = at::zeros({x_TBD.size(1)}, at::TensorOptions(at::kLong).device(x_TBD.device()));
    place = place + steps;
    if (pass.marks) {
        const Tensor begin = pass.marks->begin_BT.select(1, steps - 1).to(at::kLong);
        place = at::where(begin.lt(0), place, steps - begin);
    }
    after.put("place", place, 0);
}

double SparseBlock::pairs(const CostShape& shape) const {
    const int64_t l = values_.stride, memory = shape.causal ? shape.memory : 0;
    double pairs = 0;
    for (int64_t p = memory; p < memory + shape.length; ++p)
        pairs += values_.pattern == SparsePattern::strided ? double(std::min(p + 1, l) + p / l)
                                                           : double(p % l + 1 + p / l * values_.summary);
    return pairs;
}

}  // namespace lithe
