// How far back a stack of Transformer-XL layers reaches (Dai et al. 2019, section 3.2), checked by changing one token
// just outside and one just inside. The first layer reaches its memory of M inputs; each further one reads rows of up
// to M before the segment, which were computed in segments of T that begin up to ceil(M / T) T before it: M + (N - 1)
// ceil(M / T) T.
#include <gtest/gtest.h>

#include "lithe/model/language_model.h"
#include "lithe/spec/config_io.h"

namespace lithe {
namespace {

struct Reach {
    int64_t layers, length, memory, window;  // window: -1 without same_length
};

// Outputs of the last segment of a stream, [length][V].
Tensor last_segment(const LanguageModel& model, const Tensor& ids_T, const Reach& reach) {
    State state;
    Tensor logits;
    Pass pass = model.pass(false);
    pass.memory = reach.memory;
    pass.window = reach.window;
    for (int64_t at = 0; at < ids_T.size(0); at += reach.length) {
        auto out = model.forward(ids_T.narrow(0, at, reach.length).unsqueeze(1), state, pass);
        state = std::move(out.state);
        logits = out.logits_TBV.squeeze(1);
    }
    return logits;
}

// The oldest position, counted back from `from`, whose token changes row `row` of the last segment (-1: any row).
int64_t oldest(const LanguageModel& model, const Reach& reach, int64_t from, int64_t row, int64_t expected) {
    const int64_t segments = 12, total = segments * reach.length;
    const Tensor ids = at::arange(total, at::kLong).remainder(7);
    const Tensor plain = last_segment(model, ids, reach);
    int64_t found = -1;
    for (int64_t back = expected - 1; back <= expected + 2; ++back) {  // both sides of the edge
        Tensor changed = ids.clone();
        const int64_t place = from - back;
        changed[place] = 9;
        const Tensor difference = (last_segment(model, changed, reach) - plain).abs();
        if ((row < 0 ? difference : difference[row]).max().item<double>() > 0) found = back;
    }
    return found;
}

std::unique_ptr<LanguageModel> made(int64_t layers) {
    auto model = std::make_unique<LanguageModel>(
        parse_config(
            "[model]\nwidth = 8\nheads = 2\nmemory = 4\npositions = \"relative\"\nnorm = \"post\"\nlayout = \"(sf)x" +
                std::to_string(layers) + "\"\n",
            "test"),
        11);
    model->materialize(at::kDouble, at::kDouble, at::kCPU, 3);
    return model;
}

TEST(TransformerXl, ReceptiveFieldGrowsByAMemoryPerLayer) {
    for (const Reach& reach : {Reach{3, 4, 4, -1}, Reach{2, 4, 4, -1}, Reach{3, 4, 6, -1}, Reach{2, 5, 3, -1}}) {
        const int64_t segments = (reach.memory + reach.length - 1) / reach.length,
                      expected = reach.memory + (reach.layers - 1) * segments * reach.length;
        EXPECT_EQ(oldest(*made(reach.layers), reach, 11 * reach.length, -1, expected), expected)
            << reach.layers << " layers, segments of " << reach.length << ", memory " << reach.memory;
    }
}

TEST(TransformerXl, WithSameLengthEachQueryReachesAsFar) {
    for (const Reach& reach : {Reach{3, 4, 4, 4}, Reach{2, 4, 6, 6}})
        for (int64_t row = 0; row < reach.length; ++row) {
            const int64_t expected = reach.layers * reach.window;  // window + 1 keys, itself among them
            EXPECT_EQ(oldest(*made(reach.layers), reach, 11 * reach.length + row, row, expected), expected) << row;
        }
}

}  // namespace
}  // namespace lithe
