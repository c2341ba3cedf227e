// Search by Gumbel-softmax (PAR Transformer: Mandava et al. 2021, section 3; FBNet: Wu et al. 2019): logits theta per
// searched place, trained by gradient beside the weights.
//
//   g_i = -ln(-ln U_i),  m_i = softmax_i((theta_i + g_i) / tau)
//   straight through: m = onehot(argmax m) + m - stop_gradient(m)
//   loss = CE, or with a cost table c: LAT = base + sum_places sum_i m_i c_i,
//     multiply  CE alpha ln(LAT)^beta     add  CE + alpha LAT / LAT_dearest     exceed  CE + alpha max(0, LAT / budget
//     - 1)
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "lithe/model/checkpoint.h"
#include "lithe/model/slot.h"
#include "lithe/spec/config.h"
#include "lithe/spec/slots.h"

namespace lithe {

// What candidates cost; one row per place, one number per candidate, and the rest of the model.
struct CostTable {
    double base = 0;
    std::vector<std::vector<double>> slots;
    double of(const std::vector<int64_t>& choices) const;
    double dearest() const;
    double cheapest() const;
};

// One draw per place: [candidates] each. `uniforms` holds a number in (0, 1) for each candidate of each place.
Tensor gumbel_softmax(const Tensor& logits_C, const std::vector<double>& uniforms, double temperature);

class ArchitectureSearch {
 public:
    ArchitectureSearch(const SearchConfig& config, std::vector<SlotPlace> slots);
    void set_costs(CostTable costs);

    // What a step of weights runs: the draw of `key`.
    SlotChoices weights_draw(uint64_t key, double temperature) const;
    // The same, with gradients to the logits.
    SlotChoices choices_draw(uint64_t key, double temperature) const;
    // The loss to minimise from the mean cross-entropy (nats) under the draw.
    Tensor loss(const Tensor& cross_entropy, const SlotChoices& draw) const;
    // One Adam update from the gradients that backward left in the logits; they are cleared.
    void update();

    std::vector<int64_t> likeliest() const;
    // The likeliest choices whose cost is within the budget (by dynamic programming over the table); nullopt when none
    // is.
    std::optional<std::vector<int64_t>> within_budget() const;
    std::vector<std::vector<double>> probabilities() const;
    double expected_cost() const;  // under the probabilities; 0 without a table
    const std::vector<Tensor>& logits() const { return logits_; }
    int64_t updates() const { return updates_; }

    std::vector<NamedTensor> state() const;  // names begin with "architecture."
    // Takes a tensor of state() back; false when the name is none of them or its shape does not fit.
    bool load(const NamedTensor& tensor);

 private:
    Tensor draw(size_t place, uint64_t key, double temperature) const;
    SearchConfig config_;
    std::vector<SlotPlace> slots_;
    CostTable costs_;
    std::vector<Tensor> logits_, m_, v_;
    int64_t updates_ = 0;
};

// The choices with the largest sum of scores whose costs fit into `budget`, exactly: place by place, all ways that no
// other beats in cost and score are kept. nullopt when nothing fits.
std::optional<std::vector<int64_t>> best_within(const std::vector<std::vector<double>>& scores, const CostTable& costs,
                                                double budget);

}  // namespace lithe
