// Small text helpers: nearest name for "did you mean", numbers with units, JSON-safe printing of bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lithe {

// The candidate with the smallest edit distance, if it is near enough to be a typing slip.
std::optional<std::string> nearest(std::string_view name, const std::vector<std::string>& candidates);
// ", did you mean 'x'?" or nothing.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates);

// "50M" -> 50000000; suffixes k M G (powers of 1000). nullopt when it is not a whole non-negative amount.
std::optional<int64_t> parse_count(std::string_view text);
// "90s" "10m" "1.5h" "2d" or plain seconds -> seconds.
std::optional<double> parse_seconds(std::string_view text);

std::string format_count(double value);                     // 1234567 -> "1.23M"
std::string format_seconds(double seconds);                 // 3725 -> "1h02m"
std::string format_bytes(double bytes);                     // 1536 -> "1.5 KiB"
std::optional<double> parse_number(std::string_view text);  // all of it, as 3e-4; nullopt: it is none
std::string format_number(double value);                    // shortest text that reads back as the same double
std::string printable(std::string_view bytes);              // valid UTF-8 stays; anything else becomes U+FFFD
// printable(), with control characters shown as ^[ and the like and without carriage returns: what a text from outside
// may do to a terminal. Line feeds and tabs stay.
std::string for_terminal(std::string_view bytes);
bool is_valid_utf8(std::string_view bytes);
std::string_view trimmed(std::string_view text, std::string_view spaces = " \t\r\n");  // without those at both ends
// "Bits per byte" of "bits per byte".
std::string capitalized(std::string text);
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string to_hex(uint64_t value);  // 16 digits
// As one word of a POSIX shell's command line: as it is where that is safe, else in single quotes.
std::string shell_quoted(std::string_view text);

}  // namespace lithe
