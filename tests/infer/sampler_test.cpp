#include "lithe/infer/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "support/errors.h"

namespace lithe {
namespace {

const std::vector<float> kLogits = {1, 3, 2, -1};

std::vector<int64_t> draws(const SamplingOptions& options, const std::vector<int64_t>& prompt, int64_t number = 0,
                           std::span<const float> logits = kLogits, int count = 50) {
    Sampler sampler(options, prompt, number);
    std::vector<int64_t> tokens;
    for (int i = 0; i < count; ++i) tokens.push_back(sampler.draw(logits));
    return tokens;
}

bool all_within(const std::vector<int64_t>& tokens, const std::vector<int64_t>& allowed) {
    for (const int64_t token : tokens)
        if (std::find(allowed.begin(), allowed.end(), token) == allowed.end()) return false;
    return true;
}

TEST(Sampler, ObeysItsLimits) {
    EXPECT_TRUE(all_within(draws({.temperature = 0}, {}), {1}));
    EXPECT_TRUE(all_within(draws({.top_k = 1}, {}), {1}));
    EXPECT_TRUE(all_within(draws({.top_p = 0.5}, {}), {1}));
    EXPECT_TRUE(all_within(draws({.top_p = 0.7}, {}), {1, 2})) << "0.657 alone does not reach it";
    EXPECT_FALSE(all_within(draws({.top_p = 0.7}, {}), {1}));
    EXPECT_TRUE(all_within(draws({.top_k = 3}, {}), {0, 1, 2}));
    // shares of the likeliest: 1, e^-1 = 0.368, e^-2 = 0.135, e^-4 = 0.018
    EXPECT_TRUE(all_within(draws({.min_p = 0.37}, {}), {1}));
    EXPECT_TRUE(all_within(draws({.min_p = 0.36}, {}), {1, 2}));
    EXPECT_FALSE(all_within(draws({.min_p = 0.36}, {}), {1}));
    EXPECT_TRUE(all_within(draws({.temperature = 2, .min_p = 0.37}, {}), {0, 1, 2})) << "after the temperature";
}

TEST(Sampler, DrawsByTheProbabilities) {
    const std::vector<int64_t> tokens = draws({}, {}, 0, kLogits, 4000);
    const double ones = double(std::count(tokens.begin(), tokens.end(), 1));
    EXPECT_NEAR(ones / 4000, std::exp(3) / (std::exp(1) + std::exp(3) + std::exp(2) + std::exp(-1)), 0.03);
}

// Rounding changes a draw only where two tokens tie: none of 500 draws among 8,000 tokens.
TEST(Sampler, RoundingOfTheLogitsRarelyChangesADraw) {
    std::vector<float> logits(8000), rounded(8000);
    for (size_t i = 0; i < logits.size(); ++i) {
        logits[i] = float(std::sin(double(i) * 0.7)) * 3;
        rounded[i] = logits[i] * (1 + 1e-6F * float(i % 3));
    }
    for (const SamplingOptions& options :
         {SamplingOptions{}, SamplingOptions{.top_k = 500}, SamplingOptions{.temperature = 0.7, .top_p = 0.9}})
        EXPECT_EQ(draws(options, {1, 2}, 0, logits, 500), draws(options, {1, 2}, 0, rounded, 500));
}

// The same draws after prompts that end alike made the same text of a model that sees little.
TEST(Sampler, SeedPromptAndNumberDecideWhatIsDrawn) {
    const std::vector<float> flat(50);
    const auto drawn = [&](uint64_t seed, const std::vector<int64_t>& prompt, int64_t number) {
        return draws({.seed = seed}, prompt, number, flat, 20);
    };
    EXPECT_EQ(drawn(3, {1, 2}, 0), drawn(3, {1, 2}, 0));
    EXPECT_NE(drawn(3, {1, 2}, 0), drawn(3, {2, 2}, 0));
    EXPECT_NE(drawn(3, {1, 2}, 0), drawn(4, {1, 2}, 0));
    EXPECT_NE(drawn(3, {1, 2}, 0), drawn(3, {1, 2}, 1));
    EXPECT_NE(drawn(3, {1, 2}, 2), drawn(3, {1, 2}, 1));
}

// l / p above 0, l p below (CTRL, section 4.1), for what stood in the prompt or was drawn; once, however often.
TEST(Sampler, RepetitionsBecomeLessLikely) {
    const std::vector<float> close = {3, 2.9f, -1, -1.1f};
    EXPECT_EQ(draws({.temperature = 0, .repetition_penalty = 1.2}, {0, 0}, 0, close, 1)[0], 1);
    EXPECT_EQ(draws({.temperature = 0, .repetition_penalty = 1.2}, {1, 1}, 0, close, 1)[0], 0);
    EXPECT_EQ(draws({.temperature = 0, .repetition_penalty = 1.2}, {}, 0, close, 4), std::vector<int64_t>({0, 1, 0, 0}))
        << "2.5 and 2.417, and no less the next time";
    const std::vector<float> below = {-1, -1.1f};
    EXPECT_EQ(draws({.temperature = 0, .repetition_penalty = 1.2}, {0}, 0, below, 1)[0], 1) << "-1.2";
}

TEST(Sampler, LogitsThatAreNoNumbersAreRefused) {
    const std::vector<float> wrong = {0, NAN};
    EXPECT_ERROR(draws({}, {}, 0, wrong, 1), ErrorKind::diverged, "not finite");
    const std::vector<float> infinite = {0, INFINITY};
    EXPECT_ERROR(draws({}, {}, 0, infinite, 1), ErrorKind::diverged, "not finite");
}

TEST(Sampler, LogProbabilitiesAreTheModelsOwn) {
    double total = 0;
    for (int64_t token = 0; token < 4; ++token) total += std::exp(log_probability(kLogits, token));
    EXPECT_NEAR(total, 1, 1e-12);
    const auto list = likeliest(kLogits, 3);
    ASSERT_EQ(list.size(), 3u);
    EXPECT_EQ(list[0].token, 1);
    EXPECT_EQ(list[1].token, 2);
    EXPECT_EQ(list[2].token, 0);
    for (const TokenProbability& each : list) EXPECT_NEAR(each.log_p, log_probability(kLogits, each.token), 1e-12);
    EXPECT_EQ(likeliest(kLogits, 9).size(), 4u);
    EXPECT_TRUE(likeliest(kLogits, 0).empty());
}

}  // namespace
}  // namespace lithe
