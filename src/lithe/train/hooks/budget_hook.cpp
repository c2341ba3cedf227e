#include "lithe/train/hooks/budget_hook.h"

#include <limits>

#include "lithe/base/log.h"
#include "lithe/spec/ngram_lengths.h"
#include "lithe/train/budget.h"

namespace lithe {
namespace {

void warn_of_reading_again(const Config& config) {
    log_warning("the text is read more than once, and n-grams of up to " +
                std::to_string(longest_ngram(config.model.ngrams.lengths)) +
                " tokens learn it by heart: other text gets worse with each reading; better is model.ngrams.lengths = "
                "\"2-3\", up to \"2-6\", or fewer tokens");
}

}  // namespace

BudgetHook::BudgetHook(TrainRun& run) : TrainHook(run), readable_tokens_(std::numeric_limits<int64_t>::max()) {
    constexpr int64_t kLongNgram = 6;
    if (longest_ngram(run.config.model.ngrams.lengths) <= kLongNgram) return;
    const TrainConfig& t = run.config.train;
    const double readable = 1.05 * double(run.corpus.split("train").size());
    if (t.max_seconds <= 0 && tokens_of_budget(t) > readable) warn_of_reading_again(run.config);
    else readable_tokens_ = int64_t(readable);
}

std::string BudgetHook::reached() const {
    const TrainConfig& t = run_.config.train;
    const TrainerState& state = run_.state;
    if (t.max_steps > 0 && state.step >= t.max_steps) return "steps";
    if (t.max_tokens > 0 && state.tokens >= t.max_tokens) return "tokens";
    return t.max_seconds > 0 && state.train_seconds >= t.max_seconds ? "time" : "";
}

void BudgetHook::after_update(const StepDone& done) {
    const int64_t tokens = run_.state.tokens;
    if (tokens > readable_tokens_ && tokens - done.tokens <= readable_tokens_) warn_of_reading_again(run_.config);
}

}  // namespace lithe
