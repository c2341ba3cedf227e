#include "lithe/objectives/evaluate.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "lithe/base/log.h"
#include "lithe/base/position_flags.h"
#include "lithe/base/text.h"
#include "lithe/base/timer.h"
#include "lithe/objectives/parts.h"
#include "lithe/ops/side_by_side.h"

namespace lithe {
namespace {

// What the scored tokens are and stand for.
struct TextSums {
    explicit TextSums(const ScoredText& scored) : text(scored) {}
    void add(const std::vector<int64_t>& targets) {
        for (const int64_t id : targets) {
            if (id < 0) continue;
            ++tokens;
            bytes += text.bytes_of(id);
            unspoken += text.unspoken_of(id);
        }
    }
    const ScoredText& text;
    uint64_t tokens = 0;
    double bytes = 0, unspoken = 0;
};

}  // namespace

EvaluationProtocol protocol_of(const Config& config, const Tokenizer& tokenizer) {
    const EvaluationConfig& e = config.evaluation;
    EvaluationProtocol protocol;
    protocol.bytes = uint64_t(e.bytes);
    protocol.batch = e.batch > 0 ? e.batch : config.train.batch;
    protocol.length = e.length > 0 ? e.length : config.train.length;
    protocol.memory = e.memory >= 0 ? e.memory : config.model.memory;
    protocol.lead = e.lead;
    protocol.mask = e.mask;
    protocol.clamp_length = e.clamp_length;
    protocol.documents = config.data.order == TextOrder::documents;
    if (config.data.document_end == DocumentEnd::automatic) protocol.document_end = tokenizer.document_end();
    protocol.precision = config.train.precision;
    return protocol;
}

// The pass of every segment.
static Pass pass_of(const LanguageModel& model, const EvaluationProtocol& protocol) {
    Pass pass = model.pass(false);
    pass.memory = protocol.memory;
    pass.keep_projections = true;
    switch (protocol.mask) {
        case AttentionMask::causal: break;
        case AttentionMask::same_length: pass.window = protocol.memory; break;
        case AttentionMask::same_length_original: pass.window = std::max<int64_t>(0, protocol.memory - 1); break;
    }
    pass.clamp_length = protocol.clamp_length;
    return pass;
}

static void judge_tokens(const Objective& objective, const TextSums& text, double sum, EvaluationResult& result) {
    result.tokens = text.tokens;
    if (result.tokens == 0) fail_file("no token of split '" + result.protocol.split + "' was scored", "data");
    if (!(text.bytes > 0))
        fail_file("the scored tokens of split '" + result.protocol.split + "' stand for no text", "data");
    result.bytes = uint64_t(std::llround(text.bytes));
    result.unspoken_share = text.unspoken / text.bytes;
    result.loss = sum / double(result.tokens);
    result.bits_per_byte = sum / std::numbers::ln2 / text.bytes;
    result.score = {objective.score_kind(), result.bits_per_byte};
    result.perplexity = std::exp(result.loss);
}

static void judge_rows(const Objective& objective, const RowOutputs& rows, double loss, EvaluationResult& result) {
    if (rows.rows() == 0) fail_file("no text of split '" + result.protocol.split + "' was scored", "data");
    if (objective.reads_labels()) result.texts = uint64_t(rows.rows());
    result.loss = loss;
    result.scores = objective.judge(rows);
    result.score = result.scores.at(0);
}

static void judge_rows_of_tokens(const Objective& objective, const RowOutputs& rows, const TextSums& text, double sum,
                                 EvaluationResult& result) {
    judge_tokens(objective, text, sum, result);
    judge_rows(objective, rows, result.loss, result);
}

std::optional<EvaluationResult> evaluate(const Objective& objective, const Models& models, const ScoredText& text,
                                         const EvaluationProtocol& given, const std::stop_token& stop) {
    Timer timer;
    EvaluationResult result;
    result.objective = objective.name();
    result.words = objective.scoring_words();
    result.protocol = given;
    const auto batches = objective.scored_batches(text, result.protocol);
    result.protocol.batch = batches->rows();
    if (!result.words.carries_state) result.protocol.lead = 0;

    const at::Device device = models.main().device();
    const Pass pass = pass_of(models.main(), result.protocol);
    const int64_t most_parts = natural_parts(batches->rows(), at::get_num_threads(), device);
    std::vector<State> states(static_cast<size_t>(most_parts));
    std::vector<double> sums(states.size());
    TextSums sums_of_text(text);
    RowOutputs rows;
    double weight = 0;
    int64_t number = 0, first_row = 0;
    while (const Batch* batch = batches->next()) {
        if (stop.stop_requested()) return std::nullopt;
        const DeviceBatch whole = DeviceBatch::of(*batch, device);
        const int64_t parts = std::min(most_parts, batch->rows);
        std::vector<Tensor> outputs(static_cast<size_t>(parts));
        ops::side_by_side(parts, [&](int64_t part) {
            const at::NoGradGuard no_grad;  // is the thread's
            State& state = states[size_t(part)];
            if (!result.words.carries_state) state = State();
            const int64_t first = first_row + range_of_part(part, parts, batch->rows).first;
            ScoredRows scored = objective.score(models, rows_of(whole, part, parts), state, pass.with(FirstRow{first}));
            sums[size_t(part)] += scored.sum.item<double>();
            outputs[size_t(part)] = std::move(scored.outputs_BC);
            state = std::move(scored.state);
        });
        first_row += batch->rows;
        if (outputs.front().defined()) rows.add(at::cat(outputs), batch->labels);
        for (const auto& [term, of_batch] : objective.weights(*batch)) weight += of_batch;
        sums_of_text.add(batch->targets);
        if (number++ % 16 == 0) log_progress("evaluating " + std::to_string(int(100 * batches->progress())) + " %");
    }
    log_progress("");
    const double sum = std::accumulate(sums.begin(), sums.end(), 0.0);
    if (objective.reads_labels()) judge_rows(objective, rows, sum / weight, result);
    else if (rows.rows() > 0) judge_rows_of_tokens(objective, rows, sums_of_text, sum, result);
    else judge_tokens(objective, sums_of_text, sum, result);
    result.seconds = timer.seconds();
    return result;
}

std::string unspoken_text(const EvaluationResult& result) {
    if (result.unspoken_share <= 0) return "";
    char share[16];
    std::snprintf(share, sizeof share, "%.2g", 100 * result.unspoken_share);
    return std::string(", ") + share +
           " % of the text has no token of its own and costs next to nothing: not comparable with other tokenizers";
}

std::string figures_text(const EvaluationResult& result) {
    if (!result.judged())
        return fmt::format("perplexity {:.3f}, {} tokens", result.perplexity, format_count(double(result.tokens)));
    std::string text;
    for (const Score& each : result.scores)
        if (!(each.kind == result.score.kind)) text += fmt::format("{} {:.4f}, ", each.kind.unit, each.value);
    const std::string scored =
        result.texts > 0 ? fmt::format("{} texts", result.texts) : format_count(double(result.tokens)) + " tokens";
    return text + fmt::format("loss {:.4f}, {}", result.loss, scored);
}

static std::string unscored_tokens(const EvaluationResult& result) {
    if (!result.words.unscored.empty()) return result.words.unscored;
    const EvaluationProtocol& p = result.protocol;
    return p.documents && !p.document_end ? "the first token of each document" : "the first token";
}

static std::string carried_state(const EvaluationResult& result) {
    if (!result.words.carries_state) return "none";
    return result.protocol.documents ? "anew with each document" : "carried";
}

std::string protocol_text(const EvaluationResult& result) {
    const EvaluationProtocol& p = result.protocol;
    std::string text = fmt::format("{} rows of {}{} tokens", p.batch, result.texts > 0 ? "at most " : "", p.length);
    if (result.words.carries_state) {
        text += ", memory " + std::to_string(p.memory);
        if (!p.documents) text += ", " + std::to_string(p.lead) + " tokens read before each row";
        text += ", state " + carried_state(result);
        if (p.mask != AttentionMask::causal) text += std::string(", mask ") + name_of(p.mask);
        if (p.clamp_length >= 0) text += ", distances clamped to " + std::to_string(p.clamp_length);
    }
    text += ", " + name_of(p.precision);
    return result.texts > 0 ? text : text + "; not scored: " + unscored_tokens(result);
}

nlohmann::ordered_json to_json(const EvaluationResult& result, bool with_protocol) {
    nlohmann::ordered_json json = {{"score", to_json(result.score)}};
    if (result.judged()) {
        for (const Score& each : result.scores) json["scores"].push_back(to_json(each));
        json["loss"] = result.loss;
    } else {
        json["bits_per_byte"] = result.bits_per_byte;
        json["loss"] = result.loss;
        json["perplexity"] = result.perplexity;
    }
    if (!with_protocol) return json;
    if (result.texts > 0) {
        json["texts"] = result.texts;
    } else {
        json["tokens"] = result.tokens;
        json["bytes"] = result.bytes;
        json["unspoken_share"] = result.unspoken_share;
    }
    json["seconds"] = result.seconds;
    const EvaluationProtocol& p = result.protocol;
    json["protocol"] = {{"split", p.split},
                        {"first_bytes", p.bytes},
                        {"batch", p.batch},
                        {"length", p.length},
                        {"memory", result.words.carries_state ? p.memory : 0},
                        {"lead", p.lead},
                        {"mask", name_of(p.mask)},
                        {"clamp_length", p.clamp_length},
                        {"precision", name_of(p.precision)},
                        {"state", carried_state(result)},
                        {"objective", result.objective},
                        {"unscored", unscored_tokens(result)}};
    return json;
}

}  // namespace lithe
