#include "lithe/infer/beam_search.h"

#include <cmath>

#include "infer/models.h"
#include "lithe/infer/sampler.h"
#include "support/errors.h"

namespace lithe {
namespace {

using testing::make_model;
using Ids = std::vector<int64_t>;

constexpr int64_t kTokens = 6, kEnd = 2;
const char* const kModel = "width = 16\nlayout = \"ux2\"\nmemory = 32";

// Logits of every step, sharper than those of fresh weights are.
std::unique_ptr<LanguageModel> sharp_model() {
    auto model = make_model(kModel, at::kFloat, kTokens);
    const at::NoGradGuard no_grad;
    for (size_t i = 0; i < model->parameters().size(); ++i)
        if (model->parameters().spec(i).role == Role::head) model->parameters().working(i).mul_(6);
    return model;
}

// log p of what follows these tokens, by one forward pass.
std::vector<double> next_log_p(const LanguageModel& model, Ids prompt, const Ids& tokens) {
    const at::NoGradGuard no_grad;
    prompt.insert(prompt.end(), tokens.begin(), tokens.end());
    Pass pass = model.pass(false);
    pass.memory = 32;
    const Tensor row = model.forward(at::tensor(prompt).unsqueeze(1), {}, pass).logits_TBV[-1][0];
    const Tensor log_p = row.to(at::kDouble).log_softmax(0).contiguous();
    return {log_p.data_ptr<double>(), log_p.data_ptr<double>() + kTokens};
}

struct Hypothesis {
    Ids tokens;
    double sum = 0, score = 0;
};

// As the header of beam_search.h reads, of one sentence, everything computed anew at each step.
std::vector<Hypothesis> plain_search(const LanguageModel& model, const Ids& prompt, const BeamOptions& o,
                                     int64_t most) {
    std::vector<Hypothesis> open = {{}}, finished;
    for (int64_t step = 0; step <= most && int64_t(finished.size()) < o.beam; ++step) {
        std::vector<Hypothesis> all;
        for (const Hypothesis& from : open) {
            const std::vector<double> log_p = next_log_p(model, prompt, from.tokens);
            for (int64_t token = 0; token < kTokens; ++token) {
                if (step == most && token != kEnd) continue;
                if (step < o.least_tokens && token == kEnd) continue;
                Hypothesis next = from;
                next.tokens.push_back(token);
                next.sum += log_p[size_t(token)];
                all.push_back(next);
            }
        }
        std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.sum > b.sum; });
        all.resize(std::min(all.size(), size_t(2 * o.beam)));
        open.clear();
        for (size_t rank = 0; rank < all.size(); ++rank) {
            Hypothesis each = all[rank];
            if (each.tokens.back() != kEnd) {
                if (int64_t(open.size()) < o.beam) open.push_back(each);
                continue;
            }
            if (int64_t(rank) >= o.beam || int64_t(finished.size()) == o.beam) continue;
            each.score = each.sum / std::pow(double(each.tokens.size()), o.length_penalty);
            each.tokens.pop_back();
            finished.push_back(each);
        }
    }
    std::stable_sort(finished.begin(), finished.end(), [](const auto& a, const auto& b) { return a.score > b.score; });
    return finished;
}

std::vector<std::vector<BeamHypothesis>> search(const LanguageModel& model, const std::vector<Ids>& prompts,
                                                const BeamOptions& options,
                                                Session::Path path = Session::Path::automatic) {
    Session session(model, {.most_rows = int64_t(prompts.size()) * options.beam, .memory = 32, .path = path});
    return beam_search(session, prompts, options);
}

void expect_same(const std::vector<BeamHypothesis>& got, const std::vector<Hypothesis>& expected,
                 const std::string& what) {
    ASSERT_EQ(got.size(), expected.size()) << what;
    for (size_t i = 0; i < got.size(); ++i) {
        EXPECT_EQ(got[i].tokens, expected[i].tokens) << what << ", hypothesis " << i;
        EXPECT_NEAR(got[i].score, expected[i].score, 1e-4) << what << ", hypothesis " << i;
    }
}

const std::vector<Ids> kPrompts = {{1}, {3, 4, 5, 0}, {5, 5}, {0, 1, 3}};

TEST(BeamSearch, IsThePlainSearchOfEachSentence) {
    const auto model = sharp_model();
    for (const int64_t beam : {1, 2, 3, 5})
        for (const double penalty : {0.0, 0.6, 1.0})
            for (const int64_t least : {0, 3})
                for (const Session::Path path : {Session::Path::forward, Session::Path::steps}) {
                    const BeamOptions options{.beam = beam,
                                              .end = kEnd,
                                              .length_penalty = penalty,
                                              .least_tokens = least,
                                              .per_source = 1,
                                              .most_tokens = 5};
                    const auto together = search(*model, kPrompts, options, path);
                    for (size_t i = 0; i < kPrompts.size(); ++i)
                        expect_same(together[i],
                                    plain_search(*model, kPrompts[i], options, 5 + int64_t(kPrompts[i].size())),
                                    "beam " + std::to_string(beam) + ", penalty " + std::to_string(penalty) +
                                        ", sentence " + std::to_string(i));
                }
}

// A beam that holds all hypotheses of at most three tokens finds the likeliest of them.
TEST(BeamSearch, AWideBeamFindsTheLikeliest) {
    const auto model = sharp_model();
    const BeamOptions options{.beam = 260, .end = kEnd, .length_penalty = 0, .most_tokens = 3};
    const auto found = search(*model, {kPrompts[1]}, options)[0];
    Hypothesis best{{}, -1e30, -1e30};
    const std::function<void(const Hypothesis&)> visit = [&](const Hypothesis& from) {
        const std::vector<double> log_p = next_log_p(*model, kPrompts[1], from.tokens);
        if (from.sum + log_p[kEnd] > best.sum) best = {from.tokens, from.sum + log_p[kEnd], 0};
        for (int64_t token = 0; token < kTokens && from.tokens.size() < 3; ++token) {
            if (token == kEnd) continue;
            Hypothesis next = from;
            next.tokens.push_back(token);
            next.sum += log_p[size_t(token)];
            visit(next);
        }
    };
    visit({});
    EXPECT_EQ(found[0].tokens, best.tokens);
    EXPECT_NEAR(found[0].score, best.sum, 1e-4);
}

TEST(BeamSearch, ABeamOfOneIsGreedy) {
    const auto model = sharp_model();
    for (const Ids& prompt : kPrompts) {
        const auto found = search(*model, {prompt}, {.beam = 1, .end = kEnd, .most_tokens = 12})[0];
        ASSERT_EQ(found.size(), 1u);
        Ids greedy;
        while (greedy.size() < 12) {
            const std::vector<double> log_p = next_log_p(*model, prompt, greedy);
            const int64_t token = std::max_element(log_p.begin(), log_p.end()) - log_p.begin();
            if (token == kEnd) break;
            greedy.push_back(token);
        }
        EXPECT_EQ(found[0].tokens, greedy);
    }
}

TEST(BeamSearch, ScoresAreThoseOfTheModel) {
    const auto model = sharp_model();
    const auto found =
        search(*model, {kPrompts[1]}, {.beam = 4, .end = kEnd, .length_penalty = 0.6, .most_tokens = 8})[0];
    ASSERT_EQ(found.size(), 4u);
    for (const BeamHypothesis& each : found) {
        double sum = 0;
        Ids tokens = each.tokens;
        tokens.push_back(kEnd);
        ASSERT_EQ(each.log_p.size(), tokens.size());
        for (size_t t = 0; t < tokens.size(); ++t) {
            const double log_p =
                next_log_p(*model, kPrompts[1], Ids(tokens.begin(), tokens.begin() + int64_t(t)))[size_t(tokens[t])];
            EXPECT_NEAR(each.log_p[t], log_p, 1e-5);
            sum += log_p;
        }
        EXPECT_NEAR(each.score, length_normalized(sum, int64_t(tokens.size()), 0.6), 1e-5);
    }
}

// Five tokens and the end token of probability 1/e each.
TEST(BeamSearch, ScoresByLength) {
    EXPECT_DOUBLE_EQ(length_normalized(-6, 6, 1), -1);
    EXPECT_NEAR(length_normalized(-6, 6, 0.6), -2.0476725108, 1e-9);
    EXPECT_DOUBLE_EQ(length_normalized(-6, 6, 0), -6);
}

TEST(BeamSearch, SaysWhichHypothesesTheLimitCutOff) {
    const auto model = sharp_model();
    const auto found = search(*model, kPrompts, {.beam = 4, .end = kEnd, .most_tokens = 3})[1];
    for (const BeamHypothesis& each : found) EXPECT_EQ(each.cut, each.tokens.size() == 3) << each.tokens.size();
}

TEST(BeamSearch, LogitsThatAreNoNumbersAreRefused) {
    const auto model = sharp_model();
    const at::NoGradGuard no_grad;
    for (size_t i = 0; i < model->parameters().size(); ++i)
        if (model->parameters().spec(i).name == "head.bias") model->parameters().working(i)[3] = NAN;
    EXPECT_ERROR(search(*model, {{1}}, {.beam = 2, .end = kEnd}), ErrorKind::diverged, "not finite");
}

TEST(BeamSearch, BannedAndRepeatedTokensNeverCome) {
    const auto model = sharp_model();
    const auto contains = [](const Ids& list, int64_t token) {
        return std::count(list.begin(), list.end(), token) > 0;
    };
    const auto some = search(*model, {kPrompts[1]}, {.beam = 4, .end = kEnd, .most_tokens = 8, .banned = {0, 3}})[0];
    ASSERT_FALSE(some.empty());
    for (const BeamHypothesis& each : some) {
        EXPECT_FALSE(contains(each.tokens, 0));
        EXPECT_FALSE(contains(each.tokens, 3));
    }
    const auto once =
        search(*model, {{1}}, {.beam = 3, .end = kEnd, .least_tokens = 5, .most_tokens = 8, .no_repeat_ngram = 1})[0];
    for (const BeamHypothesis& each : once) {
        EXPECT_FALSE(contains(each.tokens, 1)) << "it stands in the prompt";
        for (const int64_t token : each.tokens) EXPECT_EQ(std::count(each.tokens.begin(), each.tokens.end(), token), 1);
    }
    const auto pairs =
        search(*model, {{1}}, {.beam = 3, .end = kEnd, .least_tokens = 12, .most_tokens = 12, .no_repeat_ngram = 2})[0];
    ASSERT_FALSE(pairs.empty());
    for (const BeamHypothesis& each : pairs) {
        std::set<std::pair<int64_t, int64_t>> seen;
        for (size_t i = 1; i < each.tokens.size(); ++i)
            EXPECT_TRUE(seen.insert({each.tokens[i - 1], each.tokens[i]}).second);
    }
    BeamOptions unknown{.beam = 2, .end = kEnd, .most_tokens = 6, .unknown_penalty = 100, .unknown = 4};
    const auto known = search(*model, {{4}}, unknown)[0];
    for (const BeamHypothesis& each : known) EXPECT_FALSE(contains(each.tokens, 4));
}

}  // namespace
}  // namespace lithe
