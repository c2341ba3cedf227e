// How a text is rearranged so that a causal model learns to fill in its middle (Bavarian et al. 2022, arXiv
// 2207.14255). A document is cut at two random places into a prefix, a middle and a suffix:
//
//   PSM: <prefix> P <suffix> S <middle> M <end>        SPM: <prefix> <suffix> S <middle> P M <end>
//
// (section 3.1, the second variant of SPM). Rows are rearranged, as in the paper's context-level form: each document
// that lies in a row by itself, what is cut off by the row's end, too.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "lithe/base/choice.h"
#include "lithe/tokenize/tokenizer.h"

namespace lithe {

enum class MiddleCuts { characters, tokens };
constexpr auto names_of(MiddleCuts) {
    using enum MiddleCuts;
    return std::to_array<Named<MiddleCuts>>({{characters, "characters"}, {tokens, "tokens"}});
}

struct FillMiddle {
    double rate = 0.5;          // of documents
    double suffix_first = 0.5;  // of these: SPM
    int64_t prefix_id = 0, suffix_id = 0, middle_id = 0;
    int64_t end_id = 0;                // behind the middle; in a text it ends documents
    TokenizerPtr tokenizer = nullptr;  // null: cuts lie between tokens; else between characters of the text, where
                                       // all ids have one

    using Ids = std::vector<int64_t>;
    // The ids of a row, at most `most` of them: documents in a row, each with its end where that is there. `middles`,
    // if not null, says of each id that comes out whether it belongs to a middle, its end included.
    Ids arrange(const Ids& ids, size_t most, uint64_t key, std::vector<uint8_t>* middles = nullptr) const;
    // What a model reads before it writes the middle.
    Ids prompt(const Ids& prefix, const Ids& suffix, bool suffix_first) const;

    struct Parts {
        Ids prefix, middle, suffix;
    };
    // Of a document; equal keys and numbers cut equally.
    Parts cut(const Ids& document, uint64_t key, uint64_t number) const;
};

}  // namespace lithe
