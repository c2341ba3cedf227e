// One token of a few rows on a CPU, as a list of operations that a few threads run in step: no tensors, no allocation,
// no dispatch per token. Built from the same parameters as the tensors' path and equal to it up to rounding.
//
// Blocks append their operations (Block::add_step). Vectors are fp32, one below the other for each row; weights are the
// model's working copies (fp32 or bf16), or int8 with a scale per row, made when the program is built.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <vector>

#include "lithe/base/team.h"
#include "lithe/kernels/step/step.h"
#include "lithe/nn/norm.h"
#include "lithe/nn/parameters.h"
#include "lithe/ops/rotary.h"

namespace lithe {

class StepProgram {
 public:
    struct Options {
        int64_t most_rows = 1;
        int threads = 1;
        at::ScalarType storage = at::kFloat;  // of the weights, fp32 or bf16, and of kept keys and values
        bool quantize = false;
    };
    explicit StepProgram(const Options& options)
        : team_(options.threads),
          storage_(options.storage),
          quantize_(options.quantize),
          most_rows_(options.most_rows) {}

    // Vectors [most_rows][size] of zeros that live as long as the program.
    float* vector(int64_t size);
    // The same, for what a row carries to its next step.
    float* carried(int64_t size);

    enum class Activation { none, relu, squared_relu, gelu, gelu_tanh };
    struct Product {
        Parameter weight, bias;    // bias may be empty
        const float* x = nullptr;  // [rows][columns]
        float* y = nullptr;        // [rows][weight's rows]
        int64_t planes = 1;  // the weight's rows are planes of equal size, and a thread takes the same part of each
        Activation activation = Activation::none;
        bool settled = true;  // false: no thread reads another's part of y before the next operation's end
    };
    void product(const Product& args);
    void norm(const LayerNorm& norm, const float* x, int64_t size, float* y);
    void norm(const StackNorm& norm, const float* x, int64_t size, float* y);
    // Runs `work(row, begin, end)` on every thread's part of [0, size) of each row; threads meet afterwards.
    using PartOfRow = std::function<void(int64_t row, int64_t begin, int64_t end)>;
    void parts(int64_t size, PartOfRow work, bool settled = true);
    // Runs `work(row)` for each row, a row on one thread.
    void each_row(std::function<void(int64_t row)> work);
    // One query a row over the keys and values that the program keeps of it, the newest `memory` and its own; kv: keys,
    // values [2 P] (as wide as `kept_heads` are).
    struct Attention {
        float *q = nullptr, *kv = nullptr;    // turned in place where there are rotary positions
        int64_t q_stride = 0, kv_stride = 0;  // numbers from one row to the next
        int64_t width = 0, heads = 1;
        int64_t kept_heads = 0;  // of keys and values, each for heads / kept_heads of queries; 0: as many as heads
        int64_t memory = 0;
        float* out = nullptr;  // [P]
        // A second term by distance: queries [P], and rows [memory + 1][P] from distance 0 up; undefined: none.
        const float* distance_q = nullptr;
        Tensor distance_r;
        // Positions count from a row's first kept key on; turned 0: none.
        ops::Rotary rotary = {};
    };
    // Returns what a row's projections [M][1][2P] are given to.
    using LoadRow = std::function<void(const Tensor& projections, int64_t row)>;
    LoadRow attention(const Attention& args);
    // One step of a state that is a matrix for each head: S = left S + k v^T, out = scale S^T q; with beta, the delta
    // rule's.
    struct MatrixState {
        const float *q = nullptr, *k = nullptr, *v = nullptr, *left = nullptr;  // left null: all
        const float* beta = nullptr;                                            // [heads]; null: none
        int64_t q_stride = 0, k_stride = 0, v_stride = 0;                       // numbers from one row to the next
        bool by_channel = false;                                                // left: [heads][key], else [heads]
        bool shared_keys = false;                                               // q and k: [key] for all heads
        int64_t heads = 1, key = 0, value = 0;
        float scale = 1;
    };
    // Writes out [heads][value]; returns where rows' states [heads][key][value] are carried.
    float* matrix_state(const MatrixState& args, float* out);
    struct HeadNorm {
        const float *x = nullptr, *z = nullptr;            // z null: no gate
        int64_t x_stride = 0, z_stride = 0, y_stride = 0;  // numbers from one row to the next; 0: all heads
        int64_t heads = 1;
        float* y = nullptr;  // may be x
    };
    void rms_norm(const RmsNorm& norm, const HeadNorm& args);

    // Rows that are held from some operation of a run on. Where all are, the operations that hold nothing of a later
    // run are left out: those between begin_holding() and end_holding(), but for what keys and values need, and those
    // that are added by optional().
    void begin_holding();
    // x of held rows and y of others, both [rows][size].
    const float* end_holding(const float* x, const float* y, int64_t size);
    // What `add` appends is left out where all rows are held.
    void optional(const std::function<void()>& add);
    // For `work` of operations: this row is held from the next settle_held() on, until the run is over.
    void hold(int64_t row) { held_[size_t(row)] = 1; }
    bool held(int64_t row) const { return held_[size_t(row)] != 0; }
    // Appends the operation that sees whether all rows are held.
    void settle_held();
    // What is appended behind a layer of the stack, whose output x is; none by default.
    using AfterLayer = std::function<void(size_t layer, const float* x)>;
    void set_after_layer(AfterLayer append) { after_layer_ = std::move(append); }
    void after_layer(size_t layer, const float* x) const {
        if (after_layer_) after_layer_(layer, x);
    }

    // How many rows the next runs have, the first ones.
    void set_rows(int64_t rows) { rows_ = rows; }
    int64_t rows() const { return rows_; }
    // What is carried of these rows, in this order; a row that stands there twice is doubled.
    void keep(std::span<const int64_t> rows);
    void run();

 private:
    using Work = std::function<void(int member)>;
    struct Operation {
        Work work;
        bool settled = true;    // threads meet afterwards
        bool by_row = false;    // rows are shared out alike in all such: several in a row need one meeting
        bool optional = false;  // left out where all rows are held
        bool settles = false;   // it says whether all are
        Work when_held = {};    // where all are, instead of `work`, if there is one
        // Of products: y, its size, and the work that writes its numbers from one on.
        const float* y = nullptr;
        int64_t y_size = 0;
        std::function<Work(int64_t first)> from = {};
    };
    void append(Operation operation);
    // What was appended since begin_holding() is needed of held rows, too, for these keys and values.
    void keep_for_keys(const float* kv);
    template <class W>
    void add_product(const W* weight, const float* scale, const Product& args, int64_t rows, int64_t columns);
    template <class S> LoadRow add_attention(const Attention& args);
    int8_t* room_for_codes(int64_t count);

    Team team_;
    at::ScalarType storage_;
    bool quantize_;
    int64_t most_rows_, rows_ = 1;
    std::vector<Operation> operations_;
    std::deque<std::vector<float>> vectors_;
    struct Carried {
        float* numbers;
        int64_t size;
    };
    std::vector<Carried> carried_;
    std::vector<std::function<void(std::span<const int64_t>)>> keepers_;  // of keys and values
    std::vector<Tensor> codes_;                                           // pieces that hold the codes of many weights
    int64_t codes_left_ = 0;                                              // in the last piece
    std::vector<uint8_t> held_ = std::vector<uint8_t>(size_t(most_rows_));  // rows
    bool all_held_ = false;
    bool optional_ = false;   // operations that are appended now
    size_t block_begin_ = 0;  // of the operations since begin_holding()
    bool in_block_ = false;   // between it and end_holding()
    AfterLayer after_layer_;
};

// [begin, end) of a member's part, in units that keep vectors whole.
std::pair<int64_t, int64_t> part_of(int64_t size, int member, int members);

}  // namespace lithe
