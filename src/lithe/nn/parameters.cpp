#include "lithe/nn/parameters.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "lithe/base/parallel.h"
#include "lithe/base/rng.h"
#include "lithe/ops/profile.h"
#include "lithe/ops/side_by_side.h"

namespace lithe {
namespace {

thread_local int64_t current_part = 0;

constexpr int64_t kGrain = 1 << 14;  // numbers that a thread draws at least
constexpr int64_t kAlignment = 32;   // numbers: parameters start at cache lines, also in bf16

template <class T> void fill(T* data, const ParameterSpec& spec, uint64_t key) {
    const Init& init = spec.init;
    const int64_t count = spec.count();
    const int64_t row = spec.shape.empty() ? 1 : count / std::max<int64_t>(1, spec.shape[0]);
    parallel_for(count, kGrain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            double value = init.value;
            if (init.kind == Init::Kind::uniform) value = init.value * (2 * random_unit(key, uint64_t(i)) - 1);
            if (init.kind == Init::Kind::rows) value = init.row_values[size_t(i / row)];
            if (init.kind == Init::Kind::normal) {  // Box-Muller
                double radius = std::sqrt(-2 * std::log(1 - random_unit(key, 2 * uint64_t(i))));
                value = init.value * radius * std::cos(2 * std::numbers::pi * random_unit(key, 2 * uint64_t(i) + 1));
            }
            data[i] = T(value);
        }
    });
}

}  // namespace

const char* role_name(Role role) {
    switch (role) {
        case Role::matrix: return "matrix";
        case Role::head: return "head";
        case Role::embedding: return "embedding";
        case Role::table: return "table";
        case Role::vector: return "vector";
        default: return "scalar";
    }
}

Init Init::xavier(int64_t fan_in, int64_t fan_out, double scale) {
    return uniform(scale * std::sqrt(6.0 / double(fan_in + fan_out)));
}

int64_t ParameterSpec::count() const {
    int64_t count = 1;
    for (int64_t size : shape) count *= size;
    return count;
}

PartScope::PartScope(int64_t part) : before_(current_part) { current_part = part; }
PartScope::~PartScope() { current_part = before_; }

const Tensor& Parameter::tensor() const { return store_->leaf(index_); }

const Tensor& ParameterStore::leaf(size_t index) const {
    return current_part == 0 ? working_[index] : more_leaves_[size_t(current_part - 1)][index];
}

void ParameterStore::set_parts(int64_t parts) {
    more_leaves_.clear();
    for (int64_t part = 1; part < parts; ++part) {
        std::vector<Tensor>& leaves = more_leaves_.emplace_back();
        for (const Tensor& each : working_) leaves.push_back(each.detach().set_requires_grad(true));
    }
}

Parameter ParameterStore::add(ParameterSpec spec) {
    spec.name = scope_ + spec.name;
    if (!names_.insert(spec.name).second) fail({.what = "two parameters are called '" + spec.name + "'"});
    if (materialized()) fail({.what = "parameter '" + spec.name + "' is added after the store was materialized"});
    offsets_.push_back(flat_size_);
    if (spec.role == Role::table) tables_.push_back(specs_.size());
    else flat_size_ += (spec.count() + kAlignment - 1) / kAlignment * kAlignment;
    specs_.push_back(std::move(spec));
    return Parameter(this, specs_.size() - 1);
}

Parameter ParameterStore::add_shared(ParameterSpec spec, bool share) {
    for (size_t i = 0; share && i < specs_.size(); ++i) {
        if (specs_[i].name != scope_ + spec.name) continue;
        if (specs_[i].shape != spec.shape) fail({.what = "the shared parameter '" + spec.name + "' has two shapes"});
        return Parameter(this, i);
    }
    return add(std::move(spec));
}

bool ParameterStore::has_copy(size_t index) const {
    return working_flat_.defined() && specs_[index].shape.size() == 2 && specs_[index].role != Role::vector &&
           specs_[index].role != Role::table;
}

void ParameterStore::materialize(at::ScalarType master, at::ScalarType working, at::Device device,
                                 std::optional<uint64_t> seed) {
    master_flat_ = at::zeros({flat_size_}, at::TensorOptions(master));
    std::vector<Tensor> own(specs_.size());  // tables
    for (size_t i = 0; i < specs_.size(); ++i) {
        Tensor into = master_flat_;
        if (specs_[i].role == Role::table) into = own[i] = at::zeros(specs_[i].shape, at::TensorOptions(master));
        if (!seed) continue;
        const uint64_t key = combine_key(combine_key(*seed, "init"), specs_[i].name);
        const int64_t at = own[i].defined() ? 0 : offsets_[i];
        if (master == at::kDouble) fill(into.data_ptr<double>() + at, specs_[i], key);
        else fill(into.data_ptr<float>() + at, specs_[i], key);
    }
    master_flat_ = master_flat_.to(device);
    if (working != master) working_flat_ = master_flat_.to(working);
    master_.clear();
    working_.clear();
    table_gradients_.assign(tables_.size(), Tensor());
    for (size_t i = 0; i < specs_.size(); ++i) {
        if (own[i].defined()) {
            master_.push_back(own[i].to(device));
            working_.push_back(master_[i].detach().set_requires_grad(true));
            continue;
        }
        master_.push_back(master_view(master_flat_, i));
        Tensor leaf = has_copy(i) ? master_view(working_flat_, i) : master_view(master_flat_, i);
        working_.push_back(leaf.detach().set_requires_grad(true));
    }
}

Tensor ParameterStore::master_view(const Tensor& flat, size_t index) const {
    return flat.narrow(0, offsets_[index], specs_[index].count()).view(specs_[index].shape);
}

Tensor ParameterStore::gradient(size_t index) const { return master_view(gradient_flat_, index); }

void ParameterStore::collect_tables(std::vector<Tensor>& leaves, bool first) {
    for (size_t table = 0; table < tables_.size(); ++table) {
        Tensor &from = leaves[tables_[table]].mutable_grad(), &to = table_gradients_[table];
        if (from.defined() && !first && to.defined())
            to = at::_sparse_coo_tensor_unsafe(at::cat({to._indices(), from._indices()}, 1),
                                               at::cat({to._values(), from._values()}), from.sizes());
        else if (from.defined()) to = from;
        else if (first) to.reset();
        from.reset();
    }
}

void ParameterStore::collect(size_t index, bool first) {
    Tensor to = gradient(index);
    bool empty = first;
    auto add = [&](std::vector<Tensor>& leaves) {
        Tensor& from = leaves[index].mutable_grad();
        if (!from.defined()) return;
        if (empty) to.copy_(from);
        else to.add_(from);
        empty = false, touched_[index] = true;
        from.reset();
    };
    add(working_);
    for (std::vector<Tensor>& leaves : more_leaves_) add(leaves);
    if (empty) to.zero_();
}

void ParameterStore::drop_gradients() {
    for (const Tensor& leaf : working_) leaf.mutable_grad().reset();
    for (const std::vector<Tensor>& leaves : more_leaves_)
        for (const Tensor& leaf : leaves) leaf.mutable_grad().reset();
}

void ParameterStore::collect_gradients(bool first) {
    ops::ProfileScope scope("lithe::gradients");
    if (!gradient_flat_.defined()) gradient_flat_ = at::zeros_like(master_flat_);
    if (first) touched_.assign(specs_.size(), false);
    auto dense = [&] {
        const at::NoGradGuard no_grad;
        for (size_t i = 0; i < specs_.size(); ++i)
            if (specs_[i].role != Role::table) collect(i, first);
    };
    auto tables = [&] {
        const at::NoGradGuard no_grad;
        collect_tables(working_, first);
        for (std::vector<Tensor>& leaves : more_leaves_) collect_tables(leaves, false);
    };
    if (tables_.empty() || master_flat_.is_cuda()) return dense(), tables();
    ops::side_by_side(2, [&](int64_t piece) { piece == 0 ? dense() : tables(); });
}

void ParameterStore::exchange(Tensor& flat) {
    at::NoGradGuard no_grad;
    const Tensor before = master_flat_.clone();
    master_flat_.copy_(flat);
    flat.copy_(before);
    refresh_working();
}

void ParameterStore::refresh_working() {
    at::NoGradGuard no_grad;
    if (working_flat_.defined()) working_flat_.copy_(master_flat_);
}

int64_t ParameterStore::count() const {
    int64_t total = 0;
    for (const ParameterSpec& spec : specs_) total += spec.count();
    return total;
}

int64_t ParameterStore::count_without_embeddings() const {
    int64_t total = 0;
    for (const ParameterSpec& spec : specs_)
        if (spec.role != Role::embedding && spec.role != Role::table) total += spec.count();
    return total;
}

int64_t ParameterStore::count_in_tables() const {
    int64_t total = 0;
    for (size_t i : tables_) total += specs_[i].count();
    return total;
}

}  // namespace lithe
