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

int64_t row_size(const ParameterSpec& spec) {
    return spec.shape.empty() ? 1 : spec.count() / std::max<int64_t>(1, spec.shape[0]);
}

template <class T> void fill(T* data, const ParameterSpec& spec, uint64_t key, int64_t begin, int64_t end) {
    const Init& init = spec.init;
    const int64_t row = row_size(spec);
    for (int64_t i = begin; i < end; ++i) {
        double value = init.value;
        if (init.kind == Init::Kind::uniform) value = init.value * (2 * random_unit(key, uint64_t(i)) - 1);
        if (init.kind == Init::Kind::drawn) value = init.of_unit(random_unit(key, uint64_t(i)));
        if (init.kind == Init::Kind::rows) value = init.row_values[size_t(i / row)];
        if (init.kind == Init::Kind::normal || init.kind == Init::Kind::orthogonal) {  // Box-Muller
            double radius = std::sqrt(-2 * std::log(1 - random_unit(key, 2 * uint64_t(i))));
            value = init.value * radius * std::cos(2 * std::numbers::pi * random_unit(key, 2 * uint64_t(i) + 1));
        }
        data[i] = T(value);
    }
}

uint64_t key_of(const ParameterSpec& spec, uint64_t seed) { return combine_key(combine_key(seed, "init"), spec.name); }

// Numbers [begin, end) of a parameter, which begins at `at` of a tensor in memory.
void draw(const Tensor& into, int64_t at, const ParameterSpec& spec, uint64_t seed, int64_t begin, int64_t end) {
    if (into.scalar_type() == at::kDouble)
        return fill(into.data_ptr<double>() + at, spec, key_of(spec, seed), begin, end);
    fill(into.data_ptr<float>() + at, spec, key_of(spec, seed), begin, end);
}

// Normal numbers become a matrix whose rows, or columns if they are fewer, are orthogonal and of length `gain`.
void make_orthogonal(const Tensor& normal, double gain) {
    const bool wide = normal.size(0) < normal.size(1);
    const Tensor numbers = normal.to(at::kDouble);
    const auto [q, r] = at::linalg_qr(wide ? numbers.t() : numbers);
    const Tensor drawn = q * r.diagonal().sign() * gain;  // so that every orthogonal matrix is as likely
    normal.copy_(wide ? drawn.t() : drawn);
}

}  // namespace

bool stands_under(const std::string& name, const std::string& path) {
    return name.rfind(path, 0) == 0 && (name.size() == path.size() || name[path.size()] == '.');
}

const char* role_name(Role role) {
    switch (role) {
        case Role::matrix: return "matrix";
        case Role::head: return "head";
        case Role::embedding: return "embedding";
        case Role::table: return "table";
        case Role::vector: return "vector";
        case Role::bias: return "bias";
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
int64_t PartScope::current() { return current_part; }

const Tensor& Parameter::tensor() const { return store_->leaf(index_); }
const CodedTable* Parameter::coded() const { return store_->coded(index_); }

const Tensor& ParameterStore::leaf(size_t index) const {
    return current_part == 0 ? working_[index] : more_leaves_[size_t(current_part - 1)][index];
}

void ParameterStore::set_parts(int64_t parts) {
    more_leaves_.clear();
    for (int64_t part = 1; part < parts; ++part) {
        std::vector<Tensor>& leaves = more_leaves_.emplace_back();
        for (const Tensor& each : working_)
            leaves.push_back(each.requires_grad() ? each.detach().set_requires_grad(true) : each);
    }
}

Parameter ParameterStore::add(ParameterSpec spec) {
    spec.name = scope_ + spec.name;
    if (!names_.insert(spec.name).second) fail({.what = "two parameters are called '" + spec.name + "'"});
    if (materialized()) fail({.what = "parameter '" + spec.name + "' is added after the store was materialized"});
    specs_.push_back(std::move(spec));
    if (specs_.back().role == Role::table) tables_.push_back(specs_.size() - 1);
    frozen_.push_back(false);
    coded_.emplace_back();
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

std::vector<std::string> ParameterStore::freeze(const std::vector<std::string>& paths, bool biases) {
    if (materialized()) fail({.what = "parameters are frozen after the store was materialized"});
    std::vector<std::string> unknown;
    for (const std::string& path : paths) {
        bool any = false;
        for (size_t i = 0; i < specs_.size(); ++i) {
            if (!stands_under(specs_[i].name, path)) continue;
            if (biases || specs_[i].role != Role::bias) frozen_[i] = true;
            any = true;
        }
        if (!any) unknown.push_back(path);
    }
    return unknown;
}

bool ParameterStore::all_frozen() const { return std::find(frozen_.begin(), frozen_.end(), false) == frozen_.end(); }

void ParameterStore::lay_out() {
    offsets_.clear();
    flat_size_ = 0;
    for (size_t i = 0; i < specs_.size(); ++i) {
        offsets_.push_back(flat_size_);
        if (flat(i)) flat_size_ += (specs_[i].count() + kAlignment - 1) / kAlignment * kAlignment;
    }
}

bool ParameterStore::has_copy(size_t index) const {
    return has_copies_ && specs_[index].shape.size() == 2 && !is_vector(specs_[index].role) &&
           specs_[index].role != Role::table;
}

void ParameterStore::materialize(at::ScalarType master, at::ScalarType working, at::Device device,
                                 std::optional<uint64_t> seed) {
    lay_out();
    master_flat_ = at::zeros({flat_size_}, at::TensorOptions(master));
    std::vector<Tensor> own(specs_.size());  // outside the flat buffer
    for (size_t i = 0; i < specs_.size(); ++i) {
        if (coded_[i]) continue;
        Tensor into = master_flat_;
        if (!flat(i)) into = own[i] = at::zeros(specs_[i].shape, at::TensorOptions(master));
        if (!seed) continue;
        const int64_t at = own[i].defined() ? 0 : offsets_[i];
        parallel_for(specs_[i].count(), kGrain,
                     [&](int64_t begin, int64_t end) { draw(into, at, specs_[i], *seed, begin, end); });
        if (specs_[i].init.kind == Init::Kind::orthogonal)
            make_orthogonal(into.flatten().narrow(0, at, specs_[i].count()).view(specs_[i].shape),
                            specs_[i].init.value);
    }
    master_flat_ = master_flat_.to(device);
    has_copies_ = working != master;
    if (has_copies_) working_flat_ = master_flat_.to(working);
    master_.clear();
    working_.clear();
    table_gradients_.assign(tables_.size(), Tensor());
    own_rows_.assign(tables_.size(), Tensor());
    for (size_t table = 0; seed && table < tables_.size(); ++table)
        own_rows_[table] = at::zeros({specs_[tables_[table]].shape[0]}, at::TensorOptions(at::kByte).device(device));
    for (size_t i = 0; i < specs_.size(); ++i) {
        if (coded_[i]) {
            master_.emplace_back();
            working_.emplace_back();
            continue;
        }
        if (own[i].defined()) {
            master_.push_back(own[i].to(device));
            Tensor used = has_copy(i) ? master_[i].to(working) : master_[i].detach();
            if (has_lora(i) && !has_copy(i)) used = used.clone();
            working_.push_back(used.set_requires_grad(takes_gradient(i)));
            continue;
        }
        master_.push_back(master_view(master_flat_, i));
        Tensor leaf = has_copy(i) ? master_view(working_flat_, i) : master_view(master_flat_, i);
        working_.push_back(leaf.detach().set_requires_grad(true));
    }
    refresh_lora();
}

RowSet ParameterStore::own_rows(size_t table) const {
    const int64_t rows = specs_[tables_[table]].shape[0];
    if (!own_rows_[table].defined()) return RowSet::all(rows);
    return RowSet::of_flags(own_rows_[table].cpu().data_ptr<uint8_t>(), rows);
}

void ParameterStore::set_own_rows(size_t table, const RowSet& rows) {
    Tensor flags = at::zeros({rows.rows()}, at::kByte);
    for (const int64_t row : rows.list()) flags.data_ptr<uint8_t>()[row] = 1;
    own_rows_[table] = flags.to(master_[tables_[table]].device());
}

void ParameterStore::mark_own_rows(size_t table, const Tensor& rows) {
    Tensor& flags = own_rows_[table];
    if (!flags.defined()) return;
    if (flags.is_cuda()) return flags.index_fill_(0, rows, 1), void();
    for (int64_t i = 0; i < rows.numel(); ++i) flags.data_ptr<uint8_t>()[rows.data_ptr<int64_t>()[i]] = 1;
}

Tensor ParameterStore::drawn_first_row(size_t table, uint64_t seed) const {
    const size_t index = tables_[table];
    const int64_t width = row_size(specs_[index]);
    const Tensor drawn = at::empty({width}, at::TensorOptions(master_[index].scalar_type()));
    draw(drawn, 0, specs_[index], seed, 0, width);
    return drawn;
}

void ParameterStore::draw_other_rows(size_t table, const RowSet& own, uint64_t seed) {
    const size_t index = tables_[table];
    const Tensor drawn = master_[index].cpu();
    const int64_t width = row_size(specs_[index]);
    parallel_for(own.rows(), std::max<int64_t>(1, kGrain / std::max<int64_t>(1, width)),
                 [&](int64_t begin, int64_t end) {
                     for (int64_t row = begin; row < end; ++row)
                         if (own.rank(row) < 0) draw(drawn, 0, specs_[index], seed, row * width, (row + 1) * width);
                 });
    const at::NoGradGuard no_grad;
    if (master_[index].is_cuda()) master_[index].copy_(drawn);
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
        empty = false;
        touched_[index] = true;
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
            if (flat(i)) collect(i, first);
        collect_lora();
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
    if (has_copies_) working_flat_.copy_(master_flat_);
    for (size_t i = 0; has_copies_ && i < specs_.size(); ++i)
        if (frozen_[i] && has_copy(i) && !has_lora(i)) working_[i].copy_(master_[i]);
    refresh_lora();
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

int64_t ParameterStore::count_coded() const {
    int64_t total = 0;
    for (size_t i : tables_)
        if (coded_[i]) total += specs_[i].count();
    return total;
}

int64_t ParameterStore::count_in_tables() const {
    int64_t total = 0;
    for (const ParameterSpec& spec : specs_)
        if (spec.role == Role::table) total += spec.count();
    return total;
}

int64_t ParameterStore::count_trained() const {
    int64_t total = 0;
    for (size_t i = 0; i < specs_.size(); ++i)
        if (!frozen_[i]) total += specs_[i].count();
    return total;
}

int64_t ParameterStore::count_in_flat() const {
    int64_t total = 0;
    for (size_t i = 0; i < specs_.size(); ++i)
        if (flat(i)) total += specs_[i].count();
    return total;
}

}  // namespace lithe
