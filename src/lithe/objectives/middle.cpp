#include "lithe/objectives/middle.h"

#include <algorithm>
#include <array>

#include "lithe/base/error.h"
#include "lithe/base/rng.h"

namespace lithe {

void MiddleValues::visit(FieldVisitor& v) {
    v.field({.name = "middle_rate",
             .help = "middle: share of documents, or of parts of them in a row, whose middle comes last",
             .minimum = 0,
             .maximum = 1},
            middle_rate);
    v.field({.name = "suffix_first",
             .help = "middle: of these, how many have the suffix before the prefix (SPM); the others: PSM",
             .minimum = 0,
             .maximum = 1},
            suffix_first);
    v.field({.name = "middle_cuts",
             .help = "middle: where texts are cut: between characters, so that a token may be in two parts, or tokens"},
            middle_cuts);
}

void MiddleValues::check(const Config& config, Problems& problems) const {
    if (config.model.direction != Direction::causal)
        problems.add("a middle is written token by token: model.direction = \"causal\"", "objective.name",
                     "objective.name = \"masked\" is for models that see both sides");
    if (config.model.memory > 0)
        problems.add("rows stand alone, and there is no segment before: model.memory = 0", "model.memory",
                     "a longer train.length is what attention sees");
    if (config.train.length < 8)
        problems.add("a row holds a prefix, a middle, a suffix and four marks: train.length = 8 at least",
                     "train.length");
    refuse_encoder(config, problems);
}

namespace {

// A row's places from one document's begin to the next.
struct Piece {
    FillMiddle::Ids ids;  // and the last one's target
    bool begins = false;  // a flag said so
};

std::vector<Piece> pieces_of(const Batch& batch, int64_t row) {
    std::vector<Piece> pieces;
    int64_t open = -1;  // the place whose target is not in a piece yet
    const auto close = [&] {
        if (open >= 0 && batch.targets[size_t(open)] >= 0) pieces.back().ids.push_back(batch.targets[size_t(open)]);
        open = -1;
    };
    for (int64_t t = 0; t < batch.length; ++t) {
        const auto place = size_t(t * batch.rows + row);
        const bool begins = !batch.flags.empty() && (batch.flags[place] & kDocumentBegins);
        if (begins || batch.is_padding(place)) close();
        if (batch.is_padding(place)) continue;
        if (open < 0) pieces.push_back({{}, begins});
        pieces.back().ids.push_back(batch.inputs[place]);
        open = int64_t(place);
    }
    close();
    return pieces;
}

}  // namespace

// Marks make a row longer, and its end is left out.
void MiddleObjective::prepare(Batch& batch, uint64_t key, int64_t first_row) const {
    for (int64_t row = 0; row < batch.rows; ++row) {
        const uint64_t row_key = combine_key(combine_key(key, "middle"), uint64_t(first_row + row));
        int64_t t = 0;
        uint64_t number = 0;
        for (const Piece& piece : pieces_of(batch, row)) {
            const auto ids = filling_.arrange(piece.ids, size_t(batch.length - t + 1), combine_key(row_key, number++));
            for (size_t i = 0; i + 1 < ids.size(); ++i, ++t) {
                const auto place = size_t(t * batch.rows + row);
                batch.inputs[place] = ids[i];
                batch.targets[place] = ids[i + 1];
                if (!batch.flags.empty()) batch.flags[place] = i == 0 && piece.begins ? kDocumentBegins : 0;
            }
            if (t >= batch.length) break;
        }
        if (t < batch.length) batch.flags.resize(batch.inputs.size(), 0);
        for (; t < batch.length; ++t) {
            const auto place = size_t(t * batch.rows + row);
            batch.inputs[place] = 0;
            batch.targets[place] = -1;
            batch.flags[place] = kPadding;
        }
    }
    batch.begins = true;
}

// The tokens of a row that are scored, with those before them, cut by the row's place in the text.
void MiddleObjective::arrange_scored(Batch& batch, const std::vector<ScoredRow>& rows) const {
    FillMiddle always = filling_;
    always.rate = 1;
    const uint64_t key = combine_key(0, "evaluation");
    for (int64_t row = 0; row < batch.rows; ++row) {
        const ScoredRow& scored = rows[size_t(row)];
        FillMiddle::Ids ids;
        for (int64_t t = 0; t < batch.length && scored.first + uint64_t(t) < scored.end; ++t)
            ids.push_back(batch.inputs[size_t(t * batch.rows + row)]);
        std::vector<uint8_t> middles;
        ids = always.arrange(ids, size_t(batch.length), combine_key(key, scored.first), &middles);
        if (int64_t(ids.size()) < batch.length) batch.flags.resize(batch.inputs.size(), 0);
        for (int64_t t = 0; t < batch.length; ++t) {
            const auto place = size_t(t * batch.rows + row);
            const bool there = size_t(t) < ids.size(), next = size_t(t) + 1 < ids.size();
            batch.inputs[place] = there ? ids[size_t(t)] : 0;
            batch.targets[place] = next && middles[size_t(t) + 1] ? ids[size_t(t) + 1] : -1;
            if (!batch.flags.empty()) batch.flags[place] = there ? 0 : kPadding;
        }
    }
}

std::unique_ptr<ScoredBatches> MiddleObjective::scored_batches(const ScoredText& text,
                                                               const EvaluationProtocol& protocol) const {
    if (protocol.length < 8)
        fail_usage("a row holds a prefix, a middle, a suffix and four marks", "evaluation.length", "8 or more");
    return make_stream_batches(
        text, protocol,
        {.tokens_before = 0,
         .carries_state = false,
         .prepare = [this](Batch& batch, const std::vector<ScoredRow>& rows) { arrange_scored(batch, rows); }});
}

// The tokenizer's own, as code models have them, or the next id that there is none for.
static int64_t mark_of(const Tokenizer& tokenizer, const std::string& name, int64_t& vocabulary) {
    for (const std::string& text : {"<|fim_" + name + "|>", "<fim_" + name + ">"})
        if (const auto id = find_token(tokenizer, text)) return *id;
    return vocabulary++;
}

std::unique_ptr<Objective> make_middle(const ObjectiveOptions& options, const Config&, const Tokenizer& tokenizer) {
    const auto& values = values_of<MiddleValues>(options);
    const bool characters = values.middle_cuts == MiddleCuts::characters;
    if (characters && !tokenizer.lossless())
        fail_usage("the tokenizer does not give a text back, and texts are to be cut between characters",
                   "objective.middle_cuts", "objective.middle_cuts = \"tokens\" cuts between tokens");
    FillMiddle filling{.rate = values.middle_rate, .suffix_first = values.suffix_first};
    int64_t vocabulary = tokenizer.vocabulary_size();
    const auto end = tokenizer.document_end();
    filling.end_id = end ? *end : vocabulary++;
    filling.prefix_id = mark_of(tokenizer, "prefix", vocabulary);
    filling.suffix_id = mark_of(tokenizer, "suffix", vocabulary);
    filling.middle_id = mark_of(tokenizer, "middle", vocabulary);
    // of its own: it outlives the caller's
    if (characters) filling.tokenizer = tokenizer_from_json(tokenizer.to_json(), "tokenizer");
    return std::make_unique<MiddleObjective>(filling, vocabulary);
}

}  // namespace lithe
