// AdamW, RAdam, Adam, SGD, Muon and LAMB over the flat parameter store, with clipping by the global norm; but for the
// last two in one pass over memory.
//
// AdamW: Loshchilov, Hutter 2019. RAdam: Liu et al. 2020 as in the authors' code: decoupled decay p <- p - wd lr p in
// the same step; rectified when N_sma >= 5, else a momentum step ("sgd") or no update at all ("none"); sqrt(v) is not
// bias-corrected, the factor stands in the step size. Adam: L2 decay in the gradient. SGD: m <- mu m + g, w <- w - lr m
// - lr wd w. Tables: row-wise Adagrad on the rows that were looked up (kernels/table/table.h); outside clipping's norm,
// never decayed. Lookahead (Zhang et al. 2019) around any of them, tables excepted: every k updates slow <- slow + a (w
// - slow), w <- slow; the moments are kept. An average of the weights (Polyak, Juditsky 1992, with exponential decay):
// a <- a + (1 - d) (w - a) with d = min(average, (1 + t) / (10 + t)). Muon: train/muon.h for hidden matrices, AdamW for
// the rest. LAMB: train/lamb.h.
#pragma once

#include <optional>

#include "lithe/kernels/optimizer/optimizer.h"
#include "lithe/kernels/table/table.h"
#include "lithe/nn/parameters.h"
#include "lithe/spec/config.h"
#include "lithe/train/muon.h"

namespace lithe {

class Optimizer {
 public:
    // `hold_untouched`: a parameter that no gradient reached keeps its weight and moments in that update.
    Optimizer(const OptimizerConfig& config, ParameterStore& store, bool hold_untouched = false);

    // Global norm of the collected gradient, before clipping.
    double gradient_norm() const;
    // One update with the store's collected gradient; clips when the norm exceeds clip_norm.
    void step(double learning_rate, double gradient_norm);

    // Everything that it holds but of tables, in views: "first_moment/NAME", "second_moment/NAME", "slow/NAME"
    // (Lookahead's weights) and "weights/NAME" (beside an average) of a parameter.
    struct Moment {
        std::string name;
        Tensor value;
    };
    std::vector<Moment> moments() const;

    int64_t updates() const { return updates_; }
    void set_updates(int64_t updates) { updates_ = updates; }
    // Sums of squares per row of table number `table` of the store.
    const std::vector<Tensor>& table_sums() const { return table_sums_; }
    // First and second moment, laid out like the store's master buffer; v is undefined for SGD.
    const Tensor& m() const { return m_; }
    const Tensor& v() const { return v_; }
    // Lookahead's slow weights, laid out like the master buffer; undefined without it.
    const Tensor& slow() const { return slow_; }

    // The average of the weights, laid out like the master buffer; undefined without it.
    Tensor& average() { return average_; }

    // The numbers of update number t (from 1) without decay and clipping; `skip`: this update changes nothing.
    struct Rule {
        kernels::UpdateRule rule;
        bool skip = false;
    };
    static Rule rule_of(const OptimizerConfig& config, int64_t t, double learning_rate);

 private:
    bool decays(const ParameterSpec& spec) const;
    void look_ahead();
    bool takes_plain_update(size_t parameter) const;
    void make_ranges();
    void apply_decay(kernels::UpdateRule& rule, double learning_rate) const;
    void step_dense(const Rule& base, double learning_rate);
    void step_ranges(const kernels::UpdateRule& rule);
    void step_parameter(size_t i, const kernels::UpdateRule& rule);
    void step_tables(double learning_rate, double gradient_scale);
    OptimizerConfig config_;
    ParameterStore& store_;
    bool hold_untouched_;
    Tensor m_, v_, slow_, average_;
    std::vector<Tensor> table_sums_;
    Tensor ranges_;  // on a GPU: kernels::UpdateRange of every parameter of the plain update
    std::optional<Muon> muon_;
    int64_t updates_ = 0;
};

}  // namespace lithe
