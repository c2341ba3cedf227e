// Text of other encodings than UTF-8 on its way in.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lithe/formats/content.h"

namespace lithe {

// UTF-16 or UTF-32 in pieces to UTF-8; what is no character becomes U+FFFD. Other text goes through as it is.
class TextDecoder {
 public:
    // `content`: of the text; its mark is taken off.
    explicit TextDecoder(const Content& content) : content_(content), left_(content.mark) {}
    // The text of the next bytes, as far as they make whole characters; valid until the next call.
    std::string_view decode(std::string_view bytes);
    // Of what is left at the end.
    std::string_view finish();

 private:
    void take(uint32_t unit);
    Content content_;
    size_t left_;  // bytes of the mark that have not come yet
    std::string held_, out_;
    uint32_t high_ = 0;  // surrogate that waits for its second half
};

}  // namespace lithe
