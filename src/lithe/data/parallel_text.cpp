#include "lithe/data/parallel_text.h"

#include <optional>

#include "lithe/base/error.h"
#include "lithe/base/text.h"
#include "lithe/data/text_decoder.h"
#include "lithe/formats/packed.h"

namespace lithe {
namespace {

constexpr size_t kRead = 1 << 20;
constexpr size_t kLongestLine = size_t(1) << 29;

// Lines of a plain or compressed file.
class LineReader {
 public:
    LineReader(const std::string& path, const DataConfig& config)
        : path_(path),
          file_(path, config.max_expansion),
          more_(file_.next()) {
        if (!more_) return;
        const std::string head = file_.read_full(kRead);
        more_ = head.size() == kRead;
        Content content = content_of(head);
        if (content.kind == ContentKind::binary || content.kind == ContentKind::packed)
            fail_file("the file holds no lines of text: " + content.name, path_);
        decoder_.emplace(content);
        buffer_ = decoder_->decode(head);
        if (!more_) buffer_ += decoder_->finish();
    }
    bool next(std::string& line) {
        size_t end;
        while ((end = buffer_.find('\n', at_)) == std::string::npos && more_) {
            buffer_.erase(0, at_);
            at_ = 0;
            if (buffer_.size() > kLongestLine)
                fail_file(
                    "line " + std::to_string(number_ + 1) + " is longer than " + format_bytes(double(kLongestLine)),
                    path_);
            const std::string bytes = file_.read_full(kRead);
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
    uint64_t number() const { return number_; }
    const std::string& path() const { return path_; }

 private:
    std::string path_, buffer_;
    PackedFile file_;
    std::optional<TextDecoder> decoder_;
    bool more_;
    size_t at_ = 0;
    uint64_t number_ = 0;
};

// Takes the ending of a packed file off a name, and returns it.
std::string take_packed(std::string& name) {
    for (const std::string suffix : {".gz", ".xz", ".zst", ".bz2"})
        if (name.ends_with(suffix)) {
            name.resize(name.size() - suffix.size());
            return suffix;
        }
    return "";
}

}  // namespace

std::string partner_path(const std::string& path, const std::string& extension) {
    std::string stem = path;
    const std::string packed = take_packed(stem);
    const size_t dot = stem.rfind('.'), slash = stem.rfind('/');
    if (dot != std::string::npos && (slash == std::string::npos || dot > slash)) stem.resize(dot);
    return stem + extension + packed;
}

bool is_partner(const std::string& name, const std::string& extension) {
    std::string stem = name;
    take_packed(stem);
    return stem.ends_with(extension);
}

void read_pairs(const DataConfig& config, const Input& input, PartEmitter& out) {
    LineReader source(input.path, config), target(partner_path(input.path, config.parallel), config);
    std::string from, to;
    for (;;) {
        const bool a = source.next(from), b = target.next(to);
        if (a != b)
            fail_file("it has more lines than its partner " + (a ? target : source).path() +
                          ", which ends after line " + std::to_string((a ? target : source).number()),
                      (a ? source : target).path());
        if (!a) return;
        out.check_stop(input.path);
        out.input_bytes += from.size() + 1;
        if (from.empty() || to.empty()) {
            out.statistics.left_out.add(
                input.path.substr(input.path.rfind('/') + 1) + " line " + std::to_string(source.number()),
                "an empty side of a pair");
            continue;
        }
        out.second = false;
        out.add(from);
        out.end();
        out.second = true;
        out.add(to);
        out.end();
    }
}

}  // namespace lithe
