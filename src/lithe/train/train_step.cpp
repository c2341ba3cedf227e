#include "lithe/train/train_step.h"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <numeric>

#include "lithe/base/log.h"
#include "lithe/ops/side_by_side.h"
#include "lithe/train/parts.h"

namespace lithe {

int64_t batch_parts(const Config& config, int threads, at::Device device) {
    if (!device.is_cpu() || config.search.supernet) return 1;  // a search's choices are one leaf for all rows
    if (config.train.parts > 0) return std::min(config.train.parts, config.train.batch);
    return natural_parts(config.train.batch, threads, device);
}

TrainStep::TrainStep(LanguageModel& model, Optimizer& optimizer, int64_t accumulation, int64_t parts, bool graphs)
    : model_(model),
      optimizer_(optimizer),
      accumulation_(accumulation),
      carried_(size_t(parts)),
      records_(graphs && accumulation == 1 && model.device().is_cuda() && model.steady_work() &&
               ops::Graph::possible()) {
    model.parameters().set_parts(parts);
}

void TrainStep::take_back() {
    if (graph_ && graph_->owns(carried_.front())) graph_->take_back();
    else carried_ = before_;
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

// Returns the summed loss, there when the device is. `tokens`: that are scored in the whole micro-batch; `share`: of
// its rows that are here.
Tensor TrainStep::part(const Tensor& ids_TB, const Tensor& targets_TB, const Context& context, State& carried,
                       double tokens, double share) {
    auto out = model_.loss(ids_TB, targets_TB, carried, context);
    Tensor total = out.sum * (1 / (tokens * double(accumulation_)));
    for (const auto& [name, loss] : out.aux.losses) total = total + loss * (share / double(accumulation_));
    torch::autograd::backward({total}, {});
    carried = out.state.detach();
    return out.sum.detach();
}

// The key of a GPU's masks is a number on the GPU, played or not: a run that goes on draws what the unbroken one drew.
static Tensor salt_of(uint64_t key, at::Device device) {
    return at::full({}, int64_t(key), at::TensorOptions(at::kLong).device(device));
}

double TrainStep::play(const Tensor& ids_TB, const Tensor& targets_TB, uint64_t dropout_key) {
    return graph_->play(ids_TB, targets_TB, dropout_key, carried_.front()) / double(targets_TB.numel());
}

void TrainStep::consider_recording(const Tensor& ids_TB, const Tensor& targets_TB, const State& before) {
    constexpr int64_t kWarmUp = 2;  // libraries make their workspaces
    steady_ = same_shapes(before, carried_.front()) ? steady_ + 1 : 0;
    if (graph_ || steady_ < kWarmUp) return;
    const auto tokens = double(targets_TB.numel());
    try {
        graph_ = std::make_unique<StepGraph>(
            ids_TB, targets_TB, carried_.front(),
            [&](const Tensor& ids, const Tensor& targets, const Tensor& salt, State& state) {
                Context context = model_.context(true);
                context.dropout_salt = salt;
                const Tensor sum = part(ids, targets, context, state, tokens, 1);
                model_.parameters().collect_gradients(true);
                return sum;
            });
    } catch (const std::exception& error) {
        log_verbose("steps are not recorded on this GPU: " + std::string(error.what()));
        model_.parameters().drop_gradients();
        records_ = false;
    }
}

double TrainStep::micro_batch(const Tensor& ids_TB, const Tensor& targets_TB, int64_t index, uint64_t dropout_key,
                              const Tensor& flags_TB) {
    const bool records = records_ && !flags_TB.defined();
    if (records && graph_ && graph_->fits(ids_TB, carried_.front())) return play(ids_TB, targets_TB, dropout_key);
    const State before = records ? carried_.front() : State();
    Context whole = model_.context(true);
    if (ids_TB.is_cuda()) whole.dropout_salt = salt_of(dropout_key, ids_TB.device());
    else whole.dropout_key = dropout_key;
    const int64_t rows = ids_TB.size(1);
    whole.first_row = index * rows;
    const bool per_update = model_.layer_drop().draw == "update";
    whole.layers =
        model_.draw_layers(optimizer_.updates(), per_update ? dropout_key : combine_key(dropout_key, uint64_t(index)));
    const bool every_target = !flags_TB.defined() && !model_.sparse_targets();
    const auto tokens =
        every_target ? double(targets_TB.numel()) : std::max(1.0, targets_TB.ge(0).sum().item<double>());
    const auto parts = int64_t(carried_.size());
    std::vector<double> sums(carried_.size());
    auto run = [&](int64_t part) {
        const PartScope leaves(part);
        Context context = whole;
        context.flags_TB = rows_of(flags_TB, part, parts);
        context.first_row += range_of_part(part, parts, rows).first;
        const Tensor ids = rows_of(ids_TB, part, parts);
        sums[size_t(part)] = this->part(ids, rows_of(targets_TB, part, parts), context, carried_[size_t(part)], tokens,
                                        double(ids.size(1)) / double(rows))
                                 .item<double>();
    };
    ops::side_by_side(parts, run);
    model_.parameters().collect_gradients(index == 0);
    if (records) consider_recording(ids_TB, targets_TB, before);
    return std::accumulate(sums.begin(), sums.end(), 0.0) / tokens;
}

}  // namespace lithe
