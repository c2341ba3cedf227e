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

const State& State::part(size_t index) const {
    static const State empty;
    return index < parts.size() ? parts[index] : empty;
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

namespace {

constexpr const char* kHidden = "hidden";

const StateTensor* find_tensor(const State& state, const std::string& name) {
    for (const StateTensor& each : state.tensors)
        if (each.name == name) return &each;
    return nullptr;
}

// Of what is marked in "hidden": the longest time axis of a state's own tensors; 0: there is none.
int64_t length_of(const State& state) {
    int64_t length = 0;
    for (const StateTensor& each : state.tensors)
        if (each.time_axis >= 0) length = std::max(length, each.value.size(each.time_axis));
    return length;
}

Tensor filled_in_front(const StateTensor& tensor, int64_t length, int64_t with) {
    const int64_t missing = length - tensor.value.size(tensor.time_axis);
    if (missing == 0) return tensor.value;
    std::vector<int64_t> sizes = tensor.value.sizes().vec();
    sizes[size_t(tensor.time_axis)] = missing;
    return at::cat({at::full(sizes, at::Scalar(with), tensor.value.options()), tensor.value}, tensor.time_axis);
}

// [B][length] marks of one state; `like`: a tensor of it with a time axis.
Tensor hidden_of(const State& state, const StateTensor& like, int64_t length) {
    if (const StateTensor* hidden = find_tensor(state, kHidden)) return filled_in_front(*hidden, length, 1);
    const int64_t own = like.value.size(like.time_axis), rows = like.value.size(like.batch_axis);
    const Tensor none = at::zeros({rows, own}, at::TensorOptions(at::kByte).device(like.value.device()));
    return filled_in_front({kHidden, none, 0, 1}, length, 1);
}

// Tensors of one node of several states. All reach back as far as the longest.
void join_tensors(const std::vector<const State*>& states, State& joined) {
    int64_t length = 0;
    bool hides = false;
    for (const State* each : states) {
        hides = hides || find_tensor(*each, kHidden) || (length > 0 && length_of(*each) != length);
        length = std::max(length, length_of(*each));
    }
    const StateTensor* timed = nullptr;
    for (const StateTensor& tensor : states.front()->tensors) {
        if (tensor.name == kHidden) continue;
        std::vector<Tensor> rows;
        for (const State* each : states) {
            const StateTensor* other = find_tensor(*each, tensor.name);
            if (!other) fail({.what = "state: '" + tensor.name + "' is missing in rows that are to be joined"});
            rows.push_back(tensor.time_axis >= 0 ? filled_in_front(*other, length, 0) : other->value);
        }
        joined.put(tensor.name, at::cat(rows, tensor.batch_axis), tensor.batch_axis, tensor.time_axis);
        if (tensor.time_axis >= 0) timed = &tensor;
    }
    if (!hides || !timed) return;
    std::vector<Tensor> marks;
    for (const State* each : states) marks.push_back(hidden_of(*each, *find_tensor(*each, timed->name), length));
    joined.put(kHidden, at::cat(marks, 0), 0, 1);
}

State join_nodes(const std::vector<const State*>& states) {
    State joined;
    join_tensors(states, joined);
    for (size_t part = 0; part < states.front()->parts.size(); ++part) {
        std::vector<const State*> parts;
        for (const State* each : states) {
            if (each->parts.size() != states.front()->parts.size())
                fail({.what = "state: rows that are to be joined come from other stacks"});
            parts.push_back(&each->parts[part]);
        }
        joined.parts.push_back(join_nodes(parts));
    }
    return joined;
}

// How many positions at the front are hidden from every row.
int64_t hidden_in_front(const Tensor& hidden_BS) {
    const Tensor seen = hidden_BS.eq(0).any(0).nonzero();
    return seen.numel() > 0 ? seen[0].item<int64_t>() : hidden_BS.size(1);
}

}  // namespace

State join_rows(const std::vector<State>& states) {
    if (states.size() == 1) return states.front();
    std::vector<const State*> list;
    for (const State& each : states) list.push_back(&each);
    return join_nodes(list);
}

State trimmed(const State& state) {
    State result = state;
    if (const StateTensor* hidden = find_tensor(state, kHidden)) {
        const int64_t front = hidden_in_front(hidden->value);
        const bool marks = hidden->value.slice(1, front).any().item<bool>();
        for (StateTensor& each : result.tensors)
            if (each.time_axis >= 0) each.value = each.value.slice(each.time_axis, front);
        if (!marks) std::erase_if(result.tensors, [](const StateTensor& each) { return each.name == kHidden; });
    }
    for (State& part : result.parts) part = trimmed(part);
    return result;
}

void copy_state(const Tensor& value, int64_t count, float* to) {
    if (!value.defined()) return std::fill_n(to, count, 0.0f), void();
    Tensor numbers = value.detach().to(at::kCPU, at::kFloat).contiguous();
    ops::check(numbers.numel() == count, "state",
               "expected one row of " + std::to_string(count) + ", got " + ops::shape_of(value));
    std::copy_n(numbers.data_ptr<float>(), count, to);
}

}  // namespace lithe
