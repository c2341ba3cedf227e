// Base64 (RFC 4648), for binary models inside JSON.
#pragma once

#include <string>
#include <string_view>

namespace lithe::tokenize {

std::string encode_base64(std::string_view bytes);
// Throws bad_file for anything but base64; `source` names the file.
std::string decode_base64(std::string_view text, const std::string& source);

}  // namespace lithe::tokenize
