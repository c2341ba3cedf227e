// Which tokens of a row are to be predicted, and what stands in their places:
//
//   tokens  each token by itself with probability `rate` (Devlin et al. 2019, section 3.1; drawn anew each time)
//   words   each word by itself with probability `rate`, with all of its tokens (BERT's whole-word masking)
//   spans   spans of words until ceil(rate x n) of the row's n tokens are taken (Joshi et al. 2020, section 3.1): a
//   span
//           begins with the word around a random token; its length in words is l with probability ~ p (1 - p)^(l - 1),
//           l <= longest. The last one is cut where the count is full, and none goes on into another document
//
// Of what is taken, `mask_share` becomes the mask token, `random_share` a random one, the rest stays: token by token,
// of spans all tokens of a span alike.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "lithe/base/error.h"
#include "lithe/base/fields.h"
#include "lithe/data/batch.h"
#include "lithe/tokenize/word_borders.h"

namespace lithe {

enum class MaskUnit { tokens, words, spans };
constexpr auto names_of(MaskUnit) {
    using enum MaskUnit;
    return std::to_array<Named<MaskUnit>>({{tokens, "tokens"}, {words, "words"}, {spans, "spans"}});
}

// The tokens of a row that stands alone. `first`: the number of the first one in the stream that is drawn from.
struct MaskRow {
    std::vector<int64_t> ids;
    std::vector<uint8_t> flags;
    uint64_t first = 0;
    static MaskRow of(const Batch& batch, int64_t row);
};

struct Masking {
    double rate = 0.15, mask_share = 0.8, random_share = 0.1;
    int64_t mask_id = 0;
    int64_t vocabulary = 0;  // random tokens are below this
    MaskUnit unit = MaskUnit::tokens;
    double span_end = 0.2;  // p of spans
    int64_t longest_span = 10;
    std::shared_ptr<const WordBorders> borders = nullptr;  // of words and spans

    struct Choice {
        bool scored = false;
        int64_t input = 0;
    };
    // What becomes of each token; equal arguments choose equally. Padding stays as it is.
    std::vector<Choice> choose(const MaskRow& row, uint64_t key) const;
    // Words of the span that is number `draw`.
    int64_t span_length(uint64_t key, uint64_t draw) const;

 private:
    bool begins(const MaskRow& row, size_t t) const;
    std::vector<bool> chosen_tokens(const MaskRow& row, uint64_t key) const;
    std::vector<bool> chosen_words(const MaskRow& row, uint64_t key) const;
    std::vector<bool> chosen_spans(const MaskRow& row, uint64_t key) const;
};

// Options that objectives with masks share.
struct MaskingValues {
    double mask_rate = 0.15;
    MaskUnit mask_unit = MaskUnit::tokens;
    double span_end = 0.2;
    int64_t longest_span = 10;
    double mask_share = 0.8, random_share = 0.1;
    std::string mask_token = "auto";
    void visit(FieldVisitor& v);
    void check(Problems& problems) const;
    // Throws usage when mask_token is no token of the tokenizer.
    Masking masking(const Tokenizer& tokenizer) const;
};

// Masks every row by its number: targets are the tokens that are to be predicted.
void mask_rows(const Masking& masking, Batch& batch, uint64_t key, int64_t first_row);

}  // namespace lithe
