// The optimizers' updates and the learning rates of schedules. RAdam (Liu et al. 2020), AdamW, Lookahead and the rates
// of SRU++'s recipe are the numbers of make_optimizer.py, which writes the formulas down once more; the others are
// worked out here.
#include "lithe/train/optimizer.h"

#include "lithe/train/schedule.h"
#include "support/waves.h"

namespace lithe {
namespace {

struct Scalar {
    ParameterStore store;
    std::unique_ptr<Optimizer> optimizer;
    explicit Scalar(const OptimizerConfig& config, std::vector<double> start = {1.0}) {
        store.add({"p", {int64_t(start.size())}, Role::vector, Init::constant(0)});
        store.materialize(at::kDouble, at::kDouble, at::kCPU, 1);
        store.master(0).copy_(at::tensor(start, at::kDouble));
        optimizer = std::make_unique<Optimizer>(config, store);
    }
    double step(std::vector<double> gradient, double rate) {
        store.working(0).mutable_grad() = at::tensor(gradient, at::kDouble);
        store.collect_gradients(true);
        optimizer->step(rate, optimizer->gradient_norm());
        return store.master(0)[0].item<double>();
    }
};

OptimizerConfig radam() {
    OptimizerConfig config;
    config.name = OptimizerKind::radam;
    config.beta1 = 0.9;
    config.beta2 = 0.999;
    config.weight_decay = 0.1;
    config.clip_norm = 0;
    config.decay = DecayedParameters::all;
    return config;
}

TEST(GoldenRadam, SgdFallback) {
    Scalar p(radam());
    const double expected[] = {0.993596977, 0.992234300, 0.994662286, 0.997993984,
                               0.999573192, 0.998572797, 0.997505951, 0.996452487};
    for (int t = 1; t <= 8; ++t) EXPECT_NEAR(p.step({std::cos(t)}, 0.01), expected[t - 1], 6e-10) << t;
}

TEST(GoldenRadam, NoFallback) {
    OptimizerConfig config = radam();
    config.radam_fallback = RadamFallback::none;
    Scalar p(config);
    const double expected[] = {1, 1, 1, 1, 1, 0.998999179, 0.997931906, 0.996878016};
    for (int t = 1; t <= 8; ++t) EXPECT_NEAR(p.step({std::cos(t)}, 0.01), expected[t - 1], 6e-10) << t;
}

TEST(GoldenRadam, StepSizeAtTheSwitch) {
    EXPECT_FALSE(Optimizer::rule_of(radam(), 5, 1.0).rule.adaptive);
    auto rule = Optimizer::rule_of(radam(), 6, 1.0).rule;
    EXPECT_TRUE(rule.adaptive);
    EXPECT_NEAR(rule.step, 0.004263, 5e-7);
}

TEST(GoldenAdamw, FirstStep) {
    OptimizerConfig config;
    config.beta2 = 0.999;
    config.weight_decay = 0.01;
    config.clip_norm = 0;
    config.decay = DecayedParameters::all;
    Scalar p(config, {3, 4});
    p.step({0.5, -2}, 0.1);
    testing::expect_values(p.store.master(0), {2.8970, 4.0960}, 1e-6, "w");
}

TEST(GoldenAdam, L2DecayIsInTheGradient) {
    OptimizerConfig config;
    config.name = OptimizerKind::adam;
    config.beta2 = 0.999;
    config.weight_decay = 0.5;
    config.clip_norm = 0;
    config.decay = DecayedParameters::all;
    Scalar p(config, {2});
    p.step({-1}, 0.1);  // gradient -1 + 0.5 * 2 = 0
    EXPECT_EQ(p.store.master(0)[0].item<double>(), 2);
}

OptimizerConfig lamb() {
    OptimizerConfig config;
    config.name = OptimizerKind::lamb;
    config.beta1 = 0.9;
    config.beta2 = 0.999;
    config.epsilon = 1e-12;
    config.weight_decay = 0;
    config.clip_norm = 0;
    config.decay = DecayedParameters::all;
    return config;
}

// After one update Adam's direction is the gradient's signs, whose length is sqrt(2); the weights' is 5.
TEST(GoldenLamb, StepsAreAsLongAsTheWeights) {
    Scalar p(lamb(), {3, 4});
    EXPECT_NEAR(p.step({0.1, -7}, 0.01), 3 - 0.01 * 5 / std::sqrt(2), 1e-12);
    OptimizerConfig decayed = lamb();
    decayed.weight_decay = 0.5;  // u = (1 + 1.5, -1 + 2)
    EXPECT_NEAR(Scalar(decayed, {3, 4}).step({0.1, -7}, 0.01), 3 - 0.01 * 5 / std::hypot(2.5, 1) * 2.5, 1e-12);
}

// Second update by hand: m' = (0.9 0.1 + 0.1) g / 0.19 for equal gradients, so that the direction stays.
TEST(GoldenLamb, EqualGradientsKeepTheDirection) {
    Scalar p(lamb(), {3, 4});
    const double first = p.step({0.1, -7}, 0.01);
    const double length = std::hypot(first, 4 + 0.01 * 5 / std::sqrt(2));
    EXPECT_NEAR(p.step({0.1, -7}, 0.01), first - 0.01 * length / std::sqrt(2), 1e-12);
}

TEST(GoldenLamb, LongWeightsCountAsTenAndNoneAsOne) {
    EXPECT_NEAR(Scalar(lamb(), {30, 40}).step({0.1, -7}, 0.01), 30 - 0.01 * 10 / std::sqrt(2), 1e-12);
    EXPECT_NEAR(Scalar(lamb(), {0, 0}).step({0.1, -7}, 0.01), -0.01, 1e-12);
    EXPECT_NEAR(Scalar(lamb(), {3, 4}).step({0, 0}, 0.01), 3, 1e-12);
}

TEST(GoldenSgd, MomentumAndClipping) {
    OptimizerConfig config;
    config.name = OptimizerKind::sgd;
    config.momentum = 0.5;
    config.weight_decay = 0;
    config.clip_norm = 1;
    Scalar p(config, {0, 0});
    p.step({3, 4}, 1.0);
    testing::expect_values(p.store.master(0), {-0.6, -0.8}, 1e-12, "clipped to norm 1");
    p.step({0.3, 0.4}, 1.0);
    testing::expect_values(p.store.master(0), {-1.2, -1.6}, 1e-12, "momentum 0.5");
}

// Zhang et al. 2019: every five steps half of the way that the fast weights went.
TEST(Lookahead, GoesBackEveryFiveSteps) {
    OptimizerConfig config;
    config.name = OptimizerKind::sgd;
    config.momentum = 0;
    config.weight_decay = 0;
    config.clip_norm = 0;
    config.lookahead_steps = 5;
    config.lookahead_rate = 0.5;
    Scalar p(config);
    for (double expected : {0.9, 0.8, 0.7, 0.6, 0.75, 0.65, 0.55, 0.45, 0.35, 0.5})
        EXPECT_NEAR(p.step({1}, 0.1), expected, 1e-12);
}

TEST(Average, FollowsTheWeightsAndChangesPlacesWithThem) {
    OptimizerConfig config;
    config.name = OptimizerKind::sgd;
    config.momentum = 0;
    config.weight_decay = 0;
    config.clip_norm = 0;
    config.average = 0.5;
    Scalar p(config);
    double expected = 1;
    for (int t = 1; t <= 9; ++t) {
        const double weight = p.step({1}, 0.1), decay = std::min(0.5, (1.0 + t) / (10.0 + t));
        expected += (1 - decay) * (weight - expected);
        EXPECT_NEAR(p.optimizer->average()[0].item<double>(), expected, 1e-12) << t;
    }
    const double weight = p.store.master(0)[0].item<double>();
    p.store.exchange(p.optimizer->average());
    EXPECT_NEAR(p.store.master(0)[0].item<double>(), expected, 1e-12);
    EXPECT_EQ(p.optimizer->average()[0].item<double>(), weight);
}

TEST(Decay, OnlyMatricesByDefault) {
    for (const DecayedParameters decay : {DecayedParameters::matrices, DecayedParameters::all}) {
        ParameterStore store;
        store.add({"m", {2, 2}, Role::matrix, Init::constant(1)});
        store.add({"v", {2}, Role::vector, Init::constant(1)});
        store.materialize(at::kFloat, at::kFloat, at::kCPU, 1);
        OptimizerConfig config;
        config.weight_decay = 0.5;
        config.decay = decay;
        Optimizer optimizer(config, store);
        store.collect_gradients(true);
        optimizer.step(0.1, 0);
        EXPECT_NEAR(store.master(0)[0][0].item<float>(), 0.95, 1e-6);
        EXPECT_NEAR(store.master(1)[0].item<float>(), decay == DecayedParameters::all ? 0.95 : 1.0, 1e-6);
    }
}

ScheduleConfig recipe(double warmup) {
    ScheduleConfig config;
    config.name = ScheduleKind::recipe;
    config.warmup = warmup;
    return config;
}

TEST(GoldenSchedule, Enwik8Base) {
    struct Point {
        double n, rate;
    };
    for (const Point& p : {Point{0, 1.875e-8},
                           {8000, 1.5001875e-4},
                           {15999, 3e-4},
                           {16000, 2.99999852e-4},
                           {50000, 2.89724068e-4},
                           {200000, 1.50593664e-4},
                           {300000, 4.41078630e-5}})
        EXPECT_NEAR(learning_rate(recipe(16000), 3e-4, {p.n, 400000, 1}), p.rate, 6e-9 * p.rate + 5e-13) << p.n;
    for (const Point& p : {Point{50000, 2.40484942e-4}, {200000, 1.25e-4}, {300000, 3.66116524e-5}})
        EXPECT_NEAR(learning_rate(recipe(0), 2.5e-4, {p.n, 400000, 1}), p.rate, 5e-13) << p.n;
}

TEST(Schedule, Shapes) {
    ScheduleConfig config;
    config.warmup = 100;
    config.name = ScheduleKind::cosine;
    config.final_ratio = 0.1;
    EXPECT_NEAR(learning_rate(config, 1e-3, {0, 1000, 1}), 1e-5, 1e-12);
    EXPECT_NEAR(learning_rate(config, 1e-3, {99, 1000, 1}), 1e-3, 1e-12);
    EXPECT_NEAR(learning_rate(config, 1e-3, {550, 1000, 1}), 5.5e-4, 1e-12);
    EXPECT_NEAR(learning_rate(config, 1e-3, {1000, 1000, 1}), 1e-4, 1e-12);
    config.name = ScheduleKind::linear;
    config.final_ratio = 0;
    EXPECT_NEAR(learning_rate(config, 1, {550, 1000, 1}), 0.5, 1e-12);
    config.name = ScheduleKind::inverse_sqrt;
    EXPECT_NEAR(learning_rate(config, 1, {400, 0, 1}), 0.5, 1e-12);
    config.name = ScheduleKind::constant;
    config.warmup = 0;
    EXPECT_EQ(learning_rate(config, 1, {5, 0, 1}), 1);
}

}  // namespace
}  // namespace lithe
