// The parameters of a layer with a matrix in the loop over time (kernels/gated/gated.h): LSTM, GRU, ATR.
#pragma once

#include <cmath>

#include "lithe/blocks/block.h"

namespace lithe {

struct GatedWeights {
    Parameter w_input, w_state, b_input, b_state;  // [planes units][inputs], [planes units][units], [planes units]

    struct Shape {
        int64_t planes = 1;
        int64_t inputs = 1, units = 1;
    };
    struct Start {
        Init matrices, input_bias, state_bias;
    };
    GatedWeights() = default;
    GatedWeights(const BlockSite& site, const std::string& name, const Shape& shape, const Start& start) {
        const int64_t rows = shape.planes * shape.units;
        const auto matrix = [&](const char* of, int64_t columns) {
            return site.store.add({name + of, {rows, columns}, Role::matrix, start.matrices, shape.planes});
        };
        w_input = matrix(".w_input", shape.inputs);
        w_state = matrix(".w_state", shape.units);
        b_input = site.store.add({name + ".b_input", {rows}, Role::bias, start.input_bias});
        b_state = site.store.add({name + ".b_state", {rows}, Role::bias, start.state_bias});
    }
    // Of cells to which both are one.
    Tensor bias() const { return b_input.tensor() + b_state.tensor(); }
    // Both products of single steps, by rows [planes units].
    struct Products {
        const float *x, *h;
        float *from_x, *from_h;
        int64_t planes = 1;
    };
    void add_products(StepProgram& program, const Products& of) const {
        program.product(
            {.weight = w_input, .bias = b_input, .x = of.x, .y = of.from_x, .planes = of.planes, .settled = false});
        program.product({.weight = w_state, .bias = b_state, .x = of.h, .y = of.from_h, .planes = of.planes});
    }
    // Where torch.nn's recurrent layers begin, all of them.
    static Start uniform(int64_t units) {
        const Init init = Init::uniform(1 / std::sqrt(double(units)));
        return {init, init, init};
    }
};

}  // namespace lithe
