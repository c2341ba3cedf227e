#include "lithe/tokenize/sentencepiece.h"

#include <sentencepiece_processor.h>

#include "lithe/tokenize/base64.h"

namespace lithe::tokenize {
namespace {

class SentencePieceTokenizer : public Tokenizer {
 public:
    SentencePieceTokenizer(std::string model, const std::string& source) : model_(std::move(model)) {
        load(source);
        if (vocabulary_size() < 1) fail_file("the SentencePiece model has no pieces", source);
    }
    std::string kind() const override { return "sentencepiece"; }
    int64_t vocabulary_size() const override { return processor_.GetPieceSize(); }
    // U+2581 comes back as a space, and bytes that are no UTF-8 as U+FFFD, whatever the model
    bool lossless() const override { return false; }
    std::optional<int32_t> document_end() const override {
        return processor_.eos_id() >= 0 ? std::optional<int32_t>(processor_.eos_id()) : std::nullopt;
    }
    std::optional<int32_t> unknown() const override {
        return processor_.unk_id() >= 0 ? std::optional<int32_t>(processor_.unk_id()) : std::nullopt;
    }
    uint64_t text_bytes(int32_t id) const override {
        check_id(id);
        if (processor_.IsUnknown(id) || processor_.IsControl(id)) return 0;
        if (processor_.IsByte(id)) return 1;
        constexpr std::string_view kSpace = "\xE2\x96\x81";  // U+2581, which stands for one space
        const std::string& piece = processor_.IdToPiece(id);
        uint64_t bytes = piece.size();
        for (size_t at = 0; (at = piece.find(kSpace, at)) != std::string::npos; at += kSpace.size())
            bytes -= kSpace.size() - 1;
        return bytes;
    }
    // The library never makes control symbols of text, so there is nothing to parse.
    void encode(std::string_view text, std::vector<int32_t>& ids, SpecialText) const override {
        thread_local std::vector<int> found;
        const auto status = processor_.Encode({text.data(), text.size()}, &found);
        if (!status.ok()) fail({.what = "SentencePiece: " + printable(status.ToString()), .where = "text"});
        ids.insert(ids.end(), found.begin(), found.end());
    }
    std::string decode(std::span<const int32_t> ids) const override {
        for (int32_t id : ids) check_id(id);
        std::string text;
        const auto status = processor_.Decode(std::vector<int>(ids.begin(), ids.end()), &text);
        if (!status.ok()) fail({.what = "SentencePiece: " + printable(status.ToString()), .where = "token ids"});
        return text;
    }
    std::string to_json() const override {
        return Json{{"kind", "sentencepiece"}, {"model", encode_base64(model_)}}.dump() + "\n";
    }

 private:
    // The library throws, too: a piece that begins with a zero byte is a key without length in its trie.
    void load(const std::string& source) {
        std::string refusal;
        try {
            const auto status = processor_.LoadFromSerializedProto(model_);
            if (!status.ok()) refusal = status.ToString();
        } catch (const std::exception& error) { refusal = error.what(); }
        if (!refusal.empty()) fail_file("the SentencePiece library refuses the model: " + printable(refusal), source);
    }

    std::string model_;
    sentencepiece::SentencePieceProcessor processor_;
};

}  // namespace

TokenizerPtr sentencepiece_from_model(const std::string& model, const std::string& source) {
    return std::make_shared<SentencePieceTokenizer>(model, source);
}

TokenizerPtr read_sentencepiece(const Json& json, const std::string& source) {
    const Json& model = need(json, "model", source);
    if (!model.is_string()) fail_file("the SentencePiece model is no base64 text", source);
    return sentencepiece_from_model(decode_base64(model.get<std::string>(), source), source);
}

}  // namespace lithe::tokenize
