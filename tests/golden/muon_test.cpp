// Muon's orthogonalisation and update (Jordan et al. 2024). The numbers of the scalar map are those of make_muon.py.
#include "lithe/train/muon.h"

#include <ATen/ops/linalg_svd.h>
#include <ATen/ops/linalg_svdvals.h>

#include "lithe/train/optimizer.h"
#include "lithe/train/schedule.h"
#include "support/threads.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::wave;

// Gaussian numbers of the library's counter-based generator: the same on every machine.
Tensor gaussian(int64_t rows, int64_t columns) {
    ParameterStore store;
    store.add({"g", {rows, columns}, Role::matrix, Init::normal(1)});
    store.materialize(at::kDouble, at::kDouble, at::kCPU, 3);
    return store.master(0).clone();
}

TEST(Orthogonalize, ScalarMap) {
    auto map = [](double x) {  // of a matrix diag(x, sqrt(1 - x^2)), whose norm is 1
        Tensor u = at::tensor({x, 0.0, 0.0, std::sqrt(1 - x * x)}, at::kDouble).view({1, 2, 2});
        return orthogonalize(u, at::kDouble)[0][0][0].item<double>();
    };
    EXPECT_NEAR(map(1.0), 0.69644, 1e-5);
    EXPECT_NEAR(map(0.001), 0.4705, 1e-3);
    for (double x = 0.003; x < 1; x *= 1.05) {
        EXPECT_GE(map(x), 0.6817) << x;
        EXPECT_LE(map(x), 1.2025) << x;  // the polynomial's highest value, met near 0.0041
    }
}

TEST(Orthogonalize, GaussianMatrices) {
    for (auto [rows, columns] : {std::pair<int64_t, int64_t>{128, 512}, {512, 128}}) {
        Tensor u = gaussian(rows, columns), o = orthogonalize(u.unsqueeze(0), at::kDouble)[0];
        Tensor values = at::linalg_svdvals(o);
        EXPECT_GE(values.min().item<double>(), 0.68);
        EXPECT_LE(values.max().item<double>(), 1.2025);
        auto [left, singular, right] = at::linalg_svd(u, false);
        Tensor exact = left.mm(right);
        EXPECT_GT(((o * exact).sum() / (o.norm() * exact.norm())).item<double>(), 0.97);
        Tensor half = orthogonalize(u.to(at::kFloat).unsqueeze(0), at::kBFloat16)[0];
        Tensor rough = at::linalg_svdvals(half.to(at::kDouble));
        EXPECT_GE(rough.min().item<double>(), 0.64);
        EXPECT_LE(rough.max().item<double>(), 1.22);
    }
}

// Stacked and single matrices of several shapes, shared out so that threads cut through a stack.
TEST(Muon, ThreadsDoNotChangeTheUpdate) {
    std::vector<Tensor> weights;
    for (const int count : {1, 2, 3}) {
        const testing::Threads threads(count);
        ParameterStore store;
        store.add({"a", {3 * 6, 10}, Role::matrix, Init::normal(1), 3});
        store.add({"b", {10, 4}, Role::matrix, Init::normal(1)});
        store.add({"c", {2 * 6, 10}, Role::matrix, Init::normal(1), 2});
        store.add({"d", {5 * 10, 4}, Role::matrix, Init::normal(1), 5});
        store.materialize(at::kDouble, at::kDouble, at::kCPU, 3);
        for (size_t i = 0; i < store.size(); ++i)
            store.working(i).mutable_grad() = wave(store.working(i).sizes(), 0.7 + double(i), 0.2, 1.0);
        store.collect_gradients(true);
        OptimizerConfig config;
        config.weight_decay = 0.1;
        Tensor m = at::zeros_like(store.master_flat());
        Muon(config, store).step(m, 0.1, 0.5);
        weights.push_back(store.master_flat().clone());
    }
    for (size_t i = 1; i < weights.size(); ++i) testing::expect_close(weights[i], weights[0], 1e-12, "threads");
}

// Two updates by hand; stacked matrices are made orthogonal one by one; vectors take AdamW.
TEST(Muon, UpdatesAsStated) {
    for (const MuonScale scale : {MuonScale::shape, MuonScale::rms}) {
        ParameterStore store;
        store.add({"m", {12, 2}, Role::matrix, Init::uniform(1), 3});
        store.add({"v", {4}, Role::vector, Init::uniform(1)});
        store.materialize(at::kDouble, at::kDouble, at::kCPU, 1);
        OptimizerConfig config;
        config.name = OptimizerKind::muon;
        config.clip_norm = 0;
        config.weight_decay = 0.1;
        config.learning_rate = 1e-3;
        config.muon_learning_rate = 0.02;
        config.muon_momentum = 0.95;
        config.muon_scale = scale;
        Optimizer optimizer(config, store);
        OptimizerConfig other = config;
        other.name = OptimizerKind::adamw;
        ParameterStore twin;
        twin.add({"v", {4}, Role::vector, Init::uniform(1)});
        twin.materialize(at::kDouble, at::kDouble, at::kCPU, 1);
        Optimizer adamw(other, twin);
        Tensor w = store.master(0).clone(), mean = at::zeros_like(w);
        for (int step = 1; step <= 2; ++step) {
            Tensor g = wave({12, 2}, 0.7, step, 1.0), gv = wave({4}, 0.3, step, 1.0);
            store.working(0).mutable_grad() = g.clone();
            store.working(1).mutable_grad() = gv.clone();
            twin.working(0).mutable_grad() = gv.clone();
            store.collect_gradients(true);
            twin.collect_gradients(true);
            optimizer.step(5e-4, 1);
            adamw.step(5e-4, 1);  // half of the peak
            mean = mean + (1 - 0.95) * (g - mean);
            Tensor u = (g + 0.95 * (mean - g)).view({3, 4, 2});
            const double factor = scale == MuonScale::rms ? 0.2 * std::sqrt(4.0) : std::sqrt(2.0);
            w = w * (1 - 0.01 * 0.1) - 0.01 * factor * orthogonalize(u, at::kDouble).view({12, 2});
            testing::expect_close(store.master(0), w, 1e-12, "matrix");
            testing::expect_close(store.master(1), twin.master(0), 1e-12, "vector");
        }
    }
}

TEST(Schedule, WarmupStableDecay) {
    ScheduleConfig wsd;
    wsd.name = ScheduleKind::wsd;
    wsd.warmup = 0.1;
    wsd.decay = 0.2;
    wsd.final_ratio = 0.1;
    auto rate = [&](double n) { return learning_rate(wsd, 2.0, {n, 100, 1}); };
    EXPECT_NEAR(rate(4), 1.0, 1e-12);
    EXPECT_NEAR(rate(10), 2.0, 1e-12);
    EXPECT_NEAR(rate(80), 2.0, 1e-12);
    EXPECT_NEAR(rate(90), 1.1, 1e-12);
    EXPECT_NEAR(rate(100), 0.2, 1e-12);
}

}  // namespace
}  // namespace lithe
