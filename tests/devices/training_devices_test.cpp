// Whole models on the GPU: every optimizer's first updates against the CPU's, the same bits every time, and the
// commands from training over a broken-off run to text.
#include "devices/devices.h"
#include "support/program.h"
#include "support/run_essence.h"
#include "support/stepped.h"
#include "support/tiny_run.h"

namespace lithe {
namespace {

using testing::device_under_test;
using testing::expect_near;

class GpuTraining : public testing::GpuTest {};

struct Trained {
    testing::Stepped stepped;
    LanguageModel& model;
    std::vector<double> losses;
    bool recorded = false;

    Trained(const std::string& text, at::Device device, at::ScalarType master, at::ScalarType working,
            bool graphs = true, int updates = 7)
        : stepped(text, {.step = {.graphs = graphs}, .master = master, .working = working, .device = device}),
          model(stepped.model) {
        for (int64_t i = 0; i < updates; ++i) {
            const Tensor ids = (at::arange(12 * 4, at::kLong) * 7 + i * i).remainder(50).view({12, 4});
            Tensor targets = (ids + 3).remainder(50);
            if (stepped.objective->name() == "masked") targets = targets.masked_fill(ids.remainder(3).ne(0), -1);
            losses.push_back(stepped.run(ids, targets, uint64_t(i)).loss);
        }
        recorded = stepped.step->recorded();
    }
};

void expect_same_training(const std::string& text) {
    for (const auto& [master, working] : {std::pair(at::kDouble, at::kDouble), {at::kFloat, at::kFloat}}) {
        SCOPED_TRACE(text + testing::type_name(master));
        // LAMB, Adam and Muon divide by what may be close to nothing, so that the last bits of a sum grow
        const double tolerance = master == at::kDouble ? 1e-7 : 2e-3;
        const Trained expected(text, at::kCPU, master, working), got(text, device_under_test(), master, working);
        for (size_t i = 0; i < expected.losses.size(); ++i)
            EXPECT_NEAR(got.losses[i], expected.losses[i], tolerance * expected.losses[i]) << "update " << i;
        for (size_t i = 0; i < expected.model.parameters().size(); ++i)
            expect_near(got.model.parameters().master(i), expected.model.parameters().master(i), tolerance,
                        expected.model.parameters().spec(i).name);
    }
}

const char* const kModels[] = {
    "[model]\nwidth = 16\nlayout = \"ux2\"\nmemory = 12\ndropout = 0.1\nngrams = {lengths = \"2-3\", rows = 40, width "
    "= 4}\n",
    "[model]\nwidth = 16\nheads = 2\nlayout = \"(sf)x2\"\nmemory = 12\npositions = \"relative\"\nfinal_norm = true\n"
    "tie_embeddings = true\n[model.adaptive]\ncutoffs = \"20/35\"\n",
    "[model]\nwidth = 16\nheads = 2\nlayout = \"sfrl\"\npositions = \"learned\"\nmax_positions = 12\nnorm = \"post\"\n",
    "[model]\nwidth = 16\nheads = 2\nlayout = \"(sf)x2\"\ndirection = \"bidirectional\"\npositions = \"sinusoidal\"\n"
    "head = \"transform\"\n[objective]\nname = \"masked\"\n",
    "[model]\nwidth = 16\nheads = 2\nlayout = \"(sf)x3\"\n[layer_drop]\nmethod = \"progressive\"\n",
};

TEST_F(GpuTraining, EveryModel) {
    for (const char* model : kModels) expect_same_training(model);
}

TEST_F(GpuTraining, EveryOptimizer) {
    for (const char* name : {"adamw", "adam", "radam", "sgd", "lamb", "muon"})
        expect_same_training(std::string(kModels[0]) + "[optimizer]\nname = \"" + name +
                             "\"\nclip_norm = 0.5\nlookahead_steps = 2\naverage = 0.9\n");
}

void expect_same_bits(const Trained& a, const Trained& b) {
    EXPECT_EQ(a.losses, b.losses);
    for (size_t i = 0; i < a.model.parameters().size(); ++i)
        EXPECT_TRUE(at::equal(a.model.parameters().master(i), b.model.parameters().master(i)))
            << a.model.parameters().spec(i).name;
}

TEST_F(GpuTraining, SameBitsEveryTime) {
    for (const char* model : kModels) {
        SCOPED_TRACE(model);
        expect_same_bits(Trained(model, device_under_test(), at::kFloat, at::kBFloat16),
                         Trained(model, device_under_test(), at::kFloat, at::kBFloat16));
    }
}

// Dropout too, whose masks differ from step to step.
TEST_F(GpuTraining, ARecordedStepIsTheStep) {
    for (const char* model :
         {"[model]\nwidth = 16\nlayout = \"ux2\"\nmemory = 12\ndropout = 0.3\n",
          "[model]\nwidth = 16\nlayout = \"ux2\"\nmemory = 12\nmemory_form = \"projections\"\n",
          "[model]\nwidth = 16\nheads = 2\nlayout = \"(sf)x2\"\nmemory = 12\npositions = \"relative\"\ndropout = 0.3\n"
          "attention_dropout = 0.2\n",
          "[model]\nwidth = 16\nheads = 2\nlayout = \"sfrl\"\npositions = \"learned\"\nmax_positions = 12\n"
          "[optimizer]\nname = \"muon\"\n"}) {
        SCOPED_TRACE(model);
        const Trained played(model, device_under_test(), at::kFloat, at::kBFloat16),
            run(model, device_under_test(), at::kFloat, at::kBFloat16, false);
        EXPECT_TRUE(played.recorded);
        EXPECT_FALSE(run.recorded);
        expect_same_bits(played, run);
    }
}

TEST_F(GpuTraining, AStepThatIsTakenBackLeavesTheStateOfBefore) {
    testing::Stepped made(
        "[model]\nwidth = 16\nlayout = \"ux2\"\nmemory = 12\n",
        {.step = {.graphs = true}, .master = at::kFloat, .working = at::kFloat, .device = device_under_test()});
    const Tensor ids = (at::arange(12 * 4, at::kLong) * 7).remainder(50).view({12, 4});
    auto state = [&] {
        std::vector<Tensor> list;
        for (const auto& [path, tensor] : flatten(made.step->carried().front()))
            list.push_back(tensor.value.cpu().clone());
        return list;
    };
    at::NoGradGuard no_grad;
    const Tensor weights = made.model.parameters().master_flat();
    for (uint64_t i = 0; i < 8; ++i) {  // before and after it is recorded
        const auto before = state();
        const Tensor good = weights.clone();
        weights.fill_(NAN);
        const at::AutoGradMode gradients(true);
        EXPECT_FALSE(made.run((ids + int64_t(i)).remainder(50), ids, i).finite());
        const auto after = state();
        ASSERT_EQ(after.size(), before.size());
        for (size_t s = 0; s < before.size(); ++s) EXPECT_TRUE(at::equal(after[s], before[s])) << i;
        const at::NoGradGuard again;
        weights.copy_(good);
        const at::AutoGradMode more(true);
        EXPECT_TRUE(made.run((ids + int64_t(i)).remainder(50), ids, i).finite());
    }
    EXPECT_TRUE(made.step->recorded());
}

TEST_F(GpuTraining, CommandsFromTrainingToText) {
    const testing::TemporaryFolder folder;
    const std::string config = testing::tiny_config(folder), whole = folder.file("whole"), parts = folder.file("parts");
    auto train = [&](const std::string& run, const char* steps) {
        const auto done = testing::run({"train", config, "--run", run, "--set", "train.device=cuda", "--set",
                                        "train.precision=bf16", "--max-steps", steps});
        EXPECT_EQ(done.code, 0) << done.err;
    };
    train(whole, "12");
    train(parts, "7");
    train(parts, "12");
    EXPECT_GT(testing::saved_tensors(whole).size(), 1000u);
    EXPECT_TRUE(testing::saved_tensors(whole) == testing::saved_tensors(parts))
        << "a run that was broken off ends otherwise";
    auto done = testing::run({"eval", whole, "--json"});
    EXPECT_EQ(done.code, 0) << done.err;
    done = testing::run({"generate", whole, "--prompt", "the ", "--tokens", "20"});
    EXPECT_EQ(done.code, 0) << done.err;
    EXPECT_GT(done.out.size(), 4u);
}

}  // namespace
}  // namespace lithe
