#include "lithe/formats/foreign_tokens.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "lithe/base/error.h"
#include "lithe/base/text.h"
#include "lithe/base/wording.h"
#include "lithe/formats/content.h"

namespace lithe {
namespace {

constexpr uint64_t kLlmcHeader = 256 * 4;
constexpr char kMegatronMagic[] = "MMIDIDX\0";  // nine bytes with the closing zero

[[noreturn]] void bad(const std::string& name, const std::string& what) {
    fail_file("not a token file: " + what, name);
}

template <class T> T load(std::span<const std::byte> data, uint64_t offset) {
    T value;
    std::memcpy(&value, data.data() + offset, sizeof value);
    return value;
}

uint32_t magic_of(std::span<const std::byte> data) { return data.size() >= 4 ? load<uint32_t>(data, 0) : 0; }
bool is_llmc(uint32_t magic) { return magic == 20240520 || magic == 20240801; }

std::string index_path(const std::string& path) {
    return std::filesystem::path(path).replace_extension(".idx").string();
}

// Files of other kinds would give ids too.
void refuse_other_files(std::span<const std::byte> data, const std::string& name) {
    const std::string_view head(reinterpret_cast<const char*>(data.data()), std::min(data.size(), kContentHead));
    const Content content = content_of(head);
    auto refuse = [&](const std::string& what, const std::string& hint) {
        fail_file("not a token file but " + what, name, hint + "; or name the kind with " + option("kind"));
    };
    if (content.name == "NumPy array")
        refuse("a NumPy array with its header", "write the ids alone: array.tofile(FILE)");
    if (content.kind == ContentKind::packed) refuse("something packed", "unpack it first");
    if (content.kind == ContentKind::binary && content.name != "binary")
        refuse(content.name, "name a file of token ids");
    const bool words = std::all_of(
        head.begin(), head.end(), [](char c) { return (c >= ' ' && c <= '~') || c == '\n' || c == '\r' || c == '\t'; });
    if (head.size() >= 64 && words)
        refuse("text", "encode it: " + command("data prepare", {option("tokenizer", "FILE")}));
}

// Pairs of units of T: whether the second of each looks like the upper half of a number twice as wide.
enum class Upper { no, perhaps, yes };
template <class T> Upper upper_halves(std::span<const std::byte> data) {
    const uint64_t pairs = std::min<uint64_t>(data.size() / (2 * sizeof(T)), 1 << 21);
    if (data.size() % (2 * sizeof(T)) != 0 || pairs < 2) return Upper::no;
    uint64_t lower = 0, upper = 0;
    for (uint64_t i = 0; i < pairs; ++i) {
        lower = std::max<uint64_t>(lower, load<T>(data, 2 * i * sizeof(T)));
        upper = std::max<uint64_t>(upper, load<T>(data, (2 * i + 1) * sizeof(T)));
    }
    // ids of the narrow width are as large in one place as in the other
    if (lower == 0 || upper > 0xFF || lower < 64 * upper) return Upper::no;
    return pairs >= (upper == 0 ? 16u : 1024u) ? Upper::yes : Upper::perhaps;
}

int raw_width(std::span<const std::byte> data, const std::string& name) {
    if (data.size() % 2 != 0) return 2;
    const Upper wide = upper_halves<uint16_t>(data);
    if (wide == Upper::no) return 2;
    if (wide == Upper::perhaps)
        fail({.kind = ErrorKind::bad_file,
              .what = "cannot tell how wide the ids of this file are",
              .where = name,
              .expected = "ids of 16 bits (nanoGPT), or of 32",
              .got = "every second 16-bit word is 0 or small, in a file too short to be sure",
              .hint = "name the width: " + option("kind", "nanogpt") + ", " + option("kind", "uint32") + " or " +
                      option("kind", "uint64")});
    return upper_halves<uint32_t>(data) == Upper::no ? 4 : 8;
}

}  // namespace

ForeignTokens::ForeignTokens(const std::string& path, const std::string& kind)
    : file_(std::make_unique<MappedFile>(path)),
      data_(file_->bytes()),
      name_(path) {
    const bool has_index = std::filesystem::exists(index_path(path));
    if (kind == "megatron" || (kind == "auto" && has_index)) {
        kind_ = ForeignKind::megatron;
        index_file_ = std::make_unique<MappedFile>(index_path(path));
        parse_megatron(index_file_->bytes());
    } else if (kind == "llm.c" || (kind == "auto" && is_llmc(magic_of(data_)))) {
        kind_ = ForeignKind::llmc;
        parse_llmc();
    } else {
        take_raw(kind);
    }
}

ForeignTokens::ForeignTokens(std::span<const std::byte> data, std::span<const std::byte> index, ForeignKind kind,
                             std::string name)
    : data_(data),
      name_(std::move(name)),
      kind_(kind) {
    if (kind == ForeignKind::megatron) parse_megatron(index);
    else if (kind == ForeignKind::llmc) parse_llmc();
    else take_raw("auto");
}

void ForeignTokens::take_raw(const std::string& kind) {
    if (kind == "auto") {
        refuse_other_files(data_, name_);
        take_rest(0, raw_width(data_, name_), false);
    } else {
        take_rest(0, kind == "uint64" ? 8 : kind == "uint32" ? 4 : 2, false);
    }
}

void ForeignTokens::take_rest(uint64_t offset, int width, bool is_signed) {
    const uint64_t bytes = data_.size() - offset;
    if (bytes % uint64_t(width) != 0)
        bad(name_, std::to_string(bytes) + " bytes from offset " + std::to_string(offset) +
                       " are no whole number of ids of " + std::to_string(width) + " bytes");
    offset_ = offset;
    width_ = width;
    signed_ = is_signed;
    tokens_ = bytes / uint64_t(width);
}

void ForeignTokens::parse_llmc() {
    if (data_.size() < kLlmcHeader)
        bad(name_, "it has " + std::to_string(data_.size()) + " bytes, less than llm.c's header");
    const auto magic = load<uint32_t>(data_, 0), version = load<uint32_t>(data_, 4), count = load<uint32_t>(data_, 8);
    const bool wide = magic == 20240801;
    if (!is_llmc(magic))
        bad(name_, "its magic is " + std::to_string(magic) + ", expected llm.c's 20240520 or 20240801");
    if (version != (wide ? 7 : 1)) bad(name_, "version " + std::to_string(version) + " of llm.c's format is not known");
    take_rest(kLlmcHeader, wide ? 4 : 2, false);
    if (tokens_ != count)
        bad(name_, "its header claims " + std::to_string(count) + " tokens and it holds " + std::to_string(tokens_));
}

void ForeignTokens::parse_megatron(std::span<const std::byte> index) {
    constexpr uint64_t kHeader = 9 + 8 + 1 + 8 + 8;
    const std::string name = name_ + " (.idx)";
    if (index.size() < kHeader || std::memcmp(index.data(), kMegatronMagic, 9) != 0)
        bad(name, "it does not begin with MMIDIDX");
    if (const auto version = load<uint64_t>(index, 9); version != 1)
        bad(name, "its version is " + std::to_string(version));
    const auto code = load<uint8_t>(index, 17);
    const auto sequences = load<uint64_t>(index, 18), bounds = load<uint64_t>(index, 26);
    struct Type {
        int width;
        bool is_signed;
    };
    static const Type kTypes[] = {{0, false}, {1, false}, {1, true},  {2, true}, {4, true},
                                  {8, true},  {0, false}, {0, false}, {2, false}};
    if (code >= std::size(kTypes) || kTypes[code].width == 0)
        bad(name, "its ids have type code " + std::to_string(code));
    const uint64_t room = index.size() - kHeader;
    if (sequences > room / 12 || bounds > (room - sequences * 12) / 8)
        bad(name, "its tables of " + std::to_string(sequences) + " sequences and " + std::to_string(bounds) +
                      " bounds lie outside the file");
    take_rest(0, kTypes[code].width, kTypes[code].is_signed);
    // lengths, then byte offsets, then for each document the number of its first sequence, and the total
    std::vector<uint64_t> starts(size_t(sequences) + 1, 0);
    for (uint64_t s = 0; s < sequences; ++s) {
        const auto length = load<int32_t>(index, kHeader + s * 4);
        const auto pointer = load<int64_t>(index, kHeader + sequences * 4 + s * 8);
        if (length < 0 || pointer < 0 || uint64_t(pointer) != starts[size_t(s)] * uint64_t(width_))
            bad(name, "sequence " + std::to_string(s) + " does not follow the one before it");
        starts[size_t(s) + 1] = starts[size_t(s)] + uint64_t(length);
    }
    if (starts.back() != tokens_)
        bad(name,
            "its sequences have " + std::to_string(starts.back()) + " tokens and the file " + std::to_string(tokens_));
    for (uint64_t b = 0; b < bounds; ++b) {
        const auto sequence = load<int64_t>(index, kHeader + sequences * 12 + b * 8);
        if (sequence < 0 || uint64_t(sequence) > sequences)
            bad(name, "document bound " + std::to_string(b) + " lies outside its sequences");
        const uint64_t start = starts[size_t(sequence)];
        if (start >= tokens_) continue;
        if (!documents_.empty() && start < documents_.back()) bad(name, "its document bounds do not rise");
        if (documents_.empty() || start != documents_.back()) documents_.push_back(start);
    }
}

void ForeignTokens::read(uint64_t begin, uint64_t count, int32_t* out) const {
    if (begin > tokens_ || count > tokens_ - begin) fail({.what = "tokens beyond the end asked for", .where = name_});
    const std::byte* data = data_.data() + offset_ + begin * uint64_t(width_);
    for (uint64_t i = 0; i < count; ++i) {
        int64_t id = 0;
        std::memcpy(&id, data + i * uint64_t(width_), size_t(width_));
        if (signed_ && width_ < 8) {
            const int shift = 64 - 8 * width_;
            id = int64_t(uint64_t(id) << shift) >> shift;
        }
        if (id < 0 || id > INT32_MAX)
            fail_file("token " + std::to_string(begin + i) + " has the id " + std::to_string(id), name_);
        out[i] = int32_t(id);
    }
}

}  // namespace lithe
