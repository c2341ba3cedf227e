// Element-wise recurrences and the layers around them. The numbers are those of make_recurrences.py, which writes the
// formulas down once more.
#include "lithe/ops/recurrence.h"

#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "lithe/base/position_flags.h"
#include "support/block_maker.h"
#include "support/waves.h"

namespace lithe {
namespace {

using kernels::Cell;
using testing::cosine;
using testing::expect_close;
using testing::MadeBlock;
using testing::wave;

constexpr int64_t kSteps = 16, kColumns = 4;

// The input that the letter stands for, [16][1][4].
Tensor input(char letter, at::ScalarType type) {
    const Tensor i = at::arange(kSteps, at::kDouble).view({kSteps, 1, 1}), j = at::arange(kColumns, at::kDouble);
    const Tensor value = letter == 'Q'   ? (.7 * i + 1.3 * j + .1).sin()
                         : letter == 'K' ? (.5 * i - .9 * j + .2).cos()
                         : letter == 'V' ? (1.1 * i - .6 * j + .3).sin()
                                         : (.9 * i + .4 * j + .6).sin();
    return value.to(type).set_requires_grad(true);
}

struct Golden {
    Cell cell;
    std::string letters;          // of the planes, then of x
    std::vector<double> numbers;  // three outputs, sums of outputs, of their size, of the last c, of each gradient
};

// The sums may be off by 1e-9 in fp64, and in fp32 by 1e-5 of the sum of their terms' sizes.
void expect_sum(const Tensor& terms, double expected, const std::string& what) {
    const Tensor all = terms.detach().to(at::kDouble);
    const double tolerance = terms.scalar_type() == at::kDouble ? 1e-9 : 1e-5 * (1e-3 + all.abs().sum().item<double>());
    EXPECT_NEAR(all.sum().item<double>(), expected, tolerance) << what;
}

void check(const Golden& golden, at::ScalarType type) {
    const kernels::CellTraits traits = kernels::traits_of(golden.cell);
    SCOPED_TRACE(std::string(traits.name) + (type == at::kDouble ? " fp64" : " fp32"));
    std::vector<Tensor> inputs;
    for (const char letter : golden.letters) inputs.push_back(input(letter, type));
    ops::RecurrenceInput in{.cell = golden.cell};
    in.u = at::cat(std::vector<Tensor>(inputs.begin(), inputs.begin() + traits.planes), -1);
    if (traits.reads_x) in.x_TBD = inputs.back();
    if (traits.weights > 0) in.weights[0] = at::zeros({traits.weights, kColumns}, type);
    if (golden.cell == Cell::rg_lru) in.weights[0][0].fill_(-8 * std::log1p(std::exp(-4)));
    const auto out = ops::recurrence(in);
    torch::autograd::backward({(out.h_TBD * cosine(out.h_TBD.sizes(), 0.3).to(type)).sum()}, {});
    const auto& n = golden.numbers;
    expect_sum(out.h_TBD[0][0][0], n[0], "out[0, 0]");
    expect_sum(out.h_TBD[7][0][2], n[1], "out[7, 2]");
    expect_sum(out.h_TBD[15][0][3], n[2], "out[15, 3]");
    expect_sum(out.h_TBD, n[3], "sum of the outputs");
    expect_sum(out.h_TBD.abs(), n[4], "sum of their sizes");
    expect_sum(out.c_BD, n[5], "last state");
    for (size_t i = 0; i < inputs.size(); ++i)
        expect_sum(inputs[i].grad(), n[6 + i], std::string("gradient of ") + golden.letters[i]);
}

const Golden kCells[] = {
    {Cell::min_gru,
     "VF",
     {0.5071648448, 0.8504863505, 1.1905100455, 50.3265557188, 50.3265557188, 3.0052101061, -2.4513362558,
      -2.2775147779}},
    {Cell::min_lstm,
     "VFK",
     {0.4238748856, 0.6078796562, 1.0248805747, 44.4694587082, 44.4694587082, 3.2573130402, -3.0316655974, 1.3050573112,
      -1.1466067581}},
    {Cell::lrn,
     "KQV",
     {0.2116318301, -0.3315204555, 0.5414947569, 0.8689209431, 21.4783285836, 0.2404506016, -1.9670904779, 0.9442584230,
      -0.7260159351}},
    {Cell::lrn_linear,
     "KQV",
     {0.2148790743, -0.5047904242, 0.6049102286, 0.1023231935, 24.3323736045, 0.3313078295, -2.0249301480, 1.1014015401,
      -3.6657004114}},
    {Cell::rg_lru,
     "FKV",
     {0.0883384117, -0.0373887677, 0.2320420484, 7.5047565009, 12.1004215523, 0.9541515406, -0.3075357982,
      -0.3282150660, 0.7893441039}},
    {Cell::ssru,
     "VF",
     {0.1071183804, 0.0000000000, 0.2500252142, 10.3517853459, 10.3517853459, 0.7677103297, -2.9536922445,
      1.7429952650}},
    {Cell::qrnn_f,
     "VF",
     {0.1041052981, -0.2362385047, 0.2177248826, -1.1853665752, 18.1738622208, 0.6321575716, 0.3058216920,
      2.9164854802}},
    {Cell::qrnn_fo,
     "VFK",
     {0.0756971929, -0.0991904686, 0.1241998155, 0.7528868149, 9.4576838741, 0.6321575716, 0.2838456215, 1.5183451352,
      -1.0281462313}},
    {Cell::qrnn_ifo,
     "VFKQ",
     {0.1096252704, -0.0324445702, 0.3840001325, 1.6558400733, 10.2694841915, 1.1467678563, 0.0245083131, 0.4657799771,
      -0.8868454563, -1.0575540364}},
    {Cell::qrnn_admit_f,
     "VF",
     {0.1831023603, 0.2301430605, 0.5662360741, 5.8196411445, 19.7388277210, 0.1665141177, 0.2355045171,
      -3.4139524337}},
    {Cell::qrnn_admit_fo,
     "VFK",
     {0.1331376494, 0.0966311484, 0.3230058736, 3.1358376731, 10.3966269998, 0.1665141177, 0.2553752849, -1.8323304542,
      -0.9935304223}},
};

TEST(GoldenRecurrences, Cells) {
    for (const Golden& golden : kCells)
        for (const auto type : {at::kDouble, at::kFloat}) check(golden, type);
}

struct Layer {
    const char* kind;
    int64_t width;
    std::vector<RawValue> values;
    std::vector<const char*> parameters;
    std::vector<double> out, gradients;  // of x, then of each parameter
};

void check(const Layer& layer) {
    ModelConfig model;
    model.width = layer.width;
    MadeBlock made(*find_block_kind(layer.kind), model, layer.values);
    for (size_t i = 0; i < layer.parameters.size(); ++i)
        made.set(layer.parameters[i], wave(made.parameter(layer.parameters[i]).sizes(), 0.37, 0.1 * double(i), 0.8));
    EXPECT_EQ(made.store.size(), layer.parameters.size());
    const Tensor x = wave({4, 2, layer.width}, 0.53, 0.7, 1.3).set_requires_grad(true);
    const Tensor out = made.block->branch(x, {}, Pass()).delta_TBD;
    torch::autograd::backward({(out * cosine(out.sizes(), 0.3)).sum()}, {});
    testing::expect_values(out, layer.out, 2e-9, layer.kind);
    EXPECT_NEAR(x.grad().sum().item<double>(), layer.gradients[0], 1e-8);
    for (size_t i = 0; i < layer.parameters.size(); ++i)
        EXPECT_NEAR(made.parameter(layer.parameters[i]).grad().sum().item<double>(), layer.gradients[i + 1], 1e-8)
            << layer.parameters[i];
}

TEST(GoldenRecurrences, GriffinsBlock) {
    check({.kind = "rg_lru",
           .width = 3,
           .values = {{"inner", "4", "test"}, {"heads", "2", "test"}, {"taps", "3", "test"}},
           .parameters = {"w_y", "b_y", "w_x", "b_x", "convolution.w", "convolution.bias", "w_gates", "b_gates", "l",
                          "w_out", "b_out"},
           .out = {-0.490662562, 0.437402845, 1.889574976, 0.685901059, 0.760562239, 0.771614130,
                   -0.484035483, 0.905173325, 1.967774916, 0.595122914, 0.766008900, 0.863379990,
                   0.379101323,  0.542115821, 1.038800083, 1.278035989, 0.848737037, 0.195469105,
                   0.859800924,  0.487830660, 0.548256235, 0.816747695, 0.750290751, 0.638904829},
           .gradients = {-2.884185929, 1.278414480, -0.861076187, 1.822439132, -2.495778110, -1.227390966, 0.903269662,
                         -0.923696190, -0.765889134, 0.187481491, 0.728654658, 2.821512366}});
}

TEST(GoldenRecurrences, QrnnOverAWindow) {
    check({.kind = "qrnn",
           .width = 3,
           .values = {{"window", "3", "test"}},
           .parameters = {"w", "bias"},
           .out = {0.620020561, -0.003321380, 0.774319224, 0.018643104, 0.015085938,  0.262769826,
                   0.225854565, -0.241404471, 0.091184251, 0.223924076, -0.040909249, 0.233199904,
                   0.294954080, 0.020272219,  0.356096817, 0.147266448, 0.074180125,  0.232805646,
                   0.293569612, 0.022385972,  0.355571403, 0.145963590, 0.080912060,  0.316488824},
           .gradients = {1.079291350, -2.814660972, 0.941121496}});
}

// A unit that is zoned out keeps its state; the mask goes by the row's number in the update.
TEST(Qrnn, ZoneoutKeepsStates) {
    ModelConfig model;
    model.width = 8;
    for (const char* gate : {"\"forget\"", "\"admit\""}) {
        MadeBlock made(*find_block_kind("qrnn"), model,
                       {{"pooling", "\"f\"", "test"}, {"gate", gate, "test"}, {"zoneout", "0.3", "test"}});
        const Tensor x = wave({40, 3, 8}, 0.53, 0.7, 1.3);
        Pass pass;
        pass.training = true;
        pass.keys.rows = 5;
        const Tensor h = made.block->branch(x, {}, pass).delta_TBD;
        const auto kept = [](const Tensor& all) {
            return (all.narrow(0, 1, 39) - all.narrow(0, 0, 39)).abs().lt(1e-12).to(at::kDouble).mean().item<double>();
        };
        EXPECT_NEAR(kept(h), 0.3, 0.06) << gate;
        pass.keys.first_row = 1;
        expect_close(made.block->branch(x.narrow(1, 1, 2), {}, pass).delta_TBD, h.narrow(1, 1, 2), 1e-12, "rows alone");
        pass.training = false;
        EXPECT_EQ(kept(made.block->branch(x, {}, pass).delta_TBD), 0) << gate;
    }
}

// Outside of training gates that admit count as much less as zoneout shut them (salesforce/pytorch-qrnn).
TEST(Qrnn, ZoneoutWeakensGatesThatAdmit) {
    ModelConfig model;
    model.width = 1;
    MadeBlock made(*find_block_kind("qrnn"), model,
                   {{"pooling", "\"f\"", "test"}, {"gate", "\"admit\"", "test"}, {"zoneout", "0.25", "test"}});
    made.set("w", at::tensor({0.6, 0.4}, at::kDouble));
    made.set("bias", at::zeros({2}, at::kDouble));
    const Tensor h = made.block->branch(at::ones({1, 1, 1}, at::kDouble), {}, Pass()).delta_TBD;
    EXPECT_NEAR(h.item<double>(), 0.75 / (1 + std::exp(-0.4)) * std::tanh(0.6), 1e-12);
}

TEST(Qrnn, IfoPoolingHasOneConvention) {
    ModelConfig model;
    EXPECT_THROW(
        MadeBlock(*find_block_kind("qrnn"), model, {{"pooling", "\"ifo\"", "test"}, {"gate", "\"admit\"", "test"}}),
        Error);
}

// a = exp(-8 softplus(l)) at the start, where the recurrence gate is 1: between 0.9 and 0.999 to the 8th power.
TEST(RgLru, StartsWithRatesOfTheSource) {
    ModelConfig model;
    model.width = 64;
    MadeBlock made(*find_block_kind("rg_lru"), model);
    const Tensor a0 = at::exp(-at::softplus(made.parameter("l")));
    EXPECT_GT(a0.min().item<double>(), 0.9);
    EXPECT_LT(a0.max().item<double>(), 0.999);
    EXPECT_NEAR(a0.square().mean().item<double>(), (0.9 * 0.9 + 0.999 * 0.999) / 2, 2e-3);
}

}  // namespace
}  // namespace lithe
