// A mixture of experts. Numbers are those of make_moe.py, which goes from token to token and from choice to choice.
#include <torch/csrc/autograd/autograd.h>

#include "lithe/base/position_flags.h"
#include "lithe/blocks/moe.h"
#include "lithe/ops/gather_rows.h"
#include "support/block_maker.h"
#include "support/errors.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::cosine;
using testing::expect_close;
using testing::expect_values;
using testing::MadeBlock;
using testing::wave;

constexpr int64_t kSteps = 6;
constexpr int64_t kExperts = 3;

struct Golden {
    int top;
    const char* capacity;
    double router_step;
    std::vector<double> out;
    double balance, router_z, turned_away;
    std::vector<double> gradients;  // of x, the router, and each expert's w1, w2, b1, b2
};

std::vector<std::string> parameter_names() {
    std::vector<std::string> names = {"router"};
    for (int e = 0; e < kExperts; ++e)
        for (const char* each : {"w1", "w2", "b1", "b2"}) names.push_back("experts." + std::to_string(e) + "." + each);
    return names;
}

void set_golden(MadeBlock& made, double router_step) {
    made.set("router", wave(made.parameter("router").sizes(), router_step, .3, .9));
    for (int e = 0; e < kExperts; ++e) {
        int i = 0;
        for (const char* each : {"w1", "w2", "b1", "b2"}) {
            const std::string name = "experts." + std::to_string(e) + "." + each;
            made.set(name, wave(made.parameter(name).sizes(), .37, .1 * i++ + e, .8));
        }
    }
}

void expect_golden(const Golden& golden) {
    ModelConfig model;
    model.width = 4;
    MadeBlock made(*find_block_kind("moe"), model,
                   {{"experts", "3", "test"},
                    {"top", std::to_string(golden.top), "test"},
                    {"capacity", golden.capacity, "test"},
                    {"balance", "0.3", "test"},
                    {"z_loss", "0.2", "test"},
                    {"jitter", "0", "test"},
                    {"inner", "5", "test"},
                    {"activation", "\"relu\"", "test"}});
    set_golden(made, golden.router_step);
    Pass pass;
    pass.training = true;
    Tensor flags = at::zeros({kSteps, 2}, at::kByte);
    flags[4][1] = flags[5][1] = int(kPadding);
    pass.set_flags(flags);
    const Tensor x = wave({kSteps, 2, 4}, .53, .7, 1.3).set_requires_grad(true);
    const BranchOutput out = made.block->branch(x, {}, pass);
    expect_values(out.delta_TBD, golden.out, 1e-9, "out");
    ASSERT_EQ(out.aux.losses.size(), 2u);
    EXPECT_NEAR(out.aux.losses[0].second.item<double>(), golden.balance, 1e-9);
    EXPECT_NEAR(out.aux.losses[1].second.item<double>(), golden.router_z, 1e-9);
    EXPECT_NEAR(out.aux.metrics[1].second.item<double>() * 10 * golden.top, golden.turned_away, 1e-9);
    Tensor loss = (out.delta_TBD * cosine(out.delta_TBD.sizes(), .3)).sum();
    for (const auto& [name, each] : out.aux.losses) loss = loss + each;
    torch::autograd::backward({loss}, {});
    const auto weighted = [](const Tensor& gradient) {
        return (gradient * wave(gradient.sizes(), .7, .2, 1)).sum().item<double>();
    };
    EXPECT_NEAR(weighted(x.grad()), golden.gradients[0], 1e-8);
    size_t i = 1;
    for (const std::string& name : parameter_names())
        EXPECT_NEAR(weighted(made.parameter(name).grad()), golden.gradients[i++], 1e-8) << name;
}

TEST(GoldenMoe, OneExpertOfEachToken) {
    expect_golden(
        {.top = 1,
         .capacity = "1",
         .router_step = 0.71,
         .out = {1.874351158,  2.379380847,  -2.367284721, 0.062173543,  3.681173852,  -0.515571384, -1.567567695,
                 3.019370321,  2.162977333,  -0.756404088, -0.605286248, 2.112544140,  1.884950236,  2.428703386,
                 -2.387658533, 0.048260301,  3.891957113,  -0.653076625, -1.680463161, 3.238908196,  1.721491452,
                 -0.580033231, -0.444864204, 1.682958989,  1.883334249,  2.460983112,  -2.388239334, 0.037958738,
                 0.000000000,  0.000000000,  0.000000000,  0.000000000,  0.640783251,  -0.710841095, 0.147879483,
                 0.717926997,  0.000000000,  0.000000000,  0.000000000,  0.000000000,  0.000000000,  0.000000000,
                 0.000000000,  0.000000000,  0.000000000,  0.000000000,  0.000000000,  0.000000000},
         .balance = 0.398031655,
         .router_z = 1.046610616,
         .turned_away = 2,
         .gradients = {3.454190745, 2.271212439, -0.108229632, 0.706419083, 0.219494153, 0.741506630, 0.342691753,
                       0.606894894, 0.345546400, 0.788028023, 0.005446589, -0.422506547, -0.048576607, -0.886237028}});
}

TEST(GoldenMoe, TwoExpertsOfEachToken) {
    expect_golden(
        {.top = 2,
         .capacity = "1",
         .router_step = 0.61,
         .out = {2.706879310,  3.266902316,  -3.317158338, 0.183513273,  3.780091860,  -0.613079688, -1.572255603,
                 3.125641458,  1.929653621,  -1.958969528, 0.165799118,  2.264859785,  2.670068479,  3.281550121,
                 -3.287658672, 0.156086681,  3.940832891,  -0.753616694, -1.657641734, 3.310162554,  1.762898277,
                 -1.748189654, 0.197398340,  2.008920395,  2.622461513,  3.275670869,  -3.236277785, 0.136081019,
                 4.089293258,  -0.891363475, -1.733295332, 3.485052310,  0.322089725,  -0.103525598, -0.075183391,
                 0.315130092,  0.000000000,  0.000000000,  0.000000000,  0.000000000,  4.095841743,  -0.882037241,
                 -1.801937304, 3.495574123,  0.000000000,  0.000000000,  0.000000000,  0.000000000},
         .balance = 0.317999206,
         .router_z = 1.044985752,
         .turned_away = 2,
         .gradients = {4.053383515, 3.107869657, -0.158396432, 0.967154965, 0.303348508, 1.070358319, 0.451089490,
                       1.293541411, 0.517905566, 1.049284370, -0.056754387, 0.562592183, -0.222223488, -0.032333621}});
}

TEST(GoldenMoe, TwoExpertsAndNobodyTurnedAway) {
    expect_golden(
        {.top = 2,
         .capacity = "0",
         .router_step = 0.61,
         .out = {2.706879310,  3.266902316,  -3.317158338, 0.183513273,  3.780091860,  -0.613079688, -1.572255603,
                 3.125641458,  1.929653621,  -1.958969528, 0.165799118,  2.264859785,  2.670068479,  3.281550121,
                 -3.287658672, 0.156086681,  3.940832891,  -0.753616694, -1.657641734, 3.310162554,  1.762898277,
                 -1.748189654, 0.197398340,  2.008920395,  2.622461513,  3.275670869,  -3.236277785, 0.136081019,
                 4.089293258,  -0.891363475, -1.733295332, 3.485052310,  1.599823576,  -1.520956108, 0.219691079,
                 1.746690024,  0.000000000,  0.000000000,  0.000000000,  0.000000000,  4.223887361,  -1.025720271,
                 -1.798091144, 3.648901050,  0.000000000,  0.000000000,  0.000000000,  0.000000000},
         .balance = 0.317999206,
         .router_z = 1.044985752,
         .turned_away = 0,
         .gradients = {3.700132743, 2.497383439, -0.158396432, 0.967154965, 0.303348508, 1.070358319, 0.451089490,
                       1.293541411, 0.517905566, 1.049284370, -0.087931627, -0.282900129, -0.280460350, -1.641844873}});
}

// The published loss: 1 for even use, E on collapse, 1 where probabilities are even and no first choice can be seen;
// and 1 is no lower bound.
TEST(Moe, BalanceLossIsSwitchs) {
    const auto loss = [&](const Tensor& p_TBE, const std::vector<int64_t>& first) {
        return balance_loss(p_TBE, at::tensor(first).view({-1, 1}), at::ones({p_TBE.size(0), 1}, at::kBool))
            .item<double>();
    };
    const Tensor even = at::full({8, 1, 8}, 1.0 / 8, at::kDouble);
    EXPECT_NEAR(loss(even, {0, 1, 2, 3, 4, 5, 6, 7}), 1, 1e-12);
    EXPECT_NEAR(loss(even, {0, 0, 0, 0, 0, 0, 0, 0}), 1, 1e-12);
    Tensor collapsed = at::zeros({8, 1, 8}, at::kDouble);
    collapsed.select(2, 0).fill_(1);
    EXPECT_NEAR(loss(collapsed, {0, 0, 0, 0, 0, 0, 0, 0}), 8, 1e-12);
    const Tensor two = at::tensor({.51, .49, .51, .49, .51, .49, .01, .99, .01, .99}, at::kDouble).view({5, 1, 2});
    EXPECT_NEAR(loss(two, {0, 0, 0, 1, 1}), 0.924, 1e-12);
    // padding counts nowhere
    Tensor padded = at::ones({5, 2}, at::kBool);
    padded.select(1, 1).narrow(0, 2, 3).fill_(false);
    const Tensor both = at::cat({two, two}, 1);
    Tensor first = at::tensor(std::vector<int64_t>{0, 0, 0, 1, 1}).view({5, 1}).repeat({1, 2});
    const double second_row = 2 * .51;  // both tokens choose the first
    EXPECT_NEAR(balance_loss(both, first, padded).item<double>(), (0.924 + second_row) / 2, 1e-12);
}

// Of a router that knows nothing: (ln 8)^2 = 4.324.
TEST(Moe, ZLossOfEvenLogitsIsTheSquareOfTheirNumbersLogarithm) {
    ModelConfig model;
    model.width = 8;
    MadeBlock made(*find_block_kind("moe"), model, {{"experts", "8", "test"}, {"z_loss", "0.5", "test"}});
    made.set("router", at::zeros({8, 8}, at::kDouble));
    Pass pass;
    pass.training = true;
    const Aux aux = made.block->branch(wave({5, 2, 8}, .53, .7, 1.3), {}, pass).aux;
    ASSERT_EQ(aux.losses.back().first, "router_z");
    EXPECT_NEAR(aux.losses.back().second.item<double>(), 0.5 * std::pow(std::log(8.0), 2), 1e-12);
}

// The published count of a layer with 128 experts, 768 wide, 3072 inside: 604M.
TEST(Moe, ParametersAreThoseOfAllExperts) {
    ModelConfig model;
    model.width = 768;
    const BlockKind& kind = *find_block_kind("moe");
    const auto options = kind.make_options(model);
    Problems problems;
    const std::vector<RawValue> values = {
        {"experts", "128", "test"}, {"inner", "3072", "test"}, {"bias", "false", "test"}};
    read_options(
        values, [&](FieldVisitor& v) { options->visit(v); }, "moe", problems);
    problems.throw_if_any("moe");
    ParameterStore store;
    kind.make(*options, BlockSite{store, "b", model});
    EXPECT_EQ(store.count(), 128 * 2 * 768 * 3072 + 128 * 768);
    EXPECT_NEAR(double(store.count()) / 1e6, 604, 0.5);
}

TEST(Moe, CapacityIsAnEvenShareTimesTheFactor) {
    MoeValues values{.experts = 8};
    for (const auto& [factor, tokens] : std::vector<std::pair<double, int64_t>>{{1, 128}, {1.25, 160}, {2, 256}}) {
        values.capacity = factor;
        EXPECT_EQ(expert_capacity(values, 1024), tokens);
    }
    values.top = 2;
    EXPECT_EQ(expert_capacity(values, 1024), 512);
}

// The sheet's shares of tokens that are turned away where each token chooses at random.
TEST(Moe, FewAreTurnedAwayWhereUseIsEven) {
    const auto share = [](int64_t experts, double factor) {
        const int64_t rows = 40;
        const Tensor random = at::empty({1024, rows, 1}, at::kLong);
        for (int64_t i = 0; i < random.numel(); ++i)
            random.data_ptr<int64_t>()[i] = int64_t(random_unit(7, uint64_t(i)) * double(experts));
        MoeValues values{.experts = experts, .capacity = factor};
        const Tensor kept =
            kept_choices(random, at::ones({1024, rows}, at::kBool), experts, expert_capacity(values, 1024));
        return 1 - kept.to(at::kDouble).mean().item<double>();
    };
    EXPECT_NEAR(share(8, 1), 0.032, 0.004);
    EXPECT_NEAR(share(8, 1.25), 0, 5e-4);
    EXPECT_NEAR(share(64, 1), 0.098, 0.004);
    EXPECT_NEAR(share(64, 1.25), 0.023, 0.003);
    EXPECT_NEAR(share(64, 1.5), 0.0029, 0.001);
    EXPECT_NEAR(share(64, 2), 0, 2e-4);
}

TEST(Moe, OneExpertIsTheFeedForward) {
    ModelConfig model;
    model.width = 8;
    const std::vector<RawValue> same = {{"inner", "12", "test"}, {"activation", "\"swiglu\"", "test"}};
    std::vector<RawValue> values = same;
    for (const auto& [key, text] : std::vector<std::pair<const char*, const char*>>{
             {"experts", "1"}, {"balance", "0"}, {"z_loss", "0"}, {"dropout", "0.4"}})
        values.push_back({key, text, "test"});
    MadeBlock moe(*find_block_kind("moe"), model, values);
    values = same;
    values.push_back({"dropout", "0.4", "test"});
    MadeBlock plain(*find_block_kind("feed_forward"), model, values);
    for (const char* each : {"w1", "w2", "b1", "b2"}) plain.set(each, moe.parameter(std::string("experts.0.") + each));
    const Tensor x = wave({7, 3, 8}, .53, .7, 1.3);
    for (const bool training : {false, true}) {
        Pass pass;
        pass.training = training;
        pass.keys.rows = 5;
        expect_close(moe.block->branch(x, {}, pass).delta_TBD, plain.block->branch(x, {}, pass).delta_TBD, 1e-12,
                     training ? "with dropout" : "as it is");
    }
}

// Whose tokens a row's are mixed with changes nothing: neither capacity nor jitter nor dropout see other rows.
TEST(Moe, RowsDoNotSeeEachOther) {
    ModelConfig model;
    model.width = 8;
    MadeBlock made(*find_block_kind("moe"), model,
                   {{"experts", "4", "test"},
                    {"top", "2", "test"},
                    {"capacity", "1", "test"},
                    {"jitter", "0.3", "test"},
                    {"dropout", "0.3", "test"}});
    const Tensor x = wave({9, 4, 8}, .53, .7, 1.3);
    Pass pass;
    pass.training = true;
    pass.keys.rows = 5;
    pass.keys.update = 3;
    const Tensor all = made.block->branch(x, {}, pass).delta_TBD;
    for (int64_t row = 0; row < 4; ++row) {
        Pass own = pass;
        own.keys.first_row = row;
        expect_close(made.block->branch(x.narrow(1, row, 1), {}, own).delta_TBD, all.narrow(1, row, 1), 1e-12, "row");
    }
    Pass other = pass;
    other.keys.update = 4;
    EXPECT_GT((made.block->branch(x, {}, other).delta_TBD - all).abs().max().item<double>(), 1e-6) << "jitter";
}

TEST(Moe, ImpossibleOptionsAreTold) {
    ModelConfig model;
    model.width = 8;
    const BlockKind& kind = *find_block_kind("moe");
    EXPECT_ERROR(MadeBlock(kind, model, {{"experts", "1", "test"}, {"top", "2", "test"}}), ErrorKind::usage,
                 "a token cannot have 2 of 1 experts");
    EXPECT_ERROR(MadeBlock(kind, model, {{"capacity", "0.5", "test"}}), ErrorKind::usage, "even share");
    EXPECT_ERROR(MadeBlock(kind, model, {{"top", "3", "test"}}), ErrorKind::usage, "top");
}

TEST(GatherRows, GradientsAreThoseOfIndexing) {
    const Tensor x = wave({5, 3}, .7, .1, 1).set_requires_grad(true);
    const Tensor y = wave({5, 3}, .7, .1, 1).set_requires_grad(true);
    const Tensor index = at::tensor(std::vector<int64_t>{4, 0, 0, 2, -1});
    const Tensor places = at::tensor(std::vector<int64_t>{1, 2, -1, -1, 3, -1, -1, -1, 0, -1}).view({5, 2});
    const Tensor out = ops::gather_rows(x, index, places);
    const Tensor expected = y.index_select(0, index.clamp_min(0)) * index.ge(0).to(at::kDouble).unsqueeze(1);
    EXPECT_TRUE(at::equal(out, expected));
    for (const Tensor& each : {out, expected}) torch::autograd::backward({(each * wave({5, 3}, .4, .3, 1)).sum()}, {});
    expect_close(x.grad(), y.grad(), 1e-15, "dx");
    EXPECT_ERROR(ops::gather_rows(x, index, places.narrow(0, 0, 4)), ErrorKind::failed, "gather_rows");
}

}  // namespace
}  // namespace lithe
