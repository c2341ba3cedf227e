// Which layouts an evolution asks for, and which of them it trains longer.
#include "lithe/search/evolution.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace lithe {
namespace {

TEST(TrialSource, RandomSearchTriesEachAllowedLayoutOnce) {
    SearchConfig config;
    config.method = SearchMethod::random;
    config.trial_tokens = 100;
    TrialSource source(config, {3, 3}, 1, [](const auto& choices) { return choices[0] != 2; });
    std::set<std::vector<int64_t>> seen;
    while (const auto request = source.ask()) {
        EXPECT_TRUE(seen.insert(request->choices).second);
        EXPECT_EQ(source.tokens(request->rung), 100);
        source.tell(*request, double(request->choices[0] + request->choices[1]));
    }
    EXPECT_EQ(seen.size(), 6u);
    EXPECT_EQ(source.best()->choices, (std::vector<int64_t>{0, 0}));
}

TEST(TrialSource, RungsPromoteTheBestShare) {
    SearchConfig config;
    config.method = SearchMethod::evolution;
    config.trial_tokens = 900;
    config.population = 1000;
    TrialSource source(config, std::vector<int64_t>(6, 3), 1, [](const auto&) { return true; });
    EXPECT_EQ(source.tokens(0), 100);
    EXPECT_EQ(source.tokens(2), 900);
    std::vector<int64_t> asked(3, 0);
    auto worth = [](const std::vector<int64_t>& choices) {
        double sum = 0;
        for (size_t i = 0; i < choices.size(); ++i) sum += double(choices[i]) * double(i + 1);
        return sum;
    };
    double worst_promoted = 0;
    for (int i = 0; i < 130; ++i) {
        const auto request = source.ask();
        ASSERT_TRUE(request);
        ++asked[size_t(request->rung)];
        if (request->rung == 1) worst_promoted = std::max(worst_promoted, worth(request->choices));
        source.tell(*request, worth(request->choices));
    }
    EXPECT_NEAR(double(asked[0]) / double(asked[1]), 3, 0.5);
    EXPECT_NEAR(double(asked[1]) / double(asked[2]), 3, 0.8);
    EXPECT_EQ(source.best()->rung, 2);
}

// So et al. 2019, section 3.2: a hurdle is the mean of who is alive when it is set; who comes later and beats it goes
// on.
TEST(TrialSource, HurdlesAreMeansAndWhoBeatsThemGoesOn) {
    SearchConfig config;
    config.method = SearchMethod::evolution;
    config.promotion = Promotion::hurdles;
    config.population = 4;
    config.hurdle_after = 6;
    config.trial_tokens = 900;
    TrialSource source(config, std::vector<int64_t>(8, 3), 1, [](const auto&) { return true; });
    const auto tell_short = [&](double loss) {
        const auto request = source.ask();
        ASSERT_TRUE(request);
        EXPECT_EQ(request->rung, 0);
        source.tell(*request, loss);
    };
    for (double loss : {1.0, 9.0, 2.0, 4.0, 6.0, 8.0}) tell_short(loss);
    // alive are the last four: the hurdle is (2 + 4 + 6 + 8) / 4, and none of these is promoted
    tell_short(5.5);
    tell_short(5.0);
    tell_short(4.9);
    const auto longer = source.ask();
    ASSERT_TRUE(longer);
    EXPECT_EQ(longer->rung, 1);
    source.tell(*longer, 0.5);
    EXPECT_EQ(source.best()->choices, longer->choices);
    // a rung above has a hurdle of its own, from all of its results
    for (int i = 0; i < 5; ++i) {
        tell_short(3);
        const auto next = source.ask();
        ASSERT_TRUE(next);
        ASSERT_EQ(next->rung, 1);
        source.tell(*next, 1.5);
    }
    // (0.5 + 5 x 1.5) / 6
    for (const auto& [loss, passes] : {std::pair(1.4, false), {1.3, true}}) {
        tell_short(3);
        const auto next = source.ask();
        ASSERT_EQ(next->rung, 1);
        source.tell(*next, loss);
        const auto after = source.ask();
        EXPECT_EQ(after->rung, passes ? 2 : 0) << loss;
        source.tell(*after, 7);
    }
}

// A worth that each place adds to on its own: evolution climbs, and passes random search with as many trials.
TEST(TrialSource, EvolutionClimbs) {
    auto best_of = [](SearchMethod method, Promotion promotion = Promotion::halving) {
        SearchConfig config;
        config.method = method;
        config.promotion = promotion;
        config.population = 20;
        config.tournament = 6;
        config.rungs = 1;
        config.trial_tokens = 1;
        TrialSource source(config, std::vector<int64_t>(16, 3), 7, [](const auto&) { return true; });
        double best = 1e9;
        for (int i = 0; i < 300; ++i) {
            const auto request = source.ask();
            double bits = 0;
            for (int64_t choice : request->choices) bits += double(choice);
            source.tell(*request, bits);
            best = std::min(best, bits);
        }
        return best;
    };
    EXPECT_LE(best_of(SearchMethod::evolution), 1);
    EXPECT_LE(best_of(SearchMethod::evolution, Promotion::hurdles), 1);
    EXPECT_GE(best_of(SearchMethod::random), 5);
}

}  // namespace
}  // namespace lithe
