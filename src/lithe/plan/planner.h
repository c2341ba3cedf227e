// Chooses what to train on a text within a time, memory and latency: measures the machine on the models that look best,
// predicts their quality from the fitted table, and takes the best.
#pragma once

#include <nlohmann/json.hpp>
#include <stop_token>

#include "lithe/plan/prediction.h"
#include "lithe/train/machine.h"

namespace lithe {

struct PlanRequest {
    double seconds = 600;               // of training
    double memory = 0;                  // bytes of the training process; 0: what the machine has
    double latency = 0;                 // seconds per generated token at most; 0: any
    std::vector<std::string> settings;  // "data.path=..." among them; they win over the plan
    std::stop_token stop = {};
};

struct PlanCandidate {
    PlanShape shape;
    double training_flops_per_token = 0, parameters = 0, in_tables = 0, memory = 0;
    double tokens_per_second = 0;
    double seconds = 0;      // of training: the request's, or fewer where more would make it worse
    double most_tokens = 0;  // more would make it worse; 0: not within reach
    int visits = 0;          // how often its speed was measured; 0: guessed
    Prediction expected;
};

struct Plan {
    Config config;
    CorpusLook corpus;
    PlanCandidate chosen;
    std::vector<PlanCandidate> considered;  // one per width, with the batch and the tables that it would get
    double tokens = 0, epochs = 0;
    bool altered = false;         // a setting of the request changes what is trained: the table does not know that
    double latency = 0;           // seconds per generated token, measured when a limit was given
    double planning_seconds = 0;  // what this took
    Machine machine;
};

// Whether there is a prediction: the table was measured on bytes and on the family's own settings, and a validation
// split will tell what came out.
inline bool has_prediction(const Plan& plan) {
    return plan.corpus.is_bytes && !plan.altered && plan.corpus.valid_bytes > 0;
}
// What the run scores at its end, and the prediction is of: so many bytes from the beginning of the validation split.
uint64_t scored_bytes(const Plan& plan);

// Whether a setting gives the time: all of it is used then, also where the plan would end early.
bool states_the_time(const std::vector<std::string>& settings);

// Throws usage when nothing fits the limits, what opening the corpus throws, stopped when a stop is asked for.
Plan make_plan(const PlanRequest& request);

std::string plan_text(const Plan& plan, const PlanRequest& request);
nlohmann::ordered_json plan_json(const Plan& plan, const PlanRequest& request);

}  // namespace lithe
