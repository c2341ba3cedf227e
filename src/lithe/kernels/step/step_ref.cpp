#include <cmath>
#include <vector>

#include "lithe/kernels/step/step.h"

namespace lithe::kernels {
namespace {

double number(int8_t value) { return double(value); }
template <class S> double number(S value) { return double(to_compute(value)); }

}  // namespace

template <class W> void step_product_ref(const StepProduct<W>& a, int64_t begin, int64_t end) {
    for (int64_t b = 0; b < a.batch; ++b)
        for (int64_t r = begin; r < end; ++r) {
            double sum = 0;
            for (int64_t k = 0; k < a.columns; ++k)
                sum += number(a.weight[r * a.columns + k]) * double(a.x[b * a.columns + k]);
            a.y[b * a.rows + r] =
                float(sum * (a.scale ? double(a.scale[r]) : 1.0) + (a.bias ? double(a.bias[r]) : 0.0));
        }
}

template <class S> void step_attend_ref(const StepAttend<S>& a, int64_t begin, int64_t end) {
    for (int64_t h = 0; h < a.heads; ++h) {
        const int64_t kept = h / a.group * a.size;
        std::vector<double> scores;
        double highest = -INFINITY, sum = 0;
        for (int64_t j = begin; j < end; ++j) {
            double dot = 0;
            for (int64_t i = 0; i < a.size; ++i) dot += double(a.q[h * a.size + i]) * number(a.k[j * a.row + kept + i]);
            if (a.by_age) dot += double(a.by_age[h * a.ages + a.newest - j]);
            scores.push_back(dot * double(a.scale));
            highest = std::fmax(highest, scores.back());
        }
        for (double& each : scores) sum += each = std::exp(each - highest);
        a.highest[h] = float(highest);
        a.sum[h] = float(sum);
        for (int64_t i = 0; i < a.size; ++i) {
            double out = 0;
            for (int64_t j = begin; j < end; ++j) out += scores[size_t(j - begin)] * number(a.v[j * a.row + kept + i]);
            a.out[h * a.size + i] = float(out);
        }
    }
}

void step_norm_ref(const float* x, const float* gain, const float* bias, int64_t size, double epsilon, float* y) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < size; ++i) sum += double(x[i]);
    const double mean = sum / double(size);
    for (int64_t i = 0; i < size; ++i) squares += (double(x[i]) - mean) * (double(x[i]) - mean);
    const double scale = 1 / std::sqrt(squares / double(size) + epsilon);
    for (int64_t i = 0; i < size; ++i) y[i] = float((double(x[i]) - mean) * scale * double(gain[i]) + double(bias[i]));
}

static double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

void step_sru_ref(const StepSru& a, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
        const double c = double(a.c[i]), u = double(a.u[i]);
        const double f = sigmoid(double(a.u[a.width + i]) + double(a.v[i]) * c + double(a.bias[i]));
        const double r =
            sigmoid(double(a.u[2 * a.width + i]) + double(a.v[a.width + i]) * c + double(a.bias[a.width + i]));
        const double now = u + (c - u) * f, g = a.tanh ? std::tanh(now) : now;
        const double skip = a.skip ? double(a.skip[i]) * double(a.alpha) : 0;
        a.c[i] = float(now);
        a.h[i] = float(a.skip ? skip + (g - skip) * r : g * r);
    }
}

void step_lstm_ref(const StepGates& a, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
        const auto gate = [&](int64_t plane) {
            return double(a.u[plane * a.width + i]) + double(a.s[plane * a.width + i]);
        };
        const double c = sigmoid(gate(1)) * double(a.c[i]) + sigmoid(gate(0)) * std::tanh(gate(2));
        a.c[i] = float(c);
        a.h[i] = float(sigmoid(gate(3)) * std::tanh(c));
    }
}

void step_gru_ref(const StepGates& a, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
        const auto u = [&](int64_t plane) { return double(a.u[plane * a.width + i]); };
        const auto s = [&](int64_t plane) { return double(a.s[plane * a.width + i]); };
        const double r = sigmoid(u(0) + s(0)), z = sigmoid(u(1) + s(1)), n = std::tanh(u(2) + r * s(2));
        a.h[i] = float(n + z * (double(a.h[i]) - n));
    }
}

void step_matrix_state_ref(const StepMatrixState& a, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
        const int64_t head = i / a.value;
        auto state = [&](int64_t c) -> float& { return a.state[(head * a.key + c) * a.value + i % a.value]; };
        auto left = [&](int64_t c) { return a.left ? double(a.left[head * a.left_head + c * a.left_channel]) : 1.0; };
        double written = double(a.v[i]), out = 0;
        for (int64_t c = 0; c < a.key && a.beta; ++c)
            written -= double(a.k[head * a.key_head + c]) * left(c) * double(state(c));
        if (a.beta) written *= double(a.beta[head]);
        for (int64_t c = 0; c < a.key; ++c) {
            state(c) = float(left(c) * double(state(c)) + double(a.k[head * a.key_head + c]) * written);
            out += double(a.scale) * double(a.q[head * a.key_head + c]) * double(state(c));
        }
        a.out[i] = float(out);
    }
}

template void step_product_ref<float>(const StepProduct<float>&, int64_t, int64_t);
template void step_product_ref<bfloat16>(const StepProduct<bfloat16>&, int64_t, int64_t);
template void step_product_ref<int8_t>(const StepProduct<int8_t>&, int64_t, int64_t);
template void step_attend_ref<float>(const StepAttend<float>&, int64_t, int64_t);
template void step_attend_ref<bfloat16>(const StepAttend<bfloat16>&, int64_t, int64_t);

}  // namespace lithe::kernels
