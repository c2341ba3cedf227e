// A batch that is trained in parts side by side gives the gradients, the loss and the carried state of the whole batch.
#include "lithe/train/step_runner.h"

#include "lithe/base/position_flags.h"
#include "lithe/ops/side_by_side.h"
#include "lithe/train/trainer.h"
#include "support/errors.h"
#include "support/stepped.h"
#include "support/threads.h"
#include "support/tiny_run.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::expect_close;
using testing::Stepped;
using testing::Threads;

Stepped stepped(const std::string& text, int64_t parts, at::ScalarType master, at::ScalarType working) {
    return Stepped(text, {.step = {.parts = parts}, .master = master, .working = working});
}

Tensor some_ids(int64_t length, int64_t batch, int64_t seed) {
    return (at::arange(length * batch, at::kLong) * (7 + 2 * seed) + seed).remainder(50).view({length, batch});
}

const char* const kLayouts[] = {"ru", "(sf)x2", "l<sru>"};

std::string config_text(const std::string& layout, int64_t width, const std::string& more = "") {
    return "[model]\nwidth = " + std::to_string(width) + "\nlayout = \"" + layout +
           "\"\nmemory = 6\nngrams = {lengths = \"2-3\", rows = 40, width = 4}\npositions = \"relative\"\nheads = 2\n" +
           more + "[train]\nbatch = 5\n";
}

void expect_same_steps(Stepped& whole, Stepped& parts, int64_t length, int64_t batch, double tolerance) {
    for (int64_t i = 0; i < 3; ++i) {
        const Tensor ids = some_ids(length, batch, i), targets = some_ids(length, batch, i + 1);
        Tensor flags;
        if (i == 1 && whole.model.config().layout.find('l') == std::string::npos) {
            flags = at::zeros({length, batch}, at::kByte);
            flags[2][batch - 1] = kDocumentBegins;
        }
        const double expected = whole.accumulate(ids, targets, uint64_t(i), flags);
        EXPECT_NEAR(parts.accumulate(ids, targets, uint64_t(i), flags), expected, tolerance * expected);
        const ParameterStore &a = whole.model.parameters(), &b = parts.model.parameters();
        for (size_t p = 0; p < a.size(); ++p) {
            if (a.spec(p).role == Role::table) continue;
            const double size = a.gradient(p).abs().max().item<double>();
            expect_close(b.gradient(p), a.gradient(p), tolerance * (size + 1e-3), a.spec(p).name);
        }
        for (size_t t = 0; t < a.tables().size(); ++t)
            expect_close(b.table_gradient(t).to_dense(), a.table_gradient(t).to_dense(), tolerance, "table");
        const auto state = flatten(join_rows(whole.step->carried())),
                   joined = flatten(join_rows(parts.step->carried()));
        ASSERT_EQ(state.size(), joined.size());
        for (size_t s = 0; s < state.size(); ++s)
            expect_close(joined[s].second.value, state[s].second.value, tolerance * 4, state[s].first);
    }
}

TEST(StepRunner, PartsGiveTheWholeBatchsGradients) {
    const Threads threads(3);
    for (const char* layout : kLayouts) {
        SCOPED_TRACE(layout);
        Stepped whole = stepped(config_text(layout, 8), 1, at::kDouble, at::kDouble);
        Stepped parts = stepped(config_text(layout, 8), 3, at::kDouble, at::kDouble);
        expect_same_steps(whole, parts, 9, 5, 1e-12);
    }
}

// Sizes at which oneDNN cuts products by threads.
TEST(StepRunner, PartsGiveTheWholeBatchsGradientsInWideModels) {
    const Threads threads(2);
    for (const at::ScalarType working : {at::kFloat, at::kBFloat16}) {
        SCOPED_TRACE(at::toString(working));
        Stepped whole = stepped(config_text("ru", 256), 1, at::kFloat, working);
        Stepped parts = stepped(config_text("ru", 256), 2, at::kFloat, working);
        expect_same_steps(whole, parts, 64, 8, working == at::kFloat ? 1e-4 : 0.04);
    }
}

TEST(StepRunner, PartsGiveTheSameBitsEveryTime) {
    const Threads threads(2);
    std::vector<Tensor> runs;
    for (int i = 0; i < 3; ++i) {
        Stepped run =
            stepped(config_text("(sf)x2", 64) + "[optimizer]\nname = \"muon\"\n", 2, at::kFloat, at::kBFloat16);
        for (int64_t t = 0; t < 4; ++t)
            run.step->run({testing::batch_of(some_ids(32, 8, t), some_ids(32, 8, t + 1))}, uint64_t(t), 0.01);
        runs.push_back(run.model.parameters().master_flat().clone());
    }
    EXPECT_TRUE(at::equal(runs[0], runs[1]));
    EXPECT_TRUE(at::equal(runs[0], runs[2]));
}

TEST(StepRunner, ACarriedStateIsCutAndJoinedByRows) {
    Stepped whole = stepped(config_text("ru", 8), 1, at::kDouble, at::kDouble);
    Stepped parts = stepped(config_text("ru", 8), 3, at::kDouble, at::kDouble);
    whole.accumulate(some_ids(9, 5, 0), some_ids(9, 5, 1), 1);
    parts.step->carry(whole.step->carried().front());
    ASSERT_EQ(parts.step->carried().size(), 3u);
    const auto before = flatten(whole.step->carried().front()), after = flatten(join_rows(parts.step->carried()));
    ASSERT_EQ(before.size(), after.size());
    for (size_t i = 0; i < before.size(); ++i) EXPECT_TRUE(at::equal(before[i].second.value, after[i].second.value));
}

TEST(StepRunner, DropoutDiffersBetweenParts) {
    const Threads threads(2);
    Stepped run = stepped(config_text("ru", 16) + "[blocks.u]\ndropout = 0.5\n[blocks.r]\ndropout = 0.5\n", 2,
                          at::kDouble, at::kDouble);
    const Tensor row = some_ids(20, 1, 3), ids = row.expand({20, 4}).contiguous();
    run.accumulate(ids, ids, 9);
    const auto a = flatten(run.step->carried()[0]), b = flatten(run.step->carried()[1]);
    bool differ = false;
    for (size_t i = 0; i < a.size(); ++i) differ = differ || !at::equal(a[i].second.value, b[i].second.value);
    EXPECT_TRUE(differ);
}

// One update on rows of unequal lengths, cut in one way or another; nothing is carried. Each micro-batch is as long as
// its longest row.
struct Cut {
    int64_t parts;
    std::vector<int64_t> rows;  // of each micro-batch
};

std::vector<Batch> cut_in_micro_batches(const std::vector<int64_t>& rows) {
    constexpr int64_t kLengths[] = {12, 3, 9, 7, 12, 1};
    Tensor ids = some_ids(12, 6, 1), targets = some_ids(12, 6, 2).clone(), flags = at::zeros({12, 6}, at::kByte);
    for (int64_t row = 0; row < 6; ++row) {
        targets.narrow(0, kLengths[row], 12 - kLengths[row]).select(1, row).fill_(-1);
        flags.narrow(0, kLengths[row], 12 - kLengths[row]).select(1, row).fill_(int64_t(kPadding));
    }
    std::vector<Batch> batches;
    int64_t at = 0;
    for (const int64_t count : rows) {
        const int64_t longest = *std::max_element(kLengths + at, kLengths + at + count);
        const auto cut = [&](const Tensor& whole) { return whole.narrow(1, at, count).narrow(0, 0, longest); };
        batches.push_back(testing::batch_of(cut(ids), cut(targets), cut(flags)));
        batches.back().begins = true;
        at += count;
    }
    return batches;
}

// Sources of other lengths than the targets, for rows from `first` of the update on.
void add_sources(Batch& batch, int64_t first) {
    constexpr int64_t kLengths[] = {5, 8, 2, 11, 4, 6};
    const int64_t longest = *std::max_element(kLengths + first, kLengths + first + batch.rows);
    batch.source.length = longest;
    for (int64_t t = 0; t < longest; ++t)
        for (int64_t row = first; row < first + batch.rows; ++row) {
            batch.source.ids.push_back((7 * t + 3 * row) % 50);
            batch.source.flags.push_back(t < kLengths[row] ? 0 : kPadding);
        }
}

std::unique_ptr<Stepped> updated(const std::string& text, at::ScalarType type, const Cut& cut, uint64_t key) {
    const testing::Stepped::Options options{.step = {.parts = cut.parts}, .master = type, .working = type};
    auto run = std::make_unique<Stepped>(text, options);
    ParameterStore& store = run->model.parameters();
    {
        at::NoGradGuard guard;
        for (size_t i = 0; i < store.size(); ++i)
            if (store.spec(i).role == Role::scalar) store.working(i).fill_(0.7);  // wake what starts silent
    }
    run->step->accumulate(cut_in_micro_batches(cut.rows), key);
    return run;
}

// How far the gradients are apart, as a share of the gradient.
double difference(const Stepped& a, const Stepped& b) {
    const ParameterStore &ours = a.model.parameters(), &theirs = b.model.parameters();
    double off = 0, size = 0;
    const auto compare = [&](const Tensor& x, const Tensor& y) {
        off += (x - y).square().sum().item<double>();
        size += y.square().sum().item<double>();
    };
    for (size_t i = 0; i < ours.size(); ++i)
        if (ours.spec(i).role != Role::table) compare(ours.gradient(i), theirs.gradient(i));
    for (size_t t = 0; t < ours.tables().size(); ++t)
        compare(ours.table_gradient(t).to_dense(), theirs.table_gradient(t).to_dense());
    return std::sqrt(off / size);
}

// Every place that drops: embedding, head, residuals, inner layers, attention weights, distances, SRU's masks. Losses
// are divided by the tokens of the whole update.
TEST(StepRunner, AnUpdateDoesNotDependOnHowItIsCut) {
    const Threads threads(3);
    const std::string drop = "dropout = 0.3\nattention_dropout = 0.2\n",
                      absolute = "[blocks.s]\npositions = \"none\"\n";
    for (const char* layout : {"uru", "(sf)x2", "l<sru>l"})
        for (const std::string& more : {std::string(), absolute})
            for (const auto& [type, tolerance] : {std::pair(at::kDouble, 1e-12), {at::kFloat, 1e-6}}) {
                SCOPED_TRACE(layout + more + at::toString(type));
                // projections of 2 numbers are ill-conditioned in fp32: width 32
                const std::string text = config_text(layout, 32, drop) + more;
                const auto whole = updated(text, type, {1, {6}}, 9);
                for (const Cut& cut :
                     {Cut{2, {6}}, Cut{3, {6}}, Cut{1, {2, 1, 1, 2}}, Cut{1, {1, 3, 2}}, Cut{2, {4, 2}}})
                    EXPECT_LE(difference(*updated(text, type, cut, 9), *whole), tolerance)
                        << cut.parts << " parts, " << cut.rows.size() << " micro-batches";
                EXPECT_GT(difference(*updated(text, type, {1, {6}}, 10), *whole), 0.1) << "other masks";
                EXPECT_GT(difference(*updated(config_text(layout, 32) + more, type, {1, {6}}, 9), *whole), 0.1)
                    << "none";
            }
}

// Pairs: each micro-batch is padded to its own longest source and target.
TEST(StepRunner, AnUpdateOnPairsDoesNotDependOnHowItIsCut) {
    const Threads threads(3);
    const std::string text =
        "[model]\nwidth = 32\nheads = 2\nlayout = \"(scf)x2\"\npositions = \"sinusoidal\"\ndropout = 0.3\n"
        "attention_dropout = 0.2\n[model.encoder]\nlayout = \"sf\"\ndirection = \"bidirectional\"\n"
        "[objective]\nname = \"translate\"\nlabel_smoothing = 0.1\n[data]\nparallel = \".en\"\n";
    const auto updated_on = [&](const Cut& cut) {
        auto run = std::make_unique<Stepped>(text, Stepped::Options{.step = {.parts = cut.parts}});
        std::vector<Batch> batches = cut_in_micro_batches(cut.rows);
        int64_t row = 0;
        for (Batch& batch : batches) add_sources(batch, std::exchange(row, row + batch.rows));
        run->step->accumulate(batches, 9);
        return run;
    };
    const auto whole = updated_on({1, {6}});
    for (const Cut& cut : {Cut{2, {6}}, Cut{1, {2, 1, 1, 2}}, Cut{1, {1, 3, 2}}, Cut{2, {4, 2}}})
        EXPECT_LE(difference(*updated_on(cut), *whole), 1e-12) << cut.parts << " parts, " << cut.rows.size();
}

TEST(StepRunner, PartsByThreads) {
    auto parts = [](const std::vector<std::string>& sets, int threads, at::Device device = at::kCPU) {
        const Config config = parse_config("[model]\nwidth = 8\nlayout = \"ru\"\n[train]\nbatch = 16\n", "test", sets);
        return batch_parts(config, threads, device);
    };
    EXPECT_EQ(parts({}, 1), 1);
    EXPECT_EQ(parts({}, 4), 4);
    EXPECT_EQ(parts({}, 16), 1);
    EXPECT_EQ(parts({"train.batch=3"}, 4), 1) << "a thread would have no row";
    EXPECT_EQ(parts({"train.parts=2"}, 4), 2);
    EXPECT_EQ(parts({"train.parts=32"}, 2), 16);
    EXPECT_EQ(parts({"train.parts=32"}, 2, at::kCUDA), 1);
    EXPECT_EQ(parts({"model.layout=\"?{f -}\"", "search.supernet=true"}, 2), 1);
}

// Parts round otherwise, and that is all: masks and means are those of the whole update.
TEST(StepRunner, ARunMayGoOnInOtherParts) {
    const Threads threads(2);
    testing::TemporaryFolder folder;
    const std::string config = testing::tiny_config(folder);
    auto train = [&](const std::string& run, const char* steps, const char* parts) {
        TrainOptions options;
        options.run = folder.file(run);
        const std::vector<std::string> sets = {"train.threads=2", "model.dropout=0.1",
                                               std::string("train.max_steps=") + steps,
                                               std::string("train.parts=") + parts};
        return Trainer(load_config(config, sets), options).run().valid.value().loss;
    };
    train("moved", "4", "1");
    const double moved = train("moved", "8", "2"), whole = train("whole", "8", "1");
    EXPECT_NEAR(moved, whole, 2e-4 * whole);
}

// A run keeps the parts that it began with, also where another number would be chosen now; others may be asked for.
TEST(StepRunner, AResumedRunKeepsItsParts) {
    const Threads threads(2);
    testing::TemporaryFolder folder;
    const std::string config = testing::tiny_config(folder);
    auto train = [&](const std::string& run, const char* steps, const char* parts) {
        TrainOptions options;
        options.run = folder.file(run);
        Trainer(load_config(config, {"train.threads=2", std::string("train.max_steps=") + steps,
                                     std::string("train.parts=") + parts}),
                options)
            .run();
    };
    train("broken", "4", "1");
    train("broken", "8", "0");
    train("whole", "8", "1");
    train("other", "8", "0");
    auto weights = [&](const char* run) {
        return testing::read_all(folder.file(std::string(run) + "/checkpoints/step-000000008/model.safetensors"));
    };
    EXPECT_EQ(weights("broken"), weights("whole"));
    EXPECT_NE(weights("other"), weights("whole")) << "two parts round otherwise: else this test shows nothing";
    train("broken", "12", "2");
    EXPECT_NE(testing::read_all(folder.file("broken/run.json")).find("parts 1 became 2"), std::string::npos);
}

TEST(SideBySide, EveryPieceRunsOnceOnOneThread) {
    const Threads threads(2);
    std::vector<int> runs(7), seen(7);
    ops::side_by_side(7, [&](int64_t i) {
        ++runs[size_t(i)];
        seen[size_t(i)] = at::get_num_threads();
    });
    EXPECT_EQ(runs, std::vector<int>(7, 1));
    EXPECT_EQ(seen, std::vector<int>(7, 1));
    EXPECT_EQ(at::get_num_threads(), 2);
    EXPECT_THROW(ops::side_by_side(2,
                                   [](int64_t i) {
                                       if (i == 1) throw Error({.what = "piece"});
                                   }),
                 Error);
    EXPECT_EQ(at::get_num_threads(), 2);
}

// A layer that a micro-batch leaves out says nothing of it, and shared weights have the mean of their applications.
TEST(MetricMean, IsOverTheCallsThatWere) {
    MetricMean all;
    all.add({0.25, 0.75}, 10);
    MetricMean other;
    other.add({0.75, 0.25}, 30);
    all.add(other);
    EXPECT_EQ(all.mean(), (std::vector<double>{0.625, 0.375}));
    MetricMean none;
    none.add(MetricMean());
    EXPECT_TRUE(none.mean().empty());
}

TEST(Metrics, OfExpertsAddUpUnderDroppedLayersAndInSharedOnes) {
    for (const char* more :
         {"layout = \"(<moe>)x3\"\n[layer_drop]\nmethod = \"layerdrop\"\nkeep = 0.5\n", "layout = \"[<moe>]x3\"\n"}) {
        Stepped stepped(std::string("[model]\nwidth = 8\n") + more + "[blocks.moe]\nexperts = 3\n",
                        {.step = {.parts = 1}});
        std::vector<Batch> micro_batches;
        for (int64_t i = 0; i < 4; ++i)
            micro_batches.push_back(testing::batch_of(some_ids(6, 4, i), some_ids(6, 4, i + 1)));
        int64_t seen = 0;
        for (uint64_t key = 0; key < 4; ++key) {
            const Update update = stepped.step->accumulate(micro_batches, key);
            for (const auto& [name, metric] : update.metrics) {
                if (name.find(".use") == std::string::npos) continue;
                double sum = 0;
                for (const double share : metric.mean()) sum += share;
                EXPECT_NEAR(sum, 1, 1e-9) << name;
                ++seen;
            }
        }
        EXPECT_GT(seen, 0);
    }
}

}  // namespace
}  // namespace lithe
