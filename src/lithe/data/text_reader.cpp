#include "lithe/data/text_reader.h"

#include <algorithm>

namespace lithe {
namespace {

// Where a document ends inside a text; empty: only with its file.
std::string separator_of(const std::string& documents) {
    if (documents == "file") return "";
    if (documents == "line") return "\n";
    if (documents == "blank_line") return "\n\n";
    return documents;
}

// Where a separator stands in a text; a line break in it is also found as CR LF.
struct Found {
    size_t at = std::string_view::npos, length = 0;
};

Found find_separator(std::string_view text, size_t from, const std::string& separator) {
    for (size_t start = from; (start = text.find(separator[0], start)) != std::string_view::npos; ++start) {
        size_t begin = start, at = start, matched = 0;
        if (separator[0] == '\n' && begin > from && text[begin - 1] == '\r') --begin;
        for (; matched < separator.size() && at < text.size(); ++matched, ++at) {
            if (matched > 0 && separator[matched] == '\n' && text[at] == '\r') ++at;
            if (at >= text.size() || text[at] != separator[matched]) break;
        }
        if (matched == separator.size()) return {begin, at - begin};
    }
    return {};
}

}  // namespace

TextReader::TextReader(PartEmitter& out, const std::string& documents, std::string_view head)
    : out_(out),
      separator_(separator_of(documents)) {
    // as on the first Macintoshes
    if (head.find('\r') != std::string_view::npos && head.find('\n') == std::string_view::npos)
        std::replace(separator_.begin(), separator_.end(), '\n', '\r');
}

void TextReader::feed(std::string_view bytes) {
    if (separator_.empty()) return add(bytes);
    buffer_ += bytes;
    size_t done = 0;
    for (Found found; (found = find_separator(buffer_, done, separator_)).length > 0; done = found.at + found.length) {
        add(std::string_view(buffer_).substr(done, found.at - done));
        if (!open_) ++blank_;
        end();
    }
    // what may be the start of a separator waits
    const size_t keep = std::min(buffer_.size() - done, 2 * separator_.size() - 1);
    add(std::string_view(buffer_).substr(done, buffer_.size() - done - keep));
    buffer_.erase(0, buffer_.size() - keep);
}

void TextReader::finish() {
    add(buffer_);
    buffer_.clear();
    end();
    if (blank_ > 0 && separator_.size() == 1 && out_.options().blank_lines)
        out_.statistics.left_out.add(std::to_string(blank_) + (blank_ == 1 ? " line" : " lines"), "without text");
}

void TextReader::add(std::string_view text) {
    if (!open_ && (separator_ == "\n\n" || separator_ == "\r\r"))
        text.remove_prefix(std::min(text.find_first_not_of("\r\n"), text.size()));
    open_ = open_ || !text.empty();
    out_.add(text);
}

void TextReader::end() {
    if (open_) out_.end();
    open_ = false;
}

}  // namespace lithe
