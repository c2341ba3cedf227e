#include "lithe/objectives/translate.h"

#include <algorithm>

#include "lithe/base/error.h"
#include "lithe/base/log.h"
#include "lithe/base/rng.h"
#include "lithe/data/pair_feeder.h"
#include "lithe/objectives/translator.h"

namespace lithe {

void TranslateValues::visit(FieldVisitor& v) {
    v.field({.name = "label_smoothing",
             .help = "share of a target's probability that all other tokens get together",
             .minimum = 0,
             .maximum = 0.9},
            label_smoothing);
    v.field({.name = "bleu_tokens",
             .help = "what BLEU counts: 13a, mteval's tokens of plain text; none, words of a text that is tokenized"},
            bleu_tokens);
}

void TranslateValues::check(const Config& config, Problems& problems) const {
    if (!config.encoder)
        problems.add("a translation is read by a second stack", "objective.name",
                     "[model.encoder] layout = \"(sf)x6\", and blocks of letter c in the decoder: (scf)x6");
    const DataConfig& data = config.data;
    const bool named = !data.train.empty() || !data.path.empty();
    if (named && data.parallel.empty() && !data.sources.empty())
        problems.add("pairs come from one text: data.parallel beside data.train", "data.sources");
    const DataConfig defaults;
    if (data.order != defaults.order || data.rows != defaults.rows)
        problems.add("pairs come in an order of their own, those of a length together", "data.order, data.rows",
                     "leave both out");
}

std::unique_ptr<Feeder> TranslateObjective::feeder(const Config& config, const Tokenizer&,
                                                   std::vector<FeedSource> sources) const {
    if (sources.size() != 1)
        fail_usage("pairs come from one text, and there are " + std::to_string(sources.size()), "data.sources");
    return make_pair_feeder(*sources[0].tokens, {.batch = config.train.batch,
                                                 .length = config.train.length,
                                                 .seed = combine_key(uint64_t(config.train.seed), "pairs"),
                                                 .end = end_});
}

namespace {

// Pairs in the order of the text, so many at a time; as in training, those longer than the protocol's length are left
// out with a word.
class PairBatches : public ScoredBatches {
 public:
    PairBatches(const ScoredText& text, const EvaluationProtocol& protocol, int64_t end)
        : view_(text.tokens(), end),
          rows_(uint64_t(protocol.batch)) {
        const uint64_t tokens = protocol.bytes > 0 ? text.tokens_within(protocol.bytes) : text.tokens().size();
        uint64_t count = 0;
        std::vector<uint64_t> longer;
        for (; count < view_.size() && text.tokens().document_begin(2 * count) < tokens; ++count) {
            const bool fits = std::max(view_.source_length(count), view_.target_length(count)) <= protocol.length;
            if (fits) pairs_.push_back(count);
            else longer.push_back(count);
        }
        if (pairs_.empty())
            fail_file("split '" + protocol.split + "' has no pairs of at most " + std::to_string(protocol.length) +
                          " tokens a side to be scored",
                      "data", "raise train.length or evaluation.length");
        if (!longer.empty())
            log_info_once("pairs      " + which_pairs(longer, count) + " are longer than the evaluation's " +
                          std::to_string(protocol.length) +
                          " tokens a side and are not scored: evaluation.length, else train.length, is the limit");
        rows_ = std::min<uint64_t>(rows_, pairs_.size());
    }
    const Batch* next() override {
        if (at_ >= pairs_.size()) return nullptr;
        const size_t end = std::min(pairs_.size(), at_ + size_t(rows_));
        fill_pairs(view_, {pairs_.begin() + int64_t(at_), pairs_.begin() + int64_t(end)}, batch_);
        at_ = end;
        return &batch_;
    }
    double progress() const override { return double(at_) / double(pairs_.size()); }
    int64_t rows() const override { return int64_t(rows_); }

 private:
    PairView view_;
    uint64_t rows_;
    std::vector<uint64_t> pairs_;
    size_t at_ = 0;
    Batch batch_;
};

}  // namespace

std::unique_ptr<ScoredBatches> TranslateObjective::scored_batches(const ScoredText& text,
                                                                  const EvaluationProtocol& protocol) const {
    return std::make_unique<PairBatches>(text, protocol, end_);
}

std::optional<Writing> TranslateObjective::write(const Models& models, const ScoredText& text,
                                                 const Tokenizer& tokenizer, const WriteOptions& options) const {
    const PairView view(text.tokens(), end_);
    const uint64_t tokens = options.bytes > 0 ? text.tokens_within(options.bytes) : text.tokens().size();
    uint64_t count = options.most > 0 ? std::min(options.most, view.size()) : view.size();
    while (count > 0 && text.tokens().document_begin(2 * count - 2) >= tokens) --count;
    const auto text_of = [&](std::vector<int64_t> ids) {
        ids.pop_back();  // the end
        return tokenizer.decode(ids);
    };
    const int64_t most = models.main().encoder()->embedding().max_positions();
    std::vector<std::vector<int64_t>> sources;
    std::vector<size_t> of_text;  // of each source
    std::vector<uint64_t> longer;
    Writing writing;
    for (uint64_t pair = 0; pair < count; ++pair) {
        std::vector<int64_t> source = view.source(pair);
        writing.texts.push_back({text_of(source), text_of(view.target(pair)), ""});
        if (most > 0 && int64_t(source.size()) > most) {
            longer.push_back(pair);
            continue;
        }
        of_text.push_back(size_t(pair));
        sources.push_back(std::move(source));
    }
    if (!longer.empty())
        log_warning("the sources of " + which_pairs(longer, count) + " pairs are longer than the encoder's " +
                    std::to_string(most) +
                    " positions and count as translated by nothing: cut them, or train with a larger "
                    "model.encoder.max_positions");
    const TranslateOptions how{
        .beam = options.beam,
        .length_penalty = options.length_penalty,
        .stop = options.stop,
        .progress = [](double done) { log_progress("translating " + std::to_string(int(100 * done)) + " %"); }};
    std::vector<Translated> made = Translator(models.main(), tokenizer, end_).translate(sources, how);
    log_progress("");
    for (size_t i = 0; i < made.size(); ++i) writing.texts[of_text[i]].text = std::move(made[i].text);
    if (!tokenizer.lossless() || writing.texts.empty()) return writing;
    std::vector<std::string> written, references;
    for (const Writing::Text& each : writing.texts) {
        written.push_back(each.text);
        references.push_back(each.reference);
    }
    writing.scores = translation_scores(written, references, values_.bleu_tokens);
    return writing;
}

std::unique_ptr<Objective> make_translate(const ObjectiveOptions& options, const Config&, const Tokenizer& tokenizer) {
    const int64_t size = tokenizer.vocabulary_size();
    const int64_t end = tokenizer.document_end().value_or(int32_t(size));
    return std::make_unique<TranslateObjective>(values_of<TranslateValues>(options), end, std::max(size, end + 1));
}

}  // namespace lithe
