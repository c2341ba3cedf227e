#include "lithe/base/score.h"

namespace lithe {

nlohmann::ordered_json to_json(const Score& score) {
    return {{"name", score.kind.name},
            {"unit", score.kind.unit},
            {"less_is_better", score.kind.less_is_better},
            {"value", score.value}};
}

std::optional<Score> score_of(const nlohmann::json& json) {
    if (!json.is_object()) return std::nullopt;
    Score score;
    const auto found = json.find("score");
    if (found == json.end() || !found->is_object() || !found->contains("value")) {
        const auto bits = json.find(score.kind.name);
        if (bits == json.end() || !bits->is_number()) return std::nullopt;
        score.value = bits->get<double>();
        return score;
    }
    const auto text = [&](const char* key, std::string& to) {
        const auto value = found->find(key);
        if (value != found->end() && value->is_string()) to = value->get<std::string>();
    };
    text("name", score.kind.name);
    score.kind.unit = score.kind.name;
    text("unit", score.kind.unit);
    const auto less = found->find("less_is_better"), value = found->find("value");
    if (less != found->end() && less->is_boolean()) score.kind.less_is_better = less->get<bool>();
    if (!value->is_number()) return std::nullopt;
    score.value = value->get<double>();
    return score;
}

}  // namespace lithe
