// What a configuration does on this machine, by doing it for a second. Throws stopped when a stop is asked for.
#pragma once

#include <stop_token>

#include "lithe/data/token_view.h"
#include "lithe/spec/config.h"
#include "lithe/tokenize/tokenizer.h"
#include "lithe/train/machine.h"

namespace lithe {

// Tokens per second of training steps (data, forward, backward, update), the median over `seconds` of them. Where
// single steps take many seconds, that of one.
double measure_training_speed(const Config& config, const Tokenizer& tokenizer, const TokenView& text,
                              const Machine& machine, double seconds, const std::stop_token& stop = {});

// Seconds per token of generation with one stream, from the model's weights in the machine's precision.
double measure_latency(const Config& config, int64_t vocabulary, const Machine& machine,
                       const std::stop_token& stop = {});

}  // namespace lithe
