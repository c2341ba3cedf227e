#include "lithe/model/recompute.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <cmath>

#include "lithe/model/inner_backward.h"

namespace lithe {

// C(n, k), exact as far as it is below 2^62; more counts as that.
static int64_t binomial(int64_t n, int64_t k) {
    double value = 1;
    for (int64_t i = 1; i <= k; ++i) value = value * double(n - k + i) / double(i);
    return value > 4e18 ? int64_t(4e18) : std::llround(value);
}

int64_t reruns_of_chain(int64_t length, int64_t slots) {
    if (length <= 1) return 0;
    int64_t r = 1;
    while (binomial(slots + r, slots) < length) ++r;
    return r * length - binomial(slots + r, r - 1);
}

int64_t next_kept(int64_t length, int64_t slots) {
    if (slots <= 1) return length - 1;
    int64_t best = 1, fewest = -1;
    for (int64_t j = 1; j < length; ++j) {
        const int64_t runs = j + reruns_of_chain(length - j, slots - 1) + reruns_of_chain(j, slots);
        if (fewest >= 0 && runs >= fewest) continue;
        best = j;
        fewest = runs;
    }
    return best;
}

int64_t recompute_number(const Recompute& recompute, int64_t layers) {
    if (recompute.number > 0) return recompute.number;
    return std::max<int64_t>(1, int64_t(std::ceil(std::sqrt(double(layers)) - 1e-9)));
}

namespace {

// What one group gave, and what came behind it.
UnitOutput joined(UnitOutput before, UnitOutput after) {
    for (State& part : after.state.parts) before.state.parts.push_back(std::move(part));
    before.aux.append(std::move(after.aux));
    before.flow = std::move(after.flow);
    return before;
}

UnitOutput run_all(const std::vector<UnitRun>& runs, const Flow& flow, const State& state, const Pass& pass) {
    if (runs.size() == 1) return runs.front()(flow, state, pass);  // whose state may be no list of parts
    UnitOutput all;
    all.flow = flow;
    for (const UnitRun& run : runs) {
        UnitOutput out = run(all.flow, state, pass);
        all = joined(std::move(all), std::move(out));
    }
    return all;
}

// One run of a group, cut off from the next one: a leaf stands for each of its outputs, and takes its gradient.
struct CutRun {
    std::vector<Tensor> outputs, leaves;

    void cut(UnitOutput& out, const Bag& given) {
        for (Tensor* each : differentiable_outputs(out, given)) {
            outputs.push_back(*each);
            *each = each->detach().set_requires_grad(true);
            leaves.push_back(*each);
        }
    }
    // Lets go of everything first: runs inside may be recomputed, each with groups of its own inside.
    void backward() {
        InnerBackward pass;
        for (size_t i = 0; i < outputs.size(); ++i) pass.add(outputs[i], leaves[i].grad());
        outputs.clear();
        leaves.clear();
        std::move(pass).run();
    }
};

class RecomputeNode : public torch::autograd::Node {
 public:
    RecomputeNode(std::vector<UnitRun> runs, const Flow& flow, const State& state, const Pass& pass)
        : runs_(std::move(runs)),
          flow_(flow),
          state_(state),
          pass_(pass),
          part_(PartScope::current()) {
        torch::autograd::edge_list edges;
        for (const Tensor* each : differentiable_inputs(flow_, state_))
            edges.push_back(torch::autograd::impl::gradient_edge(*each));
        set_next_edges(std::move(edges));
    }

    // One backward pass for each run, from the last: what several of them share adds up in the order in which one
    // backward pass through all adds it.
    torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
        const at::AutoGradMode enable(true);
        const PartScope leaves(part_);  // deeply nested backward passes run in other threads
        std::vector<Tensor> inputs;
        std::vector<CutRun> done = run_again(gradients, inputs);
        gradients.clear();
        for (; !done.empty(); done.pop_back()) done.back().backward();
        torch::autograd::variable_list of_inputs;
        for (const Tensor& each : inputs) of_inputs.push_back(each.grad());
        return of_inputs;
    }

    void release_variables() override {
        flow_ = {};
        state_ = {};
    }

 private:
    // `inputs` become leaves that take gradients; what the group gave as a whole has them already.
    std::vector<CutRun> run_again(const torch::autograd::variable_list& gradients, std::vector<Tensor>& inputs) const {
        Flow flow = flow_;
        State state = state_;
        for (Tensor* each : differentiable_inputs(flow, state)) {
            *each = each->detach().set_requires_grad(true);
            inputs.push_back(*each);
        }
        const Bag given = flow.bag;
        std::vector<CutRun> done(runs_.size());
        UnitOutput whole;
        for (size_t i = 0; i < runs_.size(); ++i) {
            UnitOutput out = runs_[i](flow, state, pass_);
            done[i].cut(out, flow.bag);
            flow = out.flow;
            whole = joined(std::move(whole), std::move(out));
        }
        const std::vector<Tensor*> outputs = differentiable_outputs(whole, given);
        for (size_t i = 0; i < outputs.size(); ++i)
            if (gradients.at(i).defined()) outputs[i]->mutable_grad() = gradients[i].clone();
        return done;
    }

    std::vector<UnitRun> runs_;
    Flow flow_;
    State state_;
    Pass pass_;
    int64_t part_;
};

}  // namespace

UnitOutput recomputed(std::vector<UnitRun> runs, const Flow& flow, const State& state, const Pass& pass) {
    if (!at::GradMode::is_enabled()) return run_all(runs, flow, state, pass);
    UnitOutput out;
    {
        const at::NoGradGuard no_grad;
        out = run_all(runs, flow, state, pass);
    }
    const std::shared_ptr<RecomputeNode> node(new RecomputeNode(std::move(runs), flow, state, pass),
                                              torch::autograd::deleteNode);
    for (Tensor* each : differentiable_outputs(out, flow.bag)) {
        *each = each->detach();
        torch::autograd::set_history(*each, node);
    }
    return out;
}

UnitOutput LayerSequence::forward(const Flow& flow, const State& state, const Pass& pass) const {
    const bool kept = recompute_.method == RecomputeMethod::none || !pass.training || !at::GradMode::is_enabled();
    if (kept || size() < 2) return Sequence::forward(flow, state, pass);
    const auto number = size_t(recompute_number(recompute_, int64_t(size())));
    const bool groups = recompute_.method == RecomputeMethod::uniform;
    return run_all(groups ? runs_of_groups(number) : runs_of_chain(0, size(), int64_t(number)), flow, state, pass);
}

UnitRun LayerSequence::run_of(size_t layer) const {
    return [this, layer](const Flow& flow, const State& state, const Pass& pass) {
        return run_units(layer, layer + 1, flow, state, pass);
    };
}

UnitRun LayerSequence::again(std::vector<UnitRun> runs) {
    return [runs = std::move(runs)](const Flow& flow, const State& state, const Pass& pass) {
        return recomputed(runs, flow, state, pass);
    };
}

std::vector<UnitRun> LayerSequence::runs_of_groups(size_t group) const {
    std::vector<UnitRun> all, inside;
    size_t begin = 0;
    for (; begin + group < size(); begin += group) {
        inside.clear();
        for (size_t layer = begin; layer < begin + group; ++layer) inside.push_back(run_of(layer));
        all.push_back(again(inside));
    }
    for (; begin < size(); ++begin) all.push_back(run_of(begin));
    return all;
}

// The input at `begin` is kept by who calls, or by the first group here.
std::vector<UnitRun> LayerSequence::runs_of_chain(size_t begin, size_t end, int64_t slots) const {
    std::vector<UnitRun> all;
    for (; end - begin > 1; --slots) {
        const int64_t left = std::max<int64_t>(1, slots);
        const size_t middle = begin + size_t(next_kept(int64_t(end - begin), left));
        all.push_back([this, begin, middle, left](const Flow& flow, const State& state, const Pass& pass) {
            return recomputed(runs_of_chain(begin, middle, left), flow, state, pass);
        });
        begin = middle;
    }
    all.push_back(run_of(begin));
    return all;
}

UnitOutput RecomputableBlock::forward(const Flow& flow, const State& state, const Pass& pass) const {
    if (!on_ || !pass.training) return block_->forward(flow, state, pass);
    const UnitRun run = [this](const Flow& f, const State& s, const Pass& p) { return block_->forward(f, s, p); };
    return recomputed({run}, flow, state, pass);
}

State RecomputableBlock::skip(const Tensor& x_TBD, const State& state, const Pass& pass) const {
    return block_->skip(x_TBD, state, pass);
}

BranchOutput RecomputableBlock::branch(const Flow& flow, const State& state, const Pass& pass) const {
    return block_->branch(flow, state, pass);
}

StepOutput RecomputableBlock::add_step(StepProgram& program, const float* x, int64_t memory) const {
    return block_->add_step(program, x, memory);
}

}  // namespace lithe
