// What objectives share whose one term is the cross-entropy of tokens of the main model's own sequence.
#pragma once

#include "lithe/objectives/objective.h"

namespace lithe {

// The losses that blocks bring, as terms: each is a mean over what is here, weighted by its positions.
void add_aux(Aux aux, const DeviceBatch& batch, LossOutput& result);

// For objectives that have no source for a second stack.
void refuse_encoder(const Config& config, Problems& problems);

class TokenObjective : public Objective {
 public:
    TokenObjective(std::string name, int64_t vocabulary, TargetDensity density)
        : name_(std::move(name)),
          vocabulary_(vocabulary),
          density_(density) {}
    const std::string& name() const override { return name_; }
    int64_t vocabulary() const override { return vocabulary_; }
    Models models(const Config& config, std::shared_ptr<ParameterStore> store) const override;
    std::map<std::string, double> weights(const Batch& batch) const override;
    LossOutput loss(const Models& models, const DeviceBatch& batch, const State& state, bool training,
                    const DrawKeys& keys) const override;
    std::unique_ptr<Feeder> feeder(const Config& config, const Tokenizer& tokenizer,
                                   std::vector<FeedSource> sources) const override;
    ScoredRows score(const Models& models, const DeviceBatch& batch, const State& state, Pass pass) const override;

 private:
    std::string name_;
    int64_t vocabulary_;
    TargetDensity density_;
};

// Options of a kind as a struct with visit() and check().
template <class Values> class ObjectiveOptionsOf : public ObjectiveOptions {
 public:
    Values values;
    void visit(FieldVisitor& v) override { values.visit(v); }
    void check(const Config& config, Problems& problems) const override { values.check(config, problems); }
    void take_text(const TokenView& text, const Config& config) override {
        if constexpr (requires { values.take_text(text, config); }) values.take_text(text, config);
    }
};
template <class Values> std::unique_ptr<ObjectiveOptions> make_objective_options() {
    return std::make_unique<ObjectiveOptionsOf<Values>>();
}
template <class Values> const Values& values_of(const ObjectiveOptions& options) {
    return dynamic_cast<const ObjectiveOptionsOf<Values>&>(options).values;
}

}  // namespace lithe
