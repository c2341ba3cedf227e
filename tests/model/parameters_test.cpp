#include "lithe/nn/parameters.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

namespace lithe {
namespace {

constexpr int64_t kRows = 3000;

Tensor table_of(std::optional<uint64_t> seed, int threads = 1) {
    const int before = at::get_num_threads();
    at::set_num_threads(threads);
    ParameterStore store;
    store.add({"table", {kRows, 17}, Role::table, Init::normal(0.5)});
    store.add({"matrix", {19, 23}, Role::matrix, Init::uniform(0.5)});
    store.materialize(at::kFloat, at::kFloat, at::kCPU, seed);
    at::set_num_threads(before);
    return at::cat({store.master(0).flatten(), store.master(1).flatten()});
}

TEST(Parameters, DependOnTheSeedAlone) {
    const Tensor one = table_of(1), two = table_of(2);
    EXPECT_TRUE(at::equal(one, table_of(1, 2)));
    EXPECT_TRUE(at::equal(one, table_of(1, 3)));
    EXPECT_FALSE(at::equal(one, two));
    const Tensor normal = one.narrow(0, 0, kRows * 17).to(at::kDouble);
    EXPECT_NEAR(normal.mean().item<double>(), 0, 0.01);
    EXPECT_NEAR(normal.std().item<double>(), 0.5, 0.01);
}

TEST(Parameters, OrthogonalMatrices) {
    ParameterStore store;
    store.add({"wide", {5, 12}, Role::matrix, Init::orthogonal(0.1)});
    store.add({"tall", {12, 5}, Role::matrix, Init::orthogonal(2)});
    store.materialize(at::kDouble, at::kDouble, at::kCPU, 1);
    const Tensor wide = store.master(0), tall = store.master(1), one = at::eye(5, at::kDouble);
    EXPECT_TRUE(at::allclose(wide.matmul(wide.t()), 0.01 * one, 1e-12, 1e-12));
    EXPECT_TRUE(at::allclose(tall.t().matmul(tall), 4 * one, 1e-12, 1e-12));
}

// Drawing 168M numbers of tables took `lithe generate` eleven seconds before it loaded others.
TEST(Parameters, AreNotDrawnWhereTheyAreLoaded) { EXPECT_EQ(table_of(std::nullopt).abs().max().item<double>(), 0); }

}  // namespace
}  // namespace lithe
