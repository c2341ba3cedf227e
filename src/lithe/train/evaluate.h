// Loss over a text with state and memory carried, every token scored once, the protocol stated.
//
// The text is read by `batch` streams in step. Stream 0 starts cold at the first token; every other stream starts
// `lead` tokens before its first scored token, so that its state is warm. All tokens but the very first are scored;
// with documents and without a token that ends them, the first of each document is not. With the masked objective the
// masked tokens of each segment are scored, always the same ones, the first of the text among them. Bits per byte are
// the sum of the scored tokens' bits by the sum of the bytes that these tokens stand for.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "lithe/data/corpus.h"
#include "lithe/data/scored_text.h"
#include "lithe/model/language_model.h"
#include "lithe/model/masking.h"

namespace lithe {

struct EvaluationProtocol {
    std::string split = "valid";
    uint64_t bytes = 0;  // of the split's text, from its beginning; 0 = all. The same for every tokenizer
    int64_t batch = 16, length = 256, memory = 0, lead = 1024;
    std::string mask = "causal";  // evaluation.mask
    int64_t clamp_length = -1;    // of relative positions; -1: as in training
    bool documents = false;       // state and attention begin anew with each document, as in training on documents
    std::optional<int32_t>
        document_end;                // the token that ends documents: it is the input before a document's first token
    std::optional<Masking> masking;  // masked tokens are scored instead of next ones; segments are on their own
    std::string precision = "fp32";
};

struct EvaluationResult {
    double loss = 0;  // nats per token
    double bits_per_byte = 0, perplexity = 0;
    uint64_t tokens = 0, bytes = 0;  // scored, and what they stand for
    double unspoken_share = 0;       // of those bytes: what the unknown token stands for, or no token at all
    double seconds = 0;
    EvaluationProtocol protocol;
};

EvaluationProtocol protocol_of(const Config& config, const Tokenizer& tokenizer);

// nullopt when a stop was asked for before the end.
std::optional<EvaluationResult> evaluate(const LanguageModel& model, const ScoredText& text,
                                         const EvaluationProtocol& protocol);

nlohmann::ordered_json to_json(const EvaluationResult& result, bool with_protocol);
// ", 54 % of the text has no token of its own: not comparable with other tokenizers"; empty where all has.
std::string unspoken_text(const EvaluationResult& result);

}  // namespace lithe
