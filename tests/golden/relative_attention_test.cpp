// Transformer-XL's attention (Dai et al. 2019, section 3.3) and its properties. The numbers are those of
// make_relative_attention.py, which writes the formula down once more.
#include "lithe/blocks/relative_attention.h"

#include <torch/csrc/autograd/autograd.h>

#include "lithe/nn/sinusoids.h"
#include "lithe/ops/relative_attention.h"
#include "support/block_maker.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::expect_close;
using testing::expect_values;
using testing::MadeBlock;
using testing::wave;

constexpr int64_t T = 3, M = 2, S = T + M, D = 4;

Tensor numbered(at::IntArrayRef sizes, double seed, double scale) { return wave(sizes, 0.7, seed, scale); }

ModelConfig model() {
    ModelConfig config;
    config.width = D;
    config.heads = 2;
    config.memory = M;
    config.positions = Positions::relative;
    return config;
}

struct Layer {
    MadeBlock made;
    LayerNorm norm;
    State state;
    Tensor h = numbered({T, 1, D}, 7, 1);

    explicit Layer(const std::vector<RawValue>& values = {}) : made(*find_block_kind("s"), model(), values) {
        made.set("qkv", numbered({3 * D, D}, 1, 0.3));
        made.set("positions", numbered({D, D}, 2, 0.3));
        made.set("out", numbered({D, D}, 3, 0.3));
        at::NoGradGuard guard;
        for (size_t i = 0; i < made.store.size(); ++i) {
            if (made.store.spec(i).name == "position_bias.u") made.store.working(i).copy_(numbered({D}, 4, 0.3));
            if (made.store.spec(i).name == "position_bias.v") made.store.working(i).copy_(numbered({D}, 5, 0.3));
        }
        state.put("memory", numbered({M, 1, D}, 6, 1), 1, 0);
    }
    static Tensor plain_norm(const Tensor& x) { return at::layer_norm(x, {D}, {}, {}, 1e-5); }
    // The attention sublayer, post-norm.
    Tensor post(Pass pass = {}) {
        pass.memory = M;
        return plain_norm(h + made.block->branch(h, state, pass).delta_TBD);
    }
    Tensor parameter(const std::string& name) const {
        for (size_t i = 0; i < made.store.size(); ++i)
            if (made.store.spec(i).name == name) return made.store.working(i);
        throw std::runtime_error(name);
    }
    // Probabilities [head][query][key] of inputs as they reach the products.
    Tensor probabilities(const Tensor& x, const Tensor& memory, int64_t clamp = 0, int64_t window = -1) {
        Tensor all = at::cat({memory, x}).squeeze(1), w = parameter("b.qkv");
        auto heads = [&](const Tensor& y) { return y.view({-1, 2, 2}).transpose(0, 1); };
        Tensor q = at::linear(x.squeeze(1), w.narrow(0, 0, D)), k = heads(at::linear(all, w.narrow(0, D, D)));
        Tensor r = heads(at::linear(distance_sinusoids(S, D, clamp, at::kDouble), parameter("b.positions")));
        Tensor content = at::bmm(heads(q + parameter("position_bias.u")), k.transpose(1, 2));
        Tensor by_distance = at::bmm(heads(q + parameter("position_bias.v")), r.transpose(1, 2));
        Tensor scores = ops::add_shifted_(content.contiguous(), by_distance.contiguous());
        return ops::masked_softmax_(scores, {.causal = true, .window = window}, 2, 1 / std::sqrt(2.0));
    }
};

void expect_rows(const Tensor& p, const std::vector<std::vector<double>>& rows, const char* what) {
    expect_values(p[0][0], rows[0], 1.5e-6, std::string(what) + " head 0 q0");
    expect_values(p[0][2], rows[1], 1.5e-6, std::string(what) + " head 0 q2");
    expect_values(p[1][2], rows[2], 1.5e-6, std::string(what) + " head 1 q2");
}

TEST(RelativeAttention, SinusoidsAreSinesThenCosines) {
    expect_values(distance_sinusoids(S, D, 0, at::kDouble)[S - 1 - 2], {.909297, .019999, -.416147, .999800}, 1e-6,
                  "R(2)");
    expect_close(distance_sinusoids(S, D, 2, at::kDouble)[0], distance_sinusoids(S, D, 0, at::kDouble)[S - 1 - 2], 0,
                 "clamped");
}

// Entry (i, c) is 100 i + distance.
TEST(RelativeAttention, TheShiftPutsDistancesWhereTheirKeysAre) {
    Tensor by_distance = at::zeros({1, T, S}, at::kDouble);
    for (int64_t i = 0; i < T; ++i)
        for (int64_t c = 0; c < S; ++c) by_distance[0][i][c] = double(100 * i + (S - 1 - c));
    Tensor shifted = ops::add_shifted_(at::zeros({1, T, S}, at::kDouble), by_distance);
    for (int64_t i = 0; i < T; ++i)
        for (int64_t j = 0; j <= i + M; ++j)
            EXPECT_EQ(shifted[0][i][j].item<double>(), double(100 * i + i + M - j)) << i << " " << j;
}

TEST(RelativeAttention, GoldenPostNorm) {
    Layer layer;
    expect_values(layer.post(),
                  {-.416108, 1.407878, .326387, -1.318158, 1.453438, -.750514, -1.085134, .382209, -1.686813, .207333,
                   .831840, .647640},
                  1e-5, "output");
    expect_rows(layer.probabilities(layer.h, layer.state.get("memory")),
                {{.524108, .178780, .297112, 0, 0},
                 {.229595, .121379, .236331, .162060, .250635},
                 {.187807, .130157, .185499, .259879, .236657}},
                "causal");
}

TEST(RelativeAttention, GoldenClampedAndWindowed) {
    for (bool at_evaluation : {false, true}) {
        Layer layer(at_evaluation ? std::vector<RawValue>{} : std::vector<RawValue>{{"clamp_length", "2", "test"}});
        Pass pass;
        if (at_evaluation) pass.clamp_length = 2;
        expect_values(layer.post(pass)[2], {-1.687195, .208329, .829354, .649512}, 1e-5, "clamp 2");
    }
    Layer layer;
    expect_rows(layer.probabilities(layer.h, layer.state.get("memory"), 2),
                {{.524108, .178780, .297112, 0, 0},
                 {.281408, .127132, .215370, .147686, .228404},
                 {.244528, .146256, .165694, .232132, .211390}},
                "clamp 2");
    Pass pass;
    pass.window = 2;
    expect_values(layer.post(pass)[2], {-1.691190, .224343, .815447, .651399}, 1e-5, "window of 3 keys");
    expect_rows(
        layer.probabilities(layer.h, layer.state.get("memory"), 0, 2),
        {{.524108, .178780, .297112, 0, 0}, {0, 0, .364132, .249697, .386170}, {0, 0, .271979, .381034, .346987}},
        "window of 3 keys");
}

// The memory holds what enters the layer; it goes through the norm with today's gain.
TEST(RelativeAttention, GoldenPreNorm) {
    Layer layer;
    ParameterStore norms;
    const StackNorm norm(LayerNorm(norms, "norm", D, 1e-5));
    norms.materialize(at::kDouble, at::kDouble, at::kCPU, 1);
    Pass pass;
    pass.memory = M;
    const Place place{.entering_TBD = layer.h, .norm = &norm};
    BranchOutput out = layer.made.block->branch(norm(layer.h), layer.state, {pass, place});
    expect_values((layer.h + out.delta_TBD)[2], {.018782, .685878, .974716, .859385}, 1e-5, "output");
    expect_rows(layer.probabilities(Layer::plain_norm(layer.h), Layer::plain_norm(layer.state.get("memory"))),
                {{.498967, .232881, .268152, 0, 0},
                 {.205848, .195802, .187729, .203180, .207440},
                 {.226305, .138321, .173766, .200566, .261042}},
                "pre-norm");
    expect_close(out.state.get("memory"), layer.h.narrow(0, 1, 2), 0, "kept: what entered, not its norm");
}

TEST(RelativeAttention, WithoutPositionsItIsPlainAttention) {
    Layer layer;
    at::NoGradGuard guard;
    for (const char* name : {"b.positions", "position_bias.u", "position_bias.v"}) layer.parameter(name).zero_();
    ModelConfig plain = model();
    plain.positions = Positions::none;
    MadeBlock other(*find_block_kind("s"), plain);
    other.set("qkv", layer.parameter("b.qkv"));
    other.set("out", layer.parameter("b.out"));
    Pass pass;
    pass.memory = M;
    expect_close(layer.made.block->branch(layer.h, layer.state, pass).delta_TBD,
                 other.block->branch(layer.h, layer.state, pass).delta_TBD, 1e-12, "plain");
}

TEST(RelativeAttention, BiasesAreOnePairOrOneForEachLayer) {
    for (bool tied : {true, false}) {
        ParameterStore store;
        const ModelConfig config = model();
        AttentionValues values = AttentionValues::defaults(config);
        values.tie_position_biases = tied;
        const RelativeAttentionBlock first(values, {store, "a", config}), second(values, {store, "b", config});
        EXPECT_EQ(store.size(), tied ? 2u * 3 + 2 : 2u * 3 + 2 * 2);
    }
}

// One token inside and one outside of what a layer reaches back, which is its memory (transformer_xl_test.cpp has
// stacks).
TEST(RelativeAttention, ReceptiveFieldOfALayerIsItsMemory) {
    Layer layer;
    Pass pass;
    pass.memory = M;
    auto last = [&](int64_t changed) {
        Tensor x = wave({6, 1, D}, 0.9, 0.1, 1.0);
        if (changed >= 0) x[changed].add_(1);
        State state;
        Tensor y;
        for (int64_t at = 0; at < 6; at += T) {
            auto out = layer.made.block->branch(x.narrow(0, at, T), state, pass);
            y = out.delta_TBD;
            state = std::move(out.state);
        }
        return y;
    };
    const Tensor before = last(-1);
    EXPECT_FALSE(at::equal(before, last(1)));
    EXPECT_TRUE(at::equal(before, last(0)));
}

}  // namespace
}  // namespace lithe
