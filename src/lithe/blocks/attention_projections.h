// The products of an attention block: queries, keys and values in one parameter, and the output.
#pragma once

#include "lithe/blocks/block.h"

namespace lithe {

// Of an attention block's matrices.
enum class AttentionInit { xavier, normal };
constexpr auto names_of(AttentionInit) {
    using enum AttentionInit;
    return std::to_array<Named<AttentionInit>>({{xavier, "xavier"}, {normal, "normal"}});
}

// x W^T + b, where W [stacked x outputs][width] may stand for several matrices.
struct StackedProjection {
    Parameter weight, bias;

    struct Shape {
        int64_t stacked, outputs, inputs;
    };
    StackedProjection() = default;
    StackedProjection(const BlockSite& site, const std::string& name, Shape shape, bool biased, const Init& init) {
        const int64_t rows = shape.stacked * shape.outputs;
        weight = site.store.add({site.name + "." + name, {rows, shape.inputs}, Role::matrix, init, shape.stacked});
        if (biased) bias = site.store.add({site.name + "." + name + "_bias", {rows}, Role::bias, Init::constant(0)});
    }
    // By the rows from `first` on.
    Tensor operator()(const Tensor& x, int64_t first = 0) const {
        auto rows = [&](const Tensor& all) { return first == 0 ? all : all.narrow(0, first, all.size(0) - first); };
        return at::linear(x, rows(weight.tensor()), bias ? rows(bias.tensor()).to(x.scalar_type()) : Tensor());
    }
};

}  // namespace lithe
