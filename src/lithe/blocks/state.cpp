#include "lithe/blocks/state.h"

#include <algorithm>

#include <charconv>

namespace lithe {
namespace {

State map_tensors(const State& state, const std::function<Tensor(const StateTensor&)>& change) {
    State result;
    for (const StateTensor& each : state.tensors)
        result.tensors.push_back({each.name, change(each), each.batch_axis, each.time_axis});
    for (const State& part : state.parts) result.parts.push_back(map_tensors(part, change));
    return result;
}

void visit(const State& state, const std::string& prefix,
           const std::function<void(const std::string&, const StateTensor&)>& use) {
    for (const StateTensor& each : state.tensors) use(prefix + each.name, each);
    for (size_t i = 0; i < state.parts.size(); ++i) visit(state.parts[i], prefix + std::to_string(i) + ".", use);
}

}  // namespace

const Tensor* State::find(const std::string& name) const {
    for (const StateTensor& each : tensors)
        if (each.name == name) return &each.value;
    return nullptr;
}

Tensor State::get(const std::string& name) const {
    const Tensor* found = find(name);
    return found ? *found : Tensor();
}

void State::put(std::string name, Tensor value, int batch_axis, int time_axis) {
    tensors.push_back({std::move(name), std::move(value), batch_axis, time_axis});
}

State State::detach() const {
    return map_tensors(*this, [](const StateTensor& each) { return each.value.detach(); });
}

State State::select_rows(const Tensor& rows) const {
    return map_tensors(*this, [&](const StateTensor& each) { return each.value.index_select(each.batch_axis, rows); });
}

void State::scatter_rows(const Tensor& rows, const State& from) {
    if (tensors.size() != from.tensors.size() || parts.size() != from.parts.size())
        fail({.what = "state: rows come from a state of another shape"});
    for (size_t i = 0; i < tensors.size(); ++i) {
        ops::check(tensors[i].value.dim() == from.tensors[i].value.dim(), "state",
                   "rows of '" + tensors[i].name + "' have another shape");
        tensors[i].value = tensors[i].value.index_copy(tensors[i].batch_axis, rows, from.tensors[i].value);
    }
    for (size_t i = 0; i < parts.size(); ++i) parts[i].scatter_rows(rows, from.parts[i]);
}

int64_t State::bytes() const {
    int64_t total = 0;
    for_each([&](const std::string&, const StateTensor& each) { total += int64_t(each.value.nbytes()); });
    return total;
}

void State::for_each(const std::function<void(const std::string&, const StateTensor&)>& use) const {
    visit(*this, "", use);
}

std::vector<std::pair<std::string, StateTensor>> flatten(const State& state) {
    std::vector<std::pair<std::string, StateTensor>> list;
    state.for_each([&](const std::string& path, const StateTensor& each) { list.emplace_back(path, each); });
    return list;
}

State unflatten(const std::vector<std::pair<std::string, StateTensor>>& list) {
    State root;
    for (const auto& [path, tensor] : list) {
        State* at = &root;
        size_t begin = 0;
        for (size_t dot; (dot = path.find('.', begin)) != std::string::npos; begin = dot + 1) {
            size_t index = 0;
            auto [end, error] = std::from_chars(path.data() + begin, path.data() + dot, index);
            if (error != std::errc() || end != path.data() + dot || index > 100000)
                fail_file("state tensor '" + path + "' has no valid path", "checkpoint");
            if (at->parts.size() <= index) at->parts.resize(index + 1);
            at = &at->parts[index];
        }
        at->tensors.push_back(tensor);
        at->tensors.back().name = path.substr(begin);
    }
    return root;
}

State join_rows(const std::vector<State>& states) {
    if (states.size() == 1) return states.front();
    std::vector<std::vector<std::pair<std::string, StateTensor>>> lists;
    for (const State& each : states) lists.push_back(flatten(each));
    std::vector<std::pair<std::string, StateTensor>> joined = lists.front();
    for (size_t i = 0; i < joined.size(); ++i) {
        std::vector<Tensor> rows;
        for (const auto& list : lists) rows.push_back(list.at(i).second.value);
        joined[i].second.value = at::cat(rows, joined[i].second.batch_axis);
    }
    return unflatten(joined);
}

void copy_state(const Tensor& value, int64_t count, float* to) {
    if (!value.defined()) return std::fill_n(to, count, 0.0f), void();
    Tensor numbers = value.detach().to(at::kCPU, at::kFloat).contiguous();
    ops::check(numbers.numel() == count, "state",
               "expected one row of " + std::to_string(count) + ", got " + ops::shape_of(value));
    std::copy_n(numbers.data_ptr<float>(), count, to);
}

}  // namespace lithe
