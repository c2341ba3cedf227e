// Loss over a text, every token scored once, the protocol stated.
//
// Where an objective scores a running text: the text is read by `batch` streams in step. Stream 0 starts cold at the
// first token; every other stream starts `lead` tokens before its first scored token, so that its state is warm. All
// tokens but the very first are scored; with documents and without a token that ends them, the first of each document
// is not. What of it an objective scores is its own (Objective::scored_batches). Bits per byte are the sum of the
// scored tokens' bits by the sum of the bytes that these tokens stand for.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <stop_token>

#include "lithe/base/score.h"
#include "lithe/data/corpus.h"
#include "lithe/data/scored_text.h"
#include "lithe/objectives/objective.h"

namespace lithe {

struct EvaluationResult {
    Score score;
    std::string objective;
    ScoringWords words;
    double loss = 0;  // nats per token, or the mean over texts
    double bits_per_byte = 0, perplexity = 0;
    uint64_t tokens = 0, bytes = 0;  // scored, and what they stand for
    uint64_t texts = 0;              // that have labels, which were scored; then there are no figures of tokens
    std::vector<Score> scores;       // where rows are judged by what they are given: all there are, `score` among them
    double unspoken_share = 0;       // of those bytes: what the unknown token stands for, or no token at all
    double seconds = 0;
    EvaluationProtocol protocol;
    // Whether it has scores of its own instead of bits per byte.
    bool judged() const { return !scores.empty(); }
};

EvaluationProtocol protocol_of(const Config& config, const Tokenizer& tokenizer);

// nullopt when a stop was asked for before the end.
std::optional<EvaluationResult> evaluate(const Objective& objective, const Models& models, const ScoredText& text,
                                         const EvaluationProtocol& protocol, const std::stop_token& stop = {});

nlohmann::ordered_json to_json(const EvaluationResult& result, bool with_protocol);
// What stands beside the score, for people: "perplexity 3.120, 5.1M tokens" or "F1 0.9012, loss 0.3120, 872 texts".
std::string figures_text(const EvaluationResult& result);
// How it was scored, for people: "16 rows of 256 tokens, memory 0, 1024 tokens read before each ...".
std::string protocol_text(const EvaluationResult& result);
// ", 54 % of the text has no token of its own: not comparable with other tokenizers"; empty where all has.
std::string unspoken_text(const EvaluationResult& result);

}  // namespace lithe
