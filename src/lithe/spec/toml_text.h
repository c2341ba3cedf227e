// Values as TOML on one line.
#pragma once

#include <toml++/toml.h>

#include <string>
#include <string_view>

namespace lithe {

// A basic string. (The library's own printer breaks long values over lines.)
std::string toml_text(std::string_view text);
std::string node_text(const toml::node& node);

}  // namespace lithe
