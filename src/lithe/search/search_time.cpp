#include "lithe/search/search_time.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/json.h"
#include "lithe/base/log.h"
#include "lithe/report/run_record.h"

namespace lithe {
namespace fs = std::filesystem;

constexpr double kNetworkShare = 0.5;

double trained_seconds(const std::string& run) {
    double seconds = 0;
    for (const nlohmann::json& line : read_json_lines(run + "/metrics.jsonl"))
        seconds = std::max(seconds, number_of(line, "seconds"));
    return seconds;
}

SearchTime::SearchTime(std::string folder, double limit) : folder_(std::move(folder)), limit_(limit) {
    earlier_ = trained_seconds(folder_ + "/supernet");
    if (fs::is_directory(folder_ + "/trials"))
        for (const auto& run : fs::directory_iterator(folder_ + "/trials")) earlier_ += trained_seconds(run.path());
    const std::string path = folder_ + "/time.json";
    if (!fs::exists(path)) return;
    const auto json = try_parse_json<nlohmann::json>(read_file(path, 1 << 20)).value_or(nullptr);
    if (!json.is_object()) fail_file("not JSON", path, "remove it: what the runs trained is counted anew");
    earlier_ = std::max(earlier_, number_of(json, "seconds"));
    if (!json.contains("network_limit")) return;
    network_ = number_of(json, "network_limit");
    network_of_ = number_of(json, "limit");
}

double SearchTime::left() const { return limit_ > 0 ? limit_ - used() - evaluation_ : INFINITY; }

double SearchTime::network_limit(bool others) const {
    if (network_ && (others || limit_ == network_of_)) return *network_;
    return others ? kNetworkShare * limit_ : limit_;
}

void SearchTime::keep() const {
    if (!fs::exists(folder_ + "/config.toml")) return;
    nlohmann::ordered_json json = {{"schema", "lithe.search_time/1"}, {"seconds", used()}};
    if (network_) {
        json["network_limit"] = *network_;
        json["limit"] = network_of_;
    }
    try {
        replace_file(folder_ + "/time.json", json.dump() + "\n");
    } catch (const std::exception& error) { log_warning(std::string("the time used is not kept: ") + error.what()); }
}

}  // namespace lithe
