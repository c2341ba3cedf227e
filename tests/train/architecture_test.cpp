// Gumbel-softmax (Jang et al. 2017) and the losses of a search with it (FBNet: Wu et al. 2019). The numbers are those
// of tests/golden/make_architecture.py.
#include "lithe/train/architecture.h"

#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "lithe/base/rng.h"
#include "support/waves.h"

namespace lithe {
namespace {

Tensor doubles(std::vector<double> values) { return at::tensor(values, at::TensorOptions(at::kDouble)); }

SearchConfig soft() {
    SearchConfig config;
    config.sampling = CandidateSampling::soft;
    return config;
}

std::vector<SlotPlace> places(size_t count, std::vector<std::string> candidates = {"s", "f", "-"}) {
    return std::vector<SlotPlace>(count, SlotPlace{1, std::move(candidates)});
}

void set_logits(ArchitectureSearch& search, size_t place, const std::vector<double>& values) {
    ASSERT_TRUE(search.load({"architecture." + std::to_string(place) + ".logits", doubles(values)}));
}

TEST(Gumbel, FixedDrawAtEachTemperature) {
    const Tensor theta = doubles({.2, -.1, 0});
    const std::vector<double> uniforms = {.1, .5, .9};
    const std::pair<double, std::vector<double>> rows[] = {{5, {.251394, .301006, .447600}},
                                                           {1, {.046830, .115246, .837923}},
                                                           {.5, {.003056, .018509, .978435}},
                                                           {.1, {0, 0, 1}}};
    for (const auto& [tau, expected] : rows)
        EXPECT_LT((gumbel_softmax(theta, uniforms, tau) - doubles(expected)).abs().max().item<double>(), 1.1e-6) << tau;
}

TEST(Gumbel, JacobianDividesByTheTemperature) {
    for (double tau : {1.0, 2.0}) {
        Tensor theta = doubles({.2, -.1, 0}).requires_grad_(true);
        Tensor m = gumbel_softmax(theta, {.1, .5, .9}, tau);
        if (tau != 1.0) {  // m (delta - m) / tau
            torch::autograd::backward({m[0]}, {});
            const double m0 = m[0].item<double>();
            EXPECT_NEAR(theta.grad()[0].item<double>(), m0 * (1 - m0) / tau, 1e-12);
            continue;
        }
        const double rows[3][3] = {
            {.044637, -.005397, -.039240}, {-.005397, .101965, -.096568}, {-.039240, -.096568, .135808}};
        for (int i = 0; i < 3; ++i) {
            theta.mutable_grad() = Tensor();
            torch::autograd::backward({m[i]}, {}, true);
            for (int j = 0; j < 3; ++j) EXPECT_NEAR(theta.grad()[j].item<double>(), rows[i][j], 1e-6) << i << j;
        }
    }
}

// The argmax is drawn with the probabilities at every temperature; how sharp m is depends on it.
TEST(Gumbel, ArgmaxFrequencyIsTheProbabilityAtEveryTemperature) {
    const Tensor theta = doubles({.7, .2, .1}).log();
    constexpr int kDraws = 20'000;
    for (const auto& [tau, largest] : {std::pair(5.0, .409), std::pair(1.0, .651), std::pair(.1, .954)}) {
        double first = 0, sharpness = 0;
        for (uint64_t draw = 0; draw < kDraws; ++draw) {
            std::vector<double> u;
            for (uint64_t i = 0; i < 3; ++i) u.push_back(random_unit(combine_key(77, draw), i));
            first += gumbel_softmax(theta, u, tau).argmax().item<int64_t>() == 0;
            sharpness += gumbel_softmax(at::zeros({3}, at::kDouble), u, tau).max().item<double>();
        }
        EXPECT_NEAR(first / kDraws, .7, 0.01) << tau;            // three standard errors
        EXPECT_NEAR(sharpness / kDraws, largest, 0.006) << tau;  // of uniform candidates
    }
}

TEST(Gumbel, ExpectedLatencyAndFbnetLoss) {
    SearchConfig config = soft();
    config.cost = CostUnit::latency;
    config.cost_form = CostForm::add;
    config.alpha = 1;
    ArchitectureSearch search(config, places(1));
    search.set_costs({0, {{.74, .21, 0}}});
    SlotChoices draw;
    draw.places.push_back({-1, gumbel_softmax(doubles({.2, -.1, 0}), {.1, .5, .9}, 1)});
    // CE 0 + cost / dearest
    EXPECT_NEAR(search.loss(doubles({0}).sum(), draw).item<double>() * .74, .058856, 1e-6);

    config.cost_form = CostForm::multiply;
    config.alpha = .2;
    config.beta = .6;
    for (const auto& [latency, expected] : {std::pair(15.2, 1.0940), std::pair(9.9, .9871)}) {
        ArchitectureSearch fbnet(config, places(1));
        fbnet.set_costs({latency, {{0, 0, 0}}});
        EXPECT_NEAR(fbnet.loss(doubles({3}).sum(), draw).item<double>(), expected, 1e-4) << latency;
    }
    config.cost_form = CostForm::exceed;
    config.alpha = 2;
    config.budget = 10;
    for (const auto& [latency, expected] : {std::pair(9.0, 3.0), std::pair(15.0, 4.0)}) {
        ArchitectureSearch planer(config, places(1));
        planer.set_costs({latency, {{0, 0, 0}}});
        EXPECT_NEAR(planer.loss(doubles({3}).sum(), draw).item<double>(), expected, 1e-9) << latency;
    }
}

// With the latency alone, attention's logit falls fastest and the identity wins.
TEST(Gumbel, LatencyAloneChoosesTheCheapest) {
    SearchConfig config = soft();
    config.cost = CostUnit::latency;
    config.cost_form = CostForm::add;
    config.alpha = 1;
    config.weight_decay = 0;
    ArchitectureSearch search(config, places(2));
    search.set_costs({0, {{.74, .21, 0}, {.74, .21, 0}}});
    for (uint64_t step = 0; step < 200; ++step) {
        const SlotChoices draw = search.choices_draw(step, 1);
        torch::autograd::backward({search.loss(doubles({1}).sum(), draw)}, {});
        search.update();
    }
    for (const auto& p : search.probabilities()) EXPECT_TRUE(p[2] > p[1] && p[1] > p[0]) << p[0] << " " << p[1];
    EXPECT_EQ(search.likeliest(), (std::vector<int64_t>{2, 2}));
    EXPECT_LT(search.expected_cost(), 0.5);
}

TEST(Gumbel, StraightThroughIsOneCandidateForwardAndTheSoftSumBackward) {
    SearchConfig config;
    config.sampling = CandidateSampling::straight_through;
    ArchitectureSearch search(config, places(1));
    const SlotChoices choices = search.choices_draw(5, 1), weights = search.weights_draw(5, 1);
    const Tensor m = choices.places[0].weights;
    EXPECT_EQ(m.max().item<double>(), 1);
    EXPECT_NEAR(m.sum().item<double>(), 1, 1e-12);
    EXPECT_EQ(weights.places[0].index, m.argmax().item<int64_t>()) << "weights are trained with the same draw";
    torch::autograd::backward({(m * doubles({1, 2, 4})).sum()}, {});
    EXPECT_GT(search.logits()[0].grad().abs().max().item<double>(), 1e-3);
}

TEST(Budget, TheLikeliestThatFits) {
    const CostTable costs{10, {{5, 2, 0}, {5, 2, 0}, {5, 2, 0}}};
    const std::vector<std::vector<double>> scores = {{3, 1, 0}, {2, 1.5, 0}, {5, 1, 0}};
    EXPECT_EQ(*best_within(scores, costs, 100), (std::vector<int64_t>{0, 0, 0}));
    EXPECT_EQ(*best_within(scores, costs, 25), (std::vector<int64_t>{0, 0, 0})) << "exactly all of it";
    EXPECT_EQ(*best_within(scores, costs, 22), (std::vector<int64_t>{0, 1, 0}));
    EXPECT_EQ(*best_within(scores, costs, 10), (std::vector<int64_t>{2, 2, 2}));
    EXPECT_FALSE(best_within(scores, costs, 9.99));
    // against trying all, with costs that are no round numbers
    const CostTable odd{0.3, {{.74, .21, .003}, {.31, .5, 0}, {.17, .9, .6}, {.44, .2, .1}}};
    for (double budget : {0.6, 0.9, 1.3, 1.8, 2.5}) {
        std::vector<std::vector<double>> random;
        for (uint64_t i = 0; i < 4; ++i)
            random.push_back({random_unit(uint64_t(budget * 10), 3 * i), random_unit(uint64_t(budget * 10), 3 * i + 1),
                              random_unit(uint64_t(budget * 10), 3 * i + 2)});
        double best = -1;
        for (int64_t code = 0; code < 81; ++code) {
            const std::vector<int64_t> all = {code % 3, code / 3 % 3, code / 9 % 3, code / 27};
            double score = 0;
            for (size_t i = 0; i < 4; ++i) score += random[i][size_t(all[i])];
            if (odd.of(all) <= budget) best = std::max(best, score);
        }
        const auto found = best_within(random, odd, budget);
        ASSERT_EQ(found.has_value(), best >= 0) << budget;
        if (!found) continue;
        double score = 0;
        for (size_t i = 0; i < 4; ++i) score += random[i][size_t((*found)[i])];
        EXPECT_LE(odd.of(*found), budget + 1e-9);
        EXPECT_NEAR(score, best, 1e-9) << budget;
    }
}

// Two updates of the choices' Adam by hand, decay in the gradient.
TEST(Architecture, UpdatesAreAdamWithDecayInTheGradient) {
    SearchConfig config = soft();
    config.learning_rate = 0.1;
    config.weight_decay = 0.5;
    config.beta1 = 0.5;
    config.beta2 = 0.75;
    ArchitectureSearch search(config, places(1));
    const std::vector<double> start = {1, -2, 0}, gradient = {0.3, 0.1, -0.4};
    set_logits(search, 0, start);
    std::vector<double> w = start, m(3, 0), v(3, 0);
    for (int t = 1; t <= 2; ++t) {
        torch::autograd::backward({(search.logits()[0] * doubles(gradient)).sum()}, {});
        search.update();
        EXPECT_FALSE(search.logits()[0].grad().defined());
        for (size_t i = 0; i < 3; ++i) {
            const double g = gradient[i] + 0.5 * w[i];
            m[i] = 0.5 * m[i] + 0.5 * g;
            v[i] = 0.75 * v[i] + 0.25 * g * g;
            w[i] -= 0.1 * (m[i] / (1 - std::pow(0.5, t))) / (std::sqrt(v[i] / (1 - std::pow(0.75, t))) + 1e-8);
            EXPECT_NEAR(search.logits()[0][int64_t(i)].item<double>(), w[i], 1e-12) << t << " " << i;
        }
    }
}

TEST(Architecture, StateReturns) {
    ArchitectureSearch one(soft(), places(2)), two(soft(), places(2));
    torch::autograd::backward({(one.choices_draw(1, 1).places[0].weights * doubles({1, 2, 3})).sum()}, {});
    one.update();
    for (const NamedTensor& each : one.state()) EXPECT_TRUE(two.load(each)) << each.name;
    EXPECT_EQ(one.probabilities(), two.probabilities());
    EXPECT_EQ(two.updates(), 1);
    EXPECT_FALSE(two.load({"architecture.0.logits", doubles({1, 2})}));
    EXPECT_FALSE(two.load({"architecture.9.logits", doubles({1, 2, 3})}));
    set_logits(two, 1, {0, 0, 9});
    EXPECT_EQ(two.likeliest()[1], 2);
}

}  // namespace
}  // namespace lithe
