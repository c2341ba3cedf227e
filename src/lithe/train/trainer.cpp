#include "lithe/train/trainer.h"

#include <sys/utsname.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/version.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <numbers>

#include "lithe/base/log.h"
#include "lithe/base/stop.h"
#include "lithe/base/text.h"
#include "lithe/base/timer.h"
#include "lithe/base/version.h"
#include "lithe/data/prefetch.h"
#include "lithe/kernels/isa.h"
#include "lithe/model/cost.h"
#include "lithe/model/generate.h"
#include "lithe/spec/config_io.h"
#include "lithe/train/schedule.h"

namespace lithe {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

double TrainStep::micro_batch(const Tensor& ids_TB, const Tensor& targets_TB, int64_t index, uint64_t dropout_key,
                              const Tensor& flags_TB) {
    Context context = model_.context(true);
    context.flags_TB = flags_TB;
    context.dropout_key = combine_key(dropout_key, uint64_t(index));
    context.layers = model_.draw_layers(optimizer_.updates(),
                                        model_.layer_drop().draw == "update" ? dropout_key : context.dropout_key);
    auto out = model_.loss(ids_TB, targets_TB, carried_, context);
    // without flags every target is scored
    const auto tokens =
        flags_TB.defined() ? std::max(1.0, targets_TB.ge(0).sum().item<double>()) : double(targets_TB.numel());
    Tensor total = out.sum * (1 / (tokens * double(accumulation_)));
    for (const auto& [name, loss] : out.aux.losses) total = total + loss / double(accumulation_);
    torch::autograd::backward({total}, {});
    model_.parameters().collect_gradients(index == 0);
    carried_ = out.state.detach();
    return out.sum.item<double>() / tokens;
}

struct Trainer::Parts {
    Corpus corpus;
    std::unique_ptr<RunFolder> folder;
    std::unique_ptr<LanguageModel> model;
    std::unique_ptr<Optimizer> optimizer;
    std::unique_ptr<Prefetcher> feeder;
    Segment segment;
    std::unique_ptr<TrainStep> step;
    Machine machine;
    ModelCost cost;
    Timer since_save, since_start;
    int64_t saved_step = -1;
    bool changed = true;  // state that no checkpoint holds yet
    bool save_failed = false;
    std::vector<double> recorded_progress;  // training seconds before each step, from an earlier start of this run
    std::optional<EvaluationResult> valid;
    double shown = 0, recent_loss = 0, session_seconds = 0;
    double session_wait = 0;  // seconds that steps waited for data
    int64_t session_tokens = 0;
    int64_t batch = 1;

    // [length][batch] of a segment's numbers; undefined for none. The segment must outlive it on a CPU.
    template <class T> Tensor tensor(std::vector<T>& numbers) const {
        if (numbers.empty()) return {};
        const at::ScalarType type = sizeof(T) == 1 ? at::kByte : at::kLong;
        return at::from_blob(numbers.data(), {int64_t(numbers.size()) / batch, batch}, at::TensorOptions(type))
            .to(model->device());
    }
};

namespace {

Json to_json(const FeedPosition& position) {
    Json json = {{"epoch", position.epoch}, {"at", position.at}};
    if (position.rows.empty()) return json;
    json["drawn"] = position.drawn;
    json["rows"] = Json::array();
    for (const FeedPosition::Row& row : position.rows)
        json["rows"].push_back({row.source, row.document, row.offset, row.open});
    return json;
}

FeedPosition feed_position_from_json(const nlohmann::json& json) {
    FeedPosition position;
    position.epoch = json.at("epoch"), position.at = json.at("at");
    if (!json.contains("rows")) return position;
    position.drawn = json.at("drawn").get<std::vector<uint64_t>>();
    for (const auto& row : json.at("rows")) position.rows.push_back({row.at(0), row.at(1), row.at(2), row.at(3)});
    return position;
}

std::unique_ptr<Prefetcher> make_feeder(const Config& config, const Corpus& corpus) {
    std::vector<FeedSource> sources;
    for (const CorpusSource& source : corpus.sources())
        sources.push_back({source.train.get(), source.share, source.name});
    if (sources.empty()) corpus.split("train");  // tells what is missing
    FeedOptions options{.batch = config.train.batch,
                        .length = config.train.length,
                        .seed = combine_key(uint64_t(config.train.seed), "documents"),
                        .one_per_row = config.data.rows == "single"};
    if (config.data.document_end == "auto") options.document_end = corpus.tokenizer().document_end();
    const bool documents = config.data.order == "documents";
    return std::make_unique<Prefetcher>(documents ? make_document_feeder(std::move(sources), options)
                                                  : make_stream_feeder(std::move(sources), options));
}

}  // namespace

Json to_json(const TrainerState& s) {
    return {{"schema", "lithe.state/1"},
            {"step", s.step},
            {"tokens", s.tokens},
            {"train_seconds", s.train_seconds},
            {"data", to_json(s.data)},
            {"evaluated_step", s.evaluated_step},
            {"evaluated_seconds", s.evaluated_seconds},
            {"evaluations", s.evaluations},
            {"without_best", s.without_best},
            {"best_bits", s.best_bits},
            {"best_step", s.best_step},
            {"skipped_in_row", s.skipped_in_row},
            {"skipped", s.skipped},
            {"stopped_early", s.stopped_early}};
}

TrainerState trainer_state_from_json(const nlohmann::json& json, const std::string& source) {
    try {
        if (json.at("schema") != "lithe.state/1") fail_file("state of another version", source);
        TrainerState s;
        s.step = json.at("step"), s.tokens = json.at("tokens"), s.train_seconds = json.at("train_seconds");
        s.data = feed_position_from_json(json.at("data"));
        s.evaluated_step = json.at("evaluated_step"), s.evaluated_seconds = json.at("evaluated_seconds");
        s.evaluations = json.at("evaluations"), s.without_best = json.at("without_best");
        s.best_bits = json.at("best_bits"), s.best_step = json.at("best_step");
        s.skipped_in_row = json.at("skipped_in_row"), s.skipped = json.at("skipped"),
        s.stopped_early = json.at("stopped_early");
        return s;
    } catch (const nlohmann::json::exception& error) {
        fail_file(std::string("damaged trainer state: ") + error.what(), source);
    }
}

namespace {

std::string now_text() {
    auto seconds = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    char text[32];
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text;
}

void check_schedule(const Config& config, Problems& problems) {
    const TrainConfig& t = config.train;
    const bool needs_end = config.schedule.name == "linear" || config.schedule.name == "cosine" ||
                           config.schedule.name == "recipe" || config.schedule.name == "wsd" ||
                           (config.schedule.warmup > 0 && config.schedule.warmup < 1);
    const std::string& axis = config.schedule.axis;
    const bool any = t.max_steps > 0 || t.max_tokens > 0 || t.max_seconds > 0;
    const bool has_end = axis == "steps"    ? t.max_steps > 0
                         : axis == "tokens" ? t.max_tokens > 0
                         : axis == "time"   ? t.max_seconds > 0
                                            : any;
    if (needs_end && !has_end)
        problems.add("schedule \"" + config.schedule.name + "\" needs a budget" +
                         (axis == "auto" ? std::string() : " in " + axis) + " to end at",
                     "schedule", "give --max-steps, --max-tokens or --max-time");
}

// The axis that "auto" means: that of the budget.
std::string resolve_axis(const Config& config) {
    if (config.schedule.axis != "auto") return config.schedule.axis;
    if (config.train.max_steps > 0) return "steps";
    if (config.train.max_tokens > 0) return "tokens";
    return config.train.max_seconds > 0 ? "time" : "steps";
}

// Settings that may differ between a checkpoint and the run that resumes it.
bool may_change(const std::string& difference) {
    for (const char* prefix :
         {"train.max_", "train.log_every", "train.patience", "train.non_finite", "evaluation.", "checkpoint.",
          "sample.", "data.path", "data.train", "data.valid", "data.test", "data.tokenizer"})
        if (difference.rfind(prefix, 0) == 0) return true;
    return false;
}

}  // namespace

Trainer::Trainer(Config config, TrainOptions options)
    : config_(std::move(config)),
      options_(std::move(options)),
      parts_(std::make_unique<Parts>()) {
    Problems problems;
    check_model(config_, problems);
    check_schedule(config_, problems);
    problems.throw_if_any("configuration");
    config_.schedule.axis = resolve_axis(config_);
    Parts& p = *parts_;
    p.machine = set_up_machine(config_.train);
    p.corpus = Corpus::open(config_.data);
    const int64_t vocabulary = p.corpus.tokenizer().vocabulary_size();
    if (config_.model.vocabulary_size != 0 && config_.model.vocabulary_size != vocabulary)
        fail({.code = ExitCode::usage,
              .what = "model.vocabulary_size does not fit the data's tokenizer",
              .where = "model.vocabulary_size",
              .expected = std::to_string(vocabulary),
              .got = std::to_string(config_.model.vocabulary_size),
              .hint = "set it to 0 to take the tokenizer's, or set data.vocabulary"});
    config_.model.vocabulary_size = vocabulary;
    p.model = std::make_unique<LanguageModel>(config_, vocabulary);
    p.feeder = make_feeder(config_, p.corpus);
    p.batch = config_.train.batch;
    if (!p.corpus.has("valid")) log_warning("the data has no validation split: nothing is evaluated");
    p.cost = count_cost(*p.model, cost_shape(config_));

    MemoryEstimate estimate = estimate_memory(*p.model, config_, p.machine.working == at::kBFloat16 ? 2 : 4);
    const auto available = double(available_memory());
    std::string needs = "about " + format_bytes(estimate.total()) + " (weights " + format_bytes(estimate.weights) +
                        ", optimizer " + format_bytes(estimate.optimizer) + ", activations " +
                        format_bytes(estimate.activations) + ", carried state " + format_bytes(estimate.state) + ")";
    if (p.machine.device.is_cpu() && estimate.total() > available)
        fail({.code = ExitCode::resources,
              .what = "the run does not fit into memory: it needs " + needs,
              .where = "train",
              .expected = "at most " + format_bytes(available),
              .got = format_bytes(estimate.total()),
              .hint = "lower train.batch (and raise train.accumulation), train.length, model.memory or model.width"});
    if (p.machine.device.is_cpu() && estimate.total() > 0.85 * available)
        log_warning("the run needs " + needs + " of " + format_bytes(available) + " available");
    log_info("model      " + format_count(double(p.cost.parameters)) + " parameters, " +
             format_count(p.cost.training_flops_per_token / 1e6) + " MFLOP per training token, layout " +
             to_string(decoder_layout(config_)));
    log_info("data       " + format_bytes(double(p.corpus.split("train").bytes())) + " to train on, vocabulary " +
             std::to_string(vocabulary));
    log_info("machine    " + p.machine.cpu + ", " + std::to_string(p.machine.threads) + " threads, " +
             p.machine.device.str() + ", " + p.machine.precision + ", kernels " +
             kernels::isa_name(kernels::selected_isa()));
    log_info("memory     " + needs);
    if (options_.dry_run) return;

    p.folder = std::make_unique<RunFolder>(options_.run);
    double checkpoint_bytes = double(p.cost.parameters) * 12 + estimate.state;
    if (double(free_bytes(options_.run)) < checkpoint_bytes * double(config_.checkpoint.keep + 1))
        log_warning("checkpoints of this run need " +
                    format_bytes(checkpoint_bytes * double(config_.checkpoint.keep + 2)) + " and only " +
                    format_bytes(double(free_bytes(options_.run))) + " are free in " + options_.run);
    std::optional<CheckpointPlace> place;
    if (options_.resume != ResumeMode::never) {
        p.folder->clean();
        if (!options_.resume_from.empty()) {
            verify_checkpoint(options_.resume_from);
            place = CheckpointPlace{0, options_.resume_from};
        } else {
            place = p.folder->newest_valid();
        }
        if (!place && options_.resume == ResumeMode::required)
            fail_file("there is no checkpoint to resume from", options_.run, "start without --resume");
    } else if (p.folder->has_run()) {
        fail_usage("the folder holds a run already", options_.run,
                   "choose another folder with --run, or resume it with --resume");
    }
    p.model->materialize(at::kFloat, p.machine.working, p.machine.device, uint64_t(config_.train.seed));
    p.optimizer =
        std::make_unique<Optimizer>(config_.optimizer, p.model->parameters(), config_.layer_drop.moments == "hold");
    p.step = std::make_unique<TrainStep>(*p.model, *p.optimizer, config_.train.accumulation);
    if (place) resume(*place);
    else start_fresh();
    set_log_file(p.folder->file("log.txt"));
    p.folder->record_start(start_record());
}

Trainer::~Trainer() { set_log_file(""); }

Json Trainer::start_record() const {
    struct utsname host {};
    uname(&host);
    const Parts& p = *parts_;
    return {{"time", now_text()},
            {"from_step", state_.step},
            {"lithe", std::string(kVersion) + " " + kRevision},
            {"libtorch", TORCH_VERSION},
            {"host", host.nodename},
            {"system", std::string(host.sysname) + " " + host.release},
            {"cpu", p.machine.cpu},
            {"isa", kernels::isa_name(kernels::selected_isa())},
            {"device", p.machine.device.str()},
            {"threads", p.machine.threads},
            {"precision", p.machine.precision},
            {"fp32_products", p.machine.products},
            {"seed", config_.train.seed},
            {"data_fingerprint", p.corpus.fingerprint()},
            {"tokenizer_hash", p.corpus.tokenizer().hash()},
            {"argv", options_.argv}};
}

void Trainer::start_fresh() {
    Parts& p = *parts_;
    p.folder->cut_back(-1);
    std::error_code ignored;
    fs::remove(p.folder->file("progress.f64"), ignored);
    replace_file(p.folder->file("config.toml"), to_toml(config_));
}

// The sums that a checkpoint calls "table.N"; undefined where there are none.
static Tensor table_sums(const Optimizer& optimizer, const std::string& name) {
    const auto table = size_t(std::strtoul(name.c_str() + std::strlen("table."), nullptr, 10));
    return table < optimizer.table_sums().size() ? optimizer.table_sums()[table] : Tensor();
}

void Trainer::resume(const CheckpointPlace& place) {
    Parts& p = *parts_;
    const std::string config_path = place.folder + "/config.json", state_path = place.folder + "/state.json";
    Config saved = config_from_json(read_file(config_path, 1 << 20), config_path);
    std::vector<std::string> refused;
    for (const std::string& difference : differences(saved, config_))
        if (!may_change(difference)) refused.push_back(difference);
    auto json = nlohmann::json::parse(read_file(state_path, 1 << 20), nullptr, false);
    if (json.is_discarded()) fail_file("not JSON", state_path);
    if (json.contains("data_fingerprint") && json["data_fingerprint"] != p.corpus.fingerprint())
        refused.push_back("the data is not the data that the run was trained on (fingerprint " +
                          json["data_fingerprint"].dump() + " became \"" + p.corpus.fingerprint() + "\")");
    if (json.contains("tokenizer_hash") && json["tokenizer_hash"] != p.corpus.tokenizer().hash())
        refused.push_back("the tokenizer's hash " + json["tokenizer_hash"].dump() + " became \"" +
                          p.corpus.tokenizer().hash() + "\"");
    if (!refused.empty())
        fail_usage("the run cannot be resumed with other settings:\n  - " + join(refused, "\n  - "), place.folder,
                   "restore them, or start a new run with --run");
    state_ = trainer_state_from_json(json, state_path);
    load_parameters(p.model->parameters(), place.folder + "/model.safetensors");

    at::NoGradGuard no_grad;
    std::vector<std::pair<std::string, StateTensor>> carried;
    for (const NamedTensor& each : read_tensors(place.folder + "/optimizer.safetensors")) {
        auto into = [&](const Tensor& flat) {
            ops::check(flat.defined() && flat.sizes() == each.tensor.sizes(), "resume",
                       "optimizer tensor '" + each.name + "' does not fit");
            flat.copy_(each.tensor);
        };
        if (each.name == "m") into(p.optimizer->m());
        else if (each.name == "v") into(p.optimizer->v());
        else if (each.name == "slow") into(p.optimizer->slow());
        else if (each.name.rfind("table.", 0) == 0) into(table_sums(*p.optimizer, each.name));
        else {
            int batch_axis = 0, time_axis = -1;
            size_t colon = each.name.find(':');
            if (colon == std::string::npos ||
                std::sscanf(each.name.c_str() + colon, ":%d:%d", &batch_axis, &time_axis) != 2)
                fail_file("unknown tensor '" + printable(each.name) + "'", place.folder + "/optimizer.safetensors");
            carried.emplace_back(each.name.substr(0, colon),
                                 StateTensor{"", each.tensor.to(p.model->device()), batch_axis, time_axis});
        }
    }
    p.optimizer->set_updates(json.value("updates", state_.step));
    p.step->carried() = unflatten(carried);
    p.feeder->seek(state_.data);
    p.folder->cut_back(state_.step);
    p.saved_step = state_.step;
    p.changed = false;
    if (fs::exists(p.folder->file("progress.f64"))) {
        std::string bytes = read_file(p.folder->file("progress.f64"));
        p.recorded_progress.resize(bytes.size() / 8);
        std::memcpy(p.recorded_progress.data(), bytes.data(), p.recorded_progress.size() * 8);
    }
    log_info("resumed    step " + std::to_string(state_.step) + ", " + format_count(double(state_.tokens)) +
             " tokens, from " + place.folder);
}

// A schedule over time reads the record of an earlier start of this run while there is one, so that resume replays it.
double Trainer::record_progress(double seconds) {
    Parts& p = *parts_;
    const auto step = size_t(state_.step);
    if (step < p.recorded_progress.size()) return p.recorded_progress[step];
    p.recorded_progress.resize(step);
    p.recorded_progress.push_back(seconds);
    try {
        if (config_.schedule.axis == "time") FileWriter(p.folder->file("progress.f64"), step > 0).write(&seconds, 8);
    } catch (const Error&) {
        // a full disk: metrics() tells
    }
    return seconds;
}

double Trainer::rate_position(double& total, double& unit) const {
    const TrainConfig& t = config_.train;
    if (config_.schedule.axis == "tokens") {
        total = double(t.max_tokens);
        unit = double(t.batch * t.length * t.accumulation);
        return double(state_.tokens);
    }
    if (config_.schedule.axis == "time") {
        total = t.max_seconds;
        unit = 1e-4 * total;
        return state_.train_seconds;
    }
    total = double(t.max_steps);
    unit = 1;
    return double(state_.step);
}

bool Trainer::train_step() {
    Parts& p = *parts_;
    Timer timer;
    state_.train_seconds = record_progress(state_.train_seconds);
    const uint64_t key = combine_key(combine_key(uint64_t(config_.train.seed), "dropout"), uint64_t(state_.step));
    State before = p.step->carried();
    double loss = 0;
    int64_t tokens = 0;
    for (int64_t micro = 0; micro < config_.train.accumulation; ++micro) {
        p.feeder->next(p.segment);
        tokens += p.segment.tokens;
        if (p.segment.begins) p.step->carried() = State();
        loss += p.step->micro_batch(p.tensor(p.segment.inputs), p.tensor(p.segment.targets), micro, key,
                                    p.tensor(p.segment.flags)) /
                double(config_.train.accumulation);
    }
    const double norm = p.optimizer->gradient_norm();
    double total = 0, unit = 1;
    const double at = rate_position(total, unit);
    const double rate = learning_rate(config_.schedule, config_.optimizer.learning_rate, {at, total, unit});
    const bool finite = std::isfinite(loss) && std::isfinite(norm);
    if (!finite) {
        std::string what = "step " + std::to_string(state_.step + 1) + ": the " +
                           (std::isfinite(loss) ? "gradient" : "loss") + " is not finite (epoch " +
                           std::to_string(state_.data.epoch) + ", token " + std::to_string(state_.data.at) +
                           " of each stream)";
        if (config_.train.non_finite == "abort" || ++state_.skipped_in_row > config_.train.non_finite_limit)
            fail({.code = ExitCode::diverged,
                  .what = what,
                  .where = p.folder->path(),
                  .hint = "lower optimizer.learning_rate or optimizer.clip_norm; the last good checkpoint is of step " +
                          std::to_string(p.saved_step) + "; train.non_finite = \"skip\" leaves such updates out"});
        log_warning(what + ": the update is left out");
        ++state_.skipped;
        p.step->carried() = before;
    } else {
        state_.skipped_in_row = 0;
        p.optimizer->step(rate, norm);
    }
    ++state_.step;
    p.changed = true;
    state_.tokens += tokens;
    state_.data = p.feeder->position();
    p.session_wait += p.feeder->take_wait();
    const double seconds = timer.seconds();
    state_.train_seconds += seconds;
    p.session_seconds += seconds;
    p.session_tokens += tokens;
    if (finite) p.recent_loss = p.recent_loss == 0 ? loss : 0.95 * p.recent_loss + 0.05 * loss;
    record(loss, norm, rate, double(tokens) / seconds);
    show_progress(loss, rate);
    return finite;
}

void Trainer::record(double loss, double norm, double rate, double speed) {
    Parts& p = *parts_;
    if (state_.step % config_.train.log_every != 0 && state_.step != 1) return;
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
    p.folder->metrics(line);
    EventWriter& events = p.folder->events();
    events.scalar(state_.step, "train/loss", loss);
    events.scalar(state_.step, "train/bits_per_byte", loss / std::numbers::ln2);
    events.scalar(state_.step, "optim/learning_rate", rate);
    events.scalar(state_.step, "optim/gradient_norm", norm);
    events.scalar(state_.step, "perf/tokens_per_second", speed);
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
    std::snprintf(text, sizeof text, "step %lld  %s tokens  loss %.3f  bits %.3f  rate %.2e  %s tokens/s%s%s%s",
                  static_cast<long long>(state_.step), format_count(double(state_.tokens)).c_str(), loss,
                  p.recent_loss / std::numbers::ln2, rate, format_count(speed).c_str(), std::isfinite(left) ? "  " : "",
                  std::isfinite(left) ? format_seconds(left).c_str() : "", std::isfinite(left) ? " left" : "");
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

// False when a stop was asked for before the end.
bool Trainer::evaluate_now() {
    Parts& p = *parts_;
    auto result = evaluate(*p.model, p.corpus.split("valid"), protocol_of(config_, p.corpus.tokenizer()));
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
    log_info(text);
    Json line = {{"step", state_.step},
                 {"tokens", state_.tokens},
                 {"seconds", state_.train_seconds},
                 {"valid", to_json(*result, true)}};
    p.folder->metrics(line);
    p.folder->events().scalar(state_.step, "valid/bits_per_byte", result->bits_per_byte);
    p.folder->events().scalar(state_.step, "valid/loss", result->loss);
    if (config_.train.patience > 0 && state_.without_best >= config_.train.patience) state_.stopped_early = true;
    if (best) save(true);
    const int64_t every = config_.sample.every;
    if (config_.sample.tokens > 0 && ((every > 0 && state_.evaluations % every == 0) || !budget_reached().empty()))
        write_sample();
    return true;
}

void Trainer::write_sample() {
    Parts& p = *parts_;
    SamplingOptions options;
    options.tokens = config_.sample.tokens;
    options.temperature = config_.sample.temperature;
    options.seed = uint64_t(config_.train.seed);
    options.segment = config_.train.length;
    std::vector<int64_t> prompt;
    try {
        prompt = p.corpus.tokenizer().encode(config_.sample.prompt);
    } catch (const Error& error) {  // a prompt that the vocabulary cannot express does not stop a run
        log_verbose(error.what());
    }
    if (prompt.empty()) prompt.push_back(0);
    std::string text = p.corpus.tokenizer().decode(generate(*p.model, prompt, options, [](int64_t) { return true; }));
    p.folder->sample({{"step", state_.step},
                      {"prompt", config_.sample.prompt},
                      {"text", printable(text)},
                      {"temperature", options.temperature}});
    p.folder->events().text(state_.step, "sample", printable(config_.sample.prompt + text));
    log_info("sample     " + printable(config_.sample.prompt + text));
}

bool Trainer::save_due() const {
    const CheckpointConfig& c = config_.checkpoint;
    if (!parts_->changed) return false;
    if (c.every > 0 && state_.step % c.every == 0) return true;
    return c.every_seconds > 0 && parts_->since_save.seconds() >= c.every_seconds;
}

// False when the disk is full; training goes on and it is tried again later.
bool Trainer::save(bool best) {
    Parts& p = *parts_;
    log_progress("");
    CheckpointContent content;
    content.model = named_masters(p.model->parameters());
    content.optimizer.push_back({"m", p.optimizer->m()});
    if (p.optimizer->v().defined()) content.optimizer.push_back({"v", p.optimizer->v()});
    if (p.optimizer->slow().defined()) content.optimizer.push_back({"slow", p.optimizer->slow()});
    for (size_t table = 0; table < p.optimizer->table_sums().size(); ++table)
        content.optimizer.push_back({"table." + std::to_string(table), p.optimizer->table_sums()[table]});
    for (const auto& [path, tensor] : flatten(p.step->carried()))
        content.optimizer.push_back(
            {path + ":" + std::to_string(tensor.batch_axis) + ":" + std::to_string(tensor.time_axis), tensor.value});
    Json state = to_json(state_);
    state["updates"] = p.optimizer->updates();
    state["data_fingerprint"] = p.corpus.fingerprint();
    state["tokenizer_hash"] = p.corpus.tokenizer().hash();
    content.state_json = state.dump(2) + "\n";
    content.config_json = to_json(config_);
    content.tokenizer_json = p.corpus.tokenizer().to_json();
    try {
        p.folder->save(state_.step, content, best, config_.checkpoint.keep);
        if (p.save_failed)
            log_info("saved      the checkpoint of step " + std::to_string(state_.step) + "; there is space again");
        p.saved_step = state_.step;
        p.changed = false;
        p.save_failed = false;
        p.since_save.restart();
        log_verbose("saved      step " + std::to_string(state_.step));
        return true;
    } catch (const Error& error) {
        if (error.code() != ExitCode::resources) throw;
        log_warning("no checkpoint of step " + std::to_string(state_.step) +
                    " could be written; earlier ones are kept and training goes on: " + error.what());
        p.save_failed = true;
        p.since_save.restart();
        return false;
    }
}

std::string Trainer::budget_reached() const {
    const TrainConfig& t = config_.train;
    if (t.max_steps > 0 && state_.step >= t.max_steps) return "steps";
    if (t.max_tokens > 0 && state_.tokens >= t.max_tokens) return "tokens";
    if (t.max_seconds > 0 && state_.train_seconds >= t.max_seconds) return "time";
    return state_.stopped_early ? "early_stop" : "";
}

TrainResult Trainer::run() {
    Parts& p = *parts_;
    TrainResult result;
    result.run = options_.run;
    result.training_flops_per_token = p.cost.training_flops_per_token;
    if (options_.dry_run) {
        result.stopped_by = "dry_run";
        return result;
    }
    for (;;) {
        if (stop_requested()) {
            result.stopped_by = "signal";
            break;
        }
        if (take_save_request()) save(false);
        if (evaluation_due() && !evaluate_now()) continue;  // a stop was asked for
        if (save_due()) save(false);
        result.stopped_by = budget_reached();
        if (!result.stopped_by.empty()) break;
        train_step();
    }
    log_progress("");
    if (p.session_tokens == 0 && result.stopped_by != "signal") {
        log_info("finished   the run had reached its budget already; raise it to go on, or start another with --run");
        if (!p.valid && p.corpus.has("valid"))
            p.valid = evaluate(*p.model, p.corpus.split("valid"), protocol_of(config_, p.corpus.tokenizer()));
    }
    if (p.changed && !save(false))
        fail({.code = ExitCode::resources,
              .what = "the last checkpoint could not be written",
              .where = p.folder->path(),
              .hint = "free some space and resume; the newest checkpoint is of step " + std::to_string(p.saved_step)});
    result.state = state_;
    result.valid = p.valid;
    result.tokens_per_second = p.session_seconds > 0 ? double(p.session_tokens) / p.session_seconds : 0;
    result.gflops = result.tokens_per_second * p.cost.training_flops_per_token / 1e9;
    return result;
}

}  // namespace lithe
