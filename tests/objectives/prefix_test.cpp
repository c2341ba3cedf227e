// A prefix language model: what each position sees, what is scored, whom gradients reach, and how prompts are read.
#include "lithe/objectives/prefix.h"

#include "lithe/data/scored_text.h"
#include "lithe/infer/session.h"
#include "support/errors.h"
#include "support/stepped.h"

namespace lithe {
namespace {

const std::string kModel = "[model]\nwidth = 16\nheads = 2\nlayout = \"(sf)x2\"\n";
const std::string kObjective = "[objective]\nname = \"prefix\"\n";
const char* const kPositions[] = {"positions = \"rotary\"\n", "positions = \"learned\"\nmax_positions = 32\n",
                                  "positions = \"none\"\n"};

struct Prefix : testing::Stepped {
    explicit Prefix(const std::string& positions = kPositions[0]) : Stepped(kModel + positions + kObjective, {}) {}
    // Of each target -log p, [T][B]; other tokens do not count.
    Tensor losses(const Tensor& ids_TB, const Tensor& targets_TB, int64_t prefix) const {
        Tensor all = at::zeros(ids_TB.sizes(), at::kDouble);
        for (int64_t t = 0; t < ids_TB.size(0); ++t) {
            const Tensor one_TB = at::full_like(targets_TB, -1);
            one_TB[t].copy_(targets_TB[t]);
            DeviceBatch batch{.ids_TB = ids_TB, .targets_TB = one_TB};
            batch.labels_B = at::full({ids_TB.size(1)}, prefix, at::kLong);
            all[t] = objective->score(models, batch, {}, model.pass(false)).sum;
        }
        return all;
    }
};

constexpr int64_t kLength = 10, kPrefix = 6;

Tensor some_ids(int64_t rows) { return (at::arange(kLength * rows, at::kLong) * 7 % 50).view({kLength, rows}); }

// Position t sees what is before max(P, t + 1), whatever the positions are told by.
TEST(PrefixReading, APositionSeesThePrefixAndWhatIsBefore) {
    for (const char* positions : kPositions) {
        const Prefix stepped(positions);
        const Tensor ids = some_ids(1), targets = (ids + 3) % 50;
        const Tensor before = stepped.losses(ids, targets, kPrefix);
        for (int64_t changed = 0; changed < kLength; ++changed) {
            Tensor other = ids.clone();
            other[changed][0] = 30;
            const Tensor moved = (stepped.losses(other, targets, kPrefix) - before).abs();
            for (int64_t t = 0; t < kLength; ++t) {
                const bool sees = changed < std::max(kPrefix, t + 1);
                const double by = moved[t][0].item<double>();
                if (sees) {
                    EXPECT_GT(by, 1e-9) << positions << t << " sees " << changed;
                } else {
                    EXPECT_LT(by, 1e-12) << positions << t << " must not see " << changed;
                }
            }
        }
    }
}

TEST(PrefixReading, OneTokenIsACausalModelAndAllOfThemAnEncoder) {
    for (const char* positions : kPositions) {
        const Prefix stepped(positions);
        const Tensor ids = some_ids(2), targets = (ids + 3) % 50;
        Pass pass = stepped.model.pass(false);
        const double causal = stepped.model.loss(ids, targets, {}, pass).sum.item<double>();
        DeviceBatch batch{.ids_TB = ids, .targets_TB = targets};
        batch.labels_B = at::full({2}, 1, at::kLong);
        EXPECT_NEAR(stepped.objective->score(stepped.models, batch, {}, pass).sum.item<double>(), causal, 1e-9);
        // all of it a prefix: the same model read from both sides
        batch.labels_B = at::full({2}, kLength, at::kLong);
        pass.causal = false;
        EXPECT_NEAR(stepped.objective->score(stepped.models, batch, {}, stepped.model.pass(false)).sum.item<double>(),
                    stepped.model.loss(ids, targets, {}, pass).sum.item<double>(), 1e-9);
    }
}

// The rest's loss teaches how the prefix is read: the gradient is that of the loss by finite differences.
TEST(PrefixReading, GradientsGoThroughThePrefix) {
    Prefix stepped;
    Batch batch = testing::batch_of(some_ids(2), (some_ids(2) + 3) % 50);
    uint64_t key = 0;
    for (;; ++key) {  // an update whose prefix has six tokens
        Batch drawn = batch;
        stepped.objective->prepare(drawn, key, 0);
        if (drawn.labels.classes[0] != kPrefix) continue;
        batch = drawn;
        break;
    }
    for (size_t place = 0; place < size_t(kPrefix * 2); ++place) batch.targets[place] = -1;  // the rest alone
    stepped.step->accumulate({batch}, key);
    ParameterStore& store = stepped.model.parameters();
    const Tensor gradient = store.gradient_flat().clone();
    for (const int64_t place : {5, 100, 300, 800, 1000, 1500, 2000, 2600}) {
        double losses[2];
        const double original = store.master_flat()[place].item<double>();
        for (const int side : {0, 1}) {
            store.master_flat()[place] = original + (side ? 1e-5 : -1e-5);
            losses[side] = stepped.step->accumulate({batch}, key).loss;
        }
        store.master_flat()[place] = original;
        EXPECT_NEAR(gradient[place].item<double>(), (losses[1] - losses[0]) / 2e-5, 1e-7) << place;
    }
}

// A text of less than a segment has one row, and half of what stands there is the prefix.
TEST(PrefixReading, ShortTextsAreScoredByHalves) {
    const Prefix stepped;
    for (const int64_t count : {7, 31, 100, 300}) {
        TokenList tokens;
        std::vector<int64_t> ids;
        for (int64_t i = 0; i < count; ++i) ids.push_back(i % 50);
        tokens.add(ids, uint64_t(count));
        const ScoredText text(tokens);
        const auto batches = stepped.objective->scored_batches(text, {.batch = 16, .length = 32});
        int64_t scored = 0;
        while (const Batch* batch = batches->next())
            for (const int64_t target : batch->targets) scored += target >= 0;
        EXPECT_GE(scored, count / 2 - 2) << count;
        EXPECT_LE(scored, count * 2 / 3 + 2) << count;
    }
}

// A document that begins inside the prefix has its positions counted from there, on both sides of the border.
TEST(PrefixReading, PositionsOfADocumentGoOnBehindThePrefix) {
    const Prefix stepped(kPositions[1]);
    const Tensor ids = some_ids(1);
    const int64_t begin = 4;
    const auto loss_of = [&](const Tensor& ids_TB, int64_t prefix, int64_t begins) {
        const int64_t length = ids_TB.size(0);
        DeviceBatch batch{.ids_TB = ids_TB, .targets_TB = at::full_like(ids_TB, -1)};
        batch.targets_TB[length - 1] = 3;
        batch.labels_B = at::full({1}, prefix, at::kLong);
        batch.flags_TB = at::zeros({length, 1}, at::kByte);
        batch.flags_TB[begins][0] = int(kDocumentBegins);
        return stepped.objective->score(stepped.models, batch, {}, stepped.model.pass(false)).sum.item<double>();
    };
    EXPECT_NEAR(loss_of(ids, kPrefix, begin), loss_of(ids.narrow(0, begin, kLength - begin), kPrefix - begin, 0), 1e-9);
}

TEST(PrefixReading, TheRestIsScoredAlone) {
    const Prefix stepped;
    std::map<int64_t, int> lengths;
    for (uint64_t key = 0; key < 3000; ++key) {
        Batch batch = testing::batch_of(some_ids(2), (some_ids(2) + 3) % 50);
        stepped.objective->prepare(batch, key, int64_t(key % 3));
        const int64_t prefix = batch.labels.classes.at(0);
        ++lengths[prefix];
        EXPECT_EQ(batch.labels.classes.at(1), prefix);
        EXPECT_TRUE(batch.begins);
        for (int64_t t = 0; t < kLength; ++t) EXPECT_EQ(batch.targets[size_t(2 * t)] >= 0, t >= prefix - 1);
        EXPECT_EQ(stepped.objective->weights(batch).at(kCrossEntropy), double(2 * (kLength - prefix + 1)));
    }
    ASSERT_EQ(lengths.size(), size_t(kLength));
    for (const auto& [length, count] : lengths) EXPECT_NEAR(count, 300, 70) << length;
}

// A prompt is a prefix, whatever prompts are beside it; what is written then is read token by token.
TEST(PrefixReading, PromptsAreRead) {
    for (const char* positions : kPositions)
        for (const auto path : {Session::Path::forward, Session::Path::automatic}) {
            Prefix stepped(positions);
            stepped.model.materialize(at::kFloat, at::kFloat, at::kCPU, 7);
            Session session(stepped.model, {.most_rows = 3, .memory = 64, .segment = 4, .path = path});
            const std::vector<std::vector<int64_t>> prompts = {{3, 9, 27, 31, 43, 29}, {5, 6}, {8, 7, 6, 5, 4, 3}};
            const auto logits_of = [&](const std::vector<int64_t>& ids, int64_t prefix) {
                const at::NoGradGuard no_grad;
                Pass first = stepped.model.pass(false);
                first.causal = false;
                first.memory = 64;
                const Tensor all = at::tensor(ids).unsqueeze(1);
                auto next = stepped.model.next(all.narrow(0, 0, prefix), {}, first);
                Pass second = stepped.model.pass(false);
                second.memory = 64;
                second.position_B = at::full({1}, prefix, at::kLong);
                if (int64_t(ids.size()) > prefix)
                    next = stepped.model.next(all.narrow(0, prefix, int64_t(ids.size()) - prefix), next.state, second);
                return next.logits_BV.squeeze(0);
            };
            const auto expect = [&](const Session::Logits& given, const std::vector<std::vector<int64_t>>& texts) {
                for (size_t row = 0; row < texts.size(); ++row) {
                    const Tensor expected = logits_of(texts[row], int64_t(prompts[row].size()));
                    for (int64_t v = 0; v < given.vocabulary; ++v)
                        ASSERT_NEAR(given.row(int64_t(row))[v], expected[v].item<float>(), 1e-4) << row;
                }
            };
            auto texts = prompts;
            expect(session.admit(prompts), texts);
            for (const int64_t token : {11, 12}) {
                for (auto& text : texts) text.push_back(token);
                expect(session.step(std::vector<int64_t>(3, token)), texts);
            }
        }
}

TEST(PrefixReading, ContradictionsAreTold) {
    const auto checked = [](const std::vector<std::string>& sets) {
        Problems problems;
        check_config(parse_config(kModel + kObjective, "test", sets), problems);
        problems.throw_if_any("test");
    };
    checked({});
    EXPECT_ERROR(checked({"model.direction=\"bidirectional\""}), ErrorKind::usage, "model.direction = \"causal\"");
    EXPECT_ERROR(checked({"model.layout=\"u\""}), ErrorKind::usage, "has other weights for each direction");
    EXPECT_ERROR(checked({"model.layout=\"l\""}), ErrorKind::usage, "only runs forward in time");
    EXPECT_ERROR(checked({"blocks.s.kind=\"performer\""}), ErrorKind::usage, "keeps no prefix");
    EXPECT_ERROR(checked({"model.layout=\"~(sf)x2\""}), ErrorKind::usage, "a reversible run ('~') hands none on");
    EXPECT_ERROR(checked({"train.recompute=\"uniform\""}), ErrorKind::usage, "train.recompute = \"none\"");
    EXPECT_ERROR(checked({"model.memory=4"}), ErrorKind::usage, "model.memory = 0");
    EXPECT_ERROR(checked({"model.ngrams.lengths=\"2-3\""}), ErrorKind::usage, "n-grams look back alone");
}

}  // namespace
}  // namespace lithe
