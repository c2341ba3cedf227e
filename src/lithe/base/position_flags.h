// Bits of a position in a batch, as feeders set them and kernels read them.
#pragma once

#include <cstdint>

namespace lithe {

inline constexpr uint8_t kPadding = 1;         // no token: nothing is computed of it that others see
inline constexpr uint8_t kDocumentBegins = 2;  // state and attention begin anew here
inline constexpr uint8_t kSecondText = 4;      // of a pair: the second token type

}  // namespace lithe
