#include "lithe/formats/safetensors.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

#include "lithe/base/error.h"
#include "lithe/base/json.h"
#include "lithe/base/text.h"

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian");

namespace lithe {
namespace {

constexpr uint64_t kMaxHeader = 100'000'000;  // the reference reader's limit
constexpr size_t kMaxDepth = 4;

struct DTypeRow {
    DType dtype;
    const char* name;
    int64_t size;
};

// in the order of the reference's enum ("increasing alignment")
constexpr DTypeRow kDTypes[] = {
    {DType::boolean, "BOOL", 1}, {DType::u8, "U8", 1},   {DType::i8, "I8", 1},     {DType::i16, "I16", 2},
    {DType::u16, "U16", 2},      {DType::f16, "F16", 2}, {DType::bf16, "BF16", 2}, {DType::i32, "I32", 4},
    {DType::u32, "U32", 4},      {DType::f32, "F32", 4}, {DType::f64, "F64", 8},   {DType::i64, "I64", 8},
    {DType::u64, "U64", 8},
};

using Json = nlohmann::ordered_json;

[[noreturn]] void bad(const std::string& source, const std::string& what) {
    fail_file("not a valid safetensors file: " + what, source,
              "the file is damaged or of another kind; take another copy or an earlier checkpoint");
}

constexpr const char* kValuesHash = "lithe.xxh3";  // metadata: hash of the tensors' XXH3-64 hashes in file order

using HashState = std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)>;

HashState new_hash() {
    HashState state(XXH3_createState(), XXH3_freeState);
    XXH3_64bits_reset(state.get());
    return state;
}

void append_hash(std::string& hashes, const XXH3_state_t& state) {
    const uint64_t hash = XXH3_64bits_digest(&state);
    hashes.append(reinterpret_cast<const char*>(&hash), sizeof hash);
}

// Calls `use` with the tensor's bytes. Throws where its pieces are not as long as its shape needs.
void each_piece(const TensorToWrite& tensor, uint64_t bytes, const std::function<void(const void*, size_t)>& use) {
    if (!tensor.pieces) return use(tensor.data, bytes);
    uint64_t made = 0;
    tensor.pieces([&](const void* data, size_t size) {
        made += size;
        use(data, size);
    });
    if (made != bytes) fail({.what = "the tensor '" + tensor.name + "' is not as long as its shape"});
}

// Calls `use` with one stretch of this part after another; none needs memory once it was used.
template <class F> void pass_through(const MappedFile& file, std::span<const std::byte> part, const F& use) {
    constexpr size_t kStretch = 8 << 20;
    for (size_t at = 0; at < part.size(); at += kStretch) {
        const auto stretch = part.subspan(at, std::min(kStretch, part.size() - at));
        use(stretch);
        file.release(stretch);
    }
}

HashState hash_of(const MappedFile& file, std::span<const std::byte> part) {
    HashState state = new_hash();
    pass_through(file, part, [&](auto stretch) { XXH3_64bits_update(state.get(), stretch.data(), stretch.size()); });
    return state;
}

uint64_t unsigned_of(const Json& value, const std::string& source, const std::string& what) {
    if (!value.is_number_unsigned()) bad(source, what + " is not a whole number");
    return value.get<uint64_t>();
}

TensorInfo parse_tensor(const std::string& name, const Json& entry, const std::string& source) {
    std::string shown = "tensor '" + printable(name).substr(0, 80) + "'";
    if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") || !entry.contains("shape") ||
        !entry.contains("data_offsets"))
        bad(source, shown + " does not have exactly dtype, shape and data_offsets");
    TensorInfo tensor;
    tensor.name = name;
    auto row = std::find_if(std::begin(kDTypes), std::end(kDTypes), [&](const DTypeRow& each) {
        return entry["dtype"].is_string() && entry["dtype"] == each.name;
    });
    if (row == std::end(kDTypes)) bad(source, shown + " has an unknown dtype");
    tensor.dtype = row->dtype;
    const Json& shape = entry["shape"];
    if (!shape.is_array() || shape.size() > 16) bad(source, shown + " has no shape list of at most 16 sizes");
    uint64_t bytes = uint64_t(row->size);
    for (const Json& size : shape) {
        uint64_t value = unsigned_of(size, source, "a size of " + shown);
        if (value > uint64_t(INT64_MAX) || __builtin_mul_overflow(bytes, value, &bytes))
            bad(source, shown + " is larger than any file");
        tensor.shape.push_back(int64_t(value));
    }
    const Json& offsets = entry["data_offsets"];
    if (!offsets.is_array() || offsets.size() != 2) bad(source, shown + " has no two data_offsets");
    tensor.begin = unsigned_of(offsets[0], source, "an offset of " + shown);
    tensor.end = unsigned_of(offsets[1], source, "an offset of " + shown);
    if (tensor.end < tensor.begin || tensor.end - tensor.begin != bytes)
        bad(source, shown + " holds " + std::to_string(tensor.end - tensor.begin) + " bytes where its shape needs " +
                        std::to_string(bytes));
    return tensor;
}

}  // namespace

int64_t dtype_size(DType dtype) { return kDTypes[size_t(dtype)].size; }

const char* dtype_name(DType dtype) { return kDTypes[size_t(dtype)].name; }

SafetensorsHeader parse_safetensors(std::span<const std::byte> file, const std::string& source) {
    if (file.size() < 8) bad(source, "it has " + std::to_string(file.size()) + " bytes");
    uint64_t length = 0;
    std::memcpy(&length, file.data(), 8);
    if (length > kMaxHeader) bad(source, "its header claims " + std::to_string(length) + " bytes");
    if (length > file.size() - 8)
        bad(source,
            "its header claims " + std::to_string(length) + " bytes of a file of " + std::to_string(file.size()));
    std::string_view text(reinterpret_cast<const char*>(file.data()) + 8, length);
    if (text.empty() || text[0] != '{') bad(source, "its header is not a JSON object");
    if (!is_valid_utf8(text)) bad(source, "its header is not UTF-8");

    std::string fault;
    const auto parsed = try_parse_json<Json>(text, &fault, {.depth = kMaxDepth, .unique_names = true});
    if (!parsed) bad(source, "of its header, " + fault);
    const Json& json = *parsed;

    SafetensorsHeader header;
    header.data_start = 8 + length;
    for (const auto& [name, entry] : json.items()) {
        if (name == "__metadata__") {
            if (!entry.is_object()) bad(source, "__metadata__ is not an object");
            for (const auto& [key, value] : entry.items()) {
                if (!value.is_string()) bad(source, "__metadata__ holds something else than text");
                header.metadata[key] = value.get<std::string>();
            }
        } else {
            header.tensors.push_back(parse_tensor(name, entry, source));
        }
    }
    std::sort(header.tensors.begin(), header.tensors.end(), [](const TensorInfo& a, const TensorInfo& b) {
        return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
    });
    uint64_t position = 0;
    for (const TensorInfo& tensor : header.tensors) {
        if (tensor.begin != position)
            bad(source, "there is a hole or an overlap before tensor '" + printable(tensor.name).substr(0, 80) + "'");
        position = tensor.end;
    }
    uint64_t data = file.size() - header.data_start;
    if (position != data)
        bad(source, "its tensors need " + std::to_string(position) + " bytes and it holds " + std::to_string(data));
    return header;
}

SafetensorsFile::SafetensorsFile(const std::string& path)
    : file_(path),
      header_(parse_safetensors(file_.bytes(), path)) {
    const auto stated = header_.metadata.find(kValuesHash);
    if (stated == header_.metadata.end()) return;
    std::string hashes;
    for (const TensorInfo& tensor : header_.tensors) append_hash(hashes, *hash_of(file_, data(tensor)));
    if (to_hex(hash_bytes(hashes)) != stated->second) bad(path, "the checksum of its values does not fit");
}

const TensorInfo* SafetensorsFile::find(const std::string& name) const {
    for (const TensorInfo& tensor : header_.tensors)
        if (tensor.name == name) return &tensor;
    return nullptr;
}

std::span<const std::byte> SafetensorsFile::data(const TensorInfo& tensor) const {
    return file_.bytes().subspan(header_.data_start + tensor.begin, tensor.end - tensor.begin);
}

void SafetensorsFile::copy(const TensorInfo& tensor, void* place) const {
    auto* to = static_cast<std::byte*>(place);
    pass_through(file_, data(tensor), [&](auto stretch) { to = std::copy(stretch.begin(), stretch.end(), to); });
}

void write_safetensors(FileWriter& writer, std::vector<TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata) {
    std::sort(tensors.begin(), tensors.end(), [](const TensorToWrite& a, const TensorToWrite& b) {
        return a.dtype != b.dtype ? a.dtype > b.dtype : a.name < b.name;
    });
    Json header = Json::object();
    header["__metadata__"] = metadata;
    std::string hashes;
    uint64_t position = 0;
    for (const TensorToWrite& tensor : tensors) {
        uint64_t bytes = uint64_t(dtype_size(tensor.dtype));
        for (int64_t size : tensor.shape) bytes *= uint64_t(size);
        if (header.contains(tensor.name)) fail({.what = "two tensors are called '" + tensor.name + "'"});
        header[tensor.name] = Json::object({{"dtype", dtype_name(tensor.dtype)},
                                            {"shape", tensor.shape},
                                            {"data_offsets", {position, position + bytes}}});
        const HashState state = new_hash();
        each_piece(tensor, bytes, [&](const void* data, size_t size) { XXH3_64bits_update(state.get(), data, size); });
        append_hash(hashes, *state);
        position += bytes;
    }
    header["__metadata__"][kValuesHash] = to_hex(hash_bytes(hashes));
    std::string text = header.dump();
    text.append((8 - text.size() % 8) % 8, ' ');
    uint64_t length = text.size();
    writer.write(&length, 8);
    writer.write(text);
    for (const TensorToWrite& tensor : tensors) {
        const auto& offsets = header[tensor.name]["data_offsets"];
        each_piece(tensor, offsets[1].get<uint64_t>() - offsets[0].get<uint64_t>(),
                   [&](const void* data, size_t size) { writer.write(data, size); });
    }
}

}  // namespace lithe
