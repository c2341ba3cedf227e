// What makes a model small: one layer applied often (ALBERT, Universal Transformer), and narrow vectors of tokens.
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "lithe/base/position_flags.h"
#include "lithe/model/coordinates.h"
#include "lithe/model/language_model.h"
#include "lithe/spec/config_io.h"
#include "support/built_stack.h"
#include "support/errors.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::BuiltStack;
using testing::expect_close;
using testing::wave;

Tensor parameter(const LanguageModel& model, const std::string& name) {
    for (size_t i = 0; i < model.parameters().size(); ++i)
        if (model.parameters().spec(i).name == name) return model.parameters().working(i);
    throw std::runtime_error("no parameter " + name);
}

std::unique_ptr<LanguageModel> made(const std::string& text, const std::vector<std::string>& sets = {}) {
    auto model = std::make_unique<LanguageModel>(parse_config("[model]\n" + text, "test", sets), 20);
    model->materialize(at::kDouble, at::kDouble, at::kCPU, 5);
    return model;
}

// ALBERT's counts (table 1 of the paper: 12M, 18M, 60M, 235M).
TEST(Sharing, AlbertsCounts) {
    struct Size {
        int64_t width, heads, inner, layers, count;
    };
    for (const Size& size : {Size{768, 12, 3072, 12, 11683584}, Size{1024, 16, 4096, 24, 17683968},
                             Size{2048, 16, 8192, 24, 58724864}, Size{4096, 64, 16384, 12, 222595584}}) {
        const auto set = [](const char* name, int64_t value) { return name + ("=" + std::to_string(value)); };
        const Config config =
            load_config(LITHE_SOURCE_FOLDER "/configs/albert-base.toml",
                        {set("model.width", size.width), set("model.heads", size.heads),
                         set("blocks.f.inner", size.inner), "model.layout=[sf]x" + std::to_string(size.layers)});
        EXPECT_EQ(LanguageModel(config, 30000).parameters().count(), size.count) << size.width;
    }
}

// A shared layer's gradient is the sum of those that its applications would have each for itself.
TEST(Sharing, GradientsAreTheSumOverApplications) {
    BuiltStack shared("[sf]x3"), apart("(sf)x3");
    const at::AutoGradMode enable(true);
    {
        const at::NoGradGuard no_grad;
        for (size_t i = 0; i < apart.store.size(); ++i)
            apart.store.working(i).copy_(shared.store.working(i % shared.store.size()));
    }
    const Tensor x = wave({4, 2, 8}, 0.3, 0.1, 1.0);
    for (BuiltStack* each : {&shared, &apart}) {
        const Tensor y = each->stack.root->forward(x, {}, {.memory = 6}).flow.x_TBD;
        torch::autograd::backward({(y * wave(y.sizes(), 0.9, 0.2, 1)).sum()}, {});
    }
    const size_t count = shared.store.size();
    ASSERT_EQ(apart.store.size(), 3 * count);
    for (size_t i = 0; i < count; ++i) {
        const Tensor sum = apart.store.working(i).grad() + apart.store.working(count + i).grad() +
                           apart.store.working(2 * count + i).grad();
        expect_close(shared.store.working(i).grad(), sum, 1e-12, shared.store.spec(i).name);
    }
}

// x = LN(token + position) P^T + b, and the head's product with the tokens' vectors stands behind one to their width.
TEST(Sharing, NarrowVectorsGoThroughAProduct) {
    const auto model = made(
        "width = 8\nheads = 2\nlayout = \"f\"\nembedding_width = 4\npositions = \"learned\"\nmax_positions = 6\n"
        "tie_embeddings = true\n[model.bert]\nembedding_norm = true\n");
    EXPECT_EQ(parameter(*model, "embeddings.tokens").sizes(), at::IntArrayRef({20, 4}));
    const Tensor ids = at::arange(10, at::kLong).view({5, 2});
    State after;
    const Tensor x = model->decoder().embedding()(ids, {}, {}, after);
    const Tensor sum = at::embedding(parameter(*model, "embeddings.tokens"), ids) +
                       parameter(*model, "embeddings.positions").narrow(0, 0, 5).unsqueeze(1);
    const Tensor normed = at::layer_norm(sum, {4});
    expect_close(x, at::linear(normed, parameter(*model, "embeddings.projection")), 1e-12, "x");

    const Tensor h = wave({3, 8}, 0.7, 0.2, 1);
    const Tensor inner = at::linear(h, parameter(*model, "head.projection"));
    expect_close(model->head()->logits(h), at::linear(inner, parameter(*model, "embeddings.tokens")), 1e-12, "logits");
    const Tensor targets = at::tensor(std::vector<int64_t>{3, 0, 19});
    const Tensor expected = at::nll_loss(model->head()->logits(h).log_softmax(1), targets, {}, at::Reduction::Sum);
    expect_close(model->head()->loss(h, targets, 0), expected, 1e-12, "loss");

    const auto transform = made(
        "width = 8\nlayout = \"f\"\nembedding_width = 4\nhead = \"transform\"\n"
        "tie_embeddings = true\n");
    EXPECT_EQ(parameter(*transform, "head.transform.weight").sizes(), at::IntArrayRef({4, 8}));
    EXPECT_EQ(transform->head()->logits(h).sizes(), at::IntArrayRef({3, 20}));
    const auto own = made("width = 8\nlayout = \"f\"\nembedding_width = 4\n");
    EXPECT_EQ(parameter(*own, "head.weight").sizes(), at::IntArrayRef({20, 8})) << "output embeddings of its own";
    EXPECT_ERROR(made("width = 8\nlayout = \"f\"\nembedding_width = 4\ntie_embeddings = true\n"
                      "adaptive.cutoffs = \"5\"\nhead = \"adaptive\"\n"),
                 ErrorKind::usage, "model.embedding_width = 0");
}

double coordinate(int64_t number, int64_t width, int64_t dimension) {
    const int64_t half = width / 2;
    const double angle = double(number) / std::pow(10000.0, double(dimension % half) / double(half));
    return dimension < half ? std::sin(angle) : std::cos(angle);
}

// What reaches each step of a Universal Transformer: positions count anew in each document, steps from 1.
TEST(Sharing, CoordinatesOfPositionAndStep) {
    class Same : public Unit {
     public:
        UnitOutput forward(const Flow& flow, const State&, const Pass&) const override { return {flow, {}, {}}; }
        std::string own_residual() const override { return ""; }
    };
    const CoordinateLayer layer(std::make_unique<Same>(), 3);
    Pass pass;
    Tensor flags = at::zeros({4, 2}, at::kByte);
    flags[2][1] = int(kDocumentBegins);
    pass.set_flags(flags);
    pass.position_B = at::tensor(std::vector<int64_t>{7, 5});
    const Tensor y = layer.forward(at::zeros({4, 2, 8}, at::kDouble), {}, pass).flow.x_TBD;
    const int64_t positions[4][2] = {{7, 5}, {8, 6}, {9, 0}, {10, 1}};
    for (int64_t t = 0; t < 4; ++t)
        for (int64_t b = 0; b < 2; ++b)
            for (int64_t d = 0; d < 8; ++d)
                EXPECT_NEAR(y[t][b][d].item<double>(), coordinate(positions[t][b], 8, d) + coordinate(3, 8, d), 1e-12);
}

TEST(Sharing, AUniversalTransformerKnowsItsSteps) {
    const std::string text = "width = 8\nheads = 2\nlayout = \"[sf]x3\"\npositions = \"coordinates\"\n";
    const auto model = made(text), plain = made("width = 8\nheads = 2\nlayout = \"[sf]x3\"\n");
    EXPECT_EQ(model->parameters().count(), plain->parameters().count()) << "coordinates are computed";
    const Tensor x = wave({4, 2, 8}, 0.3, 0.1, 1.0);
    Tensor h = x;
    for (int64_t step = 0; step < 3; ++step) {
        const Tensor places = at::arange(4, at::kLong).unsqueeze(1);
        Tensor coordinates = at::zeros({4, 1, 8}, at::kDouble);
        for (int64_t t = 0; t < 4; ++t)
            for (int64_t d = 0; d < 8; ++d) coordinates[t][0][d] = coordinate(t, 8, d) + coordinate(step + 1, 8, d);
        h = plain->stack().root->units()[size_t(step)]->forward(h + coordinates, {}, {}).flow.x_TBD;
    }
    expect_close(model->stack().root->forward(x, {}, {}).flow.x_TBD, h, 1e-12, "three steps");
    EXPECT_ERROR(made("width = 8\nheads = 2\nlayout = \"~(sf)x3\"\npositions = \"coordinates\"\n"), ErrorKind::usage,
                 "a reversible run ('~') is none");
    EXPECT_ERROR(made(text + "memory = 6\n"), ErrorKind::usage, "model.memory = 0");
}

}  // namespace
}  // namespace lithe
