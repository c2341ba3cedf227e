// Comma- or tab-separated values as RFC 4180 has them: fields in double quotes may hold delimiters, line breaks and
// doubled quotes. Between tabs, quotes are ordinary characters. Bytes in, rows out.
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
    [[noreturn]] void bad(const std::string& what) const;
    enum class At { start, plain, quoted, quote };
    char delimiter_;
    bool quotes_;
    std::string source_;
    Row row_;
    At at_ = At::start;
    std::string field_;
    std::vector<std::string> fields_;
    uint64_t offset_ = 0, quote_offset_ = 0;
};

}  // namespace lithe
