#include "lithe/tokenize/bytes.h"

namespace lithe::tokenize {

ByteTokenizer::ByteTokenizer() {
    for (int byte = 0; byte < 256; ++byte) bytes_.push_back(static_cast<unsigned char>(byte));
    number();
}

ByteTokenizer::ByteTokenizer(const std::array<bool, 256>& used) {
    for (size_t byte = 0; byte < 256; ++byte)
        if (used[byte]) bytes_.push_back(static_cast<unsigned char>(byte));
    number();
}

void ByteTokenizer::number() {
    ids_.fill(-1);
    for (size_t id = 0; id < bytes_.size(); ++id) ids_[bytes_[id]] = int32_t(id);
}

void ByteTokenizer::encode(std::string_view text, std::vector<int32_t>& ids, SpecialText) const {
    const size_t start = ids.size();
    ids.resize(start + text.size());
    for (size_t i = 0; i < text.size(); ++i) {
        const int32_t id = ids_[static_cast<unsigned char>(text[i])];
        if (id < 0)
            fail_usage("byte " + std::to_string(static_cast<unsigned char>(text[i])) + " at offset " +
                           std::to_string(i) + " is not among the " + std::to_string(bytes_.size()) +
                           " byte values of this model's vocabulary",
                       "text", "the model was trained on text without that byte (data.vocabulary = \"used\")");
        ids[start + i] = id;
    }
}

std::string ByteTokenizer::decode(std::span<const int32_t> ids) const {
    std::string text;
    text.reserve(ids.size());
    for (int32_t id : ids) {
        check_id(id);
        text += char(bytes_[size_t(id)]);
    }
    return text;
}

std::string ByteTokenizer::to_json() const {
    nlohmann::json list = nlohmann::json::array();
    for (unsigned char byte : bytes_) list.push_back(int(byte));
    return nlohmann::json{{"kind", "bytes"}, {"bytes", list}}.dump() + "\n";
}

TokenizerPtr read_bytes(const Json& json, const std::string& source) {
    const Json& list = need(json, "bytes", source);
    if (!list.is_array() || list.empty()) fail_file("a tokenizer of bytes without a list of bytes", source);
    std::array<bool, 256> used{};
    int64_t before = -1;
    for (const Json& value : list) {
        if (!value.is_number_unsigned() || value.get<uint64_t>() > 255 || value.get<int64_t>() <= before)
            fail_file("the bytes of a tokenizer are not rising numbers of 0 to 255", source);
        before = value.get<int64_t>();
        used[size_t(before)] = true;
    }
    return std::make_shared<ByteTokenizer>(used);
}

}  // namespace lithe::tokenize
