#include "lithe/plan/planner.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <optional>

#include "lithe/base/error.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/base/timer.h"
#include "lithe/base/wording.h"
#include "lithe/model/cost.h"
#include "lithe/plan/measure.h"

namespace lithe {
namespace {

constexpr double kEvaluationPart = 0.02;  // of the budget, for each evaluation

// Whether a setting changes what the table was measured on.
bool changes_the_model(const std::string& setting) {
    for (const char* part : {"model.", "blocks.", "optimizer.", "schedule.", "layer_drop.", "train.batch",
                             "train.length", "train.accumulation"})
        if (setting.rfind(part, 0) == 0) return true;
    return false;
}

double at_most(double most, double all) { return most > 0 ? std::min(all, most) : all; }

// The peak of a run is that of its training, not of larger candidates that were measured before it. Where the system
// does not let it start anew (proc(5), clear_refs), it stays.
void restart_peak_memory() { std::ofstream("/proc/self/clear_refs") << 5 << std::flush; }

class Planner {
 public:
    explicit Planner(const PlanRequest& request)
        : request_(request),
          base_(planned_config(request.settings)),
          machine_(set_up_machine(base_.train)),
          corpus_(Corpus::open(base_.data, nullptr, request.stop)),
          altered_(std::any_of(request.settings.begin(), request.settings.end(), changes_the_model)),
          timed_(states_the_time(request.settings)) {}

    Plan make() {
        Timer timer;
        Plan plan;
        plan.machine = machine_;
        plan.corpus = look_ = look_at(corpus_);
        fit_batch();
        find_smallest();
        for (;;) {
            plan.chosen = choose();
            const PlanShape& best = plan.chosen.shape;
            plan.latency =
                request_.latency > 0 ? measure_latency(config_of(best), look_.vocabulary, machine_, request_.stop) : 0;
            release_free_memory();
            if (request_.latency <= 0 || plan.latency <= request_.latency) break;
            log_info("too slow   " + best.name() + ": " + format_number(1e3 * plan.latency) + " ms per token");
            drop_from(best);
        }
        plan.considered = candidates_;
        plan.altered = altered_;
        plan.tokens = plan.chosen.tokens_per_second * plan.chosen.seconds;
        plan.epochs = plan.tokens / double(look_.tokens);
        plan.config = config_of(plan.chosen.shape, &plan.chosen);
        plan.planning_seconds = timer.seconds();
        restart_peak_memory();
        return plan;
    }

 private:
    // Short texts: rows and segments that they can fill.
    void fit_batch() {
        least_batch_ = base_.train.batch;
        length_ = base_.train.length;
        while (least_batch_ > 1 && !fills(least_batch_)) least_batch_ /= 2;
        while (length_ > 8 && !fills(least_batch_)) length_ /= 2;
    }
    bool fills(int64_t batch) const { return int64_t(look_.tokens) / batch >= 4 * (length_ + 1); }

    // The configuration of a shape; its budget and its evaluation as the plan needs them, once there is one.
    Config config_of(const PlanShape& shape, const PlanCandidate* chosen = nullptr) const {
        std::vector<std::string> settings = shape_settings(shape);
        settings.push_back("train.max_seconds=" + format_number(request_.seconds));
        settings.push_back("train.length=" + std::to_string(length_));
        for (std::string& each : text_settings(double(look_.tokens))) settings.push_back(std::move(each));
        if (chosen) {
            if (chosen->most_tokens > 0)
                settings.push_back("train.max_tokens=" + std::to_string(int64_t(chosen->most_tokens)));
            const double part = kEvaluationPart * chosen->seconds;
            settings.push_back("evaluation.every_seconds=" + format_number(chosen->seconds / 4));
            settings.push_back("evaluation.bytes=" +
                               std::to_string(int64_t(std::clamp(3 * chosen->tokens_per_second * part, 20e3, 500e3))));
        }
        const size_t planned = settings.size();
        settings.insert(settings.end(), request_.settings.begin(), request_.settings.end());
        Config config = planned_config(settings);
        for (size_t i = 0; i < planned; ++i) {
            const std::string path = settings[i].substr(0, settings[i].find('='));
            const bool kept = std::none_of(request_.settings.begin(), request_.settings.end(),
                                           [&](const std::string& set) { return set.rfind(path + "=", 0) == 0; });
            if (kept && config.origins.count(path)) config.origins[path] = "the plan";
        }
        return config;
    }

    double memory_limit() const {
        const auto available = double(available_memory());
        return request_.memory > 0 ? std::min(request_.memory, available) : available;
    }

    // A width with the batch and the tables that a training on this many tokens is worth, as far as they fit into
    // memory.
    std::optional<PlanCandidate> candidate(PlanShape shape, double tokens) {
        for (shape.batch = std::max(planned_batch(tokens), least_batch_);;
             shape.batch = std::max(shape.batch / 2, least_batch_)) {
            if (shape.batch == least_batch_) return with_tables(shape, tokens);
            if (!fills(shape.batch)) continue;
            if (auto fits = with_tables(shape, tokens)) return fits;
        }
    }
    std::optional<PlanCandidate> with_tables(PlanShape shape, double tokens) {
        for (int64_t rows : plan_rows()) {
            if (rows > planned_rows(tokens)) continue;
            shape.ngram_rows = rows;
            const Config config = config_of(shape);
            shape.batch = config.train.batch;
            shape.ngram_rows = config.model.ngrams.rows;  // as a setting may say
            const LanguageModel model(config, look_.vocabulary);
            const double memory = estimate_memory(model, config, machine_.working == at::kBFloat16 ? 2 : 4).total();
            least_memory_ = std::min(least_memory_, memory);
            if (memory > memory_limit()) continue;
            const ModelCost cost = count_cost(model, cost_shape(config));
            return PlanCandidate{.shape = shape,
                                 .training_flops_per_token = cost.training_flops_per_token,
                                 .parameters = double(cost.parameters),
                                 .in_tables = double(cost.parameters_in_tables),
                                 .memory = memory};
        }
        return std::nullopt;
    }

    // Every width that fits, with what the shortest training is worth.
    void find_smallest() {
        for (const PlanShape& shape : plan_shapes())
            if (const auto fits = candidate(shape, 0)) smallest_.push_back(*fits);
        if (smallest_.empty())
            fail({.kind = ErrorKind::resources,
                  .what = "no model of the plan's family fits into this memory",
                  .where = option("max-memory"),
                  .expected = "at least " + format_bytes(least_memory_),
                  .got = format_bytes(memory_limit()),
                  .hint = "give more, or write a configuration (configs/)"});
    }

    void drop_from(const PlanShape& shape) {
        std::erase_if(smallest_, [&](const PlanCandidate& each) { return each.shape.width >= shape.width; });
        if (smallest_.empty())
            fail_usage("no model of the plan's family generates a token in " + format_number(1e3 * request_.latency) +
                           " ms on this machine",
                       option("target-latency"), "allow more");
    }

    double visit(PlanCandidate& candidate) {
        const double seconds = std::clamp(0.003 * request_.seconds, 0.2, 1.0);
        const double speed = measure_training_speed(config_of(candidate.shape), corpus_.tokenizer(),
                                                    corpus_.split("train"), machine_, seconds, request_.stop);
        release_free_memory();  // the tables of a candidate would stay beside the chosen one's
        log_verbose("measured   " + candidate.shape.name() + ", batch " + std::to_string(candidate.shape.batch) + ": " +
                    format_count(speed) + " tokens/s");
        // before the first visit it is a guess
        candidate.tokens_per_second = candidate.visits > 0 ? std::max(candidate.tokens_per_second, speed) : speed;
        ++candidate.visits;
        return candidate.tokens_per_second;
    }
    double measure(const PlanCandidate& candidate) { return visit(measured_.emplace_back(candidate)); }

    // The best by predicted quality; it has been measured.
    PlanCandidate choose() {
        if (measured_.empty()) {
            const double tokens = measure(smallest_[smallest_.size() / 6]) * request_.seconds;
            // a larger one, with the batch that an eighth of the small one's speed asks for
            if (smallest_.size() > 1) measure(*candidate(smallest_[smallest_.size() * 2 / 3].shape, tokens / 8));
        }
        for (;;) {
            candidates_.clear();
            for (const PlanCandidate& least : smallest_) candidates_.push_back(expected_of(least));
            const PlanCandidate& best =
                *std::min_element(candidates_.begin(), candidates_.end(),
                                  [](const auto& a, const auto& b) { return a.expected.bits < b.expected.bits; });
            if (best.visits == 0) measure(best);
            else if (!measure_a_second_time()) return best;
        }
    }

    // Other programs can hold a measurement up, for a second or two: each is made at two moments, the faster counts.
    bool measure_a_second_time() {
        bool again = false;
        for (PlanCandidate& each : measured_)
            if (each.visits == 1) {
                visit(each);
                again = true;
            }
        return again;
    }

    // A width with what the tokens that it is expected to see are worth.
    PlanCandidate expected_of(const PlanCandidate& least) {
        const double guess = guessed_speed(least);
        const double guessed = guess * request_.seconds;
        PlanCandidate c = candidate(least.shape, at_most(most_tokens(least.shape, guessed), guessed)).value_or(least);
        const auto same = std::find_if(measured_.begin(), measured_.end(), [&](const PlanCandidate& m) {
            return m.shape.width == c.shape.width && m.shape.batch == c.shape.batch;
        });
        c.visits = same != measured_.end() ? same->visits : 0;
        c.tokens_per_second = c.visits > 0 ? same->tokens_per_second : guess;
        const double all = c.tokens_per_second * request_.seconds;
        c.most_tokens = most_tokens(c.shape, all);
        const double tokens = at_most(c.most_tokens, all);
        c.seconds = request_.seconds * (tokens / all);  // all of it exactly
        c.expected = predict(c.shape, tokens, look_);
        return c;
    }

    // Tokens beyond which reading the text again makes it worse; 0 where a machine that turns out faster than it was
    // measured, where `all` are expected, will not come to that. What the table does not know is trained for all of the
    // time, and so is what --set gives a time.
    double most_tokens(const PlanShape& shape, double all) const {
        if (!look_.is_bytes || altered_ || timed_) return 0;
        const double reach = 3 * all, most = worthwhile_tokens(shape, reach, look_);
        return most < reach ? most : 0;
    }

    // Of what was not measured: seconds per token = size_cost * layers * width + flop_cost * FLOPs, by least squares
    // from what was. Relative errors count: each equation is divided by its time.
    double guessed_speed(const PlanCandidate& candidate) const {
        auto size = [](const PlanCandidate& c) { return double(c.shape.layers * c.shape.width); };
        double sizes_squared = 0, sizes_by_flops = 0, flops_squared = 0, all_sizes = 0, all_flops = 0;
        for (const PlanCandidate& c : measured_) {
            const double sized = size(c) * c.tokens_per_second;
            const double flops = c.training_flops_per_token * c.tokens_per_second;
            sizes_squared += sized * sized;
            sizes_by_flops += sized * flops;
            flops_squared += flops * flops;
            all_sizes += sized;
            all_flops += flops;
        }
        const double determinant = sizes_squared * flops_squared - sizes_by_flops * sizes_by_flops;
        double size_cost = 0, flop_cost = all_flops / flops_squared;
        if (determinant > 1e-9 * sizes_squared * flops_squared) {
            const double by_size = (all_sizes * flops_squared - all_flops * sizes_by_flops) / determinant;
            const double by_flops = (all_flops * sizes_squared - all_sizes * sizes_by_flops) / determinant;
            if (by_size >= 0 && by_flops > 0) {
                size_cost = by_size;
                flop_cost = by_flops;
            }
        }
        return 1 / (size_cost * size(candidate) + flop_cost * candidate.training_flops_per_token);
    }

    const PlanRequest& request_;
    Config base_;
    Machine machine_;
    Corpus corpus_;
    bool altered_, timed_;  // by --set
    CorpusLook look_;
    int64_t least_batch_ = 0, length_ = 0;
    double least_memory_ = 1e300;  // of all that was considered
    std::vector<PlanCandidate> smallest_, candidates_, measured_;
};

}  // namespace

bool states_the_time(const std::vector<std::string>& settings) {
    return std::any_of(settings.begin(), settings.end(),
                       [](const std::string& each) { return each.rfind("train.max_seconds=", 0) == 0; });
}

Plan make_plan(const PlanRequest& request) {
    if (!(request.seconds >= 1))
        fail_usage("a plan needs at least a second of training", option("max-time"), option("max-time", "10m"));
    return Planner(request).make();
}

}  // namespace lithe
