// What models are trained for and judged by: a table like that of block kinds. Training, evaluation, planner, search
// and bench know the table and no names.
//
//   gradient of an update = sum over terms of  coefficient x d(total sum) / total weight
//
// with totals over the parts and micro-batches of the update: the weights are counted before the first backward pass.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "lithe/base/score.h"
#include "lithe/data/feeder.h"
#include "lithe/data/scored_text.h"
#include "lithe/model/cost.h"
#include "lithe/model/sequence_head.h"
#include "lithe/objectives/device_batch.h"
#include "lithe/objectives/scored_batches.h"
#include "lithe/objectives/translation_scores.h"
#include "lithe/tokenize/tokenizer.h"

namespace lithe {

// What an objective trains beside its models, in their store: heads, and stacks that no model is.
class Companion {
 public:
    virtual ~Companion() = default;
    // Forward operations per token of the main model's sequence.
    virtual double flops_per_token(const CostShape& shape) const = 0;
};

// An objective's models by their role. "main" is what is evaluated and generated with.
struct Models {
    std::map<std::string, std::shared_ptr<LanguageModel>> by_role;
    LanguageModel& main() const { return *by_role.at("main"); }
    // What the main model's sequences are given as a whole; null: nothing.
    std::shared_ptr<SequenceHead> sequence_head;
    std::shared_ptr<const Companion> companion;  // null: nothing
    // A model that somebody else owns, alone.
    static Models of(LanguageModel& model);
};

// One part of a loss: coefficient x sum / weight. The weight is what weights() counts under the name; of terms that it
// does not know, those of blocks, the number of positions.
struct LossTerm {
    std::string name;
    double coefficient = 1;
    Tensor sum;  // scalar, at least fp32
};

// Rows of a batch as an evaluation sees them.
struct ScoredRows {
    Tensor sum;  // of the loss, in nats where it is a cross-entropy
    State state;
    Tensor outputs_BC;  // what rows are judged by; undefined: by the sum alone
};

// What all rows of an evaluation are judged by.
struct RowOutputs {
    std::vector<double> values;  // [rows][columns]
    int64_t columns = 0;
    RowLabels labels;
    int64_t rows() const { return columns > 0 ? int64_t(values.size()) / columns : 0; }
    void add(const Tensor& outputs_BC, const RowLabels& labels_B);
};

struct LossOutput {
    std::vector<LossTerm> terms;
    std::vector<std::pair<std::string, Tensor>> metrics;  // means over positions, to be logged: scalars or vectors
    State state;
};

// What an evaluation says of its protocol.
struct ScoringWords {
    bool carries_state = true;  // from batch to batch
    std::string unscored;       // which tokens are not, in words; empty: the first
};

// Texts that models wrote, beside those that stand there.
struct Writing {
    struct Text {
        std::string source, reference, text;
    };
    std::vector<Text> texts;
    // Of all texts, each with what its computation equals; none where the tokenizer loses something of the references.
    std::vector<SignedScore> scores;
};
struct WriteOptions {
    int64_t beam = 5;
    double length_penalty = 1;
    uint64_t most = 0;   // texts, from the first; 0: all
    uint64_t bytes = 0;  // of the text, from the first; 0: all
    std::stop_token stop = {};
};

class Objective {
 public:
    virtual ~Objective() = default;
    virtual const std::string& name() const = 0;
    // Ids that the models have; an objective may need more than the tokenizer.
    virtual int64_t vocabulary() const = 0;
    // The models, their parameters in `store`, which is not materialized. A vocabulary that the configuration states is
    // taken as it is.
    virtual Models models(const Config& config, std::shared_ptr<ParameterStore> store) const = 0;

    // Makes a corpus's tokens a batch to train on. Equal keys draw equally, row by row; `first_row`: number of the
    // batch's first row in the update.
    virtual void prepare(Batch& batch, uint64_t key, int64_t first_row) const = 0;
    // The terms' weights in a prepared batch.
    virtual std::map<std::string, double> weights(const Batch& batch) const = 0;
    // One forward pass over rows of a batch. An empty state is the start of a stream.
    virtual LossOutput loss(const Models& models, const DeviceBatch& batch, const State& state, bool training,
                            const DrawKeys& keys) const = 0;
    // Whether a training step without flags asks the same of the device whatever its tokens are, and nothing of the
    // host.
    virtual bool steady_work(const Models&) const { return false; }

    // Whether documents are taken as pairs of a source and a target.
    virtual bool reads_pairs() const { return false; }
    // What training reads; `sources` must outlive it.
    virtual std::unique_ptr<Feeder> feeder(const Config& config, const Tokenizer& tokenizer,
                                           std::vector<FeedSource> sources) const = 0;
    // What an evaluation of a text reads; both must outlive it.
    virtual std::unique_ptr<ScoredBatches> scored_batches(const ScoredText& text,
                                                          const EvaluationProtocol& protocol) const = 0;
    virtual ScoringWords scoring_words() const { return {}; }
    // What evaluations of it are ranked by.
    virtual ScoreKind score_kind() const { return {}; }
    // Whether its loss is the mean cross-entropy of tokens, so that it can be told in bits per byte.
    virtual bool loss_is_cross_entropy() const { return true; }
    // Whether rows are judged by their labels instead of by their tokens.
    virtual bool reads_labels() const { return false; }
    // Labels that it takes, or some of them; for made-up texts.
    virtual std::vector<std::string> labels() const { return {}; }
    // Of rows with outputs: the first is what score_kind() names.
    virtual std::vector<Score> judge(const RowOutputs&) const { return {}; }
    // What the models write where the text has its targets; nullopt where they are not trained to write. Throws stopped
    // when a stop was asked for.
    virtual std::optional<Writing> write(const Models&, const ScoredText&, const Tokenizer&,
                                         const WriteOptions&) const {
        return std::nullopt;
    }
    // The loss of the scored tokens (negative log-likelihoods in nats) or rows, under `pass` with the batch's flags.
    virtual ScoredRows score(const Models& models, const DeviceBatch& batch, const State& state, Pass pass) const = 0;
};

// Options of an objective in [objective], beside its name.
class ObjectiveOptions {
 public:
    virtual ~ObjectiveOptions() = default;
    virtual void visit(FieldVisitor& v) = 0;
    // What contradicts itself, or does not go together with the rest of the configuration.
    virtual void check(const Config& config, Problems& problems) const = 0;
    // Takes from the training text what was left to it, as names of classes. Throws where it does not fit.
    virtual void take_text(const TokenView&, const Config&) {}
};

struct ObjectiveKind {
    const char* name;
    const char* description;
    std::unique_ptr<ObjectiveOptions> (*make_options)();
    std::unique_ptr<Objective> (*make)(const ObjectiveOptions& options, const Config& config,
                                       const Tokenizer& tokenizer);
};
std::span<const ObjectiveKind> objective_kinds();

// Checks all of a configuration that models depend on: model, layout, objective.
void check_config(const Config& config, Problems& problems);
// Writes all options of the objective out, and drops those of others. Throws usage for what is no option of any.
void settle_objective(Config& config);
// Writes out what was left to the training text.
void settle_objective(Config& config, const TokenView& training_text);
// Throws usage for an unknown name or wrong options.
std::unique_ptr<Objective> make_objective(const Config& config, const Tokenizer& tokenizer);

// The models to be trained, in a store of their own; what train.frozen names is frozen. Throws usage where it names
// nothing of theirs, or all.
Models training_models(const Objective& objective, const Config& config);

// What they cost, with what stands beside them.
ModelCost count_cost(const Models& models, const CostShape& shape);
// Models of a configuration for their counts, with so many ids, not materialized.
Models models_to_count(Config config, int64_t vocabulary);

// Ids of a model to be made. Throws usage where model.vocabulary_size states another number.
int64_t checked_vocabulary(const Config& config, const Tokenizer& tokenizer);

}  // namespace lithe
