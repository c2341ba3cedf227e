// Where prepared texts are kept between runs.
#pragma once

#include <string>

namespace lithe {

// $XDG_CACHE_HOME/lithe, else .cache/lithe in $HOME or, without it, in the home that the system knows for this user.
// Made when it is missing, for this user alone (mode 0700). Throws where no place is the user's own:
// it never falls back to a folder that others can foresee.
std::string cache_folder();
// Where it is or would be; empty where there is no such place. Makes nothing.
std::string cache_place();

}  // namespace lithe
