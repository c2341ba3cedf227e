// Predicting each next token behind several layers, so that a text can be written with as many of them as a token needs
// (Elbayad et al. 2020, "Depth-Adaptive Transformer", section 3; model/exits.h).
//
//   aligned   loss = sum over exits e of  w_e / (w_1 + ... + w_E)  x  the mean loss at e; every layer sees all
//   positions mixed     each position leaves at an exit drawn for it, uniformly: the mean loss there. Layers behind it
//   take what
//             it was, as when a text is written
//
// w_e is 1 (uniform), or the number of layers below e (linear; Schuster et al. 2022). One path of exits is drawn for
// each pass.
#pragma once

#include "lithe/objectives/stream_batches.h"
#include "lithe/objectives/token_objective.h"

namespace lithe {

enum class ExitTraining { aligned, mixed };
constexpr auto names_of(ExitTraining) {
    using enum ExitTraining;
    return std::to_array<Named<ExitTraining>>({{aligned, "aligned"}, {mixed, "mixed"}});
}
enum class ExitWeights { uniform, linear };
constexpr auto names_of(ExitWeights) {
    using enum ExitWeights;
    return std::to_array<Named<ExitWeights>>({{uniform, "uniform"}, {linear, "linear"}});
}

struct ExitsValues {
    std::string exits = "all";
    ExitTraining exit_training = ExitTraining::aligned;
    ExitWeights exit_weights = ExitWeights::uniform;
    void visit(FieldVisitor& v);
    void check(const Config& config, Problems& problems) const;
};

class ExitsObjective : public TokenObjective {
 public:
    ExitsObjective(const ExitsValues& values, std::vector<size_t> layers, int64_t vocabulary)
        : TokenObjective("exits", vocabulary, TargetDensity::most),
          values_(values),
          layers_(std::move(layers)) {}
    Models models(const Config& config, std::shared_ptr<ParameterStore> store) const override;
    void prepare(Batch&, uint64_t, int64_t) const override {}
    std::map<std::string, double> weights(const Batch& batch) const override;
    LossOutput loss(const Models& models, const DeviceBatch& batch, const State& state, bool training,
                    const DrawKeys& keys) const override;
    std::unique_ptr<ScoredBatches> scored_batches(const ScoredText& text,
                                                  const EvaluationProtocol& protocol) const override {
        return make_stream_batches(text, protocol, {});
    }
    bool loss_is_cross_entropy() const override { return false; }  // of all exits together

 private:
    // The term of an exit: that of the last one is the model's own.
    std::string term(size_t exit) const;
    LossOutput aligned(const LanguageModel& model, const DeviceBatch& batch, const State& state,
                       const Pass& pass) const;
    LossOutput mixed(const LanguageModel& model, const DeviceBatch& batch, const State& state, const Pass& pass) const;
    ExitsValues values_;
    std::vector<size_t> layers_;
};

// Exits [steps][rows] of a pass, uniform among `count`: each row draws its own by its number in the update.
Tensor draw_exits(size_t count, int64_t steps, int64_t rows, const DrawKeys& keys);

std::unique_ptr<Objective> make_exits(const ObjectiveOptions& options, const Config& config,
                                      const Tokenizer& tokenizer);

}  // namespace lithe
