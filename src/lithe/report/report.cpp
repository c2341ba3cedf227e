#include "lithe/report/report.h"

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numbers>
#include <sstream>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"

namespace lithe {
namespace {

using Json = nlohmann::json;

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --soft: #6a737d; --line: #d8dee4; --a: #1f6feb; --b: #d9480f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --soft: #8b949e; --line: #30363d; --a: #58a6ff; --b: #ff922b; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem } .soft { color: var(--soft) }
table { border-collapse: collapse } td, th { padding: .2rem .9rem .2rem 0; text-align: left; vertical-align: top }
pre { background: color-mix(in srgb, var(--line) 35%, transparent); padding: .8rem; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; border-radius: 6px; font-size: .85rem }
svg { width: 100%; height: auto } .grid { stroke: var(--line) } .tick { fill: var(--soft); font-size: 11px } .title { fill: var(--ink); font-size: 13px; font-weight: 600 }
.curve { fill: none; stroke-width: 1.5 } .c0 { stroke: var(--a) } .c1 { stroke: var(--b) } circle.c0 { fill: var(--a) } circle.c1 { fill: var(--b) }
.legend { stroke: none; font-size: 12px } .legend.c0 { fill: var(--a) } .legend.c1 { fill: var(--b) }
)";

struct Records {
    std::vector<Json> train, valid, samples;
};

void read_lines(const std::string& path, const std::function<void(Json&&)>& use) {
    if (!std::filesystem::exists(path)) return;
    std::istringstream lines(read_file(path));
    for (std::string line; std::getline(lines, line);) {
        Json json = Json::parse(line, nullptr, false);
        if (json.is_object()) use(std::move(json));
    }
}

Records read_records(const std::string& run) {
    Records records;
    read_lines(run + "/metrics.jsonl", [&](Json&& line) {
        if (line.contains("valid")) records.valid.push_back(std::move(line));
        else if (line.contains("loss") && line["loss"].is_number()) records.train.push_back(std::move(line));
    });
    read_lines(run + "/samples.jsonl", [&](Json&& line) { records.samples.push_back(std::move(line)); });
    return records;
}

double number_of(const Json& json, const char* key) {
    return json.contains(key) && json[key].is_number() ? json[key].get<double>() : 0;
}

std::string row(const std::string& name, const std::string& value) {
    return "<tr><th>" + escape_html(name) + "</th><td>" + escape_html(value) + "</td></tr>";
}

std::string fixed(double value, int digits) {
    char text[40];
    std::snprintf(text, sizeof text, "%.*f", digits, value);
    return text;
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
    std::string name = std::filesystem::path(run).filename().string();
    std::string html =
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" "
        "content=\"width=device-width\"><title>" +
        escape_html(name) + "</title><style>" + kStyle + "</style><h1>" + escape_html(name) + "</h1><table>";
    if (!records.valid.empty()) {
        const Json& last = records.valid.back()["valid"];
        html += row("bits per byte", fixed(number_of(last, "bits_per_byte"), 4) + " on " +
                                         format_count(number_of(last, "bytes")) + "B of the " +
                                         last["protocol"].value("split", "valid") + " split");
        html += row("perplexity per token", fixed(number_of(last, "perplexity"), 3));
    }
    if (!records.train.empty()) {
        const Json& last = records.train.back();
        std::vector<double> speeds;
        for (const Json& line : records.train) speeds.push_back(number_of(line, "tokens_per_second"));
        std::sort(speeds.begin(), speeds.end());
        html += row("trained on", format_count(number_of(last, "tokens")) + " tokens in " +
                                      format_seconds(number_of(last, "seconds")));
        html += row("speed", format_count(speeds[speeds.size() / 2]) + " tokens/s (median)");
        html += row("peak memory", format_bytes(number_of(last, "peak_rss_bytes")));
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
    return html + "</html>\n";
}

}  // namespace

void write_report(const std::string& run) {
    try {
        replace_file(run + "/report.html", page(run, read_records(run)));
    } catch (const std::exception& error) { log_warning(std::string("no report: ") + error.what()); }
}

}  // namespace lithe
