#include "lithe/base/error.h"

namespace lithe {
namespace {

std::string message_of(const ErrorParts& parts) {
    std::string text = parts.what;
    if (!parts.where.empty()) text += " [" + parts.where + "]";
    if (!parts.expected.empty()) text += ": expected " + parts.expected;
    if (!parts.got.empty()) text += std::string(parts.expected.empty() ? ":" : ",") + " got " + parts.got;
    if (!parts.hint.empty()) text += "\nhint: " + parts.hint;
    return text;
}

}  // namespace

Error::Error(ErrorParts parts) : std::runtime_error(message_of(parts)), parts_(std::move(parts)) {}

void fail(ErrorParts parts) { throw Error(std::move(parts)); }

void fail_usage(std::string what, std::string where, std::string hint) {
    throw Error(
        {.kind = ErrorKind::usage, .what = std::move(what), .where = std::move(where), .hint = std::move(hint)});
}

void fail_file(std::string what, std::string where, std::string hint) {
    throw Error(
        {.kind = ErrorKind::bad_file, .what = std::move(what), .where = std::move(where), .hint = std::move(hint)});
}

void Problems::add(std::string what, std::string where, std::string hint) {
    if (!where.empty()) what += " [" + where + "]";
    if (!hint.empty()) what += " (" + hint + ")";
    lines_.push_back(std::move(what));
}

void Problems::throw_if_any(const std::string& subject) const {
    if (lines_.empty()) return;
    if (lines_.size() == 1) fail_usage(lines_[0], lines_[0].find("[" + subject) == std::string::npos ? subject : "");
    std::string text = std::to_string(lines_.size()) + " problems [" + subject + "]";
    for (const std::string& line : lines_) text += "\n  - " + line;
    fail_usage(text);
}

}  // namespace lithe
