#include "lithe/data/left_out.h"

#include <algorithm>

#include "lithe/base/text.h"

namespace lithe {

LeftOut::Reason& LeftOut::of(const std::string& reason) {
    const auto found =
        std::find_if(reasons_.begin(), reasons_.end(), [&](const Reason& each) { return each.reason == reason; });
    return found != reasons_.end() ? *found : reasons_.emplace_back(Reason{reason, {}, 0});
}

// Names are anybody's: the words stand in one line, which records keep and terminals show.
static std::string in_one_line(const std::string& name) {
    std::string text = for_terminal(name);
    for (size_t at; (at = text.find('\n')) != std::string::npos;) text.replace(at, 1, "^J");
    return text;
}

void LeftOut::add(const std::string& name, const std::string& reason) {
    Reason& place = of(reason);
    if (place.names.size() < kShown) place.names.push_back(in_one_line(name));
    ++place.count;
}

void LeftOut::add(const LeftOut& others) {
    for (const Reason& other : others.reasons_) {
        Reason& place = of(other.reason);
        for (const std::string& name : other.names)
            if (place.names.size() < kShown) place.names.push_back(name);
        place.count += other.count;
    }
}

std::string LeftOut::words() const {
    std::vector<std::string> parts;
    for (const Reason& each : reasons_) {
        std::string text = join(each.names, ", ");
        if (each.count > each.names.size()) text += " and " + std::to_string(each.count - each.names.size()) + " more";
        parts.push_back(text + " (" + each.reason + ")");
    }
    return join(parts, "; ");
}

}  // namespace lithe
