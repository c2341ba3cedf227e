#include "lithe/formats/csv.h"

#include "lithe/base/error.h"

namespace lithe {

CsvParser::CsvParser(char delimiter, std::string source, Row row)
    : delimiter_(delimiter),
      quotes_(delimiter != '\t'),
      source_(std::move(source)),
      row_(std::move(row)) {}

void CsvParser::bad(const std::string& what) const { fail_file(what + " at byte " + std::to_string(offset_), source_); }

void CsvParser::end_field() {
    if (fields_.size() >= kMaxFields) bad("a row has more than " + std::to_string(kMaxFields) + " fields");
    fields_.push_back(std::move(field_));
    field_.clear();
    at_ = At::start;
}

void CsvParser::end_row() {
    if (at_ == At::plain && field_.ends_with('\r')) field_.pop_back();
    const bool empty = fields_.empty() && field_.empty() && at_ == At::start;
    if (!empty) {
        end_field();
        row_(fields_);
    }
    fields_.clear();
    at_ = At::start;
}

void CsvParser::feed(std::string_view bytes) {
    for (const char c : bytes) {
        ++offset_;
        if (at_ == At::quoted) {
            if (c == '"') at_ = At::quote;
            else field_ += c;
            if (field_.size() > kMaxField) bad("a field is longer than " + std::to_string(kMaxField) + " bytes");
            continue;
        }
        if (c == '"' && at_ == At::start && quotes_) at_ = At::quoted, quote_offset_ = offset_;
        else if (c == '"' && at_ == At::quote) field_ += c, at_ = At::quoted;
        else if (c == delimiter_) end_field();
        else if (c == '\n') end_row();
        else if (c == '\r' && at_ != At::plain) continue;  // before a line feed
        else if (at_ == At::quote) bad("a quoted field goes on behind its closing quote");
        else field_ += c, at_ = At::plain;
        if (field_.size() > kMaxField) bad("a field is longer than " + std::to_string(kMaxField) + " bytes");
    }
}

void CsvParser::finish() {
    if (at_ == At::quoted)
        bad("the quote that opens at byte " + std::to_string(quote_offset_) + " is never closed, file ends");
    end_row();
}

}  // namespace lithe
