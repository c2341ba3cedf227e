// One token at batch 1 on a CPU, as a list of operations that a few threads run in step: no tensors, no allocation, no
// dispatch per token. Built from the same parameters as the tensors' path and equal to it up to rounding.
//
// Blocks append their operations (Block::add_step). Vectors are fp32; weights are the model's working copies (fp32 or
// bf16), or int8 with a scale per row, made when the program is built.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "lithe/base/team.h"
#include "lithe/kernels/step/step.h"
#include "lithe/nn/norm.h"
#include "lithe/nn/parameters.h"

namespace lithe {

class StepProgram {
 public:
    // `storage`: the type of the weights, fp32 or bf16, and of kept keys and values.
    StepProgram(int threads, at::ScalarType storage, bool quantize)
        : team_(threads),
          storage_(storage),
          quantize_(quantize) {}

    // A vector of zeros that lives as long as the program.
    float* vector(int64_t size);

    enum class Activation { none, relu, gelu };
    struct Product {
        Parameter weight, bias;    // bias may be empty
        const float* x = nullptr;  // [columns]
        float* y = nullptr;        // [rows]
        int64_t planes = 1;        // rows are planes of equal size, and a thread takes the same part of each
        Activation activation = Activation::none;
        bool settled = true;  // false: no thread reads another's part of y before the next operation's end
    };
    void product(const Product& args);
    void norm(const LayerNorm& norm, const float* x, int64_t size, float* y);
    // Runs `work(begin, end)` on every thread's part of [0, size); threads meet afterwards.
    void parts(int64_t size, std::function<void(int64_t begin, int64_t end)> work, bool settled = true);
    // Runs `work` on one thread.
    void single(std::function<void()> work);
    // One query over keys and values kept in the program, the newest `memory` and its own; kv: keys, values [2 P].
    struct Attention {
        const float *q = nullptr, *kv = nullptr;
        int64_t width = 0, heads = 1, memory = 0;
        float* out = nullptr;  // [P]
        // A second term by distance: queries [P], and rows [memory + 1][P] from distance 0 up; undefined: none.
        const float* distance_q = nullptr;
        Tensor distance_r;
    };
    // Returns what a prompt's projections [M][1][2P] are given to.
    std::function<void(const Tensor&)> attention(const Attention& args);

    void run();

 private:
    struct Operation {
        std::function<void(int member)> work;
        bool settled;        // threads meet afterwards
        bool alone = false;  // of one thread: several in a row need one meeting
    };
    template <class W>
    void add_product(const W* weight, const float* scale, const Product& args, int64_t rows, int64_t columns);
    template <class S> std::function<void(const Tensor&)> add_attention(const Attention& args);
    int8_t* room_for_codes(int64_t count);

    Team team_;
    at::ScalarType storage_;
    bool quantize_;
    std::vector<Operation> operations_;
    std::deque<std::vector<float>> vectors_;
    std::vector<Tensor> codes_;  // pieces that hold the codes of many weights
    int64_t codes_left_ = 0;     // in the last piece
};

// [begin, end) of a member's part, in units that keep vectors whole.
std::pair<int64_t, int64_t> part_of(int64_t size, int member, int members);

}  // namespace lithe
