#include <map>

#include "lithe/cli/bench.h"

namespace lithe {
namespace {

using Json = nlohmann::ordered_json;

// What a row reaches of what bounds it: arithmetic where it is counted, else memory.
Json entry(const std::string& name, double seconds, double whole, double flops, double bytes, double gflops,
           double gb_per_s) {
    Json json = {{"name", name}, {"milliseconds", 1e3 * seconds}, {"share", seconds / whole}};
    if (seconds <= 0) return json;
    if (flops > 0) json["gflops"] = flops / seconds / 1e9;
    if (bytes > 0) json["gb_per_s"] = bytes / seconds / 1e9;
    if (flops > 0) json["of_ceiling"] = flops / seconds / 1e9 / gflops;
    else if (bytes > 0) json["of_ceiling"] = bytes / seconds / 1e9 / gb_per_s;
    return json;
}

}  // namespace

Json profile_json(const std::vector<ops::ProfileRow>& rows, int steps, double gflops, double gb_per_s) {
    struct Sum {
        double seconds = 0, flops = 0, bytes = 0;
        Json kernels = Json::array();
    };
    std::map<std::string, Sum> phases;
    double whole = 0;
    for (const ops::ProfileRow& row : rows) whole += row.seconds / steps;
    for (const ops::ProfileRow& row : rows) {
        const double seconds = row.seconds / steps, flops = row.flops / steps, bytes = row.bytes / steps;
        Sum& sum = phases[row.phase];
        sum.seconds += seconds;
        sum.flops += flops;
        sum.bytes += bytes;
        Json each = entry(row.name, seconds, whole, flops, bytes, gflops, gb_per_s);
        each["calls"] = double(row.calls) / steps;
        sum.kernels.push_back(std::move(each));
    }
    std::vector<std::pair<std::string, Sum>> order(phases.begin(), phases.end());
    std::sort(order.begin(), order.end(),
              [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
    Json list = Json::array();
    for (auto& [name, sum] : order) {
        Json phase = entry(name, sum.seconds, whole, sum.flops, sum.bytes, gflops, gb_per_s);
        phase["operators"] = std::move(sum.kernels);
        list.push_back(std::move(phase));
    }
    return {{"milliseconds", 1e3 * whole}, {"phases", std::move(list)}};
}

std::string profile_text(const Json& profile) {
    auto line = [](const Json& row, const char* indent) {
        auto number = [&](const char* key, double scale, const char* format) -> std::string {
            if (!row.contains(key)) return "-";
            char text[32];
            std::snprintf(text, sizeof text, format, scale * row[key].get<double>());
            return text;
        };
        char text[200];
        std::snprintf(text, sizeof text, "%s%-*s %9s %7s %9s %9s %9s %7s\n", indent,
                      int(38 - std::string(indent).size()), row["name"].get<std::string>().substr(0, 36).c_str(),
                      number("milliseconds", 1, "%.2f").c_str(), number("share", 100, "%.1f").c_str(),
                      number("gflops", 1, "%.0f").c_str(), number("gb_per_s", 1, "%.1f").c_str(),
                      number("of_ceiling", 100, "%.0f").c_str(), number("calls", 1, "%.0f").c_str());
        return std::string(text);
    };
    std::string out = "  phase, operator                           ms       %      GF/s      GB/s  % of top   calls\n";
    for (const Json& phase : profile["phases"]) {
        out += line(phase, "  ");
        for (const Json& row : phase["operators"])
            if (row["milliseconds"].get<double>() > 0.002 * profile["milliseconds"].get<double>())
                out += line(row, "    ");
    }
    char text[80];
    std::snprintf(text, sizeof text, "  %-36s %9.2f\n", "step, data included", profile["milliseconds"].get<double>());
    return out + text;
}

}  // namespace lithe
