#include "lithe/train/train_loop.h"

#include <algorithm>

#include "lithe/base/log.h"
#include "lithe/base/rng.h"

namespace lithe {

std::string TrainLoop::next() {
    try {
        return round();
    } catch (const Error& error) {
        const bool between = error.kind() == ErrorKind::bad_file || error.kind() == ErrorKind::usage;
        if (between) keep_what_is_done();
        throw;
    }
}

// One round: what ended the run, or nothing.
std::string TrainLoop::round() {
    const TrainOptions& options = run_.options;
    if (options.stop.stop_requested() || !run_.reached().empty())
        for (const auto& hook : run_.hooks) hook->last_step_made();
    if (options.stop.stop_requested()) return "signal";
    if (options.save_asked && options.save_asked()) run_.save(false);
    for (const auto& hook : run_.hooks)
        if (!hook->between_steps()) return "";
    const std::string reached = run_.reached();
    if (reached.empty()) step();
    return reached;
}

// The text cannot be read any more, an evaluation is refused: the updates that were made are kept.
void TrainLoop::keep_what_is_done() {
    try {
        if (run_.changed && run_.save(false)) log_info("saved      step " + std::to_string(run_.state.step));
    } catch (const Error& error) { log_warning(error.what()); }
}

void TrainLoop::step() {
    TrainerState& state = run_.state;
    Timer timer;
    energy_.take();
    if (run_.progress_record) state.train_seconds = run_.progress_record->at(state.step, state.train_seconds);
    for (const auto& hook : run_.hooks)
        if (const auto tokens = hook->take_turn()) return finish(timer.seconds(), *tokens);

    StepDone done;
    done.decision.number = state.step + 1;
    done.decision.key = combine_key(combine_key(uint64_t(run_.config.train.seed), "dropout"), uint64_t(state.step));
    done.decision.learning_rate = run_.learning_rate();
    for (const auto& hook : run_.hooks) hook->before_update(done.decision);
    batches_.resize(size_t(run_.config.train.accumulation));
    int64_t rows = 0;
    for (Batch& batch : batches_) {
        run_.next_batch(*run_.feeder, done.decision.key, rows, batch);
        done.tokens += batch.tokens;
        rows += batch.rows;
    }
    done.update = run_.step->run(batches_, done.decision.key, done.decision.learning_rate);
    if (!done.update.finite())
        for (const auto& hook : run_.hooks) hook->not_finite(done.decision, done.update);
    done.seconds = timer.seconds();
    finish(done.seconds, done.tokens);
    for (const auto& hook : run_.hooks) hook->after_update(done);
    if (run_.options.on_update) run_.options.on_update(done);
}

void TrainLoop::finish(double seconds, int64_t tokens) {
    TrainerState& state = run_.state;
    ++state.step;
    run_.changed = true;
    state.tokens += tokens;
    state.data = run_.feeder->position();
    run_.session_wait += run_.feeder->take_wait();
    state.train_seconds += seconds;
    // at once, so that also the end of a budget in time is where it was
    if (run_.progress_record) state.train_seconds = run_.progress_record->at(state.step, state.train_seconds);
    if (const auto joules = energy_.take()) state.joules = std::max(0.0, state.joules) + *joules;
    run_.session_seconds += seconds;
    ++run_.session_steps;
    run_.session_tokens += tokens;
}

}  // namespace lithe
