// A feeder's place in the text, as state.json holds it.
#pragma once

#include <nlohmann/json.hpp>

#include "lithe/data/feeder.h"

namespace lithe {

nlohmann::ordered_json to_json(const FeedPosition& position);
// Throws nlohmann::json::exception for what is none.
FeedPosition feed_position_from_json(const nlohmann::json& json);

}  // namespace lithe
