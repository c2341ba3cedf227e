// Updates of low rank in the store (nn/lora.h).
#include <algorithm>
#include <cmath>

#include "lithe/nn/parameters.h"

namespace lithe {

std::vector<std::string> ParameterStore::add_lora(const LoraOptions& options) {
    if (materialized()) fail({.what = "low-rank updates are added after the store was materialized"});
    std::set<std::string> unknown(options.paths.begin(), options.paths.end());
    const auto wanted = [&](const ParameterSpec& spec) {
        if (spec.role != Role::matrix || spec.shape.size() != 2) return false;
        if (options.paths.empty()) return stands_in_layers(spec.name);
        bool any = false;
        for (const std::string& path : options.paths) {
            if (!stands_under(spec.name, path)) continue;
            unknown.erase(path);
            any = true;
        }
        return any;
    };
    const size_t before = specs_.size();
    for (size_t i = 0; i < before; ++i) {
        if (!wanted(specs_[i])) continue;
        const ParameterSpec spec = specs_[i];
        const LoraNames names(spec.name);
        const int64_t rows = spec.shape[0], columns = spec.shape[1], rank = options.rank;
        LoraUpdate update{.matrix = i, .stacked = spec.stacked, .scale = options.alpha / double(rank)};
        update.up = add({names.up, {rows, rank}, Role::matrix, Init::constant(0), spec.stacked}).index();
        update.down = add({names.down,
                           {spec.stacked * rank, columns},
                           Role::matrix,
                           Init::uniform(1 / std::sqrt(double(columns))),
                           spec.stacked})
                          .index();
        frozen_[i] = true;
        lora_.push_back(update);
    }
    return {unknown.begin(), unknown.end()};
}

bool ParameterStore::has_lora(size_t index) const {
    return std::any_of(lora_.begin(), lora_.end(), [&](const LoraUpdate& each) { return each.matrix == index; });
}

void ParameterStore::refresh_lora() {
    const at::NoGradGuard no_grad;
    for (const LoraUpdate& each : lora_)
        working_[each.matrix].copy_(master_[each.matrix] +
                                    lora_product(master_[each.up], master_[each.down], each.stacked, each.scale));
}

// What the parts of the batch gave W' becomes gradients of its update.
void ParameterStore::collect_lora() {
    for (const LoraUpdate& each : lora_) {
        Tensor sum;
        const auto add = [&](const Tensor& leaf) {
            Tensor& from = leaf.mutable_grad();
            if (from.defined()) sum = sum.defined() ? sum + from : from.to(master_[each.matrix].scalar_type());
            from.reset();
        };
        add(working_[each.matrix]);
        for (const std::vector<Tensor>& leaves : more_leaves_) add(leaves[each.matrix]);
        if (!sum.defined()) continue;
        add_lora_gradients(sum, master_[each.up], master_[each.down], each.stacked, each.scale, gradient(each.up),
                           gradient(each.down));
        touched_[each.up] = touched_[each.down] = true;
    }
}

int64_t ParameterStore::count_with_lora() const {
    int64_t total = 0;
    for (const LoraUpdate& each : lora_) total += specs_[each.matrix].count();
    return total;
}

}  // namespace lithe
