#include "lithe/train/train_step.h"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <numeric>

#include "lithe/ops/side_by_side.h"
#include "lithe/train/parts.h"

namespace lithe {

int64_t batch_parts(const Config& config, int threads, at::Device device) {
    if (!device.is_cpu() || config.search.supernet) return 1;  // a search's choices are one leaf for all rows
    if (config.train.parts > 0) return std::min(config.train.parts, config.train.batch);
    return natural_parts(config.train.batch, threads, device);
}

TrainStep::TrainStep(LanguageModel& model, Optimizer& optimizer, int64_t accumulation, int64_t parts)
    : model_(model),
      optimizer_(optimizer),
      accumulation_(accumulation),
      carried_(size_t(parts)) {
    model.parameters().set_parts(parts);
}

void TrainStep::carry(const State& all_rows) {
    const auto parts = int64_t(carried_.size());
    if (parts == 1 || all_rows.empty()) return carried_.assign(carried_.size(), all_rows);
    int64_t rows = 0;
    all_rows.for_each([&](const std::string&, const StateTensor& each) { rows = each.value.size(each.batch_axis); });
    for (int64_t part = 0; part < parts; ++part) {
        const RowRange range = range_of_part(part, parts, rows);
        carried_[size_t(part)] = all_rows.select_rows(at::arange(range.first, range.end, at::kLong));
    }
}

// Returns the summed loss. `tokens`: that are scored in the whole micro-batch; `share`: of its rows that are here.
double TrainStep::part(const Tensor& ids_TB, const Tensor& targets_TB, const Context& context, State& carried,
                       double tokens, double share) {
    auto out = model_.loss(ids_TB, targets_TB, carried, context);
    Tensor total = out.sum * (1 / (tokens * double(accumulation_)));
    for (const auto& [name, loss] : out.aux.losses) total = total + loss * (share / double(accumulation_));
    torch::autograd::backward({total}, {});
    carried = out.state.detach();
    return out.sum.item<double>();
}

double TrainStep::micro_batch(const Tensor& ids_TB, const Tensor& targets_TB, int64_t index, uint64_t dropout_key,
                              const Tensor& flags_TB) {
    Context whole = model_.context(true);
    whole.dropout_key = combine_key(dropout_key, uint64_t(index));
    whole.layers = model_.draw_layers(optimizer_.updates(),
                                      model_.layer_drop().draw == "update" ? dropout_key : whole.dropout_key);
    const bool every_target = !flags_TB.defined() && !model_.sparse_targets();
    const auto tokens =
        every_target ? double(targets_TB.numel()) : std::max(1.0, targets_TB.ge(0).sum().item<double>());
    const auto parts = int64_t(carried_.size());
    std::vector<double> sums(carried_.size());
    auto run = [&](int64_t part) {
        const PartScope leaves(part);
        Context context = whole;
        context.flags_TB = rows_of(flags_TB, part, parts);
        if (part > 0) context.dropout_key = combine_key(combine_key(whole.dropout_key, "part"), uint64_t(part));
        const Tensor ids = rows_of(ids_TB, part, parts);
        sums[size_t(part)] = this->part(ids, rows_of(targets_TB, part, parts), context, carried_[size_t(part)], tokens,
                                        double(ids.size(1)) / double(ids_TB.size(1)));
    };
    ops::side_by_side(parts, run);
    model_.parameters().collect_gradients(index == 0);
    return std::accumulate(sums.begin(), sums.end(), 0.0) / tokens;
}

}  // namespace lithe
