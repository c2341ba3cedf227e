#include "lithe/base/wording.h"

namespace lithe {
namespace {

const Wording kOfTheLibrary;
const Wording* wording = &kOfTheLibrary;

}  // namespace

void set_wording(const Wording& given) { wording = &given; }

std::string option(std::string_view name, std::string_view value) {
    std::string text = wording->option + std::string(name);
    if (!value.empty()) text += " " + std::string(value);
    return text;
}

std::string setting(std::string_view assignment) { return wording->setting + std::string(assignment); }

std::string budget(std::string_view axis) {
    if (wording->budget_options) return option("max-" + std::string(axis));
    return "train.max_" + std::string(axis == "time" ? "seconds" : axis);
}

std::string any_setting() { return wording->any_setting; }

std::string command(std::string_view words, const std::vector<std::string>& choices) {
    std::string text = "lithe " + std::string(words);
    for (size_t i = 0; i < choices.size(); ++i)
        text += (i == 0 ? wording->first_choice : wording->next_choice) + choices[i];
    return text;
}

}  // namespace lithe
