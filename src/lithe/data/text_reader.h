// Plain text: where its documents end.
#pragma once

#include "lithe/data/part_emitter.h"

namespace lithe {

// One member of an input: bytes in, documents out.
class MemberReader {
 public:
    virtual ~MemberReader() = default;
    virtual void feed(std::string_view bytes) = 0;
    virtual void finish() = 0;
};

class TextReader : public MemberReader {
 public:
    // `documents`: as data.documents; a line break in a separator is LF or CR LF, and CR where `head`, the beginning of
    // the text, has no other.
    TextReader(PartEmitter& out, const std::string& documents, std::string_view head);
    void feed(std::string_view bytes) override;
    void finish() override;

 private:
    void add(std::string_view text);
    void end();
    PartEmitter& out_;
    std::string separator_, buffer_;  // separator_: empty where a document ends with its file
    bool open_ = false;
    uint64_t blank_ = 0;  // separators with nothing before them
};

}  // namespace lithe
