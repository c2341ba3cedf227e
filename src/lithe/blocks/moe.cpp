#include "lithe/blocks/moe.h"

#include <cmath>

#include "lithe/base/parallel.h"
#include "lithe/base/rng.h"
#include "lithe/ops/dropout.h"
#include "lithe/ops/gather_rows.h"

namespace lithe {

MoeValues MoeValues::defaults(const ModelConfig& model) {
    MoeValues values;
    values.expert = FeedForwardValues::defaults(model);
    return values;
}

void MoeValues::visit(FieldVisitor& v) {
    v.field({.name = "experts", .help = "feed-forward layers to choose from", .minimum = 1, .maximum = 4096}, experts);
    v.field({.name = "top", .help = "experts of each token: 1 (Switch) or 2 (GShard)", .minimum = 1, .maximum = 2},
            top);
    v.field(
        {.name = "capacity",
         .help = "in training an expert takes at most its even share of a row's tokens, times this; 0: all who come",
         .minimum = 0,
         .maximum = 1000},
        capacity);
    v.field({.name = "balance", .help = "weight of the loss that evens the experts' use", .minimum = 0, .maximum = 100},
            balance);
    v.field({.name = "z_loss",
             .help = "weight of the loss that keeps the router's logits small",
             .minimum = 0,
             .maximum = 100},
            z_loss);
    v.field({.name = "jitter",
             .help = "in training the router's input is multiplied by 1 - jitter to 1 + jitter",
             .minimum = 0,
             .maximum = 0.99},
            jitter);
    expert.visit(v);
}

void MoeValues::check(const ModelConfig& model, const std::string& where, Problems& problems) const {
    expert.check(model, where, problems);
    if (top > experts)
        problems.add("a token cannot have " + std::to_string(top) + " of " + std::to_string(experts) + " experts",
                     where + ".top", where + ".experts = " + std::to_string(top) + " at least");
    if (capacity > 0 && capacity < 1)
        problems.add("with less than its even share an expert turns tokens away even where all are used alike",
                     where + ".capacity", "1 or more, or 0: nobody is turned away");
}

MoeBlock::MoeBlock(const MoeValues& values, const BlockSite& site)
    : values_(values),
      name_(site.name),
      width_(site.model.width) {
    router_ = site.store.add(
        {site.name + ".router", {values.experts, width_}, Role::matrix, Init::normal(0.1 / std::sqrt(double(width_)))});
    for (int64_t e = 0; e < values.experts; ++e) {
        const BlockSite place{site.store, site.name + ".experts." + std::to_string(e), site.model, site.source_width};
        experts_.push_back(std::make_unique<FeedForwardBlock>(values.expert, place));
    }
}

int64_t expert_capacity(const MoeValues& values, int64_t length) {
    const double share = double(values.top * length) / double(values.experts);
    return int64_t(std::ceil(share * values.capacity - 1e-9));
}

Tensor kept_choices(const Tensor& experts_TBK, const Tensor& valid_TB, int64_t experts, int64_t capacity) {
    const Tensor valid_TBK = valid_TB.unsqueeze(2).expand_as(experts_TBK);
    if (capacity <= 0) return valid_TBK.contiguous();
    const int64_t steps = experts_TBK.size(0);
    const int64_t rows = experts_TBK.size(1);
    const int64_t top = experts_TBK.size(2);
    // in order of time, a token's better choice first
    const auto in_order = [&](const Tensor& x_TBK) { return x_TBK.transpose(1, 2).reshape({steps * top, rows}); };
    const Tensor chosen = in_order(experts_TBK);
    Tensor taken = at::zeros({steps * top, rows, experts}, chosen.options().dtype(at::kInt));
    taken.scatter_(2, chosen.unsqueeze(2), in_order(valid_TBK).to(at::kInt).unsqueeze(2));
    const Tensor number = taken.cumsum(0, at::kInt).gather(2, chosen.unsqueeze(2)).squeeze(2);
    return (number.le(capacity).logical_and(in_order(valid_TBK))).view({steps, top, rows}).transpose(1, 2).contiguous();
}

Tensor balance_loss(const Tensor& probabilities_TBE, const Tensor& first_TB, const Tensor& valid_TB) {
    const int64_t experts = probabilities_TBE.size(2);
    const Tensor valid = valid_TB.to(probabilities_TBE.scalar_type());
    const Tensor count_B = valid.sum(0).clamp_min(1);
    Tensor first_TBE = at::zeros_like(probabilities_TBE);
    first_TBE.scatter_(2, first_TB.unsqueeze(2), valid.unsqueeze(2));
    const Tensor f_BE = first_TBE.sum(0) / count_B.unsqueeze(1);
    const Tensor p_BE = (probabilities_TBE * valid.unsqueeze(2)).sum(0) / count_B.unsqueeze(1);
    return double(experts) * (f_BE * p_BE).sum(1).mean();
}

// Factors of a row are drawn by its number in the update. By the update's key, too: a GPU's site has none of its own.
Tensor MoeBlock::jittered(const Tensor& x_TBD, const Call& call) const {
    const int64_t steps = x_TBD.size(0);
    const int64_t rows = x_TBD.size(1);
    const ops::DropoutKey site = call.site("jitter");
    const uint64_t key = combine_key(site.key, call.pass.keys.update);
    const Tensor factor = at::empty({steps, rows, width_}, at::TensorOptions(at::kFloat));
    float* numbers = factor.data_ptr<float>();
    parallel_for(rows, 1, [&](int64_t begin, int64_t end) {
        for (int64_t b = begin; b < end; ++b) {
            const uint64_t of_row = combine_key(key, uint64_t(site.first_row + b));
            for (int64_t t = 0; t < steps; ++t)
                for (int64_t d = 0; d < width_; ++d)
                    numbers[(t * rows + b) * width_ + d] =
                        float(1 + values_.jitter * (2 * random_unit(of_row, uint64_t(t * width_ + d)) - 1));
        }
    });
    return x_TBD * factor.to(x_TBD.options());
}

static Tensor not_padding(const Tensor& x_TBD, const Pass& pass) {
    if (pass.marks) return pass.marks->padding_BT.transpose(0, 1).eq(0);
    return at::ones({x_TBD.size(0), x_TBD.size(1)}, x_TBD.options().dtype(at::kBool));
}

Routing MoeBlock::route(const Tensor& x_TBD, const Call& call) const {
    const bool training = call.pass.training;
    const at::ScalarType type = ops::compute_type(x_TBD.scalar_type());
    Tensor x = x_TBD.to(type);
    if (training && values_.jitter > 0) x = jittered(x, call);
    Routing routing;
    const Tensor logits_TBE = at::linear(x, router_.tensor().to(type));
    routing.logits_NE = logits_TBE.flatten(0, 1);
    routing.probabilities_NE = routing.logits_NE.softmax(1);
    Tensor best_NK;
    std::tie(best_NK, routing.experts_NK) = routing.probabilities_NE.topk(values_.top, 1);
    routing.gates_NK = values_.top == 1 ? best_NK : best_NK / best_NK.sum(1, true).clamp_min(1e-7);
    const int64_t capacity = training && values_.capacity > 0 ? expert_capacity(values_, x_TBD.size(0)) : 0;
    const Tensor experts_TBK = routing.experts_NK.view({x_TBD.size(0), x_TBD.size(1), values_.top});
    routing.valid_TB = not_padding(x_TBD, call.pass);
    routing.kept_NK = kept_choices(experts_TBK, routing.valid_TB, values_.experts, capacity).flatten(0, 1);
    return routing;
}

Tensor MoeBlock::experts_of(const Tensor& x_TBD, const Routing& routing, const Call& call) const {
    const int64_t top = values_.top;
    const Tensor x_ND = x_TBD.flatten(0, 1);
    const int64_t tokens = x_ND.size(0);
    // choices by expert, those that were turned away last
    const Tensor expert_A = at::where(routing.kept_NK, routing.experts_NK, values_.experts).flatten();
    const Tensor counts = expert_A.bincount({}, values_.experts + 1).cpu();
    const int64_t* count = counts.data_ptr<int64_t>();
    const int64_t kept = tokens * top - count[values_.experts];
    const Tensor order_A = expert_A.argsort(true, 0).narrow(0, 0, kept);
    const Tensor places_A = at::full({tokens * top}, int64_t(-1), order_A.options())
                                .index_copy(0, order_A, at::arange(kept, order_A.options()));
    const Tensor token_A = order_A.floor_divide(top);
    const Tensor entering = ops::gather_rows(x_ND, token_A, places_A.view({tokens, top}));

    // an inner mask is a token's, whichever expert takes it
    Tensor mask_NI;
    const double dropout = call.pass.training ? values_.expert.dropout : 0;
    if (dropout > 0)
        mask_NI = ops::dropout(at::ones({x_TBD.size(0), x_TBD.size(1), values_.expert.inner}, x_TBD.options()), dropout,
                               call.site("inner"), 1)
                      .flatten(0, 1);
    const std::vector<int64_t> sizes(count, count + values_.experts);
    const std::vector<Tensor> parts = entering.split_with_sizes(sizes);
    const std::vector<Tensor> tokens_of = token_A.split_with_sizes(sizes);
    std::vector<Tensor> results;
    for (size_t e = 0; e < experts_.size(); ++e) {
        if (count[e] == 0) continue;
        results.push_back(experts_[e]->formula(parts[e], [&](const Tensor& inner) {
            return dropout > 0 ? inner * mask_NI.index_select(0, tokens_of[e]) : inner;
        }));
    }
    if (results.empty()) return at::zeros_like(x_TBD);
    const Tensor back = ops::gather_rows(at::cat(results), places_A, order_A.unsqueeze(1));
    const Tensor gates = routing.gates_NK.unsqueeze(2);
    return (back.view({tokens, top, width_}).to(gates.scalar_type()) * gates)
        .sum(1)
        .to(x_TBD.scalar_type())
        .view_as(x_TBD);
}

void MoeBlock::add_aux(const Routing& routing, Aux& aux) const {
    const Tensor& valid = routing.valid_TB;
    const int64_t steps = valid.size(0);
    const int64_t rows = valid.size(1);
    const Tensor first_N = routing.experts_NK.select(1, 0);
    if (values_.balance > 0)
        aux.losses.emplace_back("balance",
                                values_.balance * balance_loss(routing.probabilities_NE.view({steps, rows, -1}),
                                                               first_N.view({steps, rows}), valid));
    if (values_.z_loss > 0) {
        const Tensor z_TB = routing.logits_NE.logsumexp(1).square().view({steps, rows});
        const Tensor mean_B = (z_TB * valid).sum(0) / valid.sum(0).clamp_min(1);
        aux.losses.emplace_back("router_z", values_.z_loss * mean_B.mean());
    }
    const Tensor valid_N = valid.flatten();
    const Tensor count = valid_N.sum().clamp_min(1);
    const at::NoGradGuard no_grad;
    const Tensor use = at::where(valid_N, first_N, values_.experts).bincount({}, values_.experts + 1);
    aux.metrics.emplace_back(name_ + ".use", use.narrow(0, 0, values_.experts).to(at::kDouble) / count);
    const Tensor dropped = valid_N.unsqueeze(1).logical_and(routing.kept_NK.logical_not()).sum();
    aux.metrics.emplace_back(name_ + ".dropped", dropped.to(at::kDouble) / (count * values_.top));
}

BranchOutput MoeBlock::branch(const Tensor& x_TBD, const State&, const Call& call) const {
    const Routing routing = route(x_TBD, call);
    BranchOutput out;
    out.delta_TBD = experts_of(x_TBD, routing, call);
    if (call.pass.training) add_aux(routing, out.aux);
    return out;
}

double MoeBlock::flops_per_token(const CostShape& shape) const {
    return double(values_.top) * experts_.front()->flops_per_token(shape) +
           2 * double(width_) * double(values_.experts);
}

double MoeBlock::activation_numbers_per_token(const CostShape& shape) const {
    // of each choice: the expert's own, what goes in, what comes back; x; the router's probabilities. What comes back
    // is weighed, and the router computes, in fp32
    const double fp32 = std::max(1.0, 4 / double(shape.element_size)), d = double(width_);
    const double router = (fp32 > 1 ? d : 0) + (values_.jitter > 0 ? 2 * d : 0) + 3 * double(values_.experts);
    return double(values_.top) * (experts_.front()->activation_numbers_per_token(shape) + d + fp32 * d) + d +
           fp32 * router;
}

}  // namespace lithe
