// A trained model: text to tokens and back, what a text costs, and how it might go on.
//
//   const lithe::Model model = lithe::Model::open("runs/enwik8");
//   model.score("the mill on the floss").bits_per_byte;
//   model.generate("the mill").text;
//
// Lifetime. A Model owns all that it needs. Its files may be removed or replaced by others once open() has returned,
// but not written to: tables of n-grams stay mapped (bad_file where they were cut off). What is given to a call need
// live only until that call returns. A Model that was moved from can be destroyed or assigned to, and nothing else.
//
// Thread safety. Different Models may be used by different threads at once. Of one Model, encode() and decode() may be
// called by any number of threads at once; score(), generate() and translate() by one thread at a time, beside those.
//
// Errors. Lithe's own are lithe::Error (lithe/error.h); std::bad_alloc and LibTorch's exceptions come through as they
// are, and so does what a callback throws. All leave the Model as it was. Numbers out of the ranges below are usage.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "lithe/export.h"

namespace lithe {

struct ModelOptions {
    int threads = 0;             // to 1024; 0: as many as this process may use
    std::string device = "cpu";  // "cpu", "cuda", or "auto": a GPU where there is one
    std::string precision = {};  // "fp32" or "bf16"; empty: as it was trained
};

// What a model makes of a text.
struct TextScore {
    double bits_per_byte = 0;
    double nats_per_token = 0;
    uint64_t tokens = 0;  // scored
    uint64_t bytes = 0;   // that these tokens stand for
};

struct GenerateOptions {
    int64_t tokens = 200;             // at most
    double temperature = 1.0;         // to 100; 0: the likeliest token
    int64_t top_k = 0;                // 0: all
    double top_p = 1.0;               // 0 to 1
    double min_p = 0.0;               // 0 to 1, of the likeliest token's probability; others are out
    double repetition_penalty = 1.0;  // 0.01 to 100; above 1: tokens that stood there before become less likely
    std::vector<std::string> stop_strings = {};  // the text ends before the first of these
    uint64_t seed = 1;                           // with the prompt it decides what is drawn
    std::stop_token stop = {};  // ends the text after the token, or the part of the prompt, that is being worked on
    // Gets each token with the text that it makes certain, which may be none: half a character waits for the rest.
    // False ends the text.
    std::function<bool(int64_t token, std::string_view text)> on_token = {};
};

struct Generated {
    std::string text;             // without the prompt
    std::vector<int64_t> tokens;  // with those of a stop string
    std::string held_back;        // the end of the text, which on_token has not got
    bool ended = false;           // by the model's end token or a stop string
};

struct TranslationOptions {
    int64_t beam = 5;           // hypotheses of each line, 1 to 1024
    double length_penalty = 1;  // scores are divided by the length to this power
    int64_t most_tokens = 200;  // of a translation, 1 to 1024
    std::stop_token stop = {};
};

class LITHE_API Model {
 public:
    // `place`: a run folder, RUN@best, RUN@step:N, a checkpoint folder, or a .safetensors file beside its config.json
    // and tokenizer.json. Throws bad_file for what is missing, damaged or of a newer version, usage for options that do
    // not fit, resources where the weights do not fit into memory.
    static Model open(const std::string& place, const ModelOptions& options = {});
    Model(Model&& other) noexcept;
    Model& operator=(Model&& other) noexcept;
    ~Model();

    int64_t vocabulary_size() const;
    int64_t parameters() const;

    // Special tokens never come out of text. Throws usage for text that the vocabulary cannot express.
    std::vector<int64_t> encode(std::string_view text) const;
    // The bytes need not be UTF-8. Throws usage for ids outside the vocabulary.
    std::string decode(const std::vector<int64_t>& tokens) const;

    // The text is read once from a cold start, with the memory of the model's evaluations. Scored are all tokens but
    // the first; of a model of masked tokens, those that its evaluation masks. Throws usage for fewer than two tokens
    // and for models that translate, diverged where the loss is not finite, stopped when `stop` asks for it.
    TextScore score(std::string_view text, const std::stop_token& stop = {}) const;

    // Goes on from the prompt; from an empty one as from the begin of a document. A stop is no error: the text ends.
    // Throws usage for models that continue no text (encoders, translators), diverged where logits are not finite.
    Generated generate(std::string_view prompt, const GenerateOptions& options = {}) const;

    // Each line, a sentence, in the language that the model translates into; lines side by side. Throws usage for
    // models that do not translate, and for lines that are empty or too long, with their numbers; stopped when `stop`
    // asks.
    std::vector<std::string> translate(const std::vector<std::string>& lines,
                                       const TranslationOptions& options = {}) const;

 private:
    struct Impl;
    explicit Model(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace lithe
