// A block kind implements a branch: (x_TBD, state, context) -> {delta_TBD, state, aux}. One shared shell (model/unit.h)
// adds norm, dropout and residual, so that whatever needs the bare branch has it. Kinds with a skip of their own (SRU,
// SRU++, LSTM) declare own_residual: their "delta" is the output itself.
//
// How a stack is run (layer dropping, checkpointing …) wraps units from outside; kinds know nothing of it.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lithe/base/fields.h"
#include "lithe/base/rng.h"
#include "lithe/blocks/state.h"
#include "lithe/nn/norm.h"
#include "lithe/nn/parameters.h"
#include "lithe/nn/step_program.h"
#include "lithe/ops/dropout.h"
#include "lithe/spec/config.h"

namespace lithe {

// What a draw says of a layer (model/layer_drop.h).
struct LayerDraw {
    bool kept = true;
    double scale = 1;  // of its blocks' branches
};
using LayerDraws = std::shared_ptr<const std::vector<LayerDraw>>;

// What a searched place of a layout runs (model/slot.h): one candidate, or all of them mixed.
struct SlotChoice {
    int64_t index = -1;  // one candidate; -1: all, weighted
    Tensor weights;      // [candidates], summing to 1
};
using SlotChoices = std::shared_ptr<const std::vector<SlotChoice>>;

// What is true of every time step of a call, and what a block may need to know about its place.
struct Context {
    bool training = false;
    bool causal = true;             // false: every position sees all of its segment
    int64_t memory = 0;             // earlier positions that attention keeps for the next segment
    int64_t window = -1;            // per-query rule: position p sees [p - window, p]; -1: the paper's per-segment rule
    int64_t clamp_length = -1;      // of relative positions, instead of the block's own; -1: its own
    bool keep_projections = false;  // inference: keep keys and values instead of inputs, nothing is projected twice
    Tensor flags_TB;                // uint8: kernels::kSruPad, kSruReset (a document begins here); undefined: none
    Tensor position_B;              // int64 position of the first step per row; undefined: 0
    uint64_t dropout_key = 0;       // of (seed, step)
    int64_t first_row = 0;          // the number, in the update, of the first batch row: masks go by rows' numbers
    Tensor dropout_salt;            // more of it, where the tensors are (ops/dropout.h); undefined: none
    LayerDraws layers;              // null: every layer runs as it is
    SlotChoices slots;              // one per searched place; null: there is none
    double branch_scale = 1;        // set by a layer's wrapper, applied by the shell
    int occurrence = 0;             // which block of how many this is; set by the shell
    int occurrences = 1;
    // Under pre-norm, set by the shell: what enters the layer and the norm that the block's input went through. A
    // memory of inputs holds the former and takes today's norm (Transformer-XL's order).
    Tensor entering_TBD;
    const LayerNorm* norm = nullptr;

    Tensor entering(const Tensor& x_TBD) const { return norm ? entering_TBD : x_TBD; }
    Tensor normed(const Tensor& memory_MBD) const { return norm ? (*norm)(memory_MBD) : memory_MBD; }
    // Key of one dropout place inside a block.
    ops::DropoutKey site(std::string_view name) const {
        return {combine_key(combine_key(dropout_key, uint64_t(occurrence)), name), dropout_salt, first_row};
    }
    // Of one that every occurrence shares.
    ops::DropoutKey shared_site(std::string_view name) const {
        return {combine_key(dropout_key, name), dropout_salt, first_row};
    }
    bool last_occurrence() const { return occurrence + 1 == occurrences; }
};

// Losses to add and numbers to log that come out of blocks. Recomputation must not add them twice.
struct Aux {
    std::vector<std::pair<std::string, Tensor>> losses;   // scalars
    std::vector<std::pair<std::string, Tensor>> metrics;  // scalars
    void append(Aux other);
};

struct BranchOutput {
    Tensor delta_TBD;
    State state;
    Aux aux;
};

// What the cost formulas depend on: tokens per segment and memory.
struct CostShape {
    int64_t length = 256;
    int64_t memory = 0;
    int64_t batch = 1;  // what is computed once for all rows is shared by them
    bool causal = true;
    bool kept = false;  // the memory holds projections: nothing is projected again, and no gradient reaches it
    // Memory positions that are projected anew, per token.
    double again() const { return causal && !kept ? double(memory) / double(length) : 0; }
    double keys() const {
        return causal ? double(memory) + (double(length) + 1) / 2 : double(length);
    }  // seen per query, on average
};

// A block's part in a program of single steps.
struct StepOutput {
    const float* y = nullptr;                // the delta; null: the kind has no single steps, use branch()
    std::function<void(const State&)> load;  // takes over a state that branch() left; empty: there is none
};

class Block {
 public:
    virtual ~Block() = default;
    virtual BranchOutput branch(const Tensor& x_TBD, const State& state, const Context& context) const = 0;
    // The next state when the block is left out of a training step: a memory of inputs takes x in all the same.
    virtual State skip(const Tensor& /*x_TBD*/, const State& /*state*/, const Context& /*context*/) const { return {}; }
    // Appends one time step at batch 1 to a program: reads x [D]; attention keeps `memory` earlier positions.
    virtual StepOutput add_step(StepProgram&, const float* /*x*/, int64_t /*memory*/) const { return {}; }
    // Forward floating-point operations per token, a multiply-add counted as 2; element-wise work is not counted.
    virtual double flops_per_token(const CostShape& shape) const = 0;
    // What the backward pass, else twice this, leaves out: gradients of a memory's inputs or projections.
    virtual double flops_without_input_gradient(const CostShape&) const { return 0; }
    // Bytes per token of activations that the backward pass keeps, for the memory estimate.
    virtual double activation_numbers_per_token(const CostShape& shape) const = 0;
};

// Options of a kind. Defaults are taken from [model]; `[blocks.x]` overrides.
class BlockOptions {
 public:
    virtual ~BlockOptions() = default;
    virtual void visit(FieldVisitor& v) = 0;
    // Options that contradict each other or the model's width.
    virtual void check(const ModelConfig&, const std::string& /*where*/, Problems&) const {}
};

struct BlockTraits {
    bool causal = true;          // can run so that it never looks ahead
    bool bidirectional = false;  // can run over the whole segment
    bool streams = true;         // a segment split in two, with the state carried, equals the whole
    bool position_wise = false;  // no position sees another
    bool own_residual = false;
};

// Where a block is made.
struct BlockSite {
    ParameterStore& store;
    std::string name;  // prefix of its parameters
    const ModelConfig& model;
};

struct BlockKind {
    const char* name;
    char letter;  // 0: none
    BlockTraits traits;
    const char* description;
    std::unique_ptr<BlockOptions> (*make_options)(const ModelConfig& model);
    std::unique_ptr<Block> (*make)(const BlockOptions& options, const BlockSite& site);
};

// The table of all kinds.
std::span<const BlockKind> block_kinds();
// By name or letter; null when there is none.
const BlockKind* find_block_kind(std::string_view name);

}  // namespace lithe
