#include "lithe/report/report.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/report/curves.h"
#include "lithe/report/expert_charts.h"
#include "lithe/report/halting_chart.h"
#include "lithe/report/numbers.h"
#include "lithe/report/page.h"
#include "lithe/report/run_record.h"

namespace lithe {
namespace {

using Json = nlohmann::json;

// Training smoothed above what was logged, and validation.
std::string score_charts(const RunRecord& record, const std::string& against, const std::string& unit,
                         double RunPoint::*x) {
    std::vector<CurvePoint> logged;
    for (const RunPoint& point : record.train) logged.push_back({point.*x, point.value});
    const Curve training{"training, smoothed", thinned(smoothed(logged), 300), true, 0};
    const Curve dots{"as logged", thinned(logged, 400), false, 0, true};
    Curve validation{"validation", {}, true, 1};
    for (const RunPoint& point : record.valid) validation.points.push_back({point.*x, point.value});
    const std::string title = capitalized(record.score.unit) + " against " + against;
    if (record.trains_on_score()) return chart_html(training_chart(title, unit, {dots, training, validation}));
    return chart_html(training_chart(title, unit, {validation})) +
           chart_html(training_chart("Training loss in nats against " + against, unit, {dots, training}));
}

std::string charts(const RunRecord& record) {
    Curve rate{"", {}};
    for (const RunPoint& point : record.train) rate.points.push_back({point.tokens, point.learning_rate});
    rate.points = thinned(rate.points, 300);
    return score_charts(record, "tokens", "tokens", &RunPoint::tokens) +
           score_charts(record, "training time", "seconds", &RunPoint::seconds) +
           chart_html({"Learning rate", "tokens", {rate}});
}

// Bytes that the tokenizer cannot say cost next to nothing, which is said beside the bits.
std::string unspoken_text(double share) {
    return three_digits(100 * share) +
           " % of the scored bytes: an unknown token stands for them, or none. These bits per byte do not compare with "
           "those of another tokenizer.";
}

std::string continuation(const Json& sample) {
    return "<pre><b>" + escape_html(text_of(sample, "prompt")) + "</b>" + escape_html(text_of(sample, "text")) +
           "</pre>";
}

// "BLEU 38.12, chrF 60.31 of 200 pairs of validation"; empty without scores.
std::string scores_of(const Json& sample) {
    std::string text;
    const auto scores = sample.find("scores");
    if (scores == sample.end() || !scores->is_array()) return "";
    for (const Json& each : *scores)
        if (const auto score = score_of({{"score", each}}))
            text += (text.empty() ? "" : ", ") + score->kind.unit + " " + fixed_digits(score->value, 2);
    if (text.empty()) return "";
    return text + " of " + std::to_string(count_of(sample, "pairs")) + " pairs of validation";
}

// What was read, what should have been written, and what was.
std::string translations(const Json& sample) {
    std::string html;
    if (const std::string scores = scores_of(sample); !scores.empty()) {
        html += "<p>" + escape_html(scores) + "</p><p class=\"soft\">";
        for (const Json& each : sample["scores"]) html += escape_html(text_of(each, "signature")) + "<br>";
        html += "</p>";
    }
    const auto line = [](const std::string& name, const Json& each, const char* key) {
        return "<span class=\"soft\">" + name + "</span> " + escape_html(text_of(each, key));
    };
    for (const Json& each : sample["texts"])
        html += "<p>" + line("source", each, "source") + "<br>" + line("reference", each, "reference") + "<br>" +
                line("translation", each, "text") + "</p>";
    return html;
}

// What else the last evaluation of texts was judged by, and the best one.
std::string other_scores(const RunRecord& record) {
    std::string html;
    const auto scores = record.last_valid.find("scores");
    if (scores == record.last_valid.end() || !scores->is_array()) return html;
    for (const Json& each : *scores)
        if (const auto score = score_of({{"score", each}}); score && !(score->kind == record.score))
            html += table_row(score->kind.unit, fixed_digits(score->value, 4));
    if (record.best_score) html += table_row("best " + record.score.unit, fixed_digits(*record.best_score, 4));
    return html;
}

std::string page(const RunRecord& record) {
    const std::string& run = record.folder;
    std::string html = page_head(record.name) + "<table>";
    if (record.last_score) {
        const Json protocol = record.protocol();
        const std::string texts = record.last_valid.contains("texts")
                                      ? format_count(number_of(record.last_valid, "texts")) + " texts"
                                      : format_count(number_of(record.last_valid, "bytes")) + "B";
        html += table_row(record.score.unit, fixed_digits(*record.last_score, 4) + " on " + texts + " of the " +
                                                 (protocol.is_object() ? protocol.value("split", "valid") : "valid") +
                                                 " split");
        html += other_scores(record);
        if (record.unspoken_share() > 0) html += table_row("unspoken", unspoken_text(record.unspoken_share()));
        if (record.last_valid.contains("perplexity"))
            html += table_row("perplexity per token", fixed_digits(number_of(record.last_valid, "perplexity"), 3));
    }
    if (!record.train.empty()) {
        html += table_row("trained on",
                          format_count(double(record.tokens)) + " tokens in " + format_seconds(record.seconds));
        html += table_row("speed", format_count(record.tokens_per_second) + " tokens/s (median)");
        html += table_row("peak memory", format_bytes(record.peak_memory));
    }
    const std::vector<Json> samples = read_json_lines(run + "/samples.jsonl");
    if (!samples.empty() && !scores_of(samples.back()).empty())
        html += table_row("translations", scores_of(samples.back()));
    html += "</table>" + charts(record) + expert_charts(record) + halting_chart(record);
    if (!samples.empty()) {
        html += "<h2>Samples</h2>";
        size_t first = samples.size() > 5 ? samples.size() - 5 : 0;
        for (size_t i = samples.size(); i-- > first;) {
            const Json& sample = samples[i];
            html += "<p class=\"soft\">step " + std::to_string(count_of(sample, "step")) + "</p>";
            html +=
                sample.contains("texts") && sample["texts"].is_array() ? translations(sample) : continuation(sample);
        }
    }
    html += "<h2>Settings</h2><pre>" + escape_html(read_file(run + "/config.toml", 1 << 20)) + "</pre>";
    if (std::filesystem::exists(run + "/run.json"))
        html += "<h2>Environment</h2><pre>" + escape_html(read_file(run + "/run.json", 16 << 20)) + "</pre>";
    return html + page_end();
}

}  // namespace

void write_report(const std::string& run) {
    try {
        replace_file(run + "/report.html", page(read_run_record(run)));
    } catch (const std::exception& error) { log_warning(std::string("no report: ") + error.what()); }
}

}  // namespace lithe
