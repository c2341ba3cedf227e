#include "lithe/spec/exit_rule.h"

#include <cmath>

#include "lithe/base/error.h"
#include "lithe/base/text.h"

namespace lithe {

[[noreturn]] static void wrong(const std::string& text, const std::string& where) {
    fail({.kind = ErrorKind::usage,
          .what = "unknown rule of exits",
          .where = where,
          .expected = "confidence:P with P from 0 to 1, entropy:H with H at least 0, or patience:K with K at least 1",
          .got = "\"" + printable(text) + "\"" +
                 did_you_mean(text.substr(0, text.find(':')), choice_names<ExitMeasure>())});
}

ExitMeasure parse_exit_measure(const std::string& text, const std::string& where) {
    const auto measure = value_of<ExitMeasure>(text);
    if (!measure) wrong(text, where);
    return *measure;
}

ExitRule parse_exit_rule(const std::string& text, const std::string& where) {
    const size_t colon = text.find(':');
    const auto measure = value_of<ExitMeasure>(text.substr(0, colon));
    if (!measure || colon == std::string::npos) wrong(text, where);
    const auto number = parse_number(text.substr(colon + 1));
    if (!number || !std::isfinite(*number) || *number < 0) wrong(text, where);
    if (*measure == ExitMeasure::confidence && *number > 1) wrong(text, where);
    if (*measure == ExitMeasure::patience && (*number < 1 || *number != std::floor(*number))) wrong(text, where);
    return {*measure, *number};
}

std::string to_string(const ExitRule& rule) { return name_of(rule.measure) + ":" + format_number(rule.threshold); }

}  // namespace lithe
