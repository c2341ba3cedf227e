#include "lithe/training.h"

#include <atomic>
#include <nlohmann/json.hpp>

#include "lithe/api/threads.h"
#include "lithe/base/error.h"
#include "lithe/data/named_paths.h"
#include "lithe/spec/config_io.h"
#include "lithe/train/train_hook.h"
#include "lithe/train/trainer.h"

namespace lithe {
namespace {

Config config_of(const TrainingOptions& options) {
    std::vector<std::string> settings = options.settings;
    if (!options.text.empty())
        settings.push_back("data.path=" +
                           nlohmann::json(options.text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    if (options.threads > 0) settings.push_back("train.threads=" + std::to_string(options.threads));
    return options.config.empty() ? parse_config("", "settings", settings) : load_config(options.config, settings);
}

}  // namespace

// The one in this process.
class TrainingSlot {
 public:
    TrainingSlot() {
        if (taken.exchange(true))
            fail({.what = "there is a Training in this process already, and its log file is the process's",
                  .hint = "destroy it before another is opened"});
    }
    ~TrainingSlot() { taken = false; }
    TrainingSlot(const TrainingSlot&) = delete;
    TrainingSlot& operator=(const TrainingSlot&) = delete;

 private:
    static inline std::atomic<bool> taken = false;
};

struct Training::Impl {
    TrainingSlot slot;
    std::unique_ptr<Trainer> trainer;
    int threads = 0;
    double loss = 0;
    std::string stopped_by;
};

Training::Training(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Training::Training(Training&& other) noexcept = default;
Training& Training::operator=(Training&& other) noexcept = default;
Training::~Training() = default;

Training Training::open(const TrainingOptions& options) {
    api::set_up();
    if (options.run.empty()) fail_usage("a training needs a folder for its run", "run");
    api::check_threads(options.threads);
    if (options.stop.stop_requested()) fail({.kind = ErrorKind::stopped, .what = "stopped before a training began"});
    auto impl = std::make_unique<Impl>();
    TrainOptions train;
    train.run = options.run;
    if (!options.config.empty()) train.source = absolute_path(options.config);
    train.stop = options.stop;
    train.on_update = [&loss = impl->loss](const StepDone& done) { loss = done.update.loss; };
    impl->trainer = std::make_unique<Trainer>(config_of(options), train);
    impl->threads = impl->trainer->threads();
    return Training(std::move(impl));
}

bool Training::step() {
    api::use_threads(impl_->threads);
    if (!impl_->stopped_by.empty()) return false;
    if (impl_->trainer->step()) return true;
    impl_->stopped_by = impl_->trainer->finish().stopped_by;
    return false;
}

const std::string& Training::stopped_by() const { return impl_->stopped_by; }

TrainingProgress Training::progress() const {
    const TrainerState& state = impl_->trainer->state();
    return {.step = state.step, .tokens = state.tokens, .seconds = state.train_seconds, .nats_per_token = impl_->loss};
}

std::optional<TextScore> Training::evaluate() {
    api::use_threads(impl_->threads);
    const auto result = impl_->trainer->evaluate();
    if (!result) return std::nullopt;
    if (result->judged())
        fail_usage("this training is judged by its " + result->score.kind.unit + ", and not by bits per byte",
                   "evaluate", "its run's metrics.jsonl has the scores");
    return TextScore{.bits_per_byte = result->bits_per_byte,
                     .nats_per_token = result->loss,
                     .tokens = result->tokens,
                     .bytes = result->bytes};
}

bool Training::save() {
    api::use_threads(impl_->threads);
    return impl_->trainer->save();
}

}  // namespace lithe
