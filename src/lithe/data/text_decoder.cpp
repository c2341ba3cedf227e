#include "lithe/data/text_decoder.h"

#include <algorithm>

#include "lithe/tokenize/unicode.h"

namespace lithe {

std::string_view TextDecoder::decode(std::string_view bytes) {
    const size_t skipped = std::min(left_, bytes.size());
    left_ -= skipped;
    bytes.remove_prefix(skipped);
    if (content_.kind != ContentKind::utf16 && content_.kind != ContentKind::utf32) return bytes;
    const size_t width = content_.kind == ContentKind::utf16 ? 2 : 4;
    held_ += bytes;
    out_.clear();
    size_t at = 0;
    for (; at + width <= held_.size(); at += width) {
        uint32_t unit = 0;
        for (size_t i = 0; i < width; ++i)
            unit |= uint32_t(static_cast<unsigned char>(held_[at + i]))
                    << 8 * (content_.big_endian ? width - 1 - i : i);
        take(unit);
    }
    held_.erase(0, at);
    return out_;
}

std::string_view TextDecoder::finish() {
    out_.clear();
    if (high_ != 0 || !held_.empty()) tokenize::append_utf8(out_, 0xFFFD);
    high_ = 0;
    held_.clear();
    return out_;
}

void TextDecoder::take(uint32_t unit) {
    const bool low = unit >= 0xDC00 && unit < 0xE000;
    if (high_ != 0) {
        const uint32_t high = high_;
        high_ = 0;
        if (low) return tokenize::append_utf8(out_, 0x10000 + ((high - 0xD800) << 10) + (unit - 0xDC00));
        tokenize::append_utf8(out_, 0xFFFD);
    }
    if (content_.kind == ContentKind::utf16 && unit >= 0xD800 && unit < 0xDC00) high_ = unit;
    else tokenize::append_utf8(out_, low || unit > 0x10FFFF || (unit >= 0xD800 && unit < 0xE000) ? 0xFFFD : unit);
}

}  // namespace lithe
