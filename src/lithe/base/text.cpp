#include "lithe/base/text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace lithe {
namespace {

int edit_distance(std::string_view a, std::string_view b) {
    std::vector<int> row(b.size() + 1);
    for (size_t j = 0; j <= b.size(); ++j) row[j] = int(j);
    for (size_t i = 1; i <= a.size(); ++i) {
        int diagonal = row[0];
        row[0] = int(i);
        for (size_t j = 1; j <= b.size(); ++j) {
            int above = row[j];
            row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
            diagonal = above;
        }
    }
    return row[b.size()];
}

// Length of the valid UTF-8 sequence at `i`, or 0.
size_t utf8_sequence(std::string_view s, size_t i) {
    auto byte = [&](size_t k) { return static_cast<unsigned char>(s[k]); };
    auto tail = [&](size_t k) { return k < s.size() && (byte(k) & 0xC0) == 0x80; };
    unsigned char c = byte(i);
    if (c < 0x80) return 1;
    if (c >= 0xC2 && c <= 0xDF) return tail(i + 1) ? 2 : 0;
    if (c >= 0xE0 && c <= 0xEF) {
        if (!tail(i + 1) || !tail(i + 2)) return 0;
        if (c == 0xE0 && byte(i + 1) < 0xA0) return 0;  // overlong
        if (c == 0xED && byte(i + 1) > 0x9F) return 0;  // surrogate
        return 3;
    }
    if (c >= 0xF0 && c <= 0xF4) {
        if (!tail(i + 1) || !tail(i + 2) || !tail(i + 3)) return 0;
        if (c == 0xF0 && byte(i + 1) < 0x90) return 0;
        if (c == 0xF4 && byte(i + 1) > 0x8F) return 0;
        return 4;
    }
    return 0;
}

std::string format(const char* pattern, double value) {
    char buffer[64];
    std::snprintf(buffer, sizeof buffer, pattern, value);
    return buffer;
}

}  // namespace

static bool equal_but_for_case(std::string_view a, std::string_view b) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

std::optional<std::string> nearest(std::string_view name, const std::vector<std::string>& candidates) {
    for (const std::string& candidate : candidates)
        if (equal_but_for_case(name, candidate)) return candidate;
    std::optional<std::string> best;
    const int length = int(name.size());
    int best_distance = std::min(std::max(2, length / 3) + 1, length);  // something of it must be kept
    for (const std::string& candidate : candidates) {
        int distance = edit_distance(name, candidate);
        if (distance < best_distance) {
            best = candidate;
            best_distance = distance;
        }
    }
    return best;
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates) {
    auto best = nearest(name, candidates);
    return best ? ", did you mean '" + *best + "'?" : "";
}

std::optional<double> parse_number(std::string_view text) {
    double value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
    return value;
}

std::optional<int64_t> parse_count(std::string_view text) {
    double scale = 1;
    if (!text.empty()) {
        char last = text.back();
        if (last == 'k' || last == 'K') scale = 1e3;
        if (last == 'M') scale = 1e6;
        if (last == 'G') scale = 1e9;
        if (scale != 1) text.remove_suffix(1);
    }
    auto value = parse_number(text);
    if (!value) return std::nullopt;
    double amount = *value * scale;
    if (amount < 0 || amount > 9e15 || std::abs(amount - std::round(amount)) > 1e-6) return std::nullopt;
    return int64_t(std::llround(amount));
}

std::optional<double> parse_seconds(std::string_view text) {
    double scale = 1;
    if (!text.empty()) {
        char last = text.back();
        bool unit = true;
        if (last == 'm') scale = 60;
        else if (last == 'h') scale = 3600;
        else if (last == 'd') scale = 86400;
        else unit = last == 's';
        if (unit) text.remove_suffix(1);
    }
    auto value = parse_number(text);
    if (!value || *value < 0 || !std::isfinite(*value * scale)) return std::nullopt;
    return *value * scale;
}

std::string format_count(double value) {
    if (std::abs(value) >= 1e18) return format("%.2fE", value / 1e18);
    if (std::abs(value) >= 1e15) return format("%.2fP", value / 1e15);
    if (std::abs(value) >= 1e12) return format("%.2fT", value / 1e12);
    if (std::abs(value) >= 1e9) return format("%.2fG", value / 1e9);
    if (std::abs(value) >= 1e6) return format("%.2fM", value / 1e6);
    if (std::abs(value) >= 1e4) return format("%.1fk", value / 1e3);
    return format("%.0f", value);
}

std::string format_seconds(double seconds) {
    if (!std::isfinite(seconds) || seconds < 0) return "?";
    if (seconds >= 1e15) return format_count(seconds / 86400) + "d";  // no int64_t any more, sooner or later
    auto whole = int64_t(seconds + 0.5);
    char buffer[64];
    if (whole < 60) std::snprintf(buffer, sizeof buffer, "%llds", static_cast<long long>(whole));
    else if (whole < 3600) std::snprintf(buffer, sizeof buffer, "%lldm%02llds", whole / 60LL, whole % 60LL);
    else if (whole < 86400) std::snprintf(buffer, sizeof buffer, "%lldh%02lldm", whole / 3600LL, whole / 60 % 60LL);
    else std::snprintf(buffer, sizeof buffer, "%lldd%02lldh", whole / 86400LL, whole / 3600 % 24LL);
    return buffer;
}

std::string format_bytes(double bytes) {
    const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    int unit = 0;
    while (std::abs(bytes) >= 1024 && unit < 4) {
        bytes /= 1024;
        ++unit;
    }
    return format(unit == 0 ? "%.0f " : "%.1f ", bytes) + units[unit];
}

std::string format_number(double value) {
    char buffer[64];
    auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
    return error == std::errc() ? std::string(buffer, end) : "nan";
}

std::string_view trimmed(std::string_view text, std::string_view spaces) {
    const size_t begin = text.find_first_not_of(spaces), end = text.find_last_not_of(spaces);
    return begin == std::string_view::npos ? std::string_view() : text.substr(begin, end - begin + 1);
}

bool is_valid_utf8(std::string_view bytes) {
    for (size_t i = 0; i < bytes.size();) {
        size_t length = utf8_sequence(bytes, i);
        if (length == 0) return false;
        i += length;
    }
    return true;
}

std::string printable(std::string_view bytes) {
    std::string text;
    for (size_t i = 0; i < bytes.size();) {
        size_t length = utf8_sequence(bytes, i);
        if (length == 0) {
            text += "\xEF\xBF\xBD";
            ++i;
        } else {
            text.append(bytes.substr(i, length));
            i += length;
        }
    }
    return text;
}

std::string for_terminal(std::string_view bytes) {
    std::string text;
    const std::string shown = printable(bytes);
    for (size_t i = 0; i < shown.size(); ++i) {
        const auto c = static_cast<unsigned char>(shown[i]);
        if (c == 0xC2 && static_cast<unsigned char>(shown[i + 1]) < 0xA0) {  // U+0080 to U+009F
            text += {'^', '[', char(static_cast<unsigned char>(shown[++i]) - 0x40)};
        } else if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7F) {
            if (c != '\r') text += {'^', char(c ^ 0x40)};
        } else {
            text += char(c);
        }
    }
    return text;
}

std::string capitalized(std::string text) {
    if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = char(text[0] - 'a' + 'A');
    return text;
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
    std::string text;
    for (size_t i = 0; i < parts.size(); ++i) {
        if (i) text += separator;
        text += parts[i];
    }
    return text;
}

std::string shell_quoted(std::string_view text) {
    constexpr std::string_view kSafe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./,:@%";
    if (!text.empty() && text.find_first_not_of(kSafe) == std::string_view::npos) return std::string(text);
    std::string quoted = "'";
    for (char c : text) quoted += c == '\'' ? "'\\''" : std::string(1, c);
    return quoted + "'";
}

std::string to_hex(uint64_t value) {
    char buffer[17];
    std::snprintf(buffer, sizeof buffer, "%016llx", static_cast<unsigned long long>(value));
    return buffer;
}

}  // namespace lithe
