// The architecture search: [search].
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lithe/base/fields.h"

namespace lithe {

enum class SearchMethod { gumbel, random, evolution };
constexpr auto names_of(SearchMethod) {
    using enum SearchMethod;
    return std::to_array<Named<SearchMethod>>({{gumbel, "gumbel"}, {random, "random"}, {evolution, "evolution"}});
}

// Whose training goes on in an evolution.
enum class Promotion { halving, hurdles };
constexpr auto names_of(Promotion) {
    using enum Promotion;
    return std::to_array<Named<Promotion>>({{halving, "halving"}, {hurdles, "hurdles"}});
}

// Which candidates of a place run.
enum class CandidateSampling { soft, straight_through, single };
constexpr auto names_of(CandidateSampling) {
    using enum CandidateSampling;
    return std::to_array<Named<CandidateSampling>>(
        {{soft, "soft"}, {straight_through, "straight_through"}, {single, "single"}});
}

enum class CostUnit { none, latency, flops, parameters, memory };
constexpr auto names_of(CostUnit) {
    using enum CostUnit;
    return std::to_array<Named<CostUnit>>(
        {{none, "none"}, {latency, "latency"}, {flops, "flops"}, {parameters, "parameters"}, {memory, "memory"}});
}

// How the cost enters the loss.
enum class CostForm { multiply, add, exceed, none };
constexpr auto names_of(CostForm) {
    using enum CostForm;
    return std::to_array<Named<CostForm>>({{multiply, "multiply"}, {add, "add"}, {exceed, "exceed"}, {none, "none"}});
}

struct SearchConfig {
    SearchMethod method = SearchMethod::gumbel;
    bool supernet = false;
    std::string candidates = "s f -";
    double warmup = 0.2;
    int64_t period = 100;
    double share = 0.2;
    double held_out = 0.2;
    double learning_rate = 0.01, weight_decay = 5e-4, beta1 = 0.5, beta2 = 0.999;
    double temperature = 5, final_temperature = 0.1;
    CandidateSampling sampling = CandidateSampling::soft;
    bool tie_candidates = false;
    double settled = 0.75;
    CostUnit cost = CostUnit::none;
    CostForm cost_form = CostForm::multiply;
    double alpha = 0.2, beta = 0.6;
    double budget = 0;
    int64_t retrain_tokens = 0;
    std::vector<std::string> baselines;
    int64_t random_layouts = 2;
    int64_t trial_tokens = 0;
    int64_t population = 16, tournament = 4, rungs = 3;
    double eta = 3;
    Promotion promotion = Promotion::halving;
    int64_t hurdle_after = 0;  // 0: population
    void visit(FieldVisitor& v);
};

}  // namespace lithe
