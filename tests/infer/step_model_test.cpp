// Single steps without tensors equal the forward pass, for every block kind that has them.
#include "lithe/infer/step_model.h"

#include "infer/models.h"
#include "lithe/infer/decode.h"

namespace lithe {
namespace {

using testing::kStepModels;
using testing::make_model;

double largest_difference(const LanguageModel& model, const StepModel::Options& options, double& size) {
    at::NoGradGuard no_grad;
    auto step = StepModel::make(model, options);
    EXPECT_NE(step, nullptr);
    if (!step) return 1e30;
    Pass pass = model.pass(false);
    pass.memory = options.memory;
    pass.keep_projections = true;
    Tensor ids = (at::arange(30, at::kLong) * 7919 % 50).unsqueeze(1);
    double worst = 0;
    State state;
    for (int64_t at = 0; at < 30; ++at) {
        // a prompt of 5, then single steps; after step 12 the state is taken over anew
        const int64_t count = at == 0 ? 5 : 1;
        pass.position_B = at::full({1}, at, at::kLong);
        if (at == 5 || at == 12) step->load(state, 0, at);
        auto out = model.forward(ids.narrow(0, at, count), state, pass);
        state = out.state;
        if (at >= 5) {
            Tensor expected = out.logits_TBV[0][0].to(at::kFloat);
            Tensor got = at::from_blob(const_cast<float*>(step->next({{ids[at][0].item<int64_t>()}})), {50});
            worst = std::max(worst, (got - expected).abs().max().item<double>());
            size = std::max(size, expected.abs().max().item<double>());
        }
        at += count - 1;
    }
    return worst;
}

TEST(StepModel, EqualsTheForwardPass) {
    for (const char* text : kStepModels)
        for (int threads : {1, 2, 3}) {
            auto relative = [&](const LanguageModel& model, bool int8) {
                double size = 0;
                const double difference =
                    largest_difference(model, {.memory = 8, .threads = threads, .int8 = int8}, size);
                return difference / size;
            };
            auto single = make_model(text, at::kFloat), half = make_model(text, at::kBFloat16);
            EXPECT_LE(relative(*single, false), 1e-5) << text;
            EXPECT_LE(relative(*half, false), 0.05) << text;  // forward() rounds every activation, the steps do not
            EXPECT_LE(relative(*single, true), 0.1) << text;
        }
}

TEST(StepModel, ThreadsByTheBytesOfWeights) {
    const auto threads = [](const char* text, bool int8) {
        LanguageModel model(parse_config(std::string("[model]\n") + text, "test"), 256);
        model.materialize(at::kFloat, at::kBFloat16, at::kCPU, 5);
        return StepModel::worthwhile_threads(model, 2, 1, int8);
    };
    EXPECT_EQ(threads("width = 512\nlayout = \"ux6\"", false), 1);
    EXPECT_EQ(threads("width = 1024\nlayout = \"ux10\"", false), 2);  // 24 MB
    EXPECT_EQ(threads("width = 1024\nlayout = \"ux10\"", true), 1);
}

TEST(StepModel, GenerationIsTheSameText) {
    for (const char* text : kStepModels) {
        auto model = make_model(text);
        const DecodeOptions options{.sampling = {.temperature = 0}, .until = {.tokens = 90}};  // beyond the positions
        auto run = [&](Session::Path path) {
            return generate(*model, {1, 2, 3, 4, 5}, options, {.memory = 8, .segment = 7, .path = path});
        };
        EXPECT_EQ(run(Session::Path::steps), run(Session::Path::forward)) << text;
    }
}

}  // namespace
}  // namespace lithe
