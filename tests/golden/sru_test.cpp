// The SRU recurrence (Lei et al. 2018, equations 1 to 4) and its gradients, in float64 and float32. The numbers are
// those of make_sru.py, which writes the formula down once more.
#include "lithe/ops/sru.h"

#include <torch/csrc/autograd/autograd.h>

#include "support/waves.h"

namespace lithe {
namespace {

using testing::cosine;
using testing::expect_values;
using testing::wave;

struct Case {
    int64_t steps, batch, width;
    int directions = 1, planes = 3;
    double alpha = 1;
    std::vector<double> mask, pad;
    std::vector<double> h, c_last, du, dx, dweight, dbias, dc0;
    double loss = 0;
};

// U of make_sru.py is [L][B][dir][d][k]; the kernel's planes are [L][B][dir][k][d].
Tensor to_planes(const Tensor& u, const Case& c) {
    return u.view({c.steps, c.batch, c.directions, c.width, c.planes}).transpose(3, 4).reshape({c.steps, c.batch, -1});
}

Tensor from_planes(const Tensor& u, const Case& c) {
    return u.view({c.steps, c.batch, c.directions, c.planes, c.width}).transpose(3, 4).contiguous();
}

void check(const Case& c, at::ScalarType type, double tolerance) {
    const int64_t columns = c.directions * c.width;
    auto leaf = [](Tensor tensor) { return tensor.contiguous().set_requires_grad(true); };
    ops::SruInput in;
    in.u = leaf(to_planes(wave({c.steps * c.batch * columns * c.planes}, 0.37, 0.1, 1.2, type), c));
    if (c.planes == 3) in.x_TBD = leaf(wave({c.steps, c.batch, columns}, 0.53, 0.7, 0.9, type));
    in.v_2D = leaf(wave({2, columns}, 0.91, 0.3, 1.0, type));
    in.bias_2D = leaf(wave({2, columns}, 1.3, -0.4, 0.5, type));
    in.c0_BD = leaf(wave({c.batch, columns}, 0.77, 0.2, 0.6, type));
    in.directions = c.directions;
    in.planes = c.planes;
    in.alpha = c.alpha;
    if (!c.mask.empty()) in.mask_BD = at::tensor(c.mask, at::kDouble).view({c.batch, columns}).to(type);
    if (!c.pad.empty()) in.flags_TB = at::tensor(c.pad, at::kDouble).view({c.steps, c.batch}).to(at::kByte);
    ops::SruOutput out = ops::sru(in);
    Tensor loss = (out.h_TBD * cosine(out.h_TBD.sizes(), 0.3).to(type)).sum() +
                  (out.c_BD * cosine(out.c_BD.sizes(), 0.5, 0.2).to(type)).sum();
    torch::autograd::backward({loss}, {});
    expect_values(out.h_TBD, c.h, tolerance, "h");
    expect_values(out.c_BD, c.c_last, tolerance, "c_last");
    expect_values(loss, {c.loss}, 4 * tolerance, "loss");
    expect_values(from_planes(in.u.grad(), c), c.du, tolerance, "dU");
    if (c.planes == 3) expect_values(in.x_TBD.grad(), c.dx, tolerance, "dx");
    expect_values(in.v_2D.grad(), c.dweight, tolerance, "dweight_c");
    expect_values(in.bias_2D.grad(), c.dbias, tolerance, "dbias");
    expect_values(in.c0_BD.grad(), c.dc0, tolerance, "dc0");
}

void check(const Case& c) {
    check(c, at::kDouble, 5e-6);
    check(c, at::kFloat, 1e-5);
}

TEST(GoldenSru, A1) {
    check({.steps = 3,
           .batch = 2,
           .width = 2,
           .h = {0.210546, 0.642387, 0.748960, 0.517034, -0.165367, -0.033580, 0.522398, -0.137681, -0.611532,
                 -0.606208, -0.496489, 0.118414},
           .c_last = {-0.065410, -0.423237, -0.685197, 0.050887},
           .du = {0.317342,  -0.000113, -0.073073, 0.116278,  -0.064709, -0.053104, 0.168153,  -0.030108, -0.029819,
                  -0.227161, -0.078564, -0.075818, 0.197871,  0.053614,  -0.101680, 0.124698,  0.103094,  0.005356,
                  -0.053487, -0.005680, -0.027309, -0.162839, 0.159355,  -0.121004, 0.437864,  -0.254714, -0.131653,
                  0.364073,  0.115573,  -0.034164, -0.144254, -0.070658, 0.105536,  -0.233963, -0.083097, 0.040037},
           .dx = {0.197897, 0.257968, 0.220913, 0.473671, 0.226038, 0.035093, -0.024206, -0.167715, -0.496325,
                  -0.717356, -0.430735, -0.394571},
           .dweight = {0.170304, -0.005658, 0.131703, -0.045787},
           .dbias = {-0.307659, 0.151652, -0.257998, -0.238695},
           .dc0 = {0.403534, 0.841014, 0.243948, -0.306599},
           .loss = 2.383224});
}

TEST(GoldenSru, A2MasksAndAlpha) {
    check({.steps = 5,
           .batch = 1,
           .width = 2,
           .alpha = 1.5,
           .mask = {1.25, 0},
           .pad = {0, 0, 0, 1, 0},
           .h = {0.117472, 1.272360, 0.602386, 1.015646, -0.260091, -0.279318, 0, 0, -0.765710, -0.980748},
           .c_last = {-0.037380, -0.588084},
           .du = {0.464516,  -0.000165, -0.148862, 0.019808, -0.011023, 0,        0.247786,  -0.111009,
                  -0.211059, 0.104426,  0.051809,  0,        0.142474,  0.051411, -0.139308, 0.135401,
                  0.065092,  0,         0,         0,        0,         0,        0,         0,
                  0.388559,  -0.215141, -0.265792, 0.536603, 0.081884,  0},
           .dx = {-0.003944, 1.433005, 0.237457, 0.932415, 0.244437, 0.106106, 0, 0, -0.630457, -1.356108},
           .dweight = {0.185572, 0.015180, 0.115362, 0},
           .dbias = {-0.274904, 0.187762, -0.765021, 0},
           .dc0 = {0.554945, 0.144277},
           .loss = 3.312376});
}

TEST(GoldenSru, A3FourPlanes) {
    check({.steps = 2,
           .batch = 1,
           .width = 2,
           .planes = 4,
           .h = {0.317993, 0.562890, -0.525276, -0.635466},
           .c_last = {0.105969, -0.406281},
           .du = {0.611387, -0.000218, -0.159257, 0.197897, 0.175240, -0.108419, 0.011949, 0.304746, 0.837979, 0.006844,
                  0.230913, 0.459530, 0.513785, 0.398663, 0.034982, 0.468974},
           .dweight = {0.000791, 0.178065, 0.008598, 0.026248},
           .dbias = {0.006626, 0.290243, 0.071656, 0.046931},
           .dc0 = {0.761686, 1.155827},
           .loss = -0.179682});
}

TEST(GoldenSru, A4TwoDirections) {
    check({.steps = 3,
           .batch = 1,
           .width = 1,
           .directions = 2,
           .h = {0.210546, 0.296787, 0.590879, 0.479841, -0.202351, -0.066659},
           .c_last = {-0.821368, 0.077034},
           .du = {0.468829, -0.000167, -0.073073, 0.279731, -0.292516, -0.150117, 0.327405, -0.146678, -0.085489,
                  0.585567, 0.098347, -0.094177, 0.884631, 0.319215, -0.098746, 0.203454, 0.155040, 0.004212},
           .dx = {0.197897, 0.272220, 0.291711, 0.477432, 0.202838, 0.035233},
           .dweight = {0.119938, 0.132557, -0.061449, 0.023213},
           .dbias = {0.172370, -0.039129, -0.257308, -0.240081},
           .dc0 = {0.625920, 0.495543},
           .loss = 0.455909});
}

}  // namespace
}  // namespace lithe
