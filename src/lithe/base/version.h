// What was built.
#pragma once

#include "lithe/export.h"

namespace lithe {

LITHE_API const char* version();  // as "0.1.0"
const char* revision();           // git's, "-dirty" with changes on top; "unknown" outside a checkout

}  // namespace lithe
