// Comma- or tab-separated values as RFC 4180 has them: fields in double quotes may hold delimiters, line breaks and
// doubled quotes. Between tabs, quotes are ordinary characters. What the standard has no word for is read as Python's
// csv reads it: a quote inside an unquoted field is a character, text behind a closing quote goes on with the field.
// Rows end with LF or CR LF; where the first row ends with CR alone, all do, and elsewhere such a CR is a character.
// Bytes in, rows out. (libcsv was tried: it has no fields without quotes, and a stray quote swallows the next rows.)
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace lithe {

class CsvParser {
 public:
    using Row = std::function<void(std::vector<std::string>& fields)>;
    // Calls `row` for each row that is not empty; `source` names the file in errors.
    CsvParser(char delimiter, std::string source, Row row);
    void feed(std::string_view bytes);
    // Throws bad_file for a quote that is never closed.
    void finish();
    static constexpr uint64_t kMaxField = 1 << 28;
    static constexpr size_t kMaxFields = 1 << 16;

 private:
    void end_field();
    void end_row();
    void take(char c);
    void take_return(bool row_ends);
    [[noreturn]] void bad(const std::string& what) const;
    enum class At { start, plain, quoted, quote };
    enum class LineEnd { unknown, feed, carriage_return };
    char delimiter_;
    bool quotes_;
    std::string source_;
    Row row_;
    At at_ = At::start;
    LineEnd line_end_ = LineEnd::unknown;
    bool after_return_ = false;  // a CR outside quotes waits for what follows
    std::string field_;
    std::vector<std::string> fields_;
    uint64_t offset_ = 0, quote_offset_ = 0;
};

}  // namespace lithe
