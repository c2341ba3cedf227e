#include "lithe/objectives/predict.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "lithe/objectives/parts.h"
#include "lithe/ops/side_by_side.h"

namespace lithe {
namespace {

// Outputs of a batch's rows [rows][columns], on the host.
Tensor outputs_of(const LabelObjective& objective, const Models& models, const Batch& batch) {
    const at::Device device = models.main().device();
    const DeviceBatch whole = DeviceBatch::of(batch, device);
    const int64_t parts = natural_parts(batch.rows, at::get_num_threads(), device);
    std::vector<Tensor> outputs(static_cast<size_t>(parts));
    ops::side_by_side(parts, [&](int64_t part) {
        const at::NoGradGuard no_grad;  // is the thread's
        outputs[size_t(part)] = objective.outputs(models, rows_of(whole, part, parts), models.main().pass(false));
    });
    return at::cat(outputs).to(at::kCPU, at::kDouble).contiguous();
}

}  // namespace

std::vector<LabelObjective::Told> predict(const LabelObjective& objective, const Models& models,
                                          const TokenView& tokens, const PredictOptions& options) {
    const LabelledTexts texts = objective.texts(tokens, options.length);
    const std::vector<uint64_t> order = by_length(texts, texts.size());
    std::vector<LabelObjective::Told> told(order.size());
    Batch batch;
    for (size_t begin = 0; begin < order.size(); begin += size_t(options.batch)) {
        if (options.stop.stop_requested()) fail({.kind = ErrorKind::stopped, .what = "stopped while predicting"});
        const size_t end = std::min(order.size(), begin + size_t(options.batch));
        const std::vector<uint64_t> numbers(order.begin() + std::ptrdiff_t(begin), order.begin() + std::ptrdiff_t(end));
        texts.fill(numbers, batch);
        const Tensor outputs_BC = outputs_of(objective, models, batch);
        for (size_t row = 0; row < numbers.size(); ++row)
            told[numbers[row]] = objective.tell(outputs_BC.data_ptr<double>() + int64_t(row) * objective.columns());
        if (options.progress) options.progress(double(end) / double(order.size()));
    }
    return told;
}

}  // namespace lithe
