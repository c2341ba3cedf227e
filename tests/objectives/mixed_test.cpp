// Causal and masked rows in one stack: which rows are which, what they predict, what they see.
#include "lithe/objectives/mixed.h"

#include "lithe/base/rng.h"
#include "support/errors.h"
#include "support/stepped.h"

namespace lithe {
namespace {

const std::string kModel =
    "[model]\nwidth = 16\nheads = 2\nlayout = \"(sf)x2\"\npositions = \"learned\"\nmax_positions = 64\n"
    "[objective]\nname = \"mixed\"\n";

struct Mixed : testing::Stepped {
    explicit Mixed(const std::string& more = "", int64_t parts = 1)
        : Stepped(kModel + more, {.vocabulary = 257, .step = {.parts = parts}}) {}
    const MixedObjective& kind() const { return dynamic_cast<const MixedObjective&>(*objective); }
};

Batch text_batch(int64_t length, int64_t rows) {
    Batch batch{.length = length, .rows = rows};
    for (int64_t i = 0; i < (length + 1) * rows; ++i)
        batch.inputs.push_back(int64_t(random_bits(3, uint64_t(i)) % 250));
    batch.targets.assign(batch.inputs.begin() + rows, batch.inputs.end());
    batch.inputs.resize(size_t(length * rows));
    batch.tokens = length * rows;
    return batch;
}

TEST(MixedRows, TheirShareIsExact) {
    for (const double share : {0.0, 0.25, 1.0 / 3, 0.5, 0.875, 1.0}) {
        const Mixed stepped("masked_share = " + std::to_string(share) + "\n");
        double first = 0;
        for (uint64_t key = 0; key < 2000; ++key) {
            const auto masked = double(stepped.kind().masked_before(24, key) - stepped.kind().masked_before(0, key));
            EXPECT_NEAR(masked, 24 * share, 0.999);
            first += double(stepped.kind().masked_before(1, key) - stepped.kind().masked_before(0, key)) / 2000;
        }
        EXPECT_NEAR(first, share, .035) << "any row may be masked, whatever its number";
    }
}

// A masked row's position predicts the masked token behind it; a causal row stays as it is.
TEST(MixedRows, MaskedTokensArePredictedOnePositionBefore) {
    const Mixed stepped;
    Batch batch = text_batch(40, 8);
    batch.flags.assign(batch.inputs.size(), 0);
    for (size_t row = 0; row < 8; ++row) batch.flags[20 * 8 + row] = kDocumentBegins;
    const Batch text = batch;
    stepped.objective->prepare(batch, 7, 0);
    int masked_rows = 0, predicted = 0, hidden = 0, at_begin = 0;
    for (size_t row = 0; row < 8; ++row) {
        const bool masked = batch.labels.classes[row] == 1;
        masked_rows += masked;
        for (size_t t = 0; t < 40; ++t) {
            const size_t place = t * 8 + row, next = place + 8;
            if (!masked) {
                EXPECT_EQ(batch.inputs[place], text.inputs[place]);
                EXPECT_EQ(batch.targets[place], text.targets[place]);
                continue;
            }
            hidden += batch.inputs[place] == 256;
            if (batch.targets[place] < 0) continue;
            ++predicted;
            ASSERT_LT(t, 39u) << "what stands behind the row is not read";
            EXPECT_EQ(batch.targets[place], text.inputs[next]);
            at_begin += t == 19;
        }
        if (!masked) continue;
        for (size_t t = 1; t < 40; ++t)  // whatever is hidden is predicted, but for a document's first token
            if (batch.inputs[t * 8 + row] == 256 && t != 20) { EXPECT_GE(batch.targets[(t - 1) * 8 + row], 0); }
    }
    EXPECT_EQ(masked_rows, 4);
    EXPECT_GT(predicted, 10);
    EXPECT_GT(hidden, 10);
    EXPECT_EQ(at_begin, 0) << "a document's first token is not predicted from another document";
    EXPECT_TRUE(batch.begins);
    const auto weights = stepped.objective->weights(batch);
    EXPECT_EQ(weights.at("masked"), predicted);
    EXPECT_EQ(weights.at("cross_entropy"), 4 * 40);
}

// (1 - s) x mean over causal targets + s x mean over masked targets, each kind read its own way.
TEST(MixedRows, LossIsThatOfBothReadings) {
    Mixed stepped("masked_share = 0.25\n");
    Batch batch = text_batch(40, 8);
    stepped.objective->prepare(batch, 7, 0);
    const Update update = stepped.step->accumulate({batch}, 7);
    const DeviceBatch given = DeviceBatch::of(batch, at::kCPU);
    double means[2] = {};
    for (const int masked : {0, 1}) {
        Pass pass = stepped.model.pass(true);
        pass.causal = masked == 0;
        const Tensor rows = given.labels_B.eq(masked).nonzero().squeeze(1);
        EXPECT_EQ(rows.numel(), masked ? 2 : 6);
        const Tensor targets = given.targets_TB.index_select(1, rows);
        const auto loss = stepped.model.loss(given.ids_TB.index_select(1, rows), targets, {}, pass);
        means[masked] = loss.sum.item<double>() / targets.ge(0).sum().item<double>();
    }
    EXPECT_NEAR(update.terms.at("cross_entropy"), means[0], 1e-12);
    EXPECT_NEAR(update.terms.at("masked"), means[1], 1e-12);
    EXPECT_NEAR(update.loss, .75 * means[0] + .25 * means[1], 1e-12);
}

// Dropout and masks of a row do not depend on how an update is cut.
TEST(MixedRows, AnUpdateDoesNotDependOnItsCut) {
    std::vector<Tensor> gradients;
    for (const int way : {0, 1, 2}) {
        testing::Stepped stepped(
            "[model]\nwidth = 16\nheads = 2\nlayout = \"(sf)x2\"\npositions = \"learned\"\n"
            "max_positions = 64\ndropout = 0.2\n[objective]\nname = \"mixed\"\n"
            "masked_share = 0.375\n",
            {.vocabulary = 257, .step = {.parts = way == 1 ? 2 : 1}});
        const Batch whole = text_batch(24, 8);
        std::vector<Batch> batches;
        const int64_t rows = way == 2 ? 4 : 8;
        for (int64_t first = 0; first < 8; first += rows) {
            Batch part{.length = 24, .rows = rows, .tokens = 24 * rows};
            for (int64_t t = 0; t < 24; ++t)
                for (int64_t row = first; row < first + rows; ++row) {
                    part.inputs.push_back(whole.inputs[size_t(t * 8 + row)]);
                    part.targets.push_back(whole.targets[size_t(t * 8 + row)]);
                }
            stepped.objective->prepare(part, 5, first);
            batches.push_back(part);
        }
        stepped.step->accumulate(batches, 5);
        gradients.push_back(stepped.model.parameters().gradient_flat().clone());
    }
    EXPECT_LT((gradients[1] - gradients[0]).abs().max().item<double>(), 1e-12) << "in parts";
    EXPECT_LT((gradients[2] - gradients[0]).abs().max().item<double>(), 1e-12) << "in micro-batches";
}

TEST(MixedRows, ContradictionsAreTold) {
    const auto checked = [](const std::vector<std::string>& sets) {
        Problems problems;
        check_config(parse_config(kModel, "test", sets), problems);
        problems.throw_if_any("test");
    };
    checked({});
    checked({"model.positions=\"rotary\""});
    EXPECT_ERROR(checked({"model.direction=\"bidirectional\""}), ErrorKind::usage, "model.direction = \"causal\"");
    EXPECT_ERROR(checked({"model.memory=4"}), ErrorKind::usage, "model.memory = 0");
    EXPECT_ERROR(checked({"model.layout=\"l\""}), ErrorKind::usage, "only runs forward in time");
    EXPECT_ERROR(checked({"model.layout=\"u\""}), ErrorKind::usage, "has other weights for each direction");
    EXPECT_ERROR(checked({"model.positions=\"relative\""}), ErrorKind::usage, "relative positions count back");
}

}  // namespace
}  // namespace lithe
