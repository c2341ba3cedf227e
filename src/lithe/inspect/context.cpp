#include "lithe/inspect/context.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "lithe/base/error.h"
#include "lithe/base/rng.h"
#include "lithe/inspect/windows.h"

namespace lithe {
namespace {

constexpr double kLeastGain = 0.01;
constexpr int64_t kLogits = int64_t(1) << 26;  // numbers of a batch's logits at most

int64_t rows_at_once(const LanguageModel& model, int64_t length) {
    return std::clamp<int64_t>(kLogits / std::max<int64_t>(1, length * model.vocabulary_size()), 1, 64);
}

void tell(const ContextOptions& options, double done) {
    if (options.stop.stop_requested()) fail({.kind = ErrorKind::stopped, .what = "stopped while looking at contexts"});
    if (options.progress) options.progress(done);
}

// Losses [T - 1][B] of tokens 1 to T - 1.
Tensor losses_of(const LanguageModel& model, const Tensor& ids_TB) {
    Pass pass = model.pass(false);
    pass.memory = 0;
    const int64_t steps = ids_TB.size(0) - 1;
    const Tensor logits = model.forward(ids_TB.narrow(0, 0, steps), {}, pass).logits_TBV.to(at::kFloat);
    const Tensor targets = ids_TB.narrow(0, 1, steps).unsqueeze(2);
    return (logits.logsumexp(2, true) - logits.gather(2, targets)).squeeze(2);
}

}  // namespace

std::vector<double> changes_by_distance(const LanguageModel& model, const TokenView& text,
                                        const ContextOptions& options) {
    const at::NoGradGuard no_grad;
    const int64_t length = options.longest + 1, rows = std::max<int64_t>(1, options.positions / 4);
    const Tensor ids_TB = windows(text, length, rows);
    const int64_t changed = options.longest - options.longest / 2 - 1, distances = options.longest - changed;
    Tensor sums = at::zeros({distances}, at::kDouble);
    const int64_t batch = rows_at_once(model, length);
    for (int64_t begin = 0; begin < rows; begin += batch) {
        const Tensor plain = ids_TB.narrow(1, begin, std::min(batch, rows - begin));
        Tensor other = plain.clone();
        for (int64_t row = 0; row < plain.size(1); ++row) {
            // of another window and another place, so that it is a token of the text's own
            const uint64_t key = uint64_t(begin + row);
            const auto from = int64_t(random_unit(key, 0) * double(rows));
            const auto at = int64_t(random_unit(key, 1) * double(length));
            other[changed][row].copy_(ids_TB[at][from]);
        }
        const Tensor change = (losses_of(model, other) - losses_of(model, plain)).abs();
        sums += change.narrow(0, changed, distances).sum(1, false, at::kDouble);
        tell(options, double(begin + plain.size(1)) / double(rows));
    }
    sums /= double(rows);
    return {sums.data_ptr<double>(), sums.data_ptr<double>() + distances};
}

ContextLosses losses_by_context(const LanguageModel& model, const TokenView& text, const ContextOptions& options) {
    const at::NoGradGuard no_grad;
    ContextLosses result;
    const Tensor ids_TB = windows(text, options.longest + 1, options.positions);
    double work = 0;
    for (int64_t c = options.step; c <= options.longest; c += options.step) {
        result.contexts.push_back(c);
        work += double(c);
    }
    Pass pass = model.pass(false);
    pass.memory = 0;
    double done = 0;
    for (const int64_t c : result.contexts) {
        std::vector<double>& losses = result.losses.emplace_back();
        const int64_t batch = std::clamp<int64_t>((1 << 16) / c, 1, 256);
        for (int64_t begin = 0; begin < options.positions; begin += batch) {
            const int64_t rows = std::min(batch, options.positions - begin);
            const Tensor window = ids_TB.narrow(1, begin, rows).narrow(0, options.longest - c, c + 1);
            const Tensor logits = model.next(window.narrow(0, 0, c), {}, pass).logits_BV.to(at::kFloat);
            const Tensor loss =
                (logits.logsumexp(1) - logits.gather(1, window[c].unsqueeze(1)).squeeze(1)).to(at::kDouble);
            losses.insert(losses.end(), loss.const_data_ptr<double>(), loss.const_data_ptr<double>() + rows);
            done += double(c) * double(rows) / double(options.positions);
            tell(options, done / work);
        }
    }
    return result;
}

std::vector<EffectiveContext> effective_contexts(const std::vector<ContextLosses>& group, double hardest) {
    const auto baseline = [&](size_t c) {
        std::vector<double> b = group[0].losses[c];
        for (const ContextLosses& model : group)
            for (size_t t = 0; t < b.size(); ++t) b[t] = std::min(b[t], model.losses[c][t]);
        return b;
    };
    const auto chosen = [&](const std::vector<double>& b) {
        std::vector<size_t> order(b.size());
        std::iota(order.begin(), order.end(), size_t(0));
        std::stable_sort(order.begin(), order.end(), [&](size_t x, size_t y) { return b[x] > b[y]; });
        order.resize(std::max<size_t>(1, size_t(std::llround(hardest * double(b.size())))));
        return order;
    };
    std::vector<EffectiveContext> lengths(group.size());
    for (size_t m = 0; m < group.size(); ++m) {
        const std::vector<int64_t>& contexts = group[m].contexts;
        lengths[m] = {contexts.back(), false};
        for (size_t c = 0; c + 1 < contexts.size(); ++c) {
            const std::vector<double> b = baseline(c);
            double before = 0, after = 0;
            const std::vector<size_t> positions = chosen(b);
            for (const size_t t : positions) {
                before += std::min(b[t], group[m].losses[c][t]);
                after += std::min(b[t], group[m].losses[c + 1][t]);
            }
            const double gain = 1 - std::exp((after - before) / double(positions.size()));
            if (gain >= kLeastGain) continue;
            lengths[m] = {contexts[c], true};
            break;
        }
    }
    return lengths;
}

}  // namespace lithe
