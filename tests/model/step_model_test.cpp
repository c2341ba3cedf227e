// Single steps without tensors equal the forward pass, for every block kind that has them.
#include "lithe/model/step_model.h"

#include <ATen/Parallel.h>

#include "lithe/model/generate.h"
#include "lithe/spec/config_io.h"
#include "support/waves.h"

namespace lithe {
namespace {

const char* const kModels[] = {
    "width = 48\nlayout = \"ux2\"\nmemory = 8",
    "width = 48\nlayout = \"ux2\"\nmemory = 8\nheads = 2",
    "width = 48\nlayout = \"(rru)(sf)\"\nheads = 4\nmemory = 8\nfinal_norm = true\nngrams = 7\nngram_rows = 60\n"
    "ngram_lengths = \"2-3, 7\"",
    "width = 48\nlayout = \"(sf)x2\"\nheads = 4\npositions = \"learned\"\nmax_positions = 64\ntie_embeddings = true",
    "width = 48\nlayout = \"sf-\"\npositions = \"sinusoidal\"\nmax_positions = 64\nnorm = \"post\"",
    "width = 40\nlayout = \"[<sru>]x2 l\"",
    "width = 48\nlayout = \"(sf)x2\"\nheads = 4\nmemory = 8\npositions = \"relative\"\nnorm = \"post\"\n"
    "embedding_scale = \"sqrt_width\"\ntie_embeddings = true",
    "width = 48\nlayout = \"(sf)x2\"\nheads = 2\nmemory = 8\npositions = \"relative\"",
};

std::unique_ptr<LanguageModel> make(const std::string& text, at::ScalarType working) {
    auto model = std::make_unique<LanguageModel>(parse_config("[model]\n" + text, "test"), 50);
    model->materialize(at::kFloat, working, at::kCPU, 5);
    at::NoGradGuard guard;
    for (size_t i = 0; i < model->parameters().size(); ++i) {
        const ParameterSpec& spec = model->parameters().spec(i);
        Tensor value = model->parameters().working(i);
        if (spec.role == Role::scalar) value.fill_(0.5);
        if (spec.name.rfind("position_bias", 0) == 0) value.copy_(testing::wave(spec.shape, 0.7, 0.3, 1.0));
    }
    return model;
}

double largest_difference(const LanguageModel& model, const StepModel::Options& options, double& size) {
    at::NoGradGuard no_grad;
    auto step = StepModel::make(model, options);
    EXPECT_NE(step, nullptr);
    if (!step) return 1e30;
    Pass pass = model.pass(false);
    pass.memory = options.memory, pass.keep_projections = true;
    Tensor ids = (at::arange(30, at::kLong) * 7919 % 50).unsqueeze(1);
    double worst = 0;
    State state;
    for (int64_t at = 0; at < 30; ++at) {
        // a prompt of 5, then single steps; after step 12 the state is taken over anew
        const int64_t count = at == 0 ? 5 : 1;
        pass.position_B = at::full({1}, at, at::kLong);
        if (at == 5 || at == 12) step->load(state, at);
        auto out = model.forward(ids.narrow(0, at, count), state, pass);
        state = out.state;
        if (at >= 5) {
            Tensor expected = out.logits_TBV[0][0].to(at::kFloat);
            Tensor got = at::from_blob(const_cast<float*>(step->next(ids[at][0].item<int64_t>())), {50});
            worst = std::max(worst, (got - expected).abs().max().item<double>());
            size = std::max(size, expected.abs().max().item<double>());
        }
        at += count - 1;
    }
    return worst;
}

TEST(StepModel, EqualsTheForwardPass) {
    for (const char* text : kModels)
        for (int threads : {1, 2, 3}) {
            auto relative = [&](const LanguageModel& model, bool int8) {
                double size = 0;
                const double difference =
                    largest_difference(model, {.memory = 8, .threads = threads, .int8 = int8}, size);
                return difference / size;
            };
            auto single = make(text, at::kFloat), half = make(text, at::kBFloat16);
            EXPECT_LE(relative(*single, false), 1e-5) << text;
            EXPECT_LE(relative(*half, false), 0.05) << text;  // forward() rounds every activation, the steps do not
            EXPECT_LE(relative(*single, true), 0.1) << text;
        }
}

TEST(StepModel, ThreadsByTheBytesOfWeights) {
    const auto threads = [](const char* text, bool int8) {
        LanguageModel model(parse_config(std::string("[model]\n") + text, "test"), 256);
        model.materialize(at::kFloat, at::kBFloat16, at::kCPU, 5);
        return StepModel::worthwhile_threads(model, 2, int8);
    };
    EXPECT_EQ(threads("width = 512\nlayout = \"ux6\"", false), 1);
    EXPECT_EQ(threads("width = 1024\nlayout = \"ux10\"", false), 2);  // 24 MB
    EXPECT_EQ(threads("width = 1024\nlayout = \"ux10\"", true), 1);
}

TEST(StepModel, GenerationIsTheSameText) {
    for (const char* text : kModels) {
        auto model = make(text, at::kFloat);
        SamplingOptions options{.tokens = 90, .temperature = 0, .memory = 8, .segment = 7};  // beyond the positions
        auto run = [&](bool steps) {
            options.steps = steps;
            return generate(*model, {1, 2, 3, 4, 5}, options, [](int64_t) { return true; });
        };
        EXPECT_EQ(run(true), run(false)) << text;
    }
}

}  // namespace
}  // namespace lithe
