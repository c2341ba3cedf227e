#include "lithe/report/report.h"

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numbers>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/log.h"
#include "lithe/base/median.h"
#include "lithe/base/text.h"
#include "lithe/report/numbers.h"
#include "lithe/report/page.h"
#include "lithe/report/run_record.h"

namespace lithe {
namespace {

using Json = nlohmann::json;

struct Records {
    std::vector<Json> train, valid, samples;
};

Records read_records(const std::string& run) {
    Records records;
    for (Json& line : read_json_lines(run + "/metrics.jsonl")) {
        if (line.contains("valid")) records.valid.push_back(std::move(line));
        else if (line.contains("loss") && line["loss"].is_number()) records.train.push_back(std::move(line));
    }
    records.samples = read_json_lines(run + "/samples.jsonl");
    return records;
}

std::string charts(const Records& records) {
    Curve train_tokens{"training", {}}, valid_tokens{"validation", {}}, train_time{"training", {}},
        valid_time{"validation", {}}, rate{"learning rate", {}};
    double smooth = 0;
    for (const Json& line : records.train) {
        double bits = number_of(line, "loss") / std::numbers::ln2;
        smooth = smooth == 0 ? bits : 0.8 * smooth + 0.2 * bits;
        if (!std::isfinite(smooth)) continue;
        train_tokens.points.push_back({number_of(line, "tokens"), smooth});
        train_time.points.push_back({number_of(line, "seconds"), smooth});
        rate.points.push_back({number_of(line, "tokens"), number_of(line, "learning_rate")});
    }
    for (const Json& line : records.valid) {
        valid_tokens.points.push_back({number_of(line, "tokens"), number_of(line["valid"], "bits_per_byte")});
        valid_time.points.push_back({number_of(line, "seconds"), number_of(line["valid"], "bits_per_byte")});
    }
    return svg_chart("Bits per token against tokens", "tokens", "bits", {train_tokens, valid_tokens}) +
           svg_chart("Bits per token against training time", "seconds", "bits", {train_time, valid_time}) +
           svg_chart("Learning rate", "tokens", "rate", {rate});
}

std::string page(const std::string& run, const Records& records) {
    std::string html = page_head(std::filesystem::path(run).filename().string()) + "<table>";
    if (!records.valid.empty()) {
        const Json& last = records.valid.back()["valid"];
        html += table_row("bits per byte", fixed_digits(number_of(last, "bits_per_byte"), 4) + " on " +
                                               format_count(number_of(last, "bytes")) + "B of the " +
                                               last["protocol"].value("split", "valid") + " split");
        html += table_row("perplexity per token", fixed_digits(number_of(last, "perplexity"), 3));
    }
    if (!records.train.empty()) {
        const Json& last = records.train.back();
        std::vector<double> speeds;
        for (const Json& line : records.train) speeds.push_back(number_of(line, "tokens_per_second"));
        html += table_row("trained on", format_count(number_of(last, "tokens")) + " tokens in " +
                                            format_seconds(number_of(last, "seconds")));
        html += table_row("speed", format_count(median(std::move(speeds))) + " tokens/s (median)");
        html += table_row("peak memory", format_bytes(number_of(last, "peak_rss_bytes")));
    }
    html += "</table>" + charts(records);
    if (!records.samples.empty()) {
        html += "<h2>Samples</h2>";
        size_t first = records.samples.size() > 5 ? records.samples.size() - 5 : 0;
        for (size_t i = records.samples.size(); i-- > first;) {
            const Json& sample = records.samples[i];
            html += "<p class=\"soft\">step " + std::to_string(int64_t(number_of(sample, "step"))) + "</p><pre><b>" +
                    escape_html(sample.value("prompt", "")) + "</b>" + escape_html(sample.value("text", "")) + "</pre>";
        }
    }
    if (std::filesystem::exists(run + "/config.toml"))
        html += "<h2>Settings</h2><pre>" + escape_html(read_file(run + "/config.toml", 1 << 20)) + "</pre>";
    if (std::filesystem::exists(run + "/run.json"))
        html += "<h2>Environment</h2><pre>" + escape_html(read_file(run + "/run.json", 16 << 20)) + "</pre>";
    return html + page_end();
}

}  // namespace

void write_report(const std::string& run) {
    try {
        replace_file(run + "/report.html", page(run, read_records(run)));
    } catch (const std::exception& error) { log_warning(std::string("no report: ") + error.what()); }
}

}  // namespace lithe
