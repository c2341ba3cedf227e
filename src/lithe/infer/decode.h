// Texts that a model writes on, many at a time: rows of a session take the next prompt as soon as theirs has ended.
#pragma once

#include <functional>
#include <stop_token>

#include "lithe/infer/sampler.h"
#include "lithe/infer/session.h"
#include "lithe/infer/stop_rules.h"
#include "lithe/tokenize/tokenizer.h"

namespace lithe {

struct DecodeOptions {
    SamplingOptions sampling;
    StopOptions until;
    int64_t alternatives = -1;  // log-probabilities: of the tokens made, and so many of the likeliest; -1: none
    std::stop_token stop = {};  // asked between steps: texts end where they are
};

struct DecodeRequest {
    std::vector<int64_t> prompt;
    int64_t number = 0;  // which of several texts of this prompt
};

struct Decoded {
    std::vector<int64_t> tokens;
    std::string text;                 // of these, as it follows the prompt; empty without a tokenizer
    std::string ending;               // Ending::reason; "caller": `use` wanted no more, "stopped": a stop was asked for
    std::vector<double> log_p;        // of each token, where asked for
    std::optional<double> end_log_p;  // of the end token, where one ended the text
    std::vector<std::vector<TokenProbability>> alternatives;  // likewise
};

// Told of each token of a request as it is made, with the text that is sure by then; false: it is to end there. Text
// that was held back comes at the end, with kNoToken.
inline constexpr int64_t kNoToken = -1;
using UseToken = std::function<bool(size_t request, int64_t token, const std::string& text)>;

// Texts of all requests, in their order. A text does not depend on what is written beside it. `tokenizer`: null where
// no text is asked for; stop strings need it.
std::vector<Decoded> decode(Session& session, int64_t rows, const std::vector<DecodeRequest>& requests,
                            const DecodeOptions& options, const Tokenizer* tokenizer, const UseToken& use = {});

// One text in a session of its own. Calls `use` with each new token; it returns false to stop. Returns the tokens made.
std::vector<int64_t> generate(const LanguageModel& model, const std::vector<int64_t>& prompt,
                              const DecodeOptions& options, Session::Options session,
                              const std::function<bool(int64_t)>& use = {});

}  // namespace lithe
