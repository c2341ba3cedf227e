#include "lithe/formats/content.h"

#include <algorithm>
#include <cstdint>

#include "lithe/base/text.h"
#include "lithe/formats/packed.h"

namespace lithe {
namespace {

using std::string_view_literals::operator""sv;

struct Magic {
    size_t offset;
    std::string_view bytes;
    const char* name;
};

// Names for people; that a file is binary is told without them, but for PDF.
constexpr Magic kMagics[] = {
    {0, "\x89PNG\r\n\x1A\n"sv, "PNG image"},
    {0, "\xFF\xD8\xFF"sv, "JPEG image"},
    {0, "GIF8"sv, "GIF image"},
    {8, "WEBP"sv, "WebP image"},
    {0, "%PDF-"sv, "PDF"},
    {0, "PAR1"sv, "Parquet table"},
    {0, "ARROW1"sv, "Arrow table"},
    {0, "\x89HDF\r\n"sv, "HDF5 file"},
    {0, "\x93NUMPY"sv, "NumPy array"},
    {0, "SQLite format 3\0"sv, "SQLite database"},
    {0,
     "\x7F"
     "ELF"sv,
     "program"},
    {0, "\xD0\xCF\x11\xE0\xA1\xB1"sv, "Office document"},
    {0, "OggS"sv, "Ogg media"},
    {0, "fLaC\0"sv, "FLAC media"},
    {0, "GGUF"sv, "GGUF model"},
    {0, "\0\x05\x16\x07"sv, "macOS metadata"},
    {0, "7z\xBC\xAF\x27\x1C"sv, "7z archive"},
    {0, "Rar!\x1A\x07"sv, "RAR archive"},
    {0, "\x04\"M\x18"sv, "lz4 file"},
    {0, "LZIP\x01"sv, "lzip file"},
    {0, "\x1F\x9D"sv, "compress file"},
    {0, "\x80\x02"sv, "pickled Python objects"},
    {0, "\x80\x03"sv, "pickled Python objects"},
    {0, "\x80\x04\x95"sv, "pickled Python objects"},
    {0, "\x80\x05\x95"sv, "pickled Python objects"},
};

// Zip archives that are one thing and no collection of texts, by the name of their first member.
struct Container {
    std::string_view begins, ends;
    const char* name;
};
constexpr Container kContainers[] = {
    {"[Content_Types].xml", "", "Office document"},
    {"_rels/", "", "Office document"},
    {"docProps/", "", "Office document"},
    {"word/", ".xml", "Office document"},
    {"xl/", ".xml", "Office document"},
    {"ppt/", ".xml", "Office document"},
    {"mimetype", "", "e-book or OpenDocument file"},
    {"", "/data.pkl", "PyTorch file"},
    {"", "/.format_version", "PyTorch file"},
    {"", ".npy", "NumPy arrays"},
    {"META-INF/", "", "Java archive"},
    {"AndroidManifest.xml", "", "Android package"},
};

// nullptr for other files, and for plain archives.
const char* container_of(std::string_view head) {
    constexpr size_t kFixed = 30;  // of a local file header (PKWARE APPNOTE 4.3.7)
    if (!head.starts_with("PK\3\4"sv) || head.size() < kFixed) return nullptr;
    const auto low = static_cast<unsigned char>(head[26]), high = static_cast<unsigned char>(head[27]);
    const std::string_view member = head.substr(kFixed, size_t(low) | size_t(high) << 8);
    for (const Container& each : kContainers)
        if (member.starts_with(each.begins) && member.ends_with(each.ends)) return each.name;
    return nullptr;
}

bool is_control(unsigned char c) {
    return c < 0x20 && !(c >= '\t' && c <= '\r') && c != 0x1B && c != '\b' && c != 0x1A;
}

std::string name_of(std::string_view head) {
    for (const Magic& magic : kMagics)
        if (head.size() >= magic.offset && head.substr(magic.offset).starts_with(magic.bytes)) return magic.name;
    return "binary";
}

// Where the zeros of text in units of `width` bytes stand: in the other bytes of each unit. Enough of the units must be
// ASCII, which all languages have as spaces and line ends; `little`: the character is the first byte.
bool wide_text(std::string_view head, size_t width, bool little) {
    const size_t units = head.size() / width, at = little ? 0 : width - 1;
    if (units < 2) return false;
    size_t ascii = 0, printable = 0;
    for (size_t u = 0; u < units; ++u) {
        const char* unit = head.data() + u * width;
        bool zeros = true;
        for (size_t i = 0; i < width; ++i) zeros = zeros && (i == at || unit[i] == 0);
        if (!zeros) continue;
        ++ascii;
        const auto c = static_cast<unsigned char>(unit[at]);
        printable += c != 0 && c < 0x7F && !is_control(c);
    }
    return ascii * 10 >= units * 7 && printable * 100 >= ascii * 98;
}

Content wide(ContentKind kind, size_t mark, bool big) {
    return {.kind = kind, .mark = mark, .big_endian = big, .name = kind == ContentKind::utf16 ? "UTF-16" : "UTF-32"};
}

// Valid but for a character that the end of the head cuts.
bool is_utf8(std::string_view head) {
    for (size_t cut = 0; cut < 4 && cut <= head.size(); ++cut) {
        if (is_valid_utf8(head.substr(0, head.size() - cut))) return true;
        if (head.size() < kContentHead) return false;
    }
    return false;
}

}  // namespace

Content content_of(std::string_view head) {
    head = head.substr(0, kContentHead);
    if (head.starts_with("\xFF\xFE\0\0"sv)) return wide(ContentKind::utf32, 4, false);
    if (head.starts_with("\0\0\xFE\xFF"sv)) return wide(ContentKind::utf32, 4, true);
    if (head.starts_with("\xFF\xFE"sv)) return wide(ContentKind::utf16, 2, false);
    if (head.starts_with("\xFE\xFF"sv)) return wide(ContentKind::utf16, 2, true);
    if (const char* container = container_of(head)) return {.kind = ContentKind::binary, .name = container};
    if (PackedFile::kind_of_bytes(head) != PackedKind::plain) return {.kind = ContentKind::packed, .name = "packed"};
    const size_t zeros = size_t(std::count(head.begin(), head.end(), '\0'));
    if (zeros > 0)
        for (const bool big : {false, true}) {
            if (wide_text(head, 4, !big)) return wide(ContentKind::utf32, 0, big);
            if (wide_text(head, 2, !big)) return wide(ContentKind::utf16, 0, big);
        }
    const Content text{.mark = head.starts_with("\xEF\xBB\xBF"sv) ? size_t(3) : 0};
    const Content binary{.kind = ContentKind::binary, .name = name_of(head)};
    if (head.starts_with("%PDF-")) return binary;
    // a few zeros in a long text are damage, not another kind of file
    if (head.substr(0, 16).find('\0') != std::string_view::npos || zeros * 1000 > head.size()) return binary;
    const size_t controls = size_t(std::count_if(head.begin(), head.end(), is_control));
    if (is_utf8(head)) return controls * 10 > head.size() ? binary : text;
    if (binary.name != "binary" && static_cast<unsigned char>(head[0]) >= 0x80) return binary;
    if (head[0] == 0x78 && (0x7800 + static_cast<unsigned char>(head[1])) % 31 == 0)
        return {.kind = ContentKind::binary, .name = "zlib data"};  // as git keeps its objects
    return controls * 50 > head.size() ? binary : text;
}

}  // namespace lithe
