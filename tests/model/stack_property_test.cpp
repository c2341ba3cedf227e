// Random layouts with random ways of running them: groups, shared groups, reversible runs, halting runs, dropped
// layers, recomputation.
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cstdlib>

#include "lithe/base/rng.h"
#include "support/built_stack.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::expect_close;
using testing::wave;

class Draws {
 public:
    explicit Draws(uint64_t seed) : key_(combine_key(seed, "stack_property")) {}
    int below(int count) { return int(random_unit(key_, next_++) * count); }
    bool coin() { return below(2) == 1; }

 private:
    uint64_t key_, next_ = 0;
};

// `branches`: of kinds whose skip is the shell's.
std::string random_layout(Draws& draws, bool branches, int depth = 0, bool inside_run = false) {
    std::string layout;
    const int items = 1 + draws.below(3);
    for (int i = 0; i < items; ++i) {
        const int what = depth < 2 ? draws.below(6) : 0;
        if (what < 2) {
            layout += std::string("sfel")[size_t(draws.below(branches || inside_run ? 3 : 4))];
        } else {
            const bool run = what == 4 && !inside_run;
            const std::string inside = random_layout(draws, branches, depth + 1, inside_run || run);
            const bool halting = what == 5 && !inside_run;
            const bool shared = what == 3 || ((run || halting) && draws.coin());
            layout += std::string(run ? "~" : halting ? "@" : "") + (shared ? "[" + inside + "]" : "(" + inside + ")");
        }
        if (draws.below(3) == 0) layout += "x" + std::to_string(2 + draws.below(2));
    }
    return layout;
}

struct Way {
    std::string layout;
    LayerDropConfig drop;
    Recompute recompute;
};

Way random_way(uint64_t seed) {
    Draws draws(seed);
    Way way;
    const bool dropped = draws.coin();
    way.layout = random_layout(draws, dropped);
    if (dropped) {
        way.drop.method = draws.coin() ? LayerDropMethod::layerdrop : LayerDropMethod::progressive;
        way.drop.keep = 0.6;
        way.drop.gamma = 10;
    }
    way.recompute.method = draws.coin() ? RecomputeMethod::uniform : RecomputeMethod::optimal;
    way.recompute.number = 1 + draws.below(4);
    return way;
}

struct Built : testing::BuiltStack {
    explicit Built(const Way& way)
        : BuiltStack(way.layout, {}, "dropout = 0.1\n[blocks.e]\nkind = \"moe\"\nexperts = 3\ntop = 2\ninner = 6\n",
                     {.layer_drop = way.drop}) {}
    Pass pass(bool training) const {
        Pass made{.training = training, .memory = config.model.memory};
        made.keys.rows = 11;
        made.keys.update = 5;
        made.keys.updates = 100;
        for (const auto& prepare : stack.prepare) prepare(made);
        return made;
    }
    std::vector<Tensor> gradients() {
        const Tensor x = wave({5, 2, 8}, 0.3, 0.1, 1).set_requires_grad(true);
        const State before = stack.root->forward(wave({5, 2, 8}, 0.8, 0.4, 1), {}, pass(true)).state.detach();
        const UnitOutput out = stack.root->forward(x, before, pass(true));
        Tensor loss = (out.flow.x_TBD * wave({5, 2, 8}, 0.9, 0.2, 1)).sum();
        for (const auto& [name, each] : out.aux.losses) loss = loss + each;
        torch::autograd::backward({loss}, {});
        std::vector<Tensor> list = {loss.detach(), x.grad()};
        for (size_t i = 0; i < store.size(); ++i) list.push_back(store.working(i).grad());
        return list;
    }
};

// More with LITHE_PROPERTY_SEEDS=1000.
uint64_t seeds() {
    const char* more = std::getenv("LITHE_PROPERTY_SEEDS");
    return more ? uint64_t(std::atoll(more)) : 40;
}

TEST(StackProperty, RecomputedOrNotTheGradientsAreTheSame) {
    for (uint64_t seed = 1; seed <= seeds(); ++seed) {
        const Way way = random_way(seed);
        SCOPED_TRACE("seed " + std::to_string(seed) + ", " + way.layout);
        Built plain(way), recomputed(way);
        recomputed.stack.root->set_recompute(way.recompute);
        const auto expected = plain.gradients(), got = recomputed.gradients();
        for (size_t i = 0; i < expected.size(); ++i) {
            ASSERT_EQ(got[i].defined(), expected[i].defined()) << i;
            if (!expected[i].defined()) continue;
            const double scale = 1 + expected[i].abs().max().item<double>();
            expect_close(got[i], expected[i], 1e-9 * scale, i < 2 ? "loss or dx" : plain.store.spec(i - 2).name);
        }
    }
}

TEST(StackProperty, ATextInPiecesIsTheWhole) {
    for (uint64_t seed = 1; seed <= seeds(); ++seed) {
        const Way way = random_way(seed);
        SCOPED_TRACE("seed " + std::to_string(seed) + ", " + way.layout);
        const Built built(way);
        Pass pass = built.pass(false);
        pass.memory = 9;
        const Tensor x = wave({9, 2, 8}, 0.3, 0.1, 1);
        const Tensor whole = built.stack.root->forward(x, {}, pass).flow.x_TBD;
        const int64_t cut = 1 + int64_t(seed % 8);
        const UnitOutput first = built.stack.root->forward(x.narrow(0, 0, cut), {}, pass);
        const UnitOutput rest = built.stack.root->forward(x.narrow(0, cut, 9 - cut), first.state, pass);
        expect_close(at::cat({first.flow.x_TBD, rest.flow.x_TBD}), whole, 1e-10, "y");
    }
}

}  // namespace
}  // namespace lithe
