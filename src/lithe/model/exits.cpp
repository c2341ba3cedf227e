#include "lithe/model/exits.h"

#include <algorithm>
#include <cmath>

#include "lithe/model/language_model.h"

namespace lithe {

void ExitCounts::add(size_t exit, uint64_t positions) {
    const std::lock_guard lock(mutex_);
    if (counts_.size() <= exit) counts_.resize(exit + 1);
    counts_[exit] += positions;
}

std::vector<uint64_t> ExitCounts::counts() const {
    const std::lock_guard lock(mutex_);
    return counts_;
}

void ExitCounts::clear() {
    const std::lock_guard lock(mutex_);
    counts_.clear();
}

constexpr size_t kMostExits = 256;

BagKey exit_key(size_t layer) {
    static const std::vector<std::string> names = [] {
        std::vector<std::string> list;
        for (size_t i = 0; i < kMostExits; ++i) list.push_back("what is behind layer " + std::to_string(i + 1));
        return list;
    }();
    return {names.at(layer).c_str()};
}

bool Leaver::leaves(const float* logits, int64_t count) {
    const auto best = int64_t(std::max_element(logits, logits + count) - logits);
    if (rule_.measure == ExitMeasure::patience) {
        same_ = best == best_ ? same_ + 1 : 0;
        best_ = best;
        return double(same_) >= rule_.threshold;
    }
    double sum = 0, weighted = 0;  // of e^z, and of z e^z, z behind the largest one
    for (int64_t i = 0; i < count; ++i) {
        const double z = double(logits[i]) - double(logits[best]);
        const double e = std::exp(z);
        sum += e;
        weighted += z * e;
    }
    if (rule_.measure == ExitMeasure::confidence) return 1 / sum >= rule_.threshold;
    return std::log(sum) - weighted / sum <= rule_.threshold;
}

Exits::Exits(ParameterStore& store, const ModelConfig& model, std::vector<size_t> layers, size_t layers_of_stack)
    : layers_(std::move(layers)),
      depth_(layers_of_stack) {
    for (const size_t layer : layers_)
        norms_.push_back(make_norm(store, "exits." + std::to_string(layer + 1) + ".norm", model));
}

std::optional<size_t> Exits::behind(size_t layer) const {
    const auto found = std::find(layers_.begin(), layers_.end(), layer);
    if (found == layers_.end()) return std::nullopt;
    return size_t(found - layers_.begin());
}

namespace {

// Exits that are known before.
class ChosenWalk : public ExitWalk {
 public:
    ChosenWalk(const Exits& exits, Tensor exit_TB) : exits_(exits), exit_TB_(std::move(exit_TB)) {}
    HeldPositions held(size_t layer) const override {
        const auto& layers = exits_.layers();
        const auto before = std::count_if(layers.begin(), layers.end(), [&](size_t each) { return each < layer; });
        if (before == 0) return {};
        return {exit_TB_.lt(int64_t(before)), false};
    }
    void after(size_t, const Tensor&) override {}
    Tensor exits_TB() const override { return exit_TB_; }

 private:
    const Exits& exits_;
    Tensor exit_TB_;
};

// Exits that a rule chooses by the head's logits.
class RuledWalk : public ExitWalk {
 public:
    RuledWalk(const Exits& exits, const Head& head, const LeavingRule& rule)
        : exits_(exits),
          head_(head),
          rule_(rule) {}

    HeldPositions held(size_t) const override { return held_; }

    void after(size_t layer, const Tensor& x_TBD) override {
        const auto exit = exits_.behind(layer);
        if (!exit && layer + 1 < exits_.depth(exits_.count() - 1)) return;
        if (leavers_.empty()) begin(x_TBD);
        if (!exit) return count_last();
        if (held_.all) return;
        leave(*exit, x_TBD.flatten(0, 1));
        const Tensor exits = exits_TB().to(x_TBD.device());
        held_ = {exits.lt(int64_t(exits_.count() - 1)), running_ == 0};
    }

    Tensor exits_TB() const override {
        return at::from_blob(const_cast<int64_t*>(exit_of_.data()), {steps_, rows_}, at::kLong).clone();
    }

 private:
    void begin(const Tensor& x_TBD) {
        steps_ = x_TBD.size(0);
        rows_ = x_TBD.size(1);
        running_ = steps_ * rows_;
        leavers_.assign(size_t(running_), Leaver(rule_.rule));
        exit_of_.assign(size_t(running_), int64_t(exits_.count() - 1));
    }

    // Those that have not left, a few thousand logits at a time.
    void leave(size_t exit, const Tensor& x_ND) {
        std::vector<int64_t> running;
        for (size_t i = 0; i < exit_of_.size(); ++i)
            if (exit_of_[i] + 1 == int64_t(exits_.count())) running.push_back(int64_t(i));
        constexpr size_t kAtOnce = 512;
        for (size_t begin = 0; begin < running.size(); begin += kAtOnce) {
            const size_t count = std::min(kAtOnce, running.size() - begin);
            const Tensor places = at::from_blob(running.data() + begin, {int64_t(count)}, at::kLong).to(x_ND.device());
            const Tensor h_ND = exits_.norm(exit)(x_ND.index_select(0, places));
            const Tensor logits_NV = head_.logits(h_ND).to(at::kCPU, at::kFloat).contiguous();
            const int64_t vocabulary = logits_NV.size(1);
            for (size_t i = 0; i < count; ++i) {
                const auto place = size_t(running[begin + i]);
                if (!leavers_[place].leaves(logits_NV.data_ptr<float>() + int64_t(i) * vocabulary, vocabulary))
                    continue;
                exit_of_[place] = int64_t(exit);
                --running_;
            }
        }
    }

    void count_last() {
        if (!rule_.counts) return;
        std::vector<uint64_t> counts(exits_.count());
        for (const int64_t exit : exit_of_) ++counts[size_t(exit)];
        for (size_t exit = 0; exit < counts.size(); ++exit) rule_.counts->add(exit, counts[exit]);
    }

    const Exits& exits_;
    const Head& head_;
    LeavingRule rule_;
    HeldPositions held_;
    int64_t steps_ = 0, rows_ = 0, running_ = 0;
    std::vector<Leaver> leavers_;   // by position
    std::vector<int64_t> exit_of_;  // likewise
};

}  // namespace

std::shared_ptr<ExitWalk> Exits::walk(const Pass& pass, const Head& head) const {
    if (const auto chosen = pass.entries.find<ExitChoices>())
        return std::make_shared<ChosenWalk>(*this, chosen->exit_TB);
    if (const auto rule = pass.entries.find<LeavingRule>(); rule && !pass.training)
        return std::make_shared<RuledWalk>(*this, head, *rule);
    return nullptr;
}

UnitOutput HoldingBlock::forward(const Flow& flow, const State& state, const Pass& pass) const {
    const auto held = pass.entries.find<HeldPositions>();
    if (!held || !held->held_TB.defined()) return block_->forward(flow, state, pass);
    if (held->all) return {flow, block_->skip(flow.x_TBD, state, pass), {}};
    UnitOutput out = block_->forward(flow, state, pass);
    out.flow.x_TBD = at::where(held->held_TB.unsqueeze(2), flow.x_TBD, out.flow.x_TBD);
    return out;
}

State HoldingBlock::skip(const Tensor& x_TBD, const State& state, const Pass& pass) const {
    return block_->skip(x_TBD, state, pass);
}

BranchOutput HoldingBlock::branch(const Flow& flow, const State& state, const Pass& pass) const {
    return block_->branch(flow, state, pass);
}

StepOutput HoldingBlock::add_step(StepProgram& program, const float* x, int64_t memory) const {
    program.begin_holding();
    StepOutput out = block_->add_step(program, x, memory);
    if (!out.y) return {};
    out.y = program.end_holding(x, out.y, width_);
    return out;
}

UnitOutput ExitLayer::forward(const Flow& flow, const State& state, const Pass& pass) const {
    const auto walking = pass.entries.find<Walking>();
    const HeldPositions held = walking ? walking->walk->held(index_) : HeldPositions();
    UnitOutput out = layer_->forward(flow, state, held.held_TB.defined() ? pass.with(held) : pass);
    if (walking) walking->walk->after(index_, out.flow.x_TBD);
    if (pass.entries.find<KeepExits>()) out.flow.bag.put(exit_key(index_), out.flow.x_TBD);
    return out;
}

State ExitLayer::skip(const Tensor& x_TBD, const State& state, const Pass& pass) const {
    return layer_->skip(x_TBD, state, pass);
}

StepOutput ExitLayer::add_step(StepProgram& program, const float* x, int64_t memory) const {
    StepOutput out = layer_->add_step(program, x, memory);
    if (out.y) program.after_layer(index_, out.y);
    return out;
}

static int64_t count_layers(const LayoutNode& layout) {
    int64_t layers = 0;
    for (const LayoutNode& child : layout.children) layers += child.repeat;
    return layers;
}

static void check_layout(const Config& config, const LayoutNode& layout, Problems& problems) {
    const auto refuse = [&](const std::string& why, const std::string& hint = "") {
        problems.add("exits: " + why, "model.layout", hint);
    };
    if (has_slots(layout)) refuse("a search has none", "train what it found");
    if (has_reversible(layout)) refuse("a reversible run ('~') has no stream to read between its layers");
    if (has_halting(layout)) refuse("a halting run ('@') decides itself how many steps a position takes");
    const int64_t layers = count_layers(layout);
    if (layers < 2) refuse("the layout has one layer, and nothing to skip");
    if (layers > int64_t(kMostExits)) refuse("at most " + std::to_string(kMostExits) + " layers can have them");
    Problems told_elsewhere;
    const auto resolved = resolve_blocks(layout, config.model, config.blocks, told_elsewhere);
    for (const auto& [name, column] : block_names(layout)) {
        const auto found = resolved.find(name);
        if (found == resolved.end() || !found->second.kind) continue;
        const BlockTraits& traits = found->second.kind->traits;
        if (!traits.position_wise && !traits.holds)
            refuse("block '" + name + "' (" + found->second.kind->name +
                       ") carries a state that needs every position's layer, and exits leave layers out",
                   "attention, feed_forward and moe can stand there: (sf)x6");
    }
}

void check_exits(const Config& config, Problems& problems) {
    check_layout(config, decoder_layout(config), problems);
    if (config.model.direction != Direction::causal)
        problems.add("exits end early what a causal model does for its next token", "model.direction",
                     "model.direction = \"causal\"");
    if (config.model.positions == Positions::coordinates)
        problems.add("coordinates change every position before a layer, and one that has left stays as it is",
                     "model.positions");
    if (config.model.head == HeadForm::none) problems.add("exits need a head to read them", "model.head");
}

std::vector<size_t> exit_layers(const std::string& text, const Config& config) {
    const auto count = size_t(count_layers(decoder_layout(config)));
    std::vector<size_t> layers = parse_layers(text == "all" ? "every:1" : text, count, "objective.exits");
    std::erase_if(layers, [&](size_t layer) { return layer + 1 == count; });
    if (layers.empty())
        fail_usage("no exit stands before the last layer", "objective.exits", "\"all\": one behind each layer");
    return layers;
}

}  // namespace lithe
