#include "lithe/formats/token_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "lithe/base/error.h"
#include "lithe/base/json.h"
#include "lithe/base/text.h"

namespace lithe {
namespace {

using Json = nlohmann::json;

constexpr char kMagic[8] = {'L', 'I', 'T', 'H', 'E', 'T', 'O', 'K'};
constexpr uint32_t kVersion = 1;
constexpr uint64_t kDataOffset = 4096;
constexpr uint64_t kBlockBytes = 1 << 20;
constexpr uint64_t kMaxTrailer = 64 << 20;

struct Prefix {
    char magic[8];
    uint32_t version;
    uint32_t token_bytes;
    uint64_t data_bytes;
    uint64_t checksums_offset, checksum_count;
    uint64_t documents_offset, document_count;
    uint64_t trailer_offset, trailer_bytes, trailer_hash;
    uint64_t prefix_hash;  // of everything before it
};
static_assert(sizeof(Prefix) == 88);

uint64_t hash_of(const void* data, size_t size) { return hash_bytes({static_cast<const char*>(data), size}); }

[[noreturn]] void bad(const std::string& name, const std::string& what) {
    fail_file("not a valid token file: " + what, name, "make it anew with: lithe data prepare");
}

template <class T> int64_t largest(const std::byte* data, uint64_t count) {
    T value = 0;
    for (uint64_t i = 0; i < count; ++i) {
        T each;
        std::memcpy(&each, data + i * sizeof(T), sizeof(T));
        value = std::max(value, each);
    }
    return int64_t(value);
}

int64_t largest_id(int token_bytes, const std::byte* data, uint64_t count) {
    return token_bytes == 1   ? largest<uint8_t>(data, count)
           : token_bytes == 2 ? largest<uint16_t>(data, count)
                              : largest<uint32_t>(data, count);
}

}  // namespace

TokenFileWriter::TokenFileWriter(std::string path, int token_bytes)
    : path_(std::move(path)),
      temporary_(path_ + ".tmp-" + std::to_string(getpid())),
      token_bytes_(token_bytes) {
    writer_ = std::make_unique<FileWriter>(temporary_);
    writer_->write(std::string(kDataOffset, '\0'));
}

TokenFileWriter::~TokenFileWriter() {
    if (!writer_) return;
    writer_.reset();
    unlink(temporary_.c_str());
}

void TokenFileWriter::append(const void* tokens, uint64_t count) {
    auto* bytes = static_cast<const char*>(tokens);
    uint64_t size = count * uint64_t(token_bytes_);
    while (size > 0) {
        uint64_t part = std::min<uint64_t>(size, kBlockBytes - block_.size());
        block_.append(bytes, part);
        bytes += part;
        size -= part;
        if (block_.size() == kBlockBytes) flush_block();
    }
    tokens_ += count;
}

void TokenFileWriter::start_document() {
    if (documents_.empty() || documents_.back() != tokens_) documents_.push_back(tokens_);
}

void TokenFileWriter::flush_block() {
    if (block_.empty()) return;
    checksums_.push_back(hash_bytes(block_));
    writer_->write(block_);
    block_.clear();
}

std::string TokenFileWriter::finish(TokenFileInfo info) {
    flush_block();
    while (!documents_.empty() && documents_.back() >= tokens_) documents_.pop_back();
    uint64_t data_bytes = tokens_ * uint64_t(token_bytes_);
    writer_->write(std::string((8 - writer_->size() % 8) % 8, '\0'));
    Prefix prefix{};
    std::memcpy(prefix.magic, kMagic, 8);
    prefix.version = kVersion;
    prefix.token_bytes = uint32_t(token_bytes_);
    prefix.data_bytes = data_bytes;
    prefix.checksums_offset = writer_->size();
    prefix.checksum_count = checksums_.size();
    writer_->write(checksums_.data(), checksums_.size() * 8);
    prefix.documents_offset = writer_->size();
    prefix.document_count = documents_.size();
    writer_->write(documents_.data(), documents_.size() * 8);

    Json splits = Json::array();
    for (const TokenSplit& split : info.splits)
        splits.push_back({{"name", split.name}, {"begin", split.begin}, {"end", split.end}, {"bytes", split.bytes}});
    std::string trailer = Json{{"vocabulary_size", info.vocabulary_size},
                               {"tokenizer", info.tokenizer},
                               {"tokenizer_hash", info.tokenizer_hash},
                               {"splits", splits},
                               {"source", printable(info.source)},
                               {"labels", info.labels},
                               {"checksums_hash", to_hex(hash_of(checksums_.data(), checksums_.size() * 8))},
                               {"documents_hash", to_hex(hash_of(documents_.data(), documents_.size() * 8))}}
                              .dump();
    prefix.trailer_offset = writer_->size();
    prefix.trailer_bytes = trailer.size();
    prefix.trailer_hash = hash_bytes(trailer);
    writer_->write(trailer);
    prefix.prefix_hash = hash_of(&prefix, offsetof(Prefix, prefix_hash));
    writer_->close();

    int descriptor = open(temporary_.c_str(), O_WRONLY | O_CLOEXEC);
    if (descriptor < 0 || pwrite(descriptor, &prefix, sizeof prefix, 0) != ssize_t(sizeof prefix) ||
        fsync(descriptor) != 0) {
        if (descriptor >= 0) close(descriptor);
        fail_errno("cannot finish token file", temporary_);
    }
    close(descriptor);
    if (rename(temporary_.c_str(), path_.c_str()) != 0) fail_errno("cannot move token file into place", path_);
    writer_.reset();
    auto folder = std::filesystem::path(path_).parent_path();
    sync_folder(folder.empty() ? "." : folder.string());
    return to_hex(prefix.prefix_hash);
}

TokenFile::TokenFile(const std::string& path)
    : file_(std::make_unique<MappedFile>(path)),
      bytes_(file_->bytes()),
      name_(path) {
    parse();
}

TokenFile::TokenFile(std::span<const std::byte> bytes, std::string name) : bytes_(bytes), name_(std::move(name)) {
    parse();
}

void TokenFile::parse() {
    Prefix prefix{};
    if (bytes_.size() < kDataOffset)
        bad(name_, "it has " + std::to_string(bytes_.size()) + " bytes, less than its header");
    std::memcpy(&prefix, bytes_.data(), sizeof prefix);
    if (std::memcmp(prefix.magic, kMagic, 8) != 0) bad(name_, "it does not begin with LITHETOK");
    if (prefix.prefix_hash != hash_of(&prefix, offsetof(Prefix, prefix_hash)))
        bad(name_, "the checksum of its header (offset 0) does not fit");
    if (prefix.version != kVersion)
        bad(name_, "its version is " + std::to_string(prefix.version) + "; this program reads version " +
                       std::to_string(kVersion));
    if (prefix.token_bytes != 1 && prefix.token_bytes != 2 && prefix.token_bytes != 4)
        bad(name_, "tokens of " + std::to_string(prefix.token_bytes) + " bytes");

    uint64_t size = bytes_.size();
    auto inside = [&](uint64_t offset, uint64_t count, uint64_t width) {
        return offset <= size && count <= (size - offset) / width;
    };
    if (!inside(kDataOffset, prefix.data_bytes, 1))
        bad(name_, "it is cut off: its data needs " + std::to_string(prefix.data_bytes) +
                       " bytes from offset 4096, and the file ends at " + std::to_string(size));
    if (!inside(prefix.checksums_offset, prefix.checksum_count, 8) || prefix.checksums_offset % 8)
        bad(name_, "its checksums lie outside the file");
    if (!inside(prefix.documents_offset, prefix.document_count, 8) || prefix.documents_offset % 8)
        bad(name_, "its document offsets lie outside the file");
    if (!inside(prefix.trailer_offset, prefix.trailer_bytes, 1) || prefix.trailer_bytes > kMaxTrailer)
        bad(name_, "its trailer lies outside the file");
    if (prefix.data_bytes % prefix.token_bytes) bad(name_, "its data is no whole number of tokens");
    if (prefix.checksum_count != (prefix.data_bytes + kBlockBytes - 1) / kBlockBytes)
        bad(name_, "its number of checksums does not fit its data");

    std::string_view trailer(reinterpret_cast<const char*>(bytes_.data()) + prefix.trailer_offset,
                             prefix.trailer_bytes);
    if (hash_bytes(trailer) != prefix.trailer_hash)
        bad(name_, "the checksum of its trailer (offset " + std::to_string(prefix.trailer_offset) + ") does not fit");
    root_ = to_hex(prefix.prefix_hash);
    data_offset_ = kDataOffset;
    data_bytes_ = prefix.data_bytes;
    checksums_ = {reinterpret_cast<const uint64_t*>(bytes_.data() + prefix.checksums_offset), prefix.checksum_count};
    documents_ = {reinterpret_cast<const uint64_t*>(bytes_.data() + prefix.documents_offset), prefix.document_count};

    const Json json = try_parse_json<Json>(trailer).value_or(Json());
    if (!json.is_object()) bad(name_, "its trailer is not JSON");
    try {
        info_.token_bytes = int(prefix.token_bytes);
        info_.tokens = prefix.data_bytes / prefix.token_bytes;
        info_.vocabulary_size = whole(json.at("vocabulary_size"));
        info_.tokenizer = json.at("tokenizer").get<std::string>();
        info_.tokenizer_hash = json.at("tokenizer_hash").get<std::string>();
        info_.source = json.at("source").get<std::string>();
        if (json.contains("labels")) info_.labels = whole_numbers<int32_t>(json["labels"]);
        if (!info_.labels.empty() && info_.labels.size() != documents_.size())
            bad(name_, std::to_string(info_.labels.size()) + " labels for " + std::to_string(documents_.size()) +
                           " documents");
        for (const Json& split : json.at("splits")) {
            TokenSplit each{split.at("name").get<std::string>(), whole(split.at("begin")), whole(split.at("end")),
                            whole(split.at("bytes"))};
            if (each.begin > each.end || each.end > info_.tokens)
                bad(name_, "split '" + printable(each.name) + "' lies outside the tokens");
            info_.splits.push_back(each);
        }
        if (json.at("checksums_hash") != to_hex(hash_of(checksums_.data(), checksums_.size_bytes())))
            bad(name_, "its checksum table is damaged");
        if (json.at("documents_hash") != to_hex(hash_of(documents_.data(), documents_.size_bytes())))
            bad(name_, "its document offsets are damaged");
    } catch (const Json::exception&) { bad(name_, "its trailer lacks a field"); }
    if (info_.vocabulary_size < 1 || info_.vocabulary_size > (int64_t(1) << 24))
        bad(name_, "its vocabulary size is " + std::to_string(info_.vocabulary_size));
    for (size_t i = 0; i < documents_.size(); ++i)
        if (documents_[i] >= info_.tokens || (i && documents_[i] <= documents_[i - 1]))
            bad(name_, "its document offsets do not rise");
    checked_ = std::make_unique<std::atomic<bool>[]>(checksums_.size());
}

void TokenFile::check_blocks(uint64_t first_byte, uint64_t last_byte) const {
    for (uint64_t block = first_byte / kBlockBytes; block * kBlockBytes < last_byte; ++block) {
        if (checked_[block]) continue;
        uint64_t begin = block * kBlockBytes, length = std::min(kBlockBytes, data_bytes_ - begin);
        const std::byte* data = bytes_.data() + data_offset_ + begin;
        if (hash_of(data, length) != checksums_[block])
            bad(name_, "the checksum of block " + std::to_string(block) + " (offset " +
                           std::to_string(data_offset_ + begin) + ") does not fit");
        int64_t id = largest_id(info_.token_bytes, data, length / uint64_t(info_.token_bytes));
        if (id >= info_.vocabulary_size)
            bad(name_, "token id " + std::to_string(id) + " in block " + std::to_string(block) + " (offset " +
                           std::to_string(data_offset_ + begin) + ") is outside the vocabulary of " +
                           std::to_string(info_.vocabulary_size));
        checked_[block] = true;
    }
}

void TokenFile::read(uint64_t begin, uint64_t count, int64_t* out) const {
    if (begin > info_.tokens || count > info_.tokens - begin)
        fail({.what = "tokens " + std::to_string(begin) + " to " + std::to_string(begin + count) + " of " +
                      std::to_string(info_.tokens) + " asked for",
              .where = name_});
    uint64_t width = uint64_t(info_.token_bytes);
    check_blocks(begin * width, (begin + count) * width);
    const std::byte* data = bytes_.data() + data_offset_ + begin * width;
    for (uint64_t i = 0; i < count; ++i) {
        uint32_t id = 0;
        std::memcpy(&id, data + i * width, width);
        out[i] = id;
    }
}

void TokenFile::verify() const { check_blocks(0, data_bytes_); }

bool TokenFile::looks_like(const std::string& path) {
    FILE* file = std::fopen(path.c_str(), "rbe");
    if (!file) return false;
    char head[8] = {};
    bool same = std::fread(head, 1, 8, file) == 8 && std::memcmp(head, kMagic, 8) == 0;
    std::fclose(file);
    return same;
}

}  // namespace lithe
