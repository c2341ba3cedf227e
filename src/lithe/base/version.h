// What was built.
#pragma once

namespace lithe {

const char* version();   // as "0.1.0"
const char* revision();  // git's, "-dirty" with changes on top; "unknown" outside a checkout

}  // namespace lithe
