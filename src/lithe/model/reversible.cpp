#include "lithe/model/reversible.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <map>

#include "lithe/model/inner_backward.h"

namespace lithe {
namespace {

struct Streams {
    Tensor first, second;
    Tensor& moved(bool moves_first) { return moves_first ? first : second; }
    Tensor& read(bool moves_first) { return moves_first ? second : first; }
};

// Of a residual stream whose layers compute in `type`.
at::ScalarType stream_type(at::ScalarType type) { return at::promote_types(type, at::kFloat); }

void make_leaves(Bag& bag) {
    for (auto& [key, value] : bag.entries())
        if (value.is_floating_point()) value = value.detach().set_requires_grad(true);
}

Pass scaled(const Pass& pass, double scale) { return scale == 1 ? pass : pass.with(BranchScale{scale}); }

}  // namespace

ReversibleRun::ReversibleRun(std::vector<Layer> layers) : layers_(std::move(layers)) {
    size_t before = 0;
    for (const Layer& layer : layers_) {
        starts_with_first_.push_back(before % 2 == 0);
        before += layer.blocks.size();
    }
}

void ReversibleRun::keep(const std::vector<size_t>& kept) {
    std::vector<Layer> layers;
    std::vector<bool> starts;
    for (const size_t index : kept) {
        layers.push_back(std::move(layers_.at(index)));
        starts.push_back(starts_with_first_[index]);
    }
    layers_ = std::move(layers);
    starts_with_first_ = std::move(starts);
}

// What a pass went through.
struct ReversibleRun::Ran {
    UnitOutput out;
    Streams streams;
    std::vector<Move> moves;  // those that were kept
    // Beside each move: what the bag held before it, what it wrote, and how many losses there were before it.
    struct Beside {
        Bag bag, written;
        size_t losses;
    };
    std::vector<Beside> beside;
};

std::vector<ReversibleRun::Move> ReversibleRun::moves(const Pass& pass) const {
    std::vector<Move> list;
    for (size_t l = 0; l < layers_.size(); ++l) {
        const LayerDraw draw = layers_[l].drop ? layers_[l].drop->draw(pass) : LayerDraw();
        bool first = starts_with_first_[l];
        for (size_t i = 0; i < layers_[l].blocks.size(); ++i, first = !first)
            list.push_back({layers_[l].blocks[i].get(), l, i, first, draw.scale, draw.kept});
    }
    return list;
}

// `inverted`: what blocks write to the bag becomes leaves, for the backward pass.
ReversibleRun::Ran ReversibleRun::run(const Flow& flow, const State& state, const Pass& pass, bool inverted) const {
    Ran ran;
    const at::ScalarType type = flow.x_TBD.scalar_type();
    ran.streams = {flow.x_TBD.to(stream_type(type)), flow.x_TBD.to(stream_type(type))};
    Bag bag = flow.bag;
    for (const Layer& layer : layers_) ran.out.state.parts.emplace_back().parts.resize(layer.blocks.size());
    for (const Move& move : moves(pass)) {
        const State& before = state.part(move.layer).part(move.place);
        State& after = ran.out.state.parts[move.layer].parts[move.place];
        const Flow from{ran.streams.read(move.first).to(type), bag};
        if (!move.kept) {
            after = move.block->skip(from.x_TBD, before, pass);
            continue;
        }
        BranchOutput out = move.block->branch(from, before, scaled(pass, move.scale));
        Tensor& moved = ran.streams.moved(move.first);
        moved = moved + out.delta_TBD;
        if (inverted) make_leaves(out.bag);
        ran.moves.push_back(move);
        ran.beside.push_back({bag, out.bag, ran.out.aux.losses.size()});
        bag.put(out.bag);
        after = std::move(out.state);
        ran.out.aux.append(std::move(out.aux));
    }
    ran.out.flow = {((ran.streams.first + ran.streams.second) * 0.5).to(type), std::move(bag)};
    return ran;
}

// The backward pass of a run, from its last streams.
class ReversibleRun::Inverse : public torch::autograd::Node {
 public:
    Inverse(const Flow& flow, const State& state, const Pass& pass, const Ran& ran)
        : streams_(ran.streams),
          moves_(ran.moves),
          beside_(ran.beside),
          state_(state),
          pass_(pass),
          part_(PartScope::current()),
          type_(flow.x_TBD.scalar_type()),
          of_x_(flow.x_TBD.requires_grad()) {
        torch::autograd::edge_list edges;
        Flow inputs = flow;
        for (const Tensor* each : differentiable_inputs(inputs, state_)) {
            edges.push_back(torch::autograd::impl::gradient_edge(*each));
            if (each != &inputs.x_TBD) inputs_.push_back(each->unsafeGetTensorImpl());
        }
        set_next_edges(std::move(edges));
        // as differentiable_outputs() lists them
        for (const auto& [key, value] : ran.out.flow.bag.entries())
            if (value.defined() && value.is_floating_point() && !value.is_same(flow.bag.get(key)))
                outputs_of_bag_.push_back(value.unsafeGetTensorImpl());
    }

    torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
        const at::AutoGradMode enable(true);
        const PartScope leaves(part_);
        Streams streams = std::move(streams_);
        streams_ = {};
        Streams slopes = slopes_of_output(gradients.at(0), streams);
        for (size_t i = 0; i < outputs_of_bag_.size(); ++i) add(outputs_of_bag_[i], gradients.at(1 + i));
        losses_.assign(gradients.begin() + int64_t(1 + outputs_of_bag_.size()), gradients.end());
        gradients.clear();
        for (size_t i = moves_.size(); i-- > 0;) take_back(moves_[i], beside_[i], streams, slopes);
        return of_inputs(slopes);
    }

    void release_variables() override {
        streams_ = {};
        state_ = {};
        beside_.clear();
    }

 private:
    // Gradients of both streams' ends: the output is their mean.
    static Streams slopes_of_output(const Tensor& gradient, const Streams& streams) {
        if (!gradient.defined()) return {at::zeros_like(streams.first), at::zeros_like(streams.first)};
        const Tensor half = gradient.to(streams.first.scalar_type()) * 0.5;
        return {half, half};
    }

    void add(const at::TensorImpl* to, const Tensor& gradient) {
        if (!gradient.defined()) return;
        Tensor& sum = gradients_[to];
        sum = sum.defined() ? sum + gradient : gradient;
    }

    // Runs a branch again; its stream goes back to what it was before, and its gradients go on.
    void take_back(const Move& move, const Ran::Beside& beside, Streams& streams, Streams& slopes) {
        const Tensor from = streams.read(move.first).detach().set_requires_grad(true);
        Flow flow{from.to(type_), beside.bag};
        State state = state_.part(move.layer).part(move.place);
        std::vector<std::pair<const at::TensorImpl*, Tensor>> leaves;
        for (Tensor* each : differentiable_inputs(flow, state)) {
            if (each == &flow.x_TBD) continue;
            const at::TensorImpl* which = each->unsafeGetTensorImpl();
            *each = each->detach().set_requires_grad(true);
            leaves.emplace_back(which, *each);
        }
        InnerBackward backward;
        {
            const BranchOutput out = move.block->branch(flow, state, scaled(pass_, move.scale));
            const at::NoGradGuard no_grad;
            Tensor& moved = streams.moved(move.first);
            moved = moved - out.delta_TBD;
            begin(out, beside, slopes.moved(move.first), backward);
        }
        flow = {};
        std::move(backward).run();
        Tensor& slope = slopes.read(move.first);
        if (from.grad().defined()) slope = slope + from.grad();
        for (const auto& [which, leaf] : leaves) add(which, leaf.grad());
    }

    void begin(const BranchOutput& out, const Ran::Beside& beside, const Tensor& slope, InnerBackward& backward) {
        backward.add(out.delta_TBD, slope.to(out.delta_TBD.scalar_type()));
        for (size_t i = 0; i < out.aux.losses.size(); ++i)
            backward.add(out.aux.losses[i].second, losses_.at(beside.losses + i));
        for (const auto& [key, value] : out.bag.entries())
            if (const auto found = gradients_.find(beside.written.get(key).unsafeGetTensorImpl());
                found != gradients_.end())
                backward.add(value, found->second);
    }

    torch::autograd::variable_list of_inputs(const Streams& slopes) {
        torch::autograd::variable_list list;
        if (of_x_) list.push_back((slopes.first + slopes.second).to(type_));
        for (const at::TensorImpl* each : inputs_) list.push_back(gradients_[each]);
        return list;
    }

    Streams streams_;
    std::vector<Move> moves_;
    std::vector<Ran::Beside> beside_;
    State state_;
    Pass pass_;
    int64_t part_;
    at::ScalarType type_;
    bool of_x_;                                  // it takes a gradient
    std::vector<const at::TensorImpl*> inputs_;  // of bag and state
    std::vector<const at::TensorImpl*> outputs_of_bag_;
    std::map<const at::TensorImpl*, Tensor> gradients_;  // of tensors of both
    std::vector<Tensor> losses_;                         // gradients
};

UnitOutput ReversibleRun::forward(const Flow& flow, const State& state, const Pass& pass) const {
    if (!pass.training || !at::GradMode::is_enabled()) return run(flow, state, pass, false).out;
    Ran ran;
    {
        const at::NoGradGuard no_grad;
        ran = run(flow, state, pass, true);
    }
    const std::shared_ptr<Inverse> node(new Inverse(flow, state, pass, ran), torch::autograd::deleteNode);
    UnitOutput out = std::move(ran.out);
    for (Tensor* each : differentiable_outputs(out, flow.bag)) {
        *each = each->detach();
        torch::autograd::set_history(*each, node);
    }
    return out;
}

State ReversibleRun::skip(const Tensor& x_TBD, const State& state, const Pass& pass) const {
    State after;
    for (size_t l = 0; l < layers_.size(); ++l) {
        State& layer = after.parts.emplace_back();
        for (size_t i = 0; i < layers_[l].blocks.size(); ++i)
            layer.parts.push_back(layers_[l].blocks[i]->skip(x_TBD, state.part(l).part(i), pass));
    }
    return after;
}

std::vector<const Unit*> ReversibleRun::units() const {
    std::vector<const Unit*> list;
    for (const Layer& layer : layers_)
        for (const auto& block : layer.blocks) list.push_back(block.get());
    return list;
}

void ReversibleRun::trace_bag(BagTrace& trace) const {
    for (const Layer& layer : layers_) {
        const size_t before = trace.written.size();
        for (const auto& block : layer.blocks) block->trace_bag(trace);
        if (layer.drop) trace.may_be_left_out(before);
    }
}

StepOutput ReversibleRun::add_step(StepProgram& program, const float* x, int64_t memory) const {
    std::vector<std::vector<std::function<void(const State&, int64_t)>>> loads;
    const float* first = x;
    const float* second = x;
    const int64_t width = layers_.front().blocks.front()->parts().width;
    const auto combined = [&](const float* a, const float* b, float scale) {
        float* y = program.vector(width);
        program.parts(width, [=](int64_t row, int64_t begin, int64_t end) {
            for (int64_t i = row * width + begin; i < row * width + end; ++i) y[i] = scale * (a[i] + b[i]);
        });
        return y;
    };
    for (size_t l = 0; l < layers_.size(); ++l) {
        if (layers_[l].drop && layers_[l].drop->step_scale != 1) return {};  // scaled branches have no single steps
        loads.emplace_back();
        bool moves_first = starts_with_first_[l];
        for (const auto& block : layers_[l].blocks) {
            const float*& moved = moves_first ? first : second;
            StepOutput out = block->add_branch_step(program, moves_first ? second : first, memory);
            if (!out.y) return {};
            moved = combined(moved, out.y, 1);
            loads.back().push_back(std::move(out.load));
            moves_first = !moves_first;
        }
    }
    return {combined(first, second, 0.5F), [loads = std::move(loads)](const State& state, int64_t row) {
                for (size_t l = 0; l < loads.size(); ++l)
                    for (size_t i = 0; i < loads[l].size(); ++i)
                        if (loads[l][i]) loads[l][i](state.part(l).part(i), row);
            }};
}

}  // namespace lithe
