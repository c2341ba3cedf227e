#include "lithe/train/architecture.h"

#include <algorithm>
#include <cmath>

#include "lithe/base/rng.h"

namespace lithe {
namespace {

const at::TensorOptions kDoubles = at::TensorOptions(at::kDouble);

double largest(const std::vector<double>& row) { return *std::max_element(row.begin(), row.end()); }
double smallest(const std::vector<double>& row) { return *std::min_element(row.begin(), row.end()); }

}  // namespace

double CostTable::of(const std::vector<int64_t>& choices) const {
    double total = base;
    for (size_t place = 0; place < slots.size(); ++place) total += slots[place].at(size_t(choices.at(place)));
    return total;
}

double CostTable::dearest() const {
    double total = base;
    for (const auto& row : slots) total += largest(row);
    return total;
}

double CostTable::cheapest() const {
    double total = base;
    for (const auto& row : slots) total += smallest(row);
    return total;
}

Tensor gumbel_softmax(const Tensor& logits_C, const std::vector<double>& uniforms, double temperature) {
    Tensor noise = at::empty({int64_t(uniforms.size())}, kDoubles);
    for (size_t i = 0; i < uniforms.size(); ++i)
        noise.data_ptr<double>()[i] = -std::log(-std::log(std::clamp(uniforms[i], 1e-300, 1 - 1e-16)));
    return at::softmax((logits_C + noise.to(logits_C.options())) / temperature, 0);
}

ArchitectureSearch::ArchitectureSearch(const SearchConfig& config, std::vector<SlotPlace> slots)
    : config_(config),
      slots_(std::move(slots)) {
    for (const SlotPlace& slot : slots_) {
        const auto count = int64_t(slot.candidates.size());
        logits_.push_back(at::zeros({count}, kDoubles).requires_grad_(true));
        m_.push_back(at::zeros({count}, kDoubles));
        v_.push_back(at::zeros({count}, kDoubles));
    }
}

void ArchitectureSearch::set_costs(CostTable costs) {
    ops::check(costs.slots.size() == slots_.size(), "search", "a cost table of other places");
    costs_ = std::move(costs);
}

Tensor ArchitectureSearch::draw(size_t place, uint64_t key, double temperature) const {
    std::vector<double> uniforms;
    for (size_t i = 0; i < slots_[place].candidates.size(); ++i)
        uniforms.push_back(random_unit(combine_key(combine_key(key, "gumbel"), uint64_t(place)), i));
    return gumbel_softmax(logits_[place], uniforms, temperature);
}

SlotChoices ArchitectureSearch::weights_draw(uint64_t key, double temperature) const {
    at::NoGradGuard no_grad;
    SlotChoices choices;
    for (size_t place = 0; place < slots_.size(); ++place) {
        Tensor soft = draw(place, key, temperature);
        if (config_.sampling == CandidateSampling::soft) choices.places.push_back({-1, soft.to(at::kFloat)});
        else choices.places.push_back({soft.argmax().item<int64_t>(), {}});
    }
    return choices;
}

SlotChoices ArchitectureSearch::choices_draw(uint64_t key, double temperature) const {
    SlotChoices choices;
    for (size_t place = 0; place < slots_.size(); ++place) {
        Tensor soft = draw(place, key, temperature);
        if (config_.sampling != CandidateSampling::soft) {
            Tensor hard = at::zeros_like(soft);
            hard[soft.argmax().item<int64_t>()] = 1;
            soft = hard + (soft - soft.detach());
        }
        choices.places.push_back({-1, soft});
    }
    return choices;
}

Tensor ArchitectureSearch::loss(const Tensor& cross_entropy, const SlotChoices& draw) const {
    if (config_.cost == CostUnit::none || costs_.slots.empty()) return cross_entropy;
    Tensor cost = at::full({}, costs_.base, kDoubles);
    for (size_t place = 0; place < slots_.size(); ++place) {
        Tensor row = at::tensor(costs_.slots[place], kDoubles);
        cost = cost + (draw.places[place].weights.to(at::kDouble) * row).sum();
    }
    // ln(cost) must be positive, and its power's slope is infinite at 0: below e the cost counts as e
    switch (config_.cost_form) {
        case CostForm::none: break;
        case CostForm::multiply:
            return cross_entropy * config_.alpha * cost.clamp_min(std::exp(1.0)).log().pow(config_.beta);
        case CostForm::add: return cross_entropy + config_.alpha * cost / std::max(1e-30, costs_.dearest());
        case CostForm::exceed: return cross_entropy + config_.alpha * (cost / config_.budget - 1).clamp_min(0);
    }
    return cross_entropy;
}

// Adam (Kingma, Ba 2015) with L2 decay in the gradient, as FBNet's optimizer.
void ArchitectureSearch::update() {
    at::NoGradGuard no_grad;
    ++updates_;
    const double correct1 = 1 - std::pow(config_.beta1, double(updates_)),
                 correct2 = 1 - std::pow(config_.beta2, double(updates_));
    for (size_t place = 0; place < slots_.size(); ++place) {
        const Tensor& seen = logits_[place].grad();
        Tensor gradient = config_.weight_decay * logits_[place];
        if (seen.defined()) gradient = gradient + seen;
        m_[place].mul_(config_.beta1).add_(gradient, 1 - config_.beta1);
        v_[place].mul_(config_.beta2).addcmul_(gradient, gradient, 1 - config_.beta2);
        logits_[place].sub_(config_.learning_rate * (m_[place] / correct1) / ((v_[place] / correct2).sqrt() + 1e-8));
        logits_[place].mutable_grad() = Tensor();
    }
}

std::vector<int64_t> ArchitectureSearch::likeliest() const {
    std::vector<int64_t> choices;
    for (const Tensor& logits : logits_) choices.push_back(logits.argmax().item<int64_t>());
    return choices;
}

std::vector<std::vector<double>> ArchitectureSearch::probabilities() const {
    std::vector<std::vector<double>> rows;
    for (const Tensor& logits : logits_) {
        Tensor p = at::softmax(logits.detach(), 0);
        rows.emplace_back(p.data_ptr<double>(), p.data_ptr<double>() + p.numel());
    }
    return rows;
}

double ArchitectureSearch::expected_cost() const {
    if (costs_.slots.empty()) return 0;
    double cost = costs_.base;
    const auto rows = probabilities();
    for (size_t place = 0; place < rows.size(); ++place)
        for (size_t i = 0; i < rows[place].size(); ++i) cost += rows[place][i] * costs_.slots[place][i];
    return cost;
}

std::optional<std::vector<int64_t>> ArchitectureSearch::within_budget() const {
    if (!(config_.budget > 0) || costs_.slots.empty()) return likeliest();
    auto scores = probabilities();
    for (auto& row : scores)
        for (double& p : row) p = std::log(std::max(p, 1e-300));
    return best_within(scores, costs_, config_.budget);
}

std::vector<NamedTensor> ArchitectureSearch::state() const {
    std::vector<NamedTensor> list;
    for (size_t place = 0; place < slots_.size(); ++place) {
        const std::string name = "architecture." + std::to_string(place);
        list.push_back({name + ".logits", logits_[place].detach()});
        list.push_back({name + ".m", m_[place]});
        list.push_back({name + ".v", v_[place]});
    }
    list.push_back({"architecture.updates", at::full({1}, updates_, at::kLong)});
    return list;
}

bool ArchitectureSearch::load(const NamedTensor& tensor) {
    at::NoGradGuard no_grad;
    if (tensor.name == "architecture.updates") {
        if (tensor.tensor.numel() == 1) updates_ = tensor.tensor.item<int64_t>();
        return tensor.tensor.numel() == 1;
    }
    for (size_t place = 0; place < slots_.size(); ++place) {
        const std::string name = "architecture." + std::to_string(place);
        for (auto& [ending, into] :
             {std::pair(".logits", &logits_[place]), std::pair(".m", &m_[place]), std::pair(".v", &v_[place])}) {
            if (tensor.name != name + ending) continue;
            if (into->sizes() != tensor.tensor.sizes()) return false;
            into->copy_(tensor.tensor);
            return true;
        }
    }
    return false;
}

namespace {

// A way to fill the places so far, and the one that it extends.
struct Partial {
    double cost = 0, score = 0;
    int64_t before = -1, choice = -1;
};

// Drops what costs as much or more as another with as large a score; sorts by cost.
std::vector<Partial> undominated(std::vector<Partial> list) {
    std::sort(list.begin(), list.end(), [](const Partial& a, const Partial& b) {
        return a.cost != b.cost ? a.cost < b.cost : a.score > b.score;
    });
    std::vector<Partial> kept;
    for (const Partial& each : list)
        if (kept.empty() || each.score > kept.back().score) kept.push_back(each);
    return kept;
}

}  // namespace

std::optional<std::vector<int64_t>> best_within(const std::vector<std::vector<double>>& scores, const CostTable& costs,
                                                double budget) {
    const double limit = budget + 1e-9 * std::abs(budget);  // sums in another order
    std::vector<std::vector<Partial>> places = {{{costs.base, 0, -1, -1}}};
    for (size_t place = 0; place < scores.size(); ++place) {
        double rest = 0;  // what the places behind cost at least
        for (size_t behind = place + 1; behind < scores.size(); ++behind) rest += smallest(costs.slots[behind]);
        std::vector<Partial> next;
        for (size_t before = 0; before < places.back().size(); ++before)
            for (size_t i = 0; i < scores[place].size(); ++i) {
                const Partial& from = places.back()[before];
                const double cost = from.cost + costs.slots[place][i];
                if (cost + rest <= limit)
                    next.push_back({cost, from.score + scores[place][i], int64_t(before), int64_t(i)});
            }
        if (next.empty()) return std::nullopt;
        places.push_back(undominated(std::move(next)));
    }
    std::vector<int64_t> choices(scores.size());
    auto at = int64_t(places.back().size()) - 1;  // the largest score
    for (size_t place = scores.size(); place-- > 0;) {
        const Partial& chosen = places[place + 1][size_t(at)];
        choices[place] = chosen.choice;
        at = chosen.before;
    }
    if (scores.empty() && costs.base > limit) return std::nullopt;
    return choices;
}

}  // namespace lithe
