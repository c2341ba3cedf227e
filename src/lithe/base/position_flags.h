// Bits of a position in a batch, as feeders set them and kernels read them.
#pragma once

#include <cstdint>

namespace lithe {

inline constexpr uint8_t kPadding = 1;         // no token: nothing is computed of it that others see
inline constexpr uint8_t kDocumentBegins = 2;  // state and attention begin anew here

}  // namespace lithe
