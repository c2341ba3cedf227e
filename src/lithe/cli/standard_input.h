// What a command is given on its standard input.
#pragma once

#include <string>

namespace lithe {

// All of it. Throws bad_file where it cannot be read: a folder, or nothing.
std::string read_standard_input();

}  // namespace lithe
