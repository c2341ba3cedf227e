#include "lithe/data/tokenizer.h"

#include <nlohmann/json.hpp>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/text.h"

namespace lithe {

Tokenizer::Tokenizer() {
    for (int byte = 0; byte < 256; ++byte) bytes_.push_back(static_cast<unsigned char>(byte));
    number();
}

Tokenizer::Tokenizer(const std::array<bool, 256>& used) {
    for (size_t byte = 0; byte < 256; ++byte)
        if (used[byte]) bytes_.push_back(static_cast<unsigned char>(byte));
    number();
}

void Tokenizer::number() {
    ids_.fill(-1);
    for (size_t id = 0; id < bytes_.size(); ++id) ids_[bytes_[id]] = int(id);
}

Tokenizer Tokenizer::from_json(std::string_view text, const std::string& source) {
    auto json = nlohmann::json::parse(text, nullptr, false);
    auto bad = [&](const std::string& what) { fail_file("not a tokenizer of lithe: " + what, source); };
    if (json.is_discarded() || !json.is_object()) bad("no JSON object");
    if (!json.contains("kind") || json["kind"] != "bytes") bad("its kind is not \"bytes\"");
    if (!json.contains("bytes") || !json["bytes"].is_array()) bad("it has no list of bytes");
    std::array<bool, 256> used{};
    int64_t before = -1;
    for (const auto& value : json["bytes"]) {
        if (!value.is_number_unsigned() || value.get<uint64_t>() > 255 || value.get<int64_t>() <= before)
            bad("its bytes are not rising numbers of 0 to 255");
        before = value.get<int64_t>();
        used[size_t(before)] = true;
    }
    if (before < 0) bad("it has no bytes");
    return Tokenizer(used);
}

std::vector<int64_t> Tokenizer::encode(std::string_view text) const {
    std::vector<int64_t> ids;
    ids.reserve(text.size());
    for (size_t i = 0; i < text.size(); ++i) {
        int id = ids_[static_cast<unsigned char>(text[i])];
        if (id < 0)
            fail_usage("byte " + std::to_string(static_cast<unsigned char>(text[i])) + " at offset " +
                           std::to_string(i) + " is not among the " + std::to_string(bytes_.size()) +
                           " byte values of this model's vocabulary",
                       "text", "the model was trained on text without that byte (data.vocabulary = \"used\")");
        ids.push_back(id);
    }
    return ids;
}

std::string Tokenizer::decode(const std::vector<int64_t>& ids) const {
    std::string text;
    for (int64_t id : ids) text += byte_of(id);
    return text;
}

std::string Tokenizer::to_json() const {
    nlohmann::json list = nlohmann::json::array();
    for (unsigned char byte : bytes_) list.push_back(int(byte));
    return nlohmann::json{{"kind", "bytes"}, {"bytes", list}}.dump() + "\n";
}

std::string Tokenizer::hash() const { return to_hex(hash_bytes(to_json())); }

}  // namespace lithe
