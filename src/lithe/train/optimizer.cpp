#include "lithe/train/optimizer.h"

#include <algorithm>
#include <cmath>

#include "lithe/kernels/cuda.h"
#include "lithe/ops/profile.h"
#include "lithe/train/lamb.h"

namespace lithe {

Optimizer::Optimizer(const OptimizerConfig& config, ParameterStore& store, bool hold_untouched)
    : config_(config),
      store_(store),
      hold_untouched_(hold_untouched) {
    m_ = at::zeros_like(store.master_flat());
    if (config.name != OptimizerKind::sgd) v_ = at::zeros_like(store.master_flat());
    for (size_t i : store.tables())
        table_sums_.push_back(at::zeros({store.frozen(i) ? 0 : store.spec(i).shape[0]}, store.master(i).options()));
    if (config.lookahead_steps > 0) slow_ = store.master_flat().clone();
    if (config.average > 0) average_ = store.master_flat().clone();
    if (config.name == OptimizerKind::muon) muon_.emplace(config, store, hold_untouched);
    if (m_.is_cuda() && m_.scalar_type() == at::kFloat && !hold_untouched && config.name != OptimizerKind::lamb)
        make_ranges();
}

bool Optimizer::takes_plain_update(size_t parameter) const {
    const ParameterSpec& spec = store_.spec(parameter);
    return store_.flat(parameter) && !(muon_ && Muon::takes(spec));
}

std::vector<Optimizer::Moment> Optimizer::moments() const {
    std::vector<Moment> list;
    auto add = [&](const char* prefix, const Tensor& flat, const auto& has) {
        for (size_t i = 0; flat.defined() && i < store_.size(); ++i)
            if (store_.flat(i) && has(i)) list.push_back({prefix + store_.spec(i).name, store_.master_view(flat, i)});
    };
    const auto every = [](size_t) { return true; };
    add("first_moment/", m_, every);
    add("second_moment/", v_, [&](size_t i) { return takes_plain_update(i); });  // Muon has none
    add("slow/", slow_, every);
    add("weights/", average_, every);
    return list;
}

void Optimizer::make_ranges() {
    std::vector<kernels::UpdateRange> ranges;
    for (size_t i = 0; i < store_.size(); ++i) {
        if (!takes_plain_update(i)) continue;
        const int64_t count = store_.spec(i).count();
        for (int64_t at = 0; at < count; at += kernels::kUpdateRange)
            ranges.push_back({store_.offset(i) + at, std::min(kernels::kUpdateRange, count - at),
                              decays(store_.spec(i)), store_.has_copy(i)});
    }
    const auto bytes = int64_t(ranges.size() * sizeof(kernels::UpdateRange));
    ranges_ = at::from_blob(ranges.data(), {bytes}, at::kByte).to(m_.device());
}

bool Optimizer::decays(const ParameterSpec& spec) const {
    return config_.decay == DecayedParameters::all || (!is_vector(spec.role) && spec.role != Role::scalar);
}

double Optimizer::gradient_norm() const {
    ops::ProfileScope scope("lithe::optimizer norm");
    const Tensor& gradient = store_.gradient_flat();
    if (gradient.is_cuda()) return gradient.to(at::kDouble).norm().item<double>();
    if (gradient.scalar_type() == at::kDouble)
        return std::sqrt(kernels::sum_of_squares(gradient.data_ptr<double>(), gradient.numel()));
    return std::sqrt(kernels::sum_of_squares(gradient.data_ptr<float>(), gradient.numel()));
}

Optimizer::Rule Optimizer::rule_of(const OptimizerConfig& config, int64_t t, double learning_rate) {
    Rule result;
    kernels::UpdateRule& rule = result.rule;
    if (config.name == OptimizerKind::sgd) {
        rule = {
            .m_decay = config.momentum, .m_gain = 1, .second_moment = false, .adaptive = false, .step = learning_rate};
        return result;
    }
    const double correction1 = 1 - std::pow(config.beta1, double(t)),
                 correction2 = 1 - std::pow(config.beta2, double(t));
    rule = {.m_decay = config.beta1, .m_gain = 1 - config.beta1, .v_decay = config.beta2, .epsilon = config.epsilon};
    if (config.name != OptimizerKind::radam) {
        rule.step = learning_rate / correction1;
        rule.v_scale = 1 / std::sqrt(correction2);
        return result;
    }
    const double longest = 2 / (1 - config.beta2) - 1;
    const double length = longest - 2 * double(t) * (1 - correction2) / correction2;  // N_sma
    if (length >= 5) {
        const double rectifier =
            std::sqrt((length - 4) / (longest - 4) * (length - 2) / length * longest / (longest - 2));
        rule.step = learning_rate * std::sqrt(correction2) * rectifier / correction1;
    } else {
        rule.adaptive = false;
        rule.step = learning_rate / correction1;
        result.skip = config.radam_fallback == RadamFallback::none;
    }
    return result;
}

void Optimizer::look_ahead() {
    slow_.lerp_(store_.master_flat(), config_.lookahead_rate);
    store_.master_flat().copy_(slow_);
    store_.refresh_working();
}

void Optimizer::step_tables(double learning_rate, double gradient_scale) {
    for (size_t table = 0; table < store_.tables().size(); ++table) {
        const Tensor& gradient = store_.table_gradient(table);
        if (!gradient.defined()) continue;
        const Tensor& weight = store_.master(store_.tables()[table]);
        auto update = [&](auto* type) {
            using C = std::remove_pointer_t<decltype(type)>;
            const Tensor each = weight.is_cuda() ? gradient.coalesce() : gradient,
                         values = each._values().to(weight.scalar_type()).contiguous(),
                         rows = each._indices()[0].contiguous();
            kernels::TableUpdate<C> args{.table = weight.data_ptr<C>(),
                                         .sums = table_sums_[table].data_ptr<C>(),
                                         .values = values.data_ptr<C>(),
                                         .rows = rows.data_ptr<int64_t>(),
                                         .groups = rows.size(0),
                                         .width = weight.size(1),
                                         .rate = learning_rate,
                                         .gradient_scale = gradient_scale};
            store_.mark_own_rows(table, rows);
            if constexpr (std::is_same_v<C, float>) {
                if (weight.is_cuda())
                    return ops::check_cuda(kernels::cuda_table()->table_update(args, ops::stream_of(weight, "table")),
                                           "table");
            }
            const kernels::RowGroups groups = kernels::group_rows(args.rows, args.groups);
            args.rows = groups.rows.data();
            args.groups = int64_t(groups.rows.size());
            args.starts = groups.starts.data();
            args.order = groups.order.data();
            kernels::table_update(args);
        };
        if (weight.scalar_type() == at::kDouble) update(static_cast<double*>(nullptr));
        else update(static_cast<float*>(nullptr));
    }
}

void Optimizer::apply_decay(kernels::UpdateRule& rule, double learning_rate) const {
    if (config_.name == OptimizerKind::adam) rule.l2 = config_.weight_decay;
    else rule.decay = learning_rate * config_.weight_decay;
}

// Every parameter of the plain update in one launch.
void Optimizer::step_ranges(const kernels::UpdateRule& rule) {
    const kernels::UpdateArgs<float> args{.rule = rule,
                                          .weight = store_.master_flat().data_ptr<float>(),
                                          .gradient = store_.gradient_flat().data_ptr<float>(),
                                          .m = m_.data_ptr<float>(),
                                          .v = v_.defined() ? v_.data_ptr<float>() : nullptr,
                                          .working = ops::pointer<kernels::bfloat16>(store_.working_flat())};
    ops::check_cuda(kernels::cuda_table()->optimizer_update_ranges(
                        args, static_cast<const kernels::UpdateRange*>(ranges_.data_ptr()),
                        ranges_.numel() / int64_t(sizeof(kernels::UpdateRange)), ops::stream_of(m_, "optimizer")),
                    "optimizer");
}

// One parameter, with its own rule.
void Optimizer::step_parameter(size_t i, const kernels::UpdateRule& rule) {
    const int64_t at = store_.offset(i);
    auto update = [&](auto* type) {
        using C = std::remove_pointer_t<decltype(type)>;
        auto part = [&](const Tensor& flat) { return flat.defined() ? flat.data_ptr<C>() + at : nullptr; };
        kernels::UpdateArgs<C> args{.rule = rule,
                                    .weight = part(store_.master_flat()),
                                    .gradient = part(store_.gradient_flat()),
                                    .m = part(m_),
                                    .v = part(v_),
                                    .count = store_.spec(i).count()};
        if (store_.has_copy(i)) args.working = static_cast<kernels::bfloat16*>(store_.working_flat().data_ptr()) + at;
        if constexpr (std::is_same_v<C, float>) {
            if (m_.is_cuda())
                return ops::check_cuda(kernels::cuda_table()->optimizer_update(args, ops::stream_of(m_, "optimizer")),
                                       "optimizer");
        }
        kernels::optimizer_update(args);
    };
    if (m_.scalar_type() == at::kDouble) update(static_cast<double*>(nullptr));
    else update(static_cast<float*>(nullptr));
}

void Optimizer::step_dense(const Rule& base, double learning_rate) {
    kernels::UpdateRule decaying = base.rule;
    if (!base.skip) apply_decay(decaying, learning_rate);
    if (ranges_.defined()) return step_ranges(decaying);
    for (size_t i = 0; i < store_.size(); ++i) {
        if (!takes_plain_update(i) || (hold_untouched_ && !store_.touched(i))) continue;
        if (config_.name == OptimizerKind::lamb)
            lamb_step(config_, store_, i, decays(store_.spec(i)),
                      {m_, v_, updates_, learning_rate, base.rule.gradient_scale});
        else step_parameter(i, decays(store_.spec(i)) ? decaying : base.rule);
    }
}

void Optimizer::step(double learning_rate, double gradient_norm) {
    ops::ProfileScope scope("lithe::optimizer update");
    ++updates_;
    Rule base = rule_of(config_, updates_, learning_rate);
    if (base.skip) base.rule.step = 0;  // the moments still move
    base.rule.gradient_scale =
        config_.clip_norm > 0 && gradient_norm > config_.clip_norm ? config_.clip_norm / gradient_norm : 1;
    at::NoGradGuard no_grad;
    const double share = config_.learning_rate > 0 ? learning_rate / config_.learning_rate : 0;  // of the peak
    step_tables(share * config_.table_learning_rate, base.rule.gradient_scale);
    if (muon_) muon_->step(m_, share * config_.muon_learning_rate, base.rule.gradient_scale);
    step_dense(base, learning_rate);
    if (config_.lookahead_steps > 0 && updates_ % config_.lookahead_steps == 0) look_ahead();
    store_.refresh_lora();
    if (!average_.defined()) return;
    const double decay = std::min(config_.average, double(1 + updates_) / double(10 + updates_));
    average_.lerp_(store_.master_flat(), 1 - decay);
}

}  // namespace lithe
