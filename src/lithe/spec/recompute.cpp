#include "lithe/spec/recompute.h"

#include "lithe/base/error.h"
#include "lithe/base/text.h"

namespace lithe {

static bool has_number(RecomputeMethod method) {
    return method == RecomputeMethod::uniform || method == RecomputeMethod::optimal;
}

Recompute parse_recompute(const std::string& text) {
    const size_t colon = text.find(':');
    const std::string name = text.substr(0, colon);
    const auto method = value_of<RecomputeMethod>(name);
    const auto wrong = [&](const std::string& hint) {
        fail({.kind = ErrorKind::usage,
              .what = method ? "a wrong number to recompute by" : "unknown way to recompute",
              .where = "train.recompute",
              .expected = "none, uniform:LAYERS, optimal:SLOTS, selective or memory",
              .got = "\"" + printable(text) + "\"" +
                     (method ? std::string() : did_you_mean(name, choice_names<RecomputeMethod>())),
              .hint = hint});
    };
    if (!method) wrong("");
    Recompute recompute{*method, 0};
    if (colon == std::string::npos) return recompute;
    if (!has_number(*method)) wrong("only uniform and optimal have a number");
    const auto number = parse_count(text.substr(colon + 1));
    if (!number || *number < 1 || *number > 4096) wrong("the number is a whole one from 1 to 4096");
    recompute.number = *number;
    return recompute;
}

std::string to_string(const Recompute& recompute) {
    const std::string& name = name_of(recompute.method);
    return recompute.number > 0 ? name + ":" + std::to_string(recompute.number) : name;
}

}  // namespace lithe
