#include "lithe/train/feed_position.h"

#include "lithe/base/json.h"

namespace lithe {
using Json = nlohmann::ordered_json;

Json to_json(const FeedPosition& position) {
    Json json = {{"epoch", position.epoch}, {"at", position.at}};
    if (position.rows.empty()) return json;
    json["drawn"] = position.drawn;
    json["rows"] = Json::array();
    for (const FeedPosition::Row& row : position.rows)
        json["rows"].push_back({row.source, row.document, row.offset, row.open});
    return json;
}

FeedPosition feed_position_from_json(const nlohmann::json& json) {
    FeedPosition position;
    position.epoch = whole(json.at("epoch"));
    position.at = whole(json.at("at"));
    if (!json.contains("rows")) return position;
    position.drawn = whole_numbers<uint64_t>(json.at("drawn"));
    for (const auto& row : json.at("rows"))
        position.rows.push_back({whole(row.at(0)), whole(row.at(1)), whole(row.at(2)), row.at(3)});
    return position;
}

}  // namespace lithe
