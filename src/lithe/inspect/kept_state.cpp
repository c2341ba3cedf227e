#include "lithe/inspect/kept_state.h"

#include <torch/csrc/autograd/autograd.h>

#include <charconv>
#include <map>
#include <optional>
#include <string>

namespace lithe {
namespace {

bool carries(const StateTensor& each) {
    return each.time_axis < 0 && each.value.defined() && each.value.is_floating_point();
}

// Tensors of the state that are carried over, by path, each a leaf of its own.
std::map<std::string, Tensor> make_leaves(State& state) {
    std::map<std::string, Tensor> leaves;
    State fresh = state.detach();
    const auto walk = [&](const auto& self, State& part, const std::string& prefix) -> void {
        for (StateTensor& each : part.tensors)
            if (carries(each)) leaves[prefix + each.name] = each.value.set_requires_grad(true);
        for (size_t i = 0; i < part.parts.size(); ++i) self(self, part.parts[i], prefix + std::to_string(i) + ".");
    };
    walk(walk, fresh, "");
    state = std::move(fresh);
    return leaves;
}

// Of diagonal state spaces (s4d, lru: [B][planes][N][D]) two planes are the parts of a complex number, which turns: the
// root mean square of both gradients is the length of what it is multiplied by.
Tensor shares(const StateTensor& state, const Tensor& gradient) {
    const bool complex = state.name == "s" && gradient.dim() == 4 && gradient.size(1) == 2;
    return complex ? gradient.square().mean(1).sqrt() : gradient;
}

// "0.1.c" of the second block of the first layer -> that block's place and "c"; paths that no block has stay.
std::string named(const Stack& stack, const std::string& path) {
    std::vector<std::string> words;
    for (size_t begin = 0; begin <= path.size();) {
        const size_t end = std::min(path.find('.', begin), path.size());
        words.push_back(path.substr(begin, end - begin));
        begin = end + 1;
    }
    const auto number = [](const std::string& word) {
        size_t value = 0;
        const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
        return error == std::errc() && end == word.data() + word.size() ? std::optional(value) : std::nullopt;
    };
    const auto layer = number(words[0]);
    if (!layer || words.size() < 2) return path;
    std::vector<const AppliedBlock*> of_layer;
    for (const AppliedBlock& block : stack.blocks)
        if (block.layer == *layer) of_layer.push_back(&block);
    const auto place = words.size() > 2 ? number(words[1]) : std::optional<size_t>(0);
    if (!place || *place >= of_layer.size() || words.size() > 3) return path;
    return of_layer[*place]->place + "." + words.back();
}

}  // namespace

std::vector<KeptState> kept_states(const LanguageModel& model, const std::vector<int64_t>& ids) {
    const at::AutoGradMode with_gradients(true);
    const Tensor all = at::tensor(ids, at::kLong).view({-1, 1, 1});
    Pass pass = model.pass(false);
    pass.keep_projections = true;
    State state = model.hidden(all[0], {}, pass).state;
    std::map<std::string, KeptState> kept;
    for (size_t step = 1; step < ids.size(); ++step) {
        const std::map<std::string, Tensor> before = make_leaves(state);
        pass.position_B = at::full({1}, int64_t(step), at::kLong);
        state = model.hidden(all[int64_t(step)], state, pass).state;
        state.for_each([&](const std::string& path, const StateTensor& after) {
            const auto found = before.find(path);
            if (found == before.end() || !after.value.requires_grad()) return;
            const auto gradient = torch::autograd::grad({after.value.sum()}, {found->second}, {}, true, false, true)[0];
            if (!gradient.defined()) return;
            const Tensor numbers = shares(after, gradient).to(at::kCPU, at::kFloat).contiguous().flatten();
            KeptState& record = kept[path];
            record.steps += 1;
            record.numbers = numbers.numel();
            record.kept.insert(record.kept.end(), numbers.const_data_ptr<float>(),
                               numbers.const_data_ptr<float>() + numbers.numel());
        });
    }
    std::vector<KeptState> list;
    for (auto& [path, record] : kept) {
        record.name = named(model.stack(), path);
        list.push_back(std::move(record));
    }
    return list;
}

}  // namespace lithe
