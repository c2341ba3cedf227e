#include "lithe/train/trainer.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "lithe/base/log.h"
#include "lithe/base/stop.h"
#include "lithe/base/text.h"
#include "lithe/model/generate.h"
#include "lithe/train/trainer_parts.h"

namespace lithe {
using Json = nlohmann::ordered_json;
namespace {

// What to do about numbers that are not finite.
std::string calmer(const OptimizerConfig& optimizer) {
    return "lower optimizer.learning_rate or " +
           std::string(optimizer.clip_norm > 0 ? "optimizer.clip_norm"
                                               : "set optimizer.clip_norm = 1 (0 does not limit the gradient)");
}

std::string why_finished(const std::string& stopped_by) {
    const std::string other = "start another with --run";
    if (stopped_by == "early_stop")
        return "the run had stopped early already (train.patience); raise it to go on, or " + other;
    if (stopped_by == "settled") return "the search's choices had settled already; " + other;
    return "the run had reached its budget already; raise it to go on, or " + other;
}

}  // namespace

Trainer::~Trainer() { set_log_file(""); }

double Trainer::update_rate() const {
    return learning_rate(config_.schedule, config_.optimizer.learning_rate, schedule_position(config_, state_.spent()));
}

bool Trainer::train_step() {
    Parts& p = *parts_;
    Timer timer;
    p.energy.take();
    p.step->remember();
    p.in_step = true;
    if (p.progress) state_.train_seconds = p.progress->at(state_.step, state_.train_seconds);
    const uint64_t key = combine_key(combine_key(uint64_t(config_.train.seed), "dropout"), uint64_t(state_.step));
    if (p.search) {
        const double spent = progress();
        if (p.search->turn_of_choices(state_.step, spent)) {
            choices_step(spent);
            finish_step(timer.seconds(), p.segment.tokens);
            return true;
        }
        p.search->draw_weights(key, spent);
    }
    double loss = 0;
    int64_t tokens = 0;
    for (int64_t micro = 0; micro < config_.train.accumulation; ++micro) {
        tokens += next_segment(*p.feeder, combine_key(key, uint64_t(micro))).tokens;
        if (p.segment.begins) p.step->forget();
        loss += p.step->micro_batch(p.tensor(p.segment.inputs), p.tensor(p.segment.targets), micro, key,
                                    p.tensor(p.segment.flags)) /
                double(config_.train.accumulation);
    }
    const double norm = p.optimizer->gradient_norm();
    const double rate = update_rate();
    const bool finite = std::isfinite(loss) && std::isfinite(norm);
    if (!finite) {
        const std::string what = "step " + std::to_string(state_.step + 1) + ": the " +
                                 (std::isfinite(loss) ? "gradient" : "loss") + " is not finite (epoch " +
                                 std::to_string(state_.data.epoch) + ", token " + std::to_string(state_.data.at) +
                                 " of each stream)";
        const bool skips = config_.train.non_finite == "skip";
        if (!skips || ++state_.skipped_in_row > config_.train.non_finite_limit)
            fail({.code = ExitCode::diverged,
                  .what = what,
                  .where = p.folder->path(),
                  .hint = calmer(config_.optimizer) + "; " + last_checkpoint() +
                          (skips ? "; " + std::to_string(config_.train.non_finite_limit) +
                                       " updates in a row were left out before (train.non_finite_limit)"
                                 : "; train.non_finite = \"skip\" leaves such updates out")});
        log_warning(what + ": the update is left out");
        ++state_.skipped;
        p.step->take_back();
    } else {
        state_.skipped_in_row = 0;
        p.optimizer->step(rate, norm);
    }
    const double seconds = timer.seconds();
    finish_step(seconds, tokens);
    if (finite) p.recent_loss += (loss - p.recent_loss) * std::max(0.05, 1.0 / double(++p.recent_steps));
    p.last = {state_.step, loss, norm, rate, double(tokens) / seconds};
    if (state_.step % config_.train.log_every == 0 || state_.step == 1) record();
    show_progress(loss, rate);
    return finite;
}

void Trainer::finish_step(double seconds, int64_t tokens) {
    Parts& p = *parts_;
    ++state_.step;
    p.in_step = false;
    p.changed = true;
    state_.tokens += tokens;
    if (state_.tokens > p.readable_tokens && state_.tokens - tokens <= p.readable_tokens) warn_of_reading_again();
    state_.data = p.feeder->position();
    p.session_wait += p.feeder->take_wait();
    state_.train_seconds += seconds;
    // at once, so that also the end of a budget in time is where it was
    if (p.progress) state_.train_seconds = p.progress->at(state_.step, state_.train_seconds);
    if (const auto joules = p.energy.take()) state_.joules = std::max(0.0, state_.joules) + *joules;
    p.session_seconds += seconds;
    p.session_tokens += tokens;
}

// The share of the budget that is spent, on the schedule's axis.
double Trainer::progress() const {
    const SchedulePosition position = schedule_position(config_, state_.spent());
    return position.total > 0 ? position.at / position.total : 0;
}

Segment& Trainer::next_segment(Prefetcher& feeder, uint64_t key) {
    Segment& segment = parts_->segment;
    feeder.next(segment);
    if (!parts_->masking) return segment;
    for (size_t i = 0; i < segment.inputs.size(); ++i) {
        const Masking::Choice choice = parts_->masking->choose(segment.inputs[i], combine_key(key, "masking"), i);
        const bool padding = !segment.flags.empty() && (segment.flags[i] & kFlagPad);
        segment.targets[i] = choice.scored && !padding ? segment.inputs[i] : -1;
        if (!padding) segment.inputs[i] = choice.input;
    }
    return segment;
}

// One update of a search's choices.
void Trainer::choices_step(double progress) {
    Parts& p = *parts_;
    const uint64_t key = combine_key(combine_key(uint64_t(config_.train.seed), "choices"), uint64_t(state_.step));
    Prefetcher& feeder = p.search->held_out() ? *p.search->held_out() : *p.feeder;
    State& carried = p.search->held_out() ? p.search->carried() : p.step->carried().front();
    next_segment(feeder, key);
    if (p.segment.begins) carried = State();
    const double loss = p.search->update_choices(p.tensor(p.segment.inputs), p.tensor(p.segment.targets),
                                                 p.tensor(p.segment.flags), key, progress, carried);
    if (!std::isfinite(loss))
        fail({.code = ExitCode::diverged,
              .what = "step " + std::to_string(state_.step + 1) + ": the loss of the choices is not finite",
              .where = p.folder->path(),
              .hint = "lower optimizer.learning_rate or search.learning_rate"});
    if (p.search->note_choices(progress)) state_.settled = true;
    if (p.search->architecture().updates() % config_.train.log_every != 0) return;
    Json line = {{"step", state_.step + 1}, {"seconds", state_.train_seconds}, {"loss", loss}};
    line.update(p.search->record(progress));
    p.folder->choices(line);
}

void Trainer::record() {
    Parts& p = *parts_;
    const auto [step, loss, norm, rate, speed] = p.last;
    p.recorded_step = step;
    Json line = {{"step", state_.step},
                 {"tokens", state_.tokens},
                 {"seconds", state_.train_seconds},
                 {"loss", loss},
                 {"learning_rate", rate},
                 {"gradient_norm", norm},
                 {"tokens_per_second", speed},
                 {"gflops", speed * p.cost.training_flops_per_token / 1e9},
                 {"epoch", state_.data.epoch},
                 {"data_wait_seconds", p.session_wait},
                 {"peak_rss_bytes", peak_memory()}};
    if (state_.joules >= 0) line["joules"] = state_.joules;
    p.folder->metrics(line);
    EventWriter& events = p.folder->events();
    events.scalar(state_.step, "train/loss", loss);
    events.scalar(state_.step, "train/bits_per_byte", loss / std::numbers::ln2 / p.train_bytes_per_token);
    events.scalar(state_.step, "optim/learning_rate", rate);
    events.scalar(state_.step, "optim/gradient_norm", norm);
    events.scalar(state_.step, "perf/tokens_per_second", speed);
}

// What a run took is read from its metrics: they end with its last step, whatever train.log_every is.
void Trainer::record_last() {
    Parts& p = *parts_;
    if (p.session_tokens == 0 || p.recorded_step == state_.step) return;
    if (p.last.step == state_.step) return record();
    p.recorded_step = state_.step;  // an update of a search's choices
    p.folder->metrics({{"step", state_.step}, {"tokens", state_.tokens}, {"seconds", state_.train_seconds}});
}

// What was read of it is not all of one text any more.
void Trainer::warn_of_changed_text() {
    Parts& p = *parts_;
    if (!p.text) return;
    const auto& sources = p.corpus.sources();
    const bool mapped = std::any_of(sources.begin(), sources.end(), [](const CorpusSource& source) {
        return dynamic_cast<const MappedText*>(source.train.get()) != nullptr;
    });
    const std::string change = p.text->changed(mapped);
    if (change.empty()) return;
    p.text.reset();
    log_warning("the text changed while it was trained on: " + change +
                ". The run goes on with what it opened; evaluations of the file as it is now are of another text, and "
                "the run is resumed only with the text as it was: put it back, or start another with --run");
}

void Trainer::show_progress(double loss, double rate) {
    Parts& p = *parts_;
    const double elapsed = p.since_start.seconds(), every = stderr_is_terminal() ? 0.5 : 15;
    if (elapsed - p.shown < every && p.shown > 0) return;
    p.shown = elapsed;
    const TrainConfig& t = config_.train;
    const double speed = double(p.session_tokens) / std::max(1e-9, p.session_seconds);
    double left = INFINITY;
    if (t.max_steps > 0)
        left =
            std::min(left, double(t.max_steps - state_.step) * p.session_seconds /
                               std::max(1.0, double(p.session_tokens) / double(t.batch * t.length * t.accumulation)));
    if (t.max_tokens > 0) left = std::min(left, double(t.max_tokens - state_.tokens) / speed);
    if (t.max_seconds > 0) left = std::min(left, t.max_seconds - state_.train_seconds);
    char text[240];
    std::snprintf(text, sizeof text, "step %lld  %s tokens  loss %.3f  bits/byte %.3f  rate %.2e  %s tokens/s%s%s%s",
                  static_cast<long long>(state_.step), format_count(double(state_.tokens)).c_str(), loss,
                  p.recent_loss / std::numbers::ln2 / p.train_bytes_per_token, rate, format_count(speed).c_str(),
                  std::isfinite(left) ? "  " : "", std::isfinite(left) ? format_seconds(left).c_str() : "",
                  std::isfinite(left) ? " left" : "");
    if (stderr_is_terminal()) log_progress(text);
    else log_info(text);
}

bool Trainer::evaluation_due() const {
    if (state_.evaluated_step == state_.step || !parts_->corpus.has("valid")) return false;
    const EvaluationConfig& e = config_.evaluation;
    if (!budget_reached().empty()) return true;
    if (e.every > 0 && state_.step > 0 && state_.step % e.every == 0) return true;
    return e.every_seconds > 0 && state_.train_seconds - state_.evaluated_seconds >= e.every_seconds;
}

std::optional<EvaluationResult> Trainer::evaluate_valid() {
    Parts& p = *parts_;
    const Tokenizer& tokenizer = p.corpus.tokenizer();
    if (!p.valid_text) p.valid_text.emplace(p.corpus.split("valid"), tokenizer);
    return evaluate(*p.model, *p.valid_text, protocol_of(config_, tokenizer));
}

// False when a stop was asked for before the end.
bool Trainer::evaluate_now() {
    Parts& p = *parts_;
    if (p.search) p.search->run_likeliest();
    std::optional<EvaluationResult> result;
    {
        const AveragedWeights averaged(p);
        result = evaluate_valid();
    }
    if (!result) return false;
    p.valid = result;
    p.changed = true;
    state_.evaluated_step = state_.step;
    state_.evaluated_seconds = state_.train_seconds;
    ++state_.evaluations;
    const bool best = std::isfinite(result->bits_per_byte) && result->bits_per_byte < state_.best_bits;
    if (best) state_.best_bits = result->bits_per_byte, state_.best_step = state_.step, state_.without_best = 0;
    else ++state_.without_best;
    char text[160];
    std::snprintf(text, sizeof text, "valid      step %lld  %.4f bits per byte, perplexity %.3f, %s tokens%s",
                  static_cast<long long>(state_.step), result->bits_per_byte, result->perplexity,
                  format_count(double(result->tokens)).c_str(), best ? "  (best)" : "");
    log_info(text + unspoken_text(*result));
    Json line = {{"step", state_.step},
                 {"tokens", state_.tokens},
                 {"seconds", state_.train_seconds},
                 {"valid", to_json(*result, true)}};
    p.folder->metrics(line);
    p.folder->events().scalar(state_.step, "valid/bits_per_byte", result->bits_per_byte);
    p.folder->events().scalar(state_.step, "valid/loss", result->loss);
    if (options_.on_evaluation) options_.on_evaluation(*result, state_, progress());
    if (config_.train.patience > 0 && state_.without_best >= config_.train.patience) state_.stopped_early = true;
    if (best) save(true);
    const int64_t every = config_.sample.every;
    if (config_.sample.tokens > 0 && ((every > 0 && state_.evaluations % every == 0) || !budget_reached().empty()))
        write_sample();
    return true;
}

void Trainer::write_sample() {
    Parts& p = *parts_;
    if (config_.model.direction == "bidirectional") return;  // nothing to continue
    SamplingOptions options;
    options.tokens = config_.sample.tokens;
    options.temperature = config_.sample.temperature;
    options.seed = uint64_t(config_.train.seed);
    options.segment = config_.train.length;
    const AveragedWeights averaged(p);
    const Tokenizer& tokenizer = p.corpus.tokenizer();
    options.end = tokenizer.text_end();
    std::string begin = config_.sample.prompt;
    if (begin.empty() || !expresses(tokenizer, begin)) begin = neutral_prompt(tokenizer);
    const std::vector<int64_t> prompt = tokenizer.encode(begin);
    const std::string text =
        continuation(tokenizer, prompt, generate(*p.model, prompt, options, [](int64_t) { return true; }));
    p.folder->sample({{"step", state_.step},
                      {"prompt", printable(begin)},
                      {"text", printable(text)},
                      {"temperature", options.temperature}});
    p.folder->events().text(state_.step, "sample", printable(begin + text));
    log_info("sample     " + printable(begin + text));
}

bool Trainer::save_due() const {
    const CheckpointConfig& c = config_.checkpoint;
    if (!parts_->changed) return false;
    if (c.every > 0 && state_.step % c.every == 0) return true;
    return c.every_seconds > 0 && parts_->since_save.seconds() >= c.every_seconds;
}

std::string Trainer::budget_reached() const {
    const TrainConfig& t = config_.train;
    if (t.max_steps > 0 && state_.step >= t.max_steps) return "steps";
    if (t.max_tokens > 0 && state_.tokens >= t.max_tokens) return "tokens";
    if (t.max_seconds > 0 && state_.train_seconds >= t.max_seconds) return "time";
    if (state_.settled) return "settled";
    return state_.stopped_early ? "early_stop" : "";
}

// The text cannot be read any more: the updates that were made are kept.
void Trainer::keep_what_is_done() {
    Parts& p = *parts_;
    if (p.in_step && p.step->recorded()) return;  // the GPU's own copy of the state is another step's
    if (p.in_step) p.step->take_back();
    try {
        if (p.changed && save(false)) log_info("saved      step " + std::to_string(state_.step));
    } catch (const Error& error) { log_warning(error.what()); }
}

std::string Trainer::last_checkpoint() const {
    const int64_t step = parts_->saved_step;
    return step < 0 ? "no checkpoint was saved yet" : "the last good checkpoint is of step " + std::to_string(step);
}

// One round of the loop: what ended the run, or nothing.
std::string Trainer::round() {
    if (stop_requested() || !budget_reached().empty()) record_last();
    if (stop_requested()) return "signal";
    if (take_save_request()) save(false);
    if (evaluation_due() && !evaluate_now()) return "";  // a stop was asked for
    if (save_due()) save(false);
    const std::string reached = budget_reached();
    if (reached.empty()) train_step();
    return reached;
}

TrainResult Trainer::run() {
    Parts& p = *parts_;
    TrainResult result;
    result.run = options_.run;
    result.parameters = p.cost.parameters;
    result.expected_memory = p.memory.total();
    result.training_flops_per_token = p.cost.training_flops_per_token;
    if (options_.dry_run) {
        result.stopped_by = "dry_run";
        return result;
    }
    try {
        while (result.stopped_by.empty()) result.stopped_by = round();
    } catch (const Error& error) {
        if (error.code() == ExitCode::bad_file) keep_what_is_done();
        throw;
    }
    log_progress("");
    if (p.session_tokens == 0 && result.stopped_by != "signal") {
        log_info("finished   " + why_finished(result.stopped_by));
        const AveragedWeights averaged(p);
        if (!p.valid && p.corpus.has("valid")) p.valid = evaluate_valid();
    }
    warn_of_changed_text();
    if (p.changed && !save(false))
        fail({.code = ExitCode::resources,
              .what = "the last checkpoint could not be written",
              .where = p.folder->path(),
              .hint = "free some space and resume; " + last_checkpoint()});
    result.state = state_;
    result.valid = p.valid;
    result.tokens_per_second = p.session_seconds > 0 ? double(p.session_tokens) / p.session_seconds : 0;
    if (p.search) result.choices = p.search->architecture().within_budget();
    result.gflops = result.tokens_per_second * p.cost.training_flops_per_token / 1e9;
    return result;
}

}  // namespace lithe
