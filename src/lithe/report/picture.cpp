#include "lithe/report/picture.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "lithe/report/page.h"

namespace lithe {
namespace {

// Windows bitmap, a byte for each pixel and a palette: every browser shows it, and it needs no compression.
constexpr size_t kFileHeader = 14, kImageHeader = 40, kColours = 256,
                 kHeaders = kFileHeader + kImageHeader + 4 * kColours;
constexpr int kWhite = 128;

void put(std::string& bytes, size_t at, uint32_t number, int count) {
    for (int i = 0; i < count; ++i) bytes[at + size_t(i)] = char(number >> (8 * i) & 0xFF);
}

// Palette entry 128 is white; from there to blue upwards, to orange downwards.
void put_palette(std::string& bytes) {
    constexpr std::array<double, 3> blue = {0x0b, 0x3d, 0x91}, orange = {0xc2, 0x41, 0x0c};
    for (size_t i = 0; i < kColours; ++i) {
        const double share = std::abs(double(i) - kWhite) / (kWhite - 1);
        const auto& end = int(i) >= kWhite ? blue : orange;
        const size_t at = kFileHeader + kImageHeader + 4 * i;
        for (size_t channel = 0; channel < 3; ++channel) {
            const double value = 255 + std::min(1.0, share) * (end[channel] - 255);
            bytes[at + 2 - channel] = char(int(std::lround(value)));  // blue stands first
        }
    }
}

int entry(float number, double most) {
    if (!std::isfinite(number) || !(most > 0)) return kWhite;
    return kWhite + int(std::lround(std::clamp(double(number) / most, -1.0, 1.0) * (kWhite - 1)));
}

std::string bitmap(std::span<const float> numbers, int64_t rows, int64_t columns, double most) {
    const auto stride = size_t((columns + 3) / 4 * 4);  // of a row in the file
    std::string bytes(kHeaders + stride * size_t(rows), '\0');
    bytes[0] = 'B';
    bytes[1] = 'M';
    put(bytes, 2, uint32_t(bytes.size()), 4);
    put(bytes, 10, uint32_t(kHeaders), 4);
    put(bytes, 14, uint32_t(kImageHeader), 4);
    put(bytes, 18, uint32_t(columns), 4);
    put(bytes, 22, uint32_t(-int32_t(rows)), 4);  // below 0: the first row stands at the top
    put(bytes, 26, 1, 2);
    put(bytes, 28, 8, 2);
    put(bytes, 46, uint32_t(kColours), 4);
    put_palette(bytes);
    for (int64_t row = 0; row < rows; ++row)
        for (int64_t column = 0; column < columns; ++column)
            bytes[kHeaders + size_t(row) * stride + size_t(column)] =
                char(entry(numbers[size_t(row * columns + column)], most));
    return bytes;
}

std::string base64(const std::string& bytes) {
    constexpr const char* kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (size_t i = 0; i < bytes.size(); i += 3) {
        uint32_t three = 0;
        const size_t left = std::min<size_t>(3, bytes.size() - i);
        for (size_t j = 0; j < 3; ++j) three = three << 8 | (j < left ? uint8_t(bytes[i + j]) : 0);
        for (size_t j = 0; j < 4; ++j) text += j <= left ? kLetters[three >> (18 - 6 * j) & 63] : '=';
    }
    return text;
}

}  // namespace

std::string picture_html(std::span<const float> numbers, int64_t rows, int64_t columns, double most,
                         const std::string& text) {
    return "<img class=\"picture\" width=\"" + std::to_string(columns) + "\" height=\"" + std::to_string(rows) +
           "\" alt=\"" + escape_html(text) + "\" title=\"" + escape_html(text) + "\" src=\"data:image/bmp;base64," +
           base64(bitmap(numbers, rows, columns, most)) + "\">";
}

}  // namespace lithe
