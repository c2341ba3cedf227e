// A block kind implements a branch: (x_TBD, state, call) -> {delta_TBD, state, aux, bag}. One shared shell
// (model/unit.h) adds norm, dropout and residual, so that whatever needs the bare branch has it. Kinds with a skip of
// their own (SRU, SRU++, LSTM) declare own_residual: their "delta" is the output itself.
//
// How a stack is run (layer dropping, checkpointing …) wraps units from outside; kinds know nothing of it.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lithe/base/fields.h"
#include "lithe/blocks/pass.h"
#include "lithe/blocks/state.h"
#include "lithe/nn/parameters.h"
#include "lithe/nn/step_program.h"
#include "lithe/spec/config.h"

namespace lithe {

// Losses to add and numbers to log that come out of blocks. Recomputation must not add them twice.
struct Aux {
    std::vector<std::pair<std::string, Tensor>> losses;   // scalars
    std::vector<std::pair<std::string, Tensor>> metrics;  // means over positions, scalars or vectors
    void append(Aux other);
};

struct BranchOutput {
    Tensor delta_TBD;
    State state;
    Aux aux;
    Bag bag;  // what the kind writes (BlockTraits::writes)
};

// What the cost formulas depend on: tokens per segment and memory.
struct CostShape {
    int64_t length = 256;
    int64_t memory = 0;
    int64_t batch = 1;  // what is computed once for all rows is shared by them
    bool causal = true;
    int64_t element_size = 4;  // bytes of a working number
    int64_t source = 0;        // positions of another sequence; 0: as many as there are of this one
    bool source_kept = false;  // its keys and values stand in the state
    bool kept = false;         // the memory holds projections: nothing is projected again, and no gradient reaches it
    // Memory positions that are projected anew, per token.
    double again() const { return causal && !kept ? double(memory) / double(length) : 0; }
    double source_positions() const { return double(source > 0 ? source : length); }
    double keys() const {
        return causal ? double(memory) + (double(length) + 1) / 2 : double(length);
    }  // seen per query, on average
    // The same where a query sees the newest `window` keys alone; 0: all.
    double keys(int64_t window) const {
        if (window == 0 || !causal) return keys();
        const auto most = double(window), earlier = double(memory), steps = double(length);
        const double growing = std::clamp(most - earlier, 0.0, steps);  // queries that see all keys before them
        return (growing * earlier + growing * (growing + 1) / 2 + (steps - growing) * most) / steps;
    }
};

// A block's part in a program of single steps.
struct StepOutput {
    const float* y = nullptr;  // the delta of all rows [rows][D]; null: the kind has no single steps, use branch()
    // Takes over the state of one row that branch() left; empty: there is none.
    std::function<void(const State& state, int64_t row)> load;
};

class Block {
 public:
    virtual ~Block() = default;
    virtual BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const = 0;
    // The next state when the block is left out of a training step: a memory of inputs takes x in all the same.
    virtual State skip(const Tensor& /*x_TBD*/, const State& /*state*/, const Call& /*call*/) const { return {}; }
    // Appends one time step to a program: reads x [rows][D]; attention keeps `memory` earlier positions of each row.
    // What a row carries lies in StepProgram::carried().
    virtual StepOutput add_step(StepProgram&, const float* /*x*/, int64_t /*memory*/) const { return {}; }
    // What this block takes from the bag, beside what its kind always reads (BlockTraits::reads): a layer before it
    // must write that, but may be left out of a training step, which then goes on without.
    virtual std::vector<BagKey> recalls() const { return {}; }
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
    bool may_leak = false;       // is not causal, and its options say whether it stands in decoders all the same
    bool bidirectional = false;  // can run over the whole segment
    bool streams = true;         // a segment split in two, with the state carried, equals the whole
    bool position_wise = false;  // no position sees another
    bool own_residual = false;
    bool asks_host = false;  // what it runs depends on the data, so that a GPU's steps cannot be recorded
    bool holds = false;      // skip() leaves the state that branch() leaves: positions may pass it by, one by one
    std::vector<BagKey> reads = {}, writes = {};  // of the bag
    bool reads_source() const { return std::find(reads.begin(), reads.end(), kSource) != reads.end(); }
};

// Where a block is made.
struct BlockSite {
    ParameterStore& store;
    std::string name;  // prefix of its parameters
    const ModelConfig& model;
    int64_t source_width = 0;  // of the encoder's output; 0: there is no encoder
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
