#include "lithe/data/line_reader.h"

#include "lithe/base/error.h"
#include "lithe/base/text.h"

namespace lithe {
namespace {

constexpr size_t kRead = 1 << 20;
constexpr size_t kLongestLine = size_t(1) << 29;

Content text_content(std::string_view head, const std::string& source) {
    Content content = content_of(head);
    if (content.kind == ContentKind::binary || content.kind == ContentKind::packed)
        fail_file("the file holds no lines of text: " + content.name, source);
    return content;
}

}  // namespace

LineReader::LineReader(const std::string& path, double max_expansion) : path_(path) {
    file_.emplace(path, max_expansion);
    if (!file_->next()) return;
    const std::string head = file_->read_full(kRead);
    more_ = head.size() == kRead;
    decoder_.emplace(text_content(head, path_));
    buffer_ = decoder_->decode(head);
    if (!more_) buffer_ += decoder_->finish();
}

LineReader::LineReader(std::string_view bytes, const std::string& source) : path_(source) {
    if (bytes.empty()) return;
    decoder_.emplace(text_content(bytes.substr(0, kRead), source));
    buffer_ = decoder_->decode(bytes);
    buffer_ += decoder_->finish();
}

bool LineReader::next(std::string& line) {
    size_t end;
    while ((end = buffer_.find('\n', at_)) == std::string::npos && more_) {
        buffer_.erase(0, at_);
        at_ = 0;
        if (buffer_.size() > kLongestLine)
            fail_file("line " + std::to_string(number_ + 1) + " is longer than " + format_bytes(double(kLongestLine)),
                      path_);
        const std::string bytes = file_->read_full(kRead);
        more_ = bytes.size() == kRead;
        buffer_ += decoder_->decode(bytes);
        if (!more_) buffer_ += decoder_->finish();
    }
    if (at_ >= buffer_.size()) return false;
    line = buffer_.substr(at_, end == std::string::npos ? end : end - at_);
    if (line.ends_with('\r')) line.pop_back();
    at_ = end == std::string::npos ? buffer_.size() : end + 1;
    ++number_;
    return true;
}

std::vector<std::string> all_lines(LineReader&& reader) {
    std::vector<std::string> lines;
    for (std::string line; reader.next(line);) lines.push_back(line);
    return lines;
}

}  // namespace lithe
