#include <algorithm>
#include <cstdio>

#include "lithe/base/text.h"
#include "lithe/base/wording.h"
#include "lithe/model/cost.h"
#include "lithe/plan/planner.h"

namespace lithe {
namespace {

std::string fixed(double value, int digits) {
    char text[40];
    std::snprintf(text, sizeof text, "%.*f", digits, value);
    return text;
}

std::string grouped(uint64_t value) {
    std::string digits = std::to_string(value);
    for (size_t at = digits.size(); at > 3;) digits.insert(at -= 3, ",");
    return digits;
}

std::string expected_text(const Plan& plan) {
    if (plan.corpus.valid_bytes == 0)
        return "nothing will tell: the text has no validation split (data.split, data.valid)";
    if (!plan.corpus.is_bytes) return "not known: the table was measured on bytes, this text has other tokens";
    if (plan.altered) return "not known: " + any_setting() + " changes what the table was measured on";
    const Prediction& p = plan.chosen.expected;
    return fixed(p.bits, 3) + " bits per byte on the first " + grouped(scored_bytes(plan)) + " bytes of validation (" +
           fixed(p.low, 3) + " to " + fixed(p.high, 3) +
           " for 9 of 10 texts like books, source code and manuals; logs and tables can lie far outside)";
}

std::string candidate_text(const PlanCandidate& candidate, bool predicted) {
    std::string text = candidate.shape.name() + ": " + format_count(candidate.tokens_per_second) + " tokens/s" +
                       (candidate.visits > 0 ? "" : " (guessed)");
    if (predicted) text += ", " + fixed(candidate.expected.bits, 3) + " bits";
    return text;
}

// A line for each shape; one for all where the text is too small for them to differ.
std::string considered_text(const Plan& plan) {
    constexpr uint64_t kTinyText = 100'000;  // bytes
    const size_t count = plan.considered.size();
    if (plan.corpus.bytes < kTinyText && count > 2)
        return "considered " + std::to_string(count) + " shapes, from " +
               candidate_text(plan.considered.front(), false) + ", to " +
               candidate_text(plan.considered.back(), false) + "\n";
    std::string text;
    for (const PlanCandidate& each : plan.considered)
        text += (text.empty() ? "considered " : "           ") + candidate_text(each, has_prediction(plan)) + "\n";
    return text;
}

}  // namespace

uint64_t scored_bytes(const Plan& plan) {
    const auto asked = uint64_t(plan.config.evaluation.bytes);
    return asked > 0 ? std::min(asked, plan.corpus.valid_bytes) : plan.corpus.valid_bytes;
}

std::string plan_text(const Plan& plan, const PlanRequest& request) {
    const PlanCandidate& c = plan.chosen;
    std::string out = "text       " + format_bytes(double(plan.corpus.bytes)) + " to train on, ";
    if (plan.corpus.is_bytes)
        out += std::to_string(plan.corpus.distinct) + " byte values, PPMd: " + fixed(plan.corpus.packed_bits, 2) +
               " bits per byte\n";
    else out += std::to_string(plan.corpus.vocabulary) + " tokens in the vocabulary\n";
    out += "machine    " + plan.machine.cpu + ", " + std::to_string(plan.machine.threads) + " threads, " +
           name_of(plan.machine.precision) + "\n";
    out += considered_text(plan);
    out += "plan       " + c.shape.name() + ", " + parameters_text(c.parameters, c.in_tables) + " of " +
           std::to_string(c.shape.ngram_rows) + " rows each, batch " + std::to_string(plan.config.train.batch) + ", " +
           format_bytes(c.memory) + " of memory\n";
    const bool shorter = c.seconds < request.seconds;
    out += "training   " + format_seconds(c.seconds) + (shorter ? " of " + format_seconds(request.seconds) : "") +
           ", " + format_count(plan.tokens) + " tokens, " + fixed(plan.epochs, 2) + " times the text" +
           (shorter ? ": more makes it worse (" + setting("train.max_seconds=" + format_number(request.seconds)) +
                          ": all)\n"
                    : "\n");
    if (plan.latency > 0) out += "generation " + fixed(1e3 * plan.latency, 2) + " ms per token\n";
    return out + "expected   " + expected_text(plan) + "\n";
}

nlohmann::ordered_json plan_json(const Plan& plan, const PlanRequest& request) {
    using Json = nlohmann::ordered_json;
    auto candidate = [&](const PlanCandidate& c) {
        Json json = {{"width", c.shape.width},           {"layers", c.shape.layers},
                     {"ngram_rows", c.shape.ngram_rows}, {"batch", c.shape.batch},
                     {"parameters", c.parameters},       {"parameters_in_tables", c.in_tables},
                     {"memory_bytes", c.memory},         {"tokens_per_second", c.tokens_per_second},
                     {"measured", c.visits > 0}};
        if (has_prediction(plan)) json["expected_bits_per_byte"] = c.expected.bits;
        return json;
    };
    Json json = {
        {"corpus",
         {{"bytes", plan.corpus.bytes},
          {"tokens", plan.corpus.tokens},
          {"vocabulary", plan.corpus.vocabulary},
          {"distinct", plan.corpus.distinct},
          {"valid_bytes", plan.corpus.valid_bytes},
          {"packed_bits_per_byte", plan.corpus.packed_bits}}},
        {"machine",
         {{"cpu", plan.machine.cpu},
          {"threads", plan.machine.threads},
          {"precision", name_of(plan.machine.precision)}}},
        {"limits",
         {{"seconds", request.seconds}, {"memory_bytes", request.memory}, {"latency_seconds", request.latency}}},
        {"chosen", candidate(plan.chosen)},
        {"training_seconds", plan.chosen.seconds},
        {"tokens", plan.tokens},
        {"epochs", plan.epochs}};
    if (plan.latency > 0) json["latency_seconds"] = plan.latency;
    if (has_prediction(plan)) {
        const Prediction& p = plan.chosen.expected;
        json["expected"] = {{"bits_per_byte", p.bits}, {"low", p.low},     {"high", p.high},
                            {"interval", 0.9},         {"split", "valid"}, {"first_bytes", scored_bytes(plan)}};
    }
    json["considered"] = Json::array();
    for (const PlanCandidate& each : plan.considered) json["considered"].push_back(candidate(each));
    json["planning_seconds"] = plan.planning_seconds;
    return json;
}

}  // namespace lithe
