// What objectives share that read a text with an encoder and write another with the decoder: rows stand alone, and no
// state is carried.
#pragma once

#include "lithe/objectives/token_objective.h"

namespace lithe {

class SourceObjective : public TokenObjective {
 public:
    SourceObjective(std::string name, int64_t vocabulary, double smoothing)
        : TokenObjective(std::move(name), vocabulary, TargetDensity::few),
          smoothing_(smoothing) {}
    LossOutput loss(const Models& models, const DeviceBatch& batch, const State& state, bool training,
                    const DrawKeys& keys) const override;
    bool loss_is_cross_entropy() const override { return smoothing_ <= 0; }
    ScoredRows score(const Models& models, const DeviceBatch& batch, const State& state, Pass pass) const override;

 private:
    double smoothing_;
};

}  // namespace lithe
