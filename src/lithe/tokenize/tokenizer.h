// Text to token ids and back. The kinds:
//   bytes          every byte value is a token, or those that a corpus uses, in order (the enwik8 convention)
//   characters     every code point of a corpus is a token
//   words          words between white space, with <eos> at line ends and <unk> (the WikiText and billion-word
//   conventions) sentencepiece  a model of the SentencePiece library (Kudo and Richardson 2018) tokenizer.json the
//   pipeline of the Hugging Face `tokenizers` library: BPE, Unigram, WordPiece, WordLevel
// Special tokens (end of text and the like) never come out of text unless the caller asks for them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lithe {

enum class SpecialText { plain, parsed };  // what becomes of "<|endoftext|>" in a text

class Tokenizer {
 public:
    virtual ~Tokenizer() = default;

    virtual std::string kind() const = 0;
    // One more than the largest id.
    virtual int64_t vocabulary_size() const = 0;
    // Appends the ids of a text, which may hold bytes that are no UTF-8. Thread-safe. Throws a usage error for text
    // that the vocabulary cannot express and has no unknown token for.
    virtual void encode(std::string_view text, std::vector<int32_t>& ids,
                        SpecialText special = SpecialText::plain) const = 0;
    // Special tokens as their text. Throws for ids outside the vocabulary.
    virtual std::string decode(std::span<const int32_t> ids) const = 0;
    // Whether decode(encode(x)) == x for every text that encode takes.
    virtual bool lossless() const = 0;
    // The token that stands between documents, if there is one.
    virtual std::optional<int32_t> document_end() const { return std::nullopt; }
    // The token behind which a text is over, where generation ends. Not the line end of words, which is text.
    virtual std::optional<int32_t> text_end() const { return document_end(); }
    // The token of what the vocabulary cannot express, if there is one.
    virtual std::optional<int32_t> unknown() const { return std::nullopt; }
    // Bytes of text that a token stands for behind another one: 0 for special tokens and the unknown one. Exact for
    // lossless tokenizers; for others what decode() gives back.
    virtual uint64_t text_bytes(int32_t id) const = 0;
    // Reads back with tokenizer_from_json; it is what stands in tokenizer.json of a checkpoint.
    virtual std::string to_json() const = 0;

    std::string hash() const;  // of to_json(): equal tokenizers have equal hashes
    std::vector<int64_t> encode(std::string_view text, SpecialText special = SpecialText::plain) const;
    std::string decode(const std::vector<int64_t>& ids) const;

 protected:
    void check_id(int32_t id) const;
};

using TokenizerPtr = std::shared_ptr<const Tokenizer>;

// `text` is a file of this program or a tokenizer.json. Throws bad_file with what is wrong or not supported.
TokenizerPtr tokenizer_from_json(std::string_view text, const std::string& source);
// A JSON file as above, or a model file of SentencePiece.
TokenizerPtr tokenizer_from_file(const std::string& path);

// The id of a token with exactly this text, as "[MASK]"; nullopt where there is none.
std::optional<int64_t> find_token(const Tokenizer& tokenizer, const std::string& text);
// Whether the vocabulary has tokens of its own for all of the text.
bool expresses(const Tokenizer& tokenizer, std::string_view text);
// What a text may begin with where nothing else is said: a line end, else a space, else the first token.
std::string neutral_prompt(const Tokenizer& tokenizer);

// Text of a growing list of ids, piece by piece: what is not yet sure (half a character, a token that the next one may
// change) is held back.
class StreamDecoder {
 public:
    explicit StreamDecoder(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}
    // `prompt`: ids whose text is out already, and decides how the next begins (a space between words).
    StreamDecoder(const Tokenizer& tokenizer, const std::vector<int64_t>& prompt);
    std::string next(int64_t id);
    std::string rest();  // what was held back

 private:
    std::string take(bool all);
    const Tokenizer& tokenizer_;
    std::vector<int32_t> ids_;
    size_t context_ = 0, told_ = 0;  // ids before told_ are out; decoding begins at context_
};

// The text of tokens that follow a prompt: with a space before it where words need one.
std::string continuation(const Tokenizer& tokenizer, const std::vector<int64_t>& prompt,
                         const std::vector<int64_t>& tokens);

}  // namespace lithe
