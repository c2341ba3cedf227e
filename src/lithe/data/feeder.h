// What the trainer is fed with: segments of `length` time steps in `batch` rows. Two orders:
//
//   StreamFeeder    the split is cut into contiguous pieces, one for each row, that are read in step with the state
//                   carried; at the end of the pieces an epoch ends. With `chunk`, what a row reads is chunks of the
//                   split in a random order, anew in each epoch
//   DocumentFeeder  whole documents in a random order, dealt to rows as these get free; state and attention begin anew
//                   with each document, and a document longer than a segment goes on in the next
//
// Everything that decides the next segment is in FeedPosition, so that a resumed run goes on with the same tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lithe/data/batch.h"
#include "lithe/data/token_view.h"

namespace lithe {

struct FeedPosition {
    uint64_t epoch = 0;  // streams: of the first source; documents: of the source that is furthest
    uint64_t at = 0;     // streams: tokens read of each piece in this epoch
    struct Row {
        uint64_t source = 0, document = 0, offset = 0;  // offset: tokens of the document that are out
        bool open = false;                              // there is more of it
    };
    std::vector<Row> rows;        // documents only, as all below
    std::vector<uint64_t> drawn;  // documents drawn of each source
};

// A corpus part to draw from.
struct FeedSource {
    const TokenView* tokens = nullptr;
    double share = 1;  // of the text that is fed; shares are relative
    std::string name;
};

struct FeedOptions {
    int64_t batch = 1, length = 1;
    uint64_t seed = 0;                    // of the order of documents and chunks
    int64_t chunk = 0;                    // streams: tokens that are read at one place; fewer in a short text; 0: all
    bool one_per_row = false;             // documents: a row takes no second document in a segment; the rest is padding
    std::optional<int32_t> document_end;  // the token that ends documents; it then also stands before the first token
};

// Tokens at one place of data.order = "chunks". Longer ones show less of a large text, shorter ones more often a
// context that does not belong (docs/lab/planner.md has what was measured).
inline constexpr int64_t kChunk = 2048;

class Feeder {
 public:
    virtual ~Feeder() = default;
    virtual void next(Batch& batch) = 0;
    virtual FeedPosition position() const = 0;
    // Throws bad_file for a position that does not fit these sources and this batch.
    virtual void seek(const FeedPosition& position) = 0;
    // Whether segments may carry flags (padding, resets).
    virtual bool uses_flags() const = 0;
};

// Shares of sources, each at least one of `rows` rows, by largest remainder. Throws usage for more sources than rows.
std::vector<int64_t> deal_rows(const std::vector<FeedSource>& sources, int64_t rows);

// Throw a usage error when there is too little text for one segment.
std::unique_ptr<Feeder> make_stream_feeder(std::vector<FeedSource> sources, const FeedOptions& options);
std::unique_ptr<Feeder> make_document_feeder(std::vector<FeedSource> sources, const FeedOptions& options);

// Number `index` of a random order of [0, count), without a table: a Feistel network of four rounds over the next power
// of four, walked until it falls into the range.
uint64_t permuted(uint64_t index, uint64_t count, uint64_t key);

}  // namespace lithe
