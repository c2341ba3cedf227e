#include "lithe/train/train_run.h"

#include "lithe/train/train_hook.h"

namespace lithe {

std::string TrainRun::reached() const {
    for (const auto& hook : hooks)
        if (std::string what = hook->reached(); !what.empty()) return what;
    return "";
}

bool TrainRun::continues_text() const {
    return model->has_head() && !model->has_encoder() && config.model.direction == Direction::causal;
}

double TrainRun::progress() const {
    const SchedulePosition position = schedule_position(config, state.spent());
    return position.total > 0 ? position.at / position.total : 0;
}

double TrainRun::learning_rate() const {
    return lithe::learning_rate(config.schedule, config.optimizer.learning_rate,
                                schedule_position(config, state.spent()));
}

void TrainRun::next_batch(Prefetcher& from, uint64_t key, int64_t first_row, Batch& batch) const {
    from.next(batch);
    objective->prepare(batch, key, first_row);
}

std::string TrainRun::last_checkpoint() const {
    return saved_step < 0 ? "no checkpoint was saved yet"
                          : "the last good checkpoint is of step " + std::to_string(saved_step);
}

std::optional<EvaluationResult> TrainRun::evaluate_valid() {
    const Tokenizer& tokenizer = corpus.tokenizer();
    if (!valid_text_) valid_text_.emplace(corpus.split("valid"), tokenizer);
    return evaluate(*objective, models, *valid_text_, protocol_of(config, tokenizer), options.stop);
}

}  // namespace lithe
