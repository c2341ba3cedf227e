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
    const bool empty = fields_.empty() && field_.empty() && at_ == At::start;
    if (!empty) {
        end_field();
        row_(fields_);
    }
    fields_.clear();
    at_ = At::start;
}

void CsvParser::take(char c) {
    if (at_ == At::quoted) {
        if (c == '"') at_ = At::quote;
        else field_ += c;
    } else if (c == '"' && at_ == At::start && quotes_) {
        at_ = At::quoted;
        quote_offset_ = offset_;
    } else if (c == '"' && at_ == At::quote) {
        field_ += c;
        at_ = At::quoted;
    } else if (c == delimiter_) {
        end_field();
    } else if (c == '\n') {
        if (line_end_ == LineEnd::unknown) line_end_ = LineEnd::feed;
        end_row();
    } else {
        field_ += c;
        at_ = At::plain;
    }
    if (field_.size() > kMaxField) bad("a field is longer than " + std::to_string(kMaxField) + " bytes");
}

// What a CR outside quotes was, now that it is known whether the next byte is a line feed.
void CsvParser::take_return(bool row_ends) {
    after_return_ = false;
    if (row_ends) return;
    if (line_end_ == LineEnd::unknown) line_end_ = LineEnd::carriage_return;
    if (line_end_ == LineEnd::carriage_return) end_row();
    else {
        field_ += '\r';
        at_ = At::plain;
    }
}

void CsvParser::feed(std::string_view bytes) {
    for (const char c : bytes) {
        ++offset_;
        if (after_return_) take_return(c == '\n');
        if (c == '\r' && at_ != At::quoted) after_return_ = true;
        else take(c);
    }
}

void CsvParser::finish() {
    if (at_ == At::quoted)
        bad("the quote that opens at byte " + std::to_string(quote_offset_) + " is never closed, file ends");
    end_row();
}

}  // namespace lithe
