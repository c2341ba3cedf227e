// Lines of a text file as training reads them: packed or not, UTF-8, UTF-16 or UTF-32, with a byte order mark or
// without, their ends "\n" or "\r\n".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lithe/data/text_decoder.h"
#include "lithe/formats/packed.h"
#include "lithe/spec/config.h"

namespace lithe {

class LineReader {
 public:
    // `max_expansion`: as data.max_expansion. Throws bad_file for what is no text.
    explicit LineReader(const std::string& path, double max_expansion = DataConfig().max_expansion);
    // Of bytes that came from elsewhere, for errors from `source`.
    LineReader(std::string_view bytes, const std::string& source);
    // False behind the last line.
    bool next(std::string& line);
    uint64_t number() const { return number_; }  // of the line that next() gave last, from 1
    const std::string& path() const { return path_; }

 private:
    std::string path_, buffer_;
    std::optional<PackedFile> file_;
    std::optional<TextDecoder> decoder_;
    bool more_ = false;
    size_t at_ = 0;
    uint64_t number_ = 0;
};

std::vector<std::string> all_lines(LineReader&& reader);

}  // namespace lithe
