// Lines written in another language by a trained model: its encoder reads each, a beam search writes what the decoder
// makes of it.
#pragma once

#include <functional>
#include <stop_token>

#include "lithe/model/language_model.h"
#include "lithe/tokenize/tokenizer.h"

namespace lithe {

struct TranslateOptions {
    int64_t beam = 5;           // hypotheses of a line; 1: always the likeliest token
    double length_penalty = 1;  // scores are divided by the length to this power
    // A translation has at most per_source x (tokens of the line) + most_tokens; and what the model has positions for.
    double per_source = 0;
    int64_t most_tokens = 200;
    int64_t least_tokens = 1;
    int64_t no_repeat_ngram = 0;  // no n-gram of this length stands twice in a translation; 0: none is banned
    double unknown_penalty = 0;   // taken off log p of the unknown token
    int64_t rows = 160;           // hypotheses that are written side by side
    bool keeps_empty = false;     // an empty line stays one; false: it is refused
    std::stop_token stop = {};
    std::function<void(double done)> progress = {};  // share of the lines
};

struct Translated {
    std::string text;  // without line ends
    double score = 0;  // infer/beam_search.h
    bool cut = false;  // by the limit of tokens
};

class Translator {
 public:
    // Model and tokenizer must outlive it; `end`: the token behind each text, and before a translation's first. Throws
    // usage for a model without an encoder.
    Translator(const LanguageModel& model, const Tokenizer& tokenizer, int64_t end);

    // A translation does not depend on the lines beside it. Throws usage, naming `source` and the line, for an empty
    // line, one that is longer than the model's positions or one that the vocabulary cannot express; stopped when
    // `stop` asks for it.
    std::vector<Translated> translate(const std::vector<std::string>& lines, const TranslateOptions& options,
                                      const std::string& source) const;
    // Calls `use` with the translations of the next lines as they are made, in order.
    void translate(const std::vector<std::string>& lines, const TranslateOptions& options, const std::string& source,
                   const std::function<void(std::vector<Translated>)>& use) const;
    // The same of tokens with their end token; nothing is checked.
    std::vector<Translated> translate(const std::vector<std::vector<int64_t>>& sources,
                                      const TranslateOptions& options) const;

 private:
    std::vector<std::vector<int64_t>> sources_of(const std::vector<std::string>& lines, const TranslateOptions& options,
                                                 const std::string& source) const;
    const LanguageModel& model_;
    const Tokenizer& tokenizer_;
    int64_t end_;
};

}  // namespace lithe
