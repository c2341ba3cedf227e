// Tokenizers made of a text, and a text that has something of everything.
#pragma once

#include <string>

#include "lithe/tokenize/trainer.h"
#include "support/random_text.h"

namespace lithe::testing {

inline TokenizerPtr train_tokenizer(const TokenizerTrainingOptions& options, const std::string& text) {
    auto trainer = make_tokenizer_trainer(options);
    trainer->feed(text);
    return trainer->finish();
}

inline std::string varied_text() {
    std::string text;
    for (uint64_t i = 0; i < 300; ++i) text += random_text(i) + "\nsome words and more words\n";
    return text;
}

}  // namespace lithe::testing
