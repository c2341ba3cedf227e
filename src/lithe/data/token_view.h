// Tokens of a split, wherever they stand: a mapped text file, or the shards of a token set.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lithe/base/file.h"
#include "lithe/formats/token_set.h"

namespace lithe {

// A run of tokens that can be read at any place. Thread-compatible.
class TokenView {
 public:
    virtual ~TokenView() = default;
    virtual uint64_t size() const = 0;
    virtual void read(uint64_t begin, uint64_t count, int64_t* out) const = 0;
    virtual uint64_t bytes() const = 0;  // of the text that the tokens stand for
    // Number of documents, and where number i begins; a view that knows of none is one document.
    virtual uint64_t documents() const { return 1; }
    virtual uint64_t document_begin(uint64_t) const { return 0; }
    // The number of its label; -1: none.
    virtual int32_t document_label(uint64_t) const { return -1; }
    // The labels by number; empty: there are none.
    virtual const std::vector<std::string>& label_names() const;
    // Whether documents 2n and 2n + 1 are a pair; nullopt: it is not known.
    virtual std::optional<bool> paired() const { return std::nullopt; }
};

// The tokens of a document.
std::vector<int64_t> read_document(const TokenView& tokens, uint64_t number);

// A plain file, mapped; the id of each byte by look-up (-1: not in the vocabulary).
class MappedText : public TokenView {
 public:
    MappedText(std::shared_ptr<const MappedFile> file, uint64_t begin, uint64_t end,
               const std::array<int32_t, 256>& ids);
    uint64_t size() const override { return end_ - begin_; }
    uint64_t bytes() const override { return size(); }
    void read(uint64_t begin, uint64_t count, int64_t* out) const override;

 private:
    std::shared_ptr<const MappedFile> file_;
    uint64_t begin_, end_;
    std::array<int32_t, 256> ids_;
};

// What a token set says of its documents.
struct KnownDocuments {
    std::vector<std::string> label_names;
    bool paired = false;
};

class ShardedTokens : public TokenView {
 public:
    ShardedTokens(std::vector<TokenRange> ranges, uint64_t bytes, KnownDocuments known = {});
    uint64_t size() const override { return starts_.back(); }
    uint64_t bytes() const override { return bytes_; }
    void read(uint64_t begin, uint64_t count, int64_t* out) const override;
    uint64_t documents() const override { return document_starts_.back(); }
    uint64_t document_begin(uint64_t number) const override;
    int32_t document_label(uint64_t number) const override;
    const std::vector<std::string>& label_names() const override { return known_.label_names; }
    std::optional<bool> paired() const override { return known_.paired; }

 private:
    // The range that a document begins in, and its number in that file's table.
    std::pair<size_t, uint64_t> find_document(uint64_t number) const;
    std::vector<TokenRange> ranges_;
    std::vector<uint64_t> starts_;           // first token of each range, and the total
    std::vector<uint64_t> first_document_;   // of each range, in its file's table
    std::vector<uint64_t> document_starts_;  // number of the first document of each range, and the total
    uint64_t bytes_;
    KnownDocuments known_;
};

// Texts at hand, a document each.
class TokenList : public TokenView {
 public:
    void add(const std::vector<int64_t>& ids, uint64_t bytes);
    uint64_t size() const override { return ids_.size(); }
    uint64_t bytes() const override { return bytes_; }
    void read(uint64_t begin, uint64_t count, int64_t* out) const override {
        std::copy_n(ids_.begin() + std::ptrdiff_t(begin), count, out);
    }
    uint64_t documents() const override { return begins_.size(); }
    uint64_t document_begin(uint64_t number) const override { return begins_.at(number); }

 private:
    std::vector<int64_t> ids_;
    std::vector<uint64_t> begins_;
    uint64_t bytes_ = 0;
};

// A part of another view, which must outlive it; one document.
class TokenSlice : public TokenView {
 public:
    TokenSlice(const TokenView& whole, uint64_t begin, uint64_t end) : whole_(whole), begin_(begin), end_(end) {}
    uint64_t size() const override { return end_ - begin_; }
    uint64_t bytes() const override {
        return uint64_t(double(whole_.bytes()) * double(size()) / double(std::max<uint64_t>(1, whole_.size())));
    }
    void read(uint64_t begin, uint64_t count, int64_t* out) const override { whole_.read(begin_ + begin, count, out); }

 private:
    const TokenView& whole_;
    uint64_t begin_, end_;
};

// Several views in a row.
class JoinedTokens : public TokenView {
 public:
    explicit JoinedTokens(std::vector<std::shared_ptr<const TokenView>> parts);
    uint64_t size() const override { return starts_.back(); }
    uint64_t bytes() const override;
    void read(uint64_t begin, uint64_t count, int64_t* out) const override;
    uint64_t documents() const override { return document_starts_.back(); }
    uint64_t document_begin(uint64_t number) const override;

 private:
    std::vector<std::shared_ptr<const TokenView>> parts_;
    std::vector<uint64_t> starts_{0}, document_starts_{0};
};

}  // namespace lithe
