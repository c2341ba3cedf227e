// What a file holds, told by its first bytes: text in UTF-8 or a code page, UTF-16 or UTF-32, something packed, or no
// text at all. Names are not looked at.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lithe {

enum class ContentKind { text, utf16, utf32, packed, binary };

struct Content {
    ContentKind kind = ContentKind::text;
    size_t mark = 0;          // bytes of the byte order mark at the beginning
    bool big_endian = false;  // utf16, utf32
    std::string name;         // of what is binary or packed, for people: "PNG image"
};

// So many bytes are looked at.
inline constexpr size_t kContentHead = 1 << 16;

// Text is what is valid UTF-8, or has hardly any control characters. UTF-16 and UTF-32 are known by their marks or by
// where their zeros stand.
Content content_of(std::string_view head);

}  // namespace lithe
