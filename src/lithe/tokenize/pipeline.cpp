#include "lithe/tokenize/pipeline.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <unordered_map>

#include "lithe/tokenize/added_tokens.h"
#include "lithe/tokenize/decoder.h"
#include "lithe/tokenize/model.h"
#include "lithe/tokenize/normalizer.h"
#include "lithe/tokenize/piece_cache.h"
#include "lithe/tokenize/pre_tokenizer.h"
#include "lithe/tokenize/unicode.h"

namespace lithe::tokenize {
namespace {

const Json kNull;

const Json& part_of(const Json& json, const char* key) { return json.contains(key) ? json[key] : kNull; }

SpecialTokens specials_of(const std::vector<AddedToken>& tokens) {
    SpecialTokens special;
    for (const AddedToken& token : tokens)
        if (token.special) special.add(token.content);
    return special;
}

// Bytes can stay bytes on their way to the model where a ByteLevel comes last and the model knows no affixes.
bool wants_byte_words(const Json& json) {
    const Json& model = part_of(json, "model");
    if (!model.is_object() || !model.contains("merges") || !ends_in_byte_level(part_of(json, "pre_tokenizer")))
        return false;
    for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"})
        if (model.contains(affix) && model[affix].is_string() && !model[affix].get_ref<const std::string&>().empty())
            return false;
    return true;
}

// What one thread works in, for the tokenizer it used last.
struct ThreadRoom {
    uint64_t owner = 0;
    Workspace work;
    PieceCache cache;
};

class PipelineTokenizer : public Tokenizer {
 public:
    PipelineTokenizer(const Json& json, const std::string& source)
        : json_(json),
          added_(read_added_tokens(part_of(json, "added_tokens").is_null() ? Json::array() : json["added_tokens"],
                                   source)),
          byte_words_(wants_byte_words(json)),
          normalizer_(make_normalizer(part_of(json, "normalizer"), source)),
          pre_tokenizer_(make_pre_tokenizer(part_of(json, "pre_tokenizer"), byte_words_, source)),
          model_(make_model(need(json, "model", source), byte_words_, specials_of(added_), source)),
          decoder_(make_decoder(part_of(json, "decoder"), source)),
          instance_(++instances_) {
        size_ = model_->size();
        for (AddedToken& token : added_) add(token, source);
        if (size_ < 1) fail_file("the vocabulary is empty", source);
        if (json.contains("post_processor") && json["post_processor"].is_object()) check_post_processor(source);
        lossless_ = byte_words_ && !normalizer_ && added_plain_ && keeps_every_byte();
    }

    std::string kind() const override { return "tokenizer.json"; }
    int64_t vocabulary_size() const override { return size_; }
    bool lossless() const override { return lossless_; }
    std::optional<int32_t> document_end() const override {
        for (const char* name :
             {"<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "<|im_end|>", "<end_of_text>", "[SEP]"})
            for (const AddedToken& token : added_)
                if (token.special && token.content == name) return token.id;
        return std::nullopt;
    }

    void encode(std::string_view text, std::vector<int32_t>& ids, SpecialText special) const override {
        thread_local ThreadRoom room;
        if (room.owner != instance_) {
            room.owner = instance_;
            room.cache.clear();
        }
        const Matchers& matchers = matchers_[special == SpecialText::parsed];
        auto found = [&](int32_t id) { ids.push_back(id); };
        auto word = [&](const Piece& piece) { encode_word(piece.text, ids, room); };
        auto segment = [&](const Piece& piece) {
            if (pre_tokenizer_) pre_tokenizer_->split(piece, word);
            else word(piece);
        };
        matchers.raw.split(
            text,
            [&](std::string_view raw) {
                std::string changed;
                Piece part{raw, raw.data() == text.data() ? length_at(raw, 0) : 0};
                if (normalizer_) {
                    if (part.first > 0) part.first = normalizer_->apply(raw.substr(0, part.first)).size();
                    part.text = changed = normalizer_->apply(raw);
                }
                matchers.normalized.split(
                    part.text,
                    [&](std::string_view each) {
                        const auto begin = size_t(each.data() - part.text.data());
                        segment(part.part(begin, begin + each.size()));
                    },
                    found);
            },
            found);
    }

    std::optional<int32_t> unknown() const override {
        return model_->unknown() >= 0 ? std::optional<int32_t>(model_->unknown()) : std::nullopt;
    }
    // By what decoding gives behind another token, as many tokens begin with a space only there.
    uint64_t text_bytes(int32_t id) const override {
        check_id(id);
        const bool special = std::any_of(added_.begin(), added_.end(),
                                         [&](const AddedToken& token) { return token.id == id && token.special; });
        if (special || id == model_->unknown()) return 0;
        if (!content_.count(id) && is_byte_token(model_->token(id))) return 1;
        const int32_t before = model_->find("a").value_or(id);
        const uint64_t alone = decode(std::span(&before, 1)).size(), both = decode(std::array{before, id}).size();
        return both - std::min(alone, both);
    }

    std::string decode(std::span<const int32_t> ids) const override {
        std::vector<std::string> tokens;
        tokens.reserve(ids.size());
        for (int32_t id : ids) {
            check_id(id);
            const auto added = content_.find(id);
            std::string token(added != content_.end() ? std::string_view(added->second) : model_->token(id));
            if (!token.empty()) tokens.push_back(std::move(token));
        }
        std::string text;
        for (const std::string& token : decoder_->apply(std::move(tokens))) text += token;
        return text;
    }
    std::string to_json() const override { return json_.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

 private:
    struct Matchers {
        AddedTokenMatcher raw, normalized;
    };

    void add(AddedToken& token, const std::string& source) {
        const auto known = model_->find(token.content);
        if (known && *known != token.id)
            fail_file("the added token \"" + printable(token.content) + "\" has id " + std::to_string(token.id) +
                          ", and the vocabulary says " + std::to_string(*known),
                      source);
        check_id_of(token, source);
        if (token.strip_left || token.strip_right) added_plain_ = false;
        size_ = std::max<int64_t>(size_, int64_t(token.id) + 1);
        AddedToken sought = token;
        if (token.normalized && normalizer_) sought.content = normalizer_->apply(token.content);
        content_.emplace(token.id, sought.content);
        for (int parsed = 0; parsed < 2; ++parsed)
            if (parsed || !token.special)
                (token.normalized ? matchers_[parsed].normalized : matchers_[parsed].raw).add(sought);
    }
    // One id stands for one token.
    void check_id_of(const AddedToken& token, const std::string& source) const {
        const auto other = std::find_if(added_.begin(), added_.end(), [&](const AddedToken& each) {
            return each.id == token.id && each.content != token.content;
        });
        const bool known =
            token.id < model_->size() && !model_->token(token.id).empty() && model_->token(token.id) != token.content;
        if (!known && other == added_.end()) return;
        fail({.kind = ErrorKind::bad_file,
              .what = "an added token has the id of another token",
              .where = source,
              .expected = "an id of its own for \"" + printable(token.content) + "\"",
              .got = "id " + std::to_string(token.id) + ", which is \"" +
                     printable(known ? model_->token(token.id) : other->content) + "\"",
              .hint = "correct the id in \"added_tokens\""});
    }
    void check_post_processor(const std::string& source) const {
        const std::string type = type_of(json_["post_processor"], "post_processor", source);
        for (const char* known : {"TemplateProcessing", "BertProcessing", "RobertaProcessing", "ByteLevel", "Sequence"})
            if (type == known) return;
        unsupported("post_processor", type, source);
    }
    // False for a vocabulary without some byte, and where a space is put before the text.
    bool keeps_every_byte() const {
        std::string text;
        for (int byte = 0; byte < 256; ++byte) text += char(byte);
        std::vector<int32_t> ids;
        encode(text, ids, SpecialText::plain);
        return decode(ids) == text;
    }
    // "<0x0A>", where the decoder makes bytes of such tokens
    bool is_byte_token(std::string_view token) const {
        return token.size() == 6 && token.starts_with("<0x") && decoder_ &&
               decoder_->apply({std::string(token)}) != std::vector<std::string>{std::string(token)};
    }
    void encode_word(std::string_view piece, std::vector<int32_t>& ids, ThreadRoom& room) const {
        if (piece.size() > PieceCache::kLongest) return model_->encode(piece, ids, room.work);
        const auto key = PieceCache::key_of(piece);
        if (room.cache.find(key, ids)) return;
        const size_t start = ids.size();
        model_->encode(piece, ids, room.work);
        room.cache.store(key, ids.data() + start, ids.size() - start);
    }

    static inline std::atomic<uint64_t> instances_ = 0;
    Json json_;
    std::vector<AddedToken> added_;
    bool byte_words_, added_plain_ = true, lossless_ = false;
    std::unique_ptr<Normalizer> normalizer_;
    std::unique_ptr<PreTokenizer> pre_tokenizer_;
    std::unique_ptr<Model> model_;
    std::unique_ptr<Decoder> decoder_;
    Matchers matchers_[2];
    std::unordered_map<int32_t, std::string> content_;
    int64_t size_ = 0;
    uint64_t instance_;
};

}  // namespace

TokenizerPtr read_pipeline(const Json& json, const std::string& source) {
    return std::make_shared<PipelineTokenizer>(json, source);
}

}  // namespace lithe::tokenize
