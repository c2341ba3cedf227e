#include "lithe/train/step_graph.h"

namespace lithe {
namespace {

std::vector<Tensor> tensors_of(const State& state) {
    std::vector<Tensor> list;
    state.for_each([&](const std::string&, const StateTensor& each) { list.push_back(each.value); });
    return list;
}

State clone(const State& state) {
    auto list = flatten(state);
    for (auto& [path, tensor] : list) tensor.value = tensor.value.detach().clone(at::MemoryFormat::Contiguous);
    return unflatten(list);
}

void copy(const State& from, const State& to) {
    const std::vector<Tensor> sources = tensors_of(from), targets = tensors_of(to);
    for (size_t i = 0; i < targets.size(); ++i)
        if (!targets[i].is_same(sources[i])) targets[i].copy_(sources[i]);
}

}  // namespace

bool same_shapes(const State& a, const State& b) {
    const auto left = flatten(a), right = flatten(b);
    return std::equal(left.begin(), left.end(), right.begin(), right.end(), [](const auto& x, const auto& y) {
        return x.first == y.first && x.second.value.sizes() == y.second.value.sizes() &&
               x.second.value.scalar_type() == y.second.value.scalar_type();
    });
}

StepGraph::StepGraph(const Tensor& ids_TB, const Tensor& targets_TB, const State& state, const Step& step)
    : ids_TB_(ids_TB.clone()),
      targets_TB_(targets_TB.clone()),
      salt_(at::zeros({}, ids_TB.options())),
      loss_(at::zeros({}, ids_TB.options().dtype(at::kDouble))),
      before_(clone(state)),
      after_(clone(state)),
      graph_(std::make_unique<ops::Graph>([&] {
          const at::AutoGradMode gradients(true);
          copy(after_, before_);
          State now = before_;
          const Tensor loss = step(ids_TB_, targets_TB_, salt_, now);
          copy(now, after_);
          loss_.copy_(loss);
      })) {}

bool StepGraph::fits(const Tensor& ids_TB, const State& state) const {
    return ids_TB.sizes() == ids_TB_.sizes() && same_shapes(state, after_);
}

bool StepGraph::owns(const State& state) const {
    const std::vector<Tensor> mine = tensors_of(after_), theirs = tensors_of(state);
    return std::equal(mine.begin(), mine.end(), theirs.begin(), theirs.end(),
                      [](const Tensor& a, const Tensor& b) { return a.is_same(b); });
}

double StepGraph::play(const Tensor& ids_TB, const Tensor& targets_TB, uint64_t salt, State& state) {
    const at::NoGradGuard no_grad;
    ids_TB_.copy_(ids_TB);
    targets_TB_.copy_(targets_TB);
    salt_.fill_(int64_t(salt));
    copy(state, after_);
    graph_->play();
    state = after_;
    return loss_.item<double>();
}

void StepGraph::take_back() { copy(before_, after_); }

}  // namespace lithe
