// Exits: the head reads a decoder behind several of its layers (Elbayad et al. 2020, "Depth-Adaptive Transformer",
// section 3; Schuster et al. 2022, "Confident Adaptive Language Modeling", section 3.1). A position leaves at one exit:
//
//   layer l of a position that left at layer e:   h_l = h_e for l > e, keys and values are those of h_e
//   its logits:                                   head(norm_e(h_e)), one head, a norm for each exit
//
// So what later positions attend to is always there. Blocks do not know of it: a wrapper around each lets positions
// pass that are held, which have left at a layer before.
#pragma once

#include <mutex>
#include <optional>

#include "lithe/model/head.h"
#include "lithe/model/unit.h"
#include "lithe/spec/exit_rule.h"

namespace lithe {

// Positions that blocks let pass: an entry of a pass.
struct HeldPositions {
    Tensor held_TB;    // bool; undefined: none
    bool all = false;  // all are: nothing needs to be computed but what later positions read
};

// What happens behind the layers of one pass.
class ExitWalk {
 public:
    virtual ~ExitWalk() = default;
    virtual HeldPositions held(size_t layer) const = 0;  // in this layer
    virtual void after(size_t layer, const Tensor& x_TBD) = 0;
    // Where each position left, [T][B] int64, when all layers are done.
    virtual Tensor exits_TB() const = 0;
};

// Entries of a pass: how its positions leave. Without one all go through all layers.
struct ExitChoices {
    Tensor exit_TB;  // int64: each position's exit
};
// How many positions left at which exit. Thread-safe.
class ExitCounts {
 public:
    void add(size_t exit, uint64_t positions);
    std::vector<uint64_t> counts() const;  // by exit
    void clear();

 private:
    mutable std::mutex mutex_;
    std::vector<uint64_t> counts_;
};
struct LeavingRule {
    ExitRule rule;
    std::shared_ptr<ExitCounts> counts;
};
// What is behind each exit stands in the bag when the pass is over, under exit_key().
struct KeepExits {};
struct Walking {
    std::shared_ptr<ExitWalk> walk;
};
BagKey exit_key(size_t layer);

// One row that may leave, at each exit in turn.
class Leaver {
 public:
    explicit Leaver(const ExitRule& rule) : rule_(rule) {}
    // Whether it leaves with these logits.
    bool leaves(const float* logits, int64_t count);

 private:
    ExitRule rule_;
    int64_t best_ = -1, same_ = 0;  // patience: the likeliest token, and how often it has stayed
};

// The norms of the exits of a stack. Parameters: "exits.N.norm", N the layer's number from 1.
class Exits {
 public:
    // Behind the layers with these indices; the last one of all has the model's own norm.
    Exits(ParameterStore& store, const ModelConfig& model, std::vector<size_t> layers, size_t layers_of_stack);
    size_t count() const { return layers_.size() + 1; }  // with the last one
    // After how many layers an exit stands.
    size_t depth(size_t exit) const { return exit < layers_.size() ? layers_[exit] + 1 : depth_; }
    // Of the exit behind a layer; nullopt: there is none, or it is the last one.
    std::optional<size_t> behind(size_t layer) const;
    const StackNorm& norm(size_t exit) const { return norms_.at(exit); }  // but the last one's
    const std::vector<size_t>& layers() const { return layers_; }         // but the last one
    // Null where the pass does not say how positions leave. The head must outlive it.
    std::shared_ptr<ExitWalk> walk(const Pass& pass, const Head& head) const;

 private:
    std::vector<size_t> layers_;
    std::vector<StackNorm> norms_;
    size_t depth_;
};

// What a stack does not need of exits becomes a problem: blocks whose state needs every position, and the like.
void check_exits(const Config& config, Problems& problems);
// Indices of layers from "all", "2,4,6" or "every:2", but the last one's. Throws usage.
std::vector<size_t> exit_layers(const std::string& text, const Config& config);

// One application of a block in a stack with exits.
class HoldingBlock : public Unit {
 public:
    HoldingBlock(std::unique_ptr<Unit> block, int64_t width) : block_(std::move(block)), width_(width) {}
    UnitOutput forward(const Flow& flow, const State& state, const Pass& pass) const override;
    State skip(const Tensor& x_TBD, const State& state, const Pass& pass) const override;
    BranchOutput branch(const Flow& flow, const State& state, const Pass& pass) const override;
    std::vector<const Unit*> units() const override { return {block_.get()}; }
    std::string own_residual() const override { return block_->own_residual(); }
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;

 private:
    std::unique_ptr<Unit> block_;
    int64_t width_;
};

// A layer of such a stack.
class ExitLayer : public Unit {
 public:
    ExitLayer(std::unique_ptr<Unit> layer, size_t index) : layer_(std::move(layer)), index_(index) {}
    UnitOutput forward(const Flow& flow, const State& state, const Pass& pass) const override;
    State skip(const Tensor& x_TBD, const State& state, const Pass& pass) const override;
    std::vector<const Unit*> units() const override { return {layer_.get()}; }
    void trace_bag(BagTrace& trace) const override { layer_->trace_bag(trace); }
    std::string own_residual() const override { return layer_->own_residual(); }
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;

 private:
    std::unique_ptr<Unit> layer_;
    size_t index_;
};

}  // namespace lithe
