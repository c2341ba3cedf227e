// Closed choices: an enum and what its values are called in files, flags and texts. Beside each such enum stands its
// one table, a function that is found by the enum alone:
//
//   enum class Skip { input, none };
//   constexpr auto names_of(Skip) {
//       using enum Skip;
//       return std::to_array<Named<Skip>>({{input, "input"}, {none, "none"}});
//   }
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace lithe {

template <class Enum> struct Named {
    Enum value;
    const char* name;
};

template <class Enum>
concept NamedChoice = std::is_enum_v<Enum> && requires(Enum value) {
    names_of(value).size();
};

// In the table's order.
template <NamedChoice Enum> const std::vector<std::string>& choice_names() {
    static const std::vector<std::string> names = [] {
        std::vector<std::string> list;
        for (const Named<Enum>& each : names_of(Enum())) list.emplace_back(each.name);
        return list;
    }();
    return names;
}

// The place of a value in the table.
template <NamedChoice Enum> size_t index_of(Enum value) {
    static constexpr auto table = names_of(Enum());
    const auto found = std::find_if(table.begin(), table.end(), [&](const auto& each) { return each.value == value; });
    return size_t(found - table.begin());
}

template <NamedChoice Enum> const std::string& name_of(Enum value) { return choice_names<Enum>().at(index_of(value)); }

template <NamedChoice Enum> std::optional<Enum> value_of(std::string_view name) {
    for (const Named<Enum>& each : names_of(Enum()))
        if (name == each.name) return each.value;
    return std::nullopt;
}

// JSON has names: without this nlohmann would write a value's number.
template <class Json, NamedChoice Enum> void to_json(Json& json, Enum value) = delete;

}  // namespace lithe
