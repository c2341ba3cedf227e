#include "lithe/train/step_runner.h"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>

#include "lithe/base/log.h"
#include "lithe/objectives/parts.h"
#include "lithe/ops/side_by_side.h"

namespace lithe {

int64_t batch_parts(const Config& config, int threads, at::Device device) {
    if (!device.is_cpu() || config.search.supernet) return 1;  // a search's choices are one leaf for all rows
    if (config.train.parts > 0) return std::min(config.train.parts, config.train.batch);
    return natural_parts(config.train.batch, threads, device);
}

bool Update::finite() const { return std::isfinite(loss) && std::isfinite(gradient_norm); }

void Update::add(const Update& other) {
    loss += other.loss;
    for (const auto& [term, value] : other.terms) terms[term] += value;
    for (const auto& [name, metric] : other.metrics) metrics[name].add(metric);
}

void MetricMean::add(const std::vector<double>& values, double of) {
    sums.resize(values.size());
    for (size_t i = 0; i < values.size(); ++i) sums[i] += values[i] * of;
    positions += of;
}

void MetricMean::add(const MetricMean& other) {
    sums.resize(other.sums.size());
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += other.sums[i];
    positions += other.positions;
}

std::vector<double> MetricMean::mean() const {
    std::vector<double> values = sums;
    for (double& value : values) value /= std::max(1.0, positions);
    return values;
}

double StepRunner::Totals::of(const std::string& term) const {
    const auto found = by_term.find(term);
    return std::max(1.0, found != by_term.end() ? found->second : positions);
}

StepRunner::StepRunner(const Objective& objective, const Models& models, Optimizer& optimizer, const Options& options)
    : objective_(objective),
      models_(models),
      store_(models.main().parameters()),
      optimizer_(optimizer),
      carried_(size_t(options.parts)),
      records_(options.graphs && models.main().device().is_cuda() && objective.steady_work(models) &&
               ops::Graph::possible()) {
    store_.set_parts(options.parts);
}

void StepRunner::carry(const State& all_rows) {
    const auto parts = int64_t(carried_.size());
    if (parts == 1 || all_rows.empty()) return carried_.assign(carried_.size(), all_rows);
    int64_t rows = 0;
    all_rows.for_each([&](const std::string&, const StateTensor& each) { rows = each.value.size(each.batch_axis); });
    for (int64_t part = 0; part < parts; ++part) {
        const RowRange range = range_of_part(part, parts, rows);
        carried_[size_t(part)] = all_rows.select_rows(at::arange(range.first, range.end, at::kLong));
    }
}

void StepRunner::take_back(const std::vector<State>& before) {
    if (graph_ && graph_->owns(carried_.front())) graph_->take_back();
    else carried_ = before;
}

StepRunner::Totals StepRunner::count(const std::vector<Batch>& micro_batches) const {
    Totals totals;
    for (const Batch& batch : micro_batches) {
        for (const auto& [term, weight] : objective_.weights(batch)) totals.by_term[term] += weight;
        totals.positions += double(batch.length * batch.rows);
    }
    return totals;
}

// The loss of some rows as part of the update's, from which the backward pass starts.
Tensor StepRunner::backward(const LossOutput& out, const Totals& totals) const {
    Tensor loss;
    for (const LossTerm& term : out.terms) {
        const Tensor share = term.sum * (term.coefficient / totals.of(term.name));
        loss = loss.defined() ? loss + share : share;
    }
    torch::autograd::backward({loss}, {});
    return loss.detach();
}

Update StepRunner::part(const DeviceBatch& batch, State& carried, const Totals& totals, const DrawKeys& keys) {
    const LossOutput out = objective_.loss(models_, batch, carried, true, keys);
    Update update;
    update.loss = backward(out, totals).item<double>();
    // then its number is there already
    const bool only = out.terms.size() == 1 && out.terms[0].coefficient != 0;
    for (const LossTerm& term : out.terms)  // of several blocks under one name
        update.terms[term.name] +=
            only ? update.loss / term.coefficient : term.sum.item<double>() / totals.of(term.name);
    for (const auto& [name, metric] : out.metrics) {
        const Tensor values = metric.detach().to(at::kCPU, at::kDouble).flatten().contiguous();
        update.metrics[name].add({values.data_ptr<double>(), values.data_ptr<double>() + values.numel()},
                                 double(batch.positions()));
    }
    carried = out.state.detach();
    return update;
}

// The key of a GPU's masks is a number on the GPU, played or not: a run that goes on draws what the unbroken one drew.
static Tensor salt_of(uint64_t key, at::Device device) {
    return at::full({}, int64_t(key), at::TensorOptions(at::kLong).device(device));
}

void StepRunner::consider_recording(const DeviceBatch& batch, const Totals& totals, const State& before) {
    constexpr int64_t kWarmUp = 2;  // libraries make their workspaces
    steady_ = same_shapes(before, carried_.front()) ? steady_ + 1 : 0;
    if (graph_ || steady_ < kWarmUp) return;
    try {
        graph_ = std::make_unique<StepGraph>(
            batch.ids_TB, batch.targets_TB, carried_.front(),
            [&](const Tensor& ids, const Tensor& targets, const Tensor& salt, State& state) {
                const LossOutput out =
                    objective_.loss(models_, {.ids_TB = ids, .targets_TB = targets}, state, true, {.salt = salt});
                const Tensor loss = backward(out, totals);
                state = out.state.detach();
                store_.collect_gradients(true);
                return loss;
            });
    } catch (const std::exception& error) {
        log_verbose("steps are not recorded on this GPU: " + std::string(error.what()));
        store_.drop_gradients();
        records_ = false;
    }
}

Update StepRunner::micro_batch(const DeviceBatch& batch, const Totals& totals, const DrawKeys& keys) {
    const int64_t parts = std::min<int64_t>(int64_t(carried_.size()), batch.rows());  // a short batch has fewer
    std::vector<Update> done(static_cast<size_t>(parts));
    ops::side_by_side(parts, [&](int64_t number) {
        const PartScope leaves(number);
        DrawKeys own = keys;
        own.first_row += range_of_part(number, parts, batch.rows()).first;
        done[size_t(number)] = part(rows_of(batch, number, parts), carried_[size_t(number)], totals, own);
    });
    store_.collect_gradients(keys.micro_batch == 0);
    for (size_t i = 1; i < done.size(); ++i) done[0].add(done[i]);
    return done[0];
}

bool StepRunner::may_record(const std::vector<Batch>& micro_batches) const {
    return records_ && micro_batches.size() == 1 && micro_batches[0].flags.empty();
}

Update StepRunner::accumulate(const std::vector<Batch>& micro_batches, uint64_t key) {
    const Totals totals = count(micro_batches);
    const at::Device device = models_.main().device();
    DrawKeys keys{.update = key, .rows = key, .updates = optimizer_.updates()};
    if (device.is_cuda()) {
        keys.rows = 0;
        keys.salt = salt_of(key, device);
    }
    Update update;
    for (const Batch& each : micro_batches) {
        if (each.begins) forget();
        const DeviceBatch batch = DeviceBatch::of(each, device);
        const bool records = may_record(micro_batches);
        if (records && graph_ && graph_->fits(batch.ids_TB, carried_.front())) {
            update.loss = graph_->play(batch.ids_TB, batch.targets_TB, key, carried_.front());
            return update;
        }
        const State before = records ? carried_.front() : State();
        update.add(micro_batch(batch, totals, keys));
        if (records) consider_recording(batch, totals, before);
        ++keys.micro_batch;
        keys.first_row += each.rows;
    }
    return update;
}

Update StepRunner::run(const std::vector<Batch>& micro_batches, uint64_t key, double learning_rate) {
    const std::vector<State> before = carried_;
    Update update = accumulate(micro_batches, key);
    update.gradient_norm = optimizer_.gradient_norm();
    if (update.finite()) optimizer_.step(learning_rate, update.gradient_norm);
    else take_back(before);
    return update;
}

}  // namespace lithe
