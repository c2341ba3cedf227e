#include "lithe/model/language_model.h"

#include <torch/csrc/autograd/autograd.h>

#include "lithe/model/cost.h"
#include "lithe/model/parameter_files.h"
#include "lithe/objectives/evaluate.h"
#include "lithe/objectives/load_model.h"
#include "lithe/objectives/next.h"
#include "lithe/spec/config_io.h"
#include "lithe/tokenize/bytes.h"
#include "support/errors.h"
#include "support/files.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::expect_close;

std::unique_ptr<LanguageModel> make(const std::string& text, int64_t vocabulary = 32,
                                    at::ScalarType type = at::kDouble) {
    auto model = std::make_unique<LanguageModel>(parse_config(text, "test"), vocabulary);
    model->materialize(type, type, at::kCPU, 5);
    at::NoGradGuard guard;
    for (size_t i = 0; i < model->parameters().size(); ++i)
        if (model->parameters().spec(i).role == Role::scalar) model->parameters().working(i).fill_(0.5);
    return model;
}

Tensor ids(int64_t steps, int64_t batch, int64_t vocabulary = 32) {
    return (at::arange(steps * batch, at::kLong) * 7919 % vocabulary).view({steps, batch});
}

const char* const kModels[] = {
    "[model]\nwidth = 16\nlayout = \"ux2\"\nmemory = 8\n[train]\nlength = 8",
    "[model]\nwidth = 16\nlayout = \"(rru)(sf)\"\nheads = 2\nmemory = 8\nfinal_norm = true\n[train]\nlength = 8",
    "[model]\nwidth = 16\nlayout = \"(sf)x2\"\nheads = 4\npositions = \"learned\"\ntie_embeddings = "
    "true\n[train]\nlength = 32",
    "[model]\nwidth = 16\nlayout = \"(sf)x2\"\nheads = 4\npositions = \"sinusoidal\"\nnorm = \"post\"\n[train]\nlength "
    "= 32",
    "[model]\nwidth = 16\nlayout = \"<sru>l\"\n[train]\nlength = 8",
    "[model]\nwidth = 16\nlayout = \"ru\"\nmemory = 8\nngrams = {lengths = \"2-4\", rows = 50, width = "
    "3}\n[train]\nlength = "
    "8",
};

TEST(LanguageModel, LossIsTheCrossEntropyOfTheLogits) {
    for (const char* text : kModels) {
        auto model = make(text);
        Pass pass = model->pass(false);
        Tensor in = ids(8, 3), targets = ids(8, 3).add(3).remainder(32);
        Tensor logits = model->forward(in, {}, pass).logits_TBV;
        double expected =
            at::cross_entropy_loss(logits.flatten(0, 1), targets.flatten(), {}, at::Reduction::Sum).item<double>();
        EXPECT_NEAR(model->loss(in, targets, {}, pass).sum.item<double>(), expected, 1e-9) << text;
    }
}

TEST(LanguageModel, TheFinalNormHasTheModelsEpsilon) {
    auto logits = [](const std::string& epsilon) {
        const auto model = make(
            "[model]\nwidth = 16\nlayout = \"<sru>\"\nnorm = \"none\"\nfinal_norm = true\nnorm_epsilon = " + epsilon +
            "\n[train]\nlength = 8");
        Pass pass = model->pass(false);
        return model->forward(ids(8, 3), {}, pass).logits_TBV;
    };
    EXPECT_GT((logits("0.5") - logits("1e-5")).abs().max().item<double>(), 1e-4);
}

TEST(LanguageModel, GradientsOfTheLossMatchAutograd) {
    auto model = make(kModels[1]);
    Tensor in = ids(8, 3), targets = ids(8, 3).add(3).remainder(32);
    torch::autograd::backward({model->loss(in, targets, {}, model->pass(true)).sum}, {});
    std::vector<Tensor> fused;
    for (size_t i = 0; i < model->parameters().size(); ++i) {
        fused.push_back(model->parameters().working(i).grad().clone());
        model->parameters().working(i).mutable_grad().reset();
    }
    Tensor logits = model->forward(in, {}, model->pass(true)).logits_TBV;
    torch::autograd::backward({at::cross_entropy_loss(logits.flatten(0, 1), targets.flatten(), {}, at::Reduction::Sum)},
                              {});
    for (size_t i = 0; i < fused.size(); ++i)
        expect_close(fused[i], model->parameters().working(i).grad(), 1e-10, model->parameters().spec(i).name);
}

// memory_form decides what training keeps, and what it is said to cost.
TEST(LanguageModel, TrainingKeepsInputsOrProjections) {
    const std::string text = "[model]\nwidth = 16\nlayout = \"u\"\nmemory = 8\nmemory_form = ";
    double flops[2];
    for (bool kept : {false, true}) {
        auto model = make(text + (kept ? "\"projections\"" : "\"inputs\"") + "\n[train]\nlength = 8");
        State state = model->loss(ids(8, 2), ids(8, 2), {}, model->pass(true)).state.parts[0];
        EXPECT_EQ(state.find("projections") != nullptr, kept);
        EXPECT_EQ(state.find("memory") != nullptr, !kept);
        const CostShape shape{.length = 8, .memory = 8, .kept = kept};
        flops[kept] = count_cost(*model, shape).training_flops_per_token;
    }
    const double d = 16, p = 4;  // no second projection (2 dp forward and for weights), no gradient of keys
    EXPECT_DOUBLE_EQ(flops[0] - flops[1], 2 * 2 * d * p + 4 * 8 * p);
}

TEST(LanguageModel, AbsolutePositionsEnd) {
    auto model = make("[model]\nwidth = 16\nlayout = \"sf\"\nheads = 2\npositions = \"learned\"\nmax_positions = 10\n");
    EXPECT_ERROR(model->forward(ids(11, 1), {}, model->pass(false)), ErrorKind::usage,
                 "beyond the model's 10 absolute positions");
}

// The totals of SRU++ (Lei 2021, tables 2 and 3 in millions; added up in tests/golden/make_parameters.py), from the
// shipped configurations.
TEST(Cost, PublishedParameterCounts) {
    struct Row {
        const char* name;
        int64_t parameters;
    };
    for (const Row& row : {Row{"small", 42345815},
                           {"base", 107566295},
                           {"base-every5", 98129103},
                           {"large", 190607575},
                           {"ratio8", 194993815}}) {
        Config config = load_config(std::string(LITHE_SOURCE_FOLDER "/configs/enwik8-srupp-") + row.name + ".toml");
        LanguageModel model(config, config.model.vocabulary_size);
        EXPECT_EQ(count_cost(model, {.length = 512, .memory = 512}).parameters, row.parameters) << row.name;
    }
}

TEST(Cost, LayersAddUp) {
    auto model = make(kModels[1]);
    ModelCost cost = count_cost(*model, {.length = 8, .memory = 8});
    int64_t parameters = 0;
    double flops = 2 * 16 * 32;
    for (const LayerCost& layer : cost.layers) {
        parameters += layer.parameters;
        flops += layer.flops_per_token;
    }
    EXPECT_EQ(parameters + 2 * 16 * 32 + 32 + 2 * 16, cost.parameters);  // embedding, head, bias, final norm
    EXPECT_DOUBLE_EQ(flops, cost.flops_per_token);
    EXPECT_GT(cost.training_flops_per_token, 2.5 * flops);
}

TEST(Parameters, Bf16CopiesFollowTheMasters) {
    Config config = parse_config(kModels[0], "test");
    LanguageModel model(config, 32);
    model.materialize(at::kFloat, at::kBFloat16, at::kCPU, 1);
    for (size_t i = 0; i < model.parameters().size(); ++i) {
        const Role role = model.parameters().spec(i).role;
        const bool matrix = role == Role::matrix || role == Role::embedding || role == Role::head;
        EXPECT_EQ(model.parameters().working(i).scalar_type(), matrix ? at::kBFloat16 : at::kFloat);
        expect_close(model.parameters().working(i),
                     model.parameters().master(i).to(model.parameters().working(i).scalar_type()), 0,
                     model.parameters().spec(i).name);
    }
}

TEST(Checkpoint, SavesAndLoadsTheSameModel) {
    testing::TemporaryFolder folder;
    Config config = parse_config(kModels[0], "test");
    config.model.vocabulary_size = 256;
    LanguageModel model(config, 256);
    model.materialize(at::kFloat, at::kFloat, at::kCPU, 9);
    CheckpointContent content{
        model_tensors(model.parameters()), {}, "", to_json(config), tokenize::ByteTokenizer().to_json()};
    const std::string place = folder.file("run/checkpoints/step-000000003");
    write_checkpoint(place, content);
    write_checkpoint(place, content);  // again, over itself
    verify_checkpoint(place);
    for (const std::string& selector : {place, folder.file("run"), folder.file("run@latest"), folder.file("run@step:3"),
                                        place + "/model.safetensors"}) {
        LoadedModel loaded = load_model(selector);
        loaded.model->materialize(at::kFloat, at::kFloat, at::kCPU, 0);
        load_parameters(loaded.model->parameters(), loaded.folder + "/model.safetensors");
        expect_close(loaded.model->parameters().master_flat(), model.parameters().master_flat(), 0, selector);
    }
    EXPECT_ERROR(load_model(folder.file("run@step:4")), ErrorKind::bad_file, "it has: 3");
    EXPECT_ERROR(load_model(folder.file("run@best")), ErrorKind::bad_file, "no best checkpoint");
    EXPECT_ERROR(load_model(folder.file("run@first")), ErrorKind::usage, "unknown checkpoint '@first'");
    EXPECT_ERROR(load_model(folder.file("nothing")), ErrorKind::bad_file, "no such run");
    EXPECT_ERROR(load_model(folder.write("model.pt", "x")), ErrorKind::bad_file, "can execute code");
}

TEST(Checkpoint, EveryDamageIsNamed) {
    testing::TemporaryFolder folder;
    Config config = parse_config(kModels[0], "test");
    LanguageModel model(config, 256);
    model.materialize(at::kFloat, at::kFloat, at::kCPU, 9);
    const std::string place = folder.file("run/checkpoints/step-000000001");
    CheckpointContent content{
        model_tensors(model.parameters()), {}, "", to_json(config), tokenize::ByteTokenizer().to_json()};
    for (const char* name : {"model.safetensors", "config.json", "tokenizer.json", "manifest.json"}) {
        write_checkpoint(place, content);
        std::string bytes = testing::read_all(place + "/" + name);
        bytes[bytes.size() / 2] = char(bytes[bytes.size() / 2] ^ 1);
        std::ofstream(place + "/" + name) << bytes;
        EXPECT_ERROR(load_model(place), ErrorKind::bad_file,
                     name == std::string("manifest.json") ? "manifest" : "checksum");
        write_checkpoint(place, content);
        std::filesystem::resize_file(place + "/" + name, bytes.size() / 2);
        EXPECT_ERROR(load_model(place), ErrorKind::bad_file,
                     name == std::string("manifest.json") ? "manifest" : "size does not fit");
        std::filesystem::remove(place + "/" + name);
        EXPECT_ERROR(load_model(place), ErrorKind::bad_file, name);
    }
}

TEST(Checkpoint, WeightsOfAnotherModelAreRefused) {
    testing::TemporaryFolder folder;
    Config config = parse_config(kModels[0], "test");
    LanguageModel small(config, 256), other(parse_config(kModels[1], "test"), 256);
    small.materialize(at::kFloat, at::kFloat, at::kCPU, 9);
    other.materialize(at::kFloat, at::kFloat, at::kCPU, 9);
    write_checkpoint(folder.file("c/step-000000001"),
                     {model_tensors(small.parameters()), {}, "", to_json(config), tokenize::ByteTokenizer().to_json()});
    EXPECT_ERROR(load_parameters(other.parameters(), folder.file("c/step-000000001/model.safetensors")),
                 ErrorKind::bad_file, "the weights do not fit the configuration");
}

class Numbers : public TokenView {
 public:
    explicit Numbers(uint64_t size) : size_(size) {}
    uint64_t size() const override { return size_; }
    uint64_t bytes() const override { return size_; }
    void read(uint64_t begin, uint64_t count, int64_t* out) const override {
        for (uint64_t i = 0; i < count; ++i) out[i] = int64_t((begin + i) * (begin + i) % 31);
    }

 private:
    uint64_t size_;
};

std::optional<EvaluationResult> score(LanguageModel& model, const ScoredText& text,
                                      const EvaluationProtocol& protocol) {
    return evaluate(NextObjective(model.vocabulary_size()), Models::of(model), text, protocol);
}

// Every token but the first is scored once, whatever the batch; with lead and memory covering all, one stream is exact.
TEST(Evaluate, ScoresEveryTokenOnce) {
    auto model = make(kModels[0], 32, at::kFloat);
    Numbers text(1000);
    for (auto [batch, lead] : {std::pair<int64_t, int64_t>{1, 0}, {4, 50}, {7, 33}, {16, 1024}}) {
        auto result = score(*model, text, {.batch = batch, .length = 8, .memory = 8, .lead = lead});
        ASSERT_TRUE(result);
        EXPECT_EQ(result->tokens, 999u) << batch;
        EXPECT_EQ(result->bytes, 999u);
        EXPECT_NEAR(result->bits_per_byte, result->loss / std::log(2), 1e-9);
    }
}

TEST(Evaluate, CarriedStateEqualsOneLongSegment) {
    auto model = make(kModels[0], 32, at::kDouble);
    Numbers text(65);
    double pieces = score(*model, text, {.batch = 1, .length = 8, .memory = 64, .lead = 0})->loss;
    double whole = score(*model, text, {.batch = 1, .length = 64, .memory = 64, .lead = 0})->loss;
    EXPECT_NEAR(pieces, whole, 1e-10);
    double windowed =
        score(*model, text, {.batch = 1, .length = 8, .memory = 16, .lead = 0, .mask = AttentionMask::same_length})
            ->loss;
    double windowed_whole =
        score(*model, text, {.batch = 1, .length = 64, .memory = 16, .lead = 0, .mask = AttentionMask::same_length})
            ->loss;
    EXPECT_NEAR(windowed, windowed_whole, 1e-10) << "the per-query window does not depend on the segments";
    EXPECT_NE(windowed, whole);
}

}  // namespace
}  // namespace lithe
