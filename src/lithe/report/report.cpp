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

std::string charts(const RunRecord& record) {
    Curve train_tokens{"training", {}}, valid_tokens{"validation", {}}, train_time{"training", {}},
        valid_time{"validation", {}}, rate{"learning rate", {}};
    double smooth = 0;
    for (const RunPoint& point : record.train) {
        smooth = smooth == 0 ? point.bits : 0.8 * smooth + 0.2 * point.bits;
        if (!std::isfinite(smooth)) continue;
        train_tokens.points.push_back({point.tokens, smooth});
        train_time.points.push_back({point.seconds, smooth});
        rate.points.push_back({point.tokens, point.learning_rate});
    }
    for (const RunPoint& point : record.valid) {
        valid_tokens.points.push_back({point.tokens, point.bits});
        valid_time.points.push_back({point.seconds, point.bits});
    }
    return svg_chart("Bits per byte against tokens", "tokens", "bits", {train_tokens, valid_tokens}) +
           svg_chart("Bits per byte against training time", "seconds", "bits", {train_time, valid_time}) +
           svg_chart("Learning rate", "tokens", "rate", {rate});
}

std::string page(const RunRecord& record) {
    const std::string& run = record.folder;
    std::string html = page_head(record.name) + "<table>";
    if (record.last_bits) {
        const Json protocol = record.protocol();
        html += table_row("bits per byte", fixed_digits(*record.last_bits, 4) + " on " +
                                               format_count(number_of(record.last_valid, "bytes")) + "B of the " +
                                               (protocol.is_object() ? protocol.value("split", "valid") : "valid") +
                                               " split");
        html += table_row("perplexity per token", fixed_digits(number_of(record.last_valid, "perplexity"), 3));
    }
    if (!record.train.empty()) {
        html += table_row("trained on",
                          format_count(double(record.tokens)) + " tokens in " + format_seconds(record.seconds));
        html += table_row("speed", format_count(record.tokens_per_second) + " tokens/s (median)");
        html += table_row("peak memory", format_bytes(record.peak_memory));
    }
    const std::vector<Json> samples = read_json_lines(run + "/samples.jsonl");
    html += "</table>" + charts(record);
    if (!samples.empty()) {
        html += "<h2>Samples</h2>";
        size_t first = samples.size() > 5 ? samples.size() - 5 : 0;
        for (size_t i = samples.size(); i-- > first;) {
            const Json& sample = samples[i];
            html += "<p class=\"soft\">step " + std::to_string(int64_t(number_of(sample, "step"))) + "</p><pre><b>" +
                    escape_html(sample.value("prompt", "")) + "</b>" + escape_html(sample.value("text", "")) + "</pre>";
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
