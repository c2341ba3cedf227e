// Everything before the first step: what can be wrong is told here, and nothing is written before it is known to be
// right.
#include <fmt/format.h>

#include <filesystem>

#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/base/wording.h"
#include "lithe/data/choose_tokenizer.h"
#include "lithe/data/named_paths.h"
#include "lithe/data/own_folders.h"
#include "lithe/kernels/isa.h"
#include "lithe/model/parameter_files.h"
#include "lithe/spec/config_io.h"
#include "lithe/train/hooks/budget_hook.h"
#include "lithe/train/hooks/evaluation_hook.h"
#include "lithe/train/hooks/failure_hook.h"
#include "lithe/train/hooks/metrics_hook.h"
#include "lithe/train/hooks/sample_hook.h"
#include "lithe/train/hooks/saving_hook.h"
#include "lithe/train/hooks/search_hook.h"
#include "lithe/train/hooks/text_hook.h"
#include "lithe/train/train_loop.h"

namespace lithe {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
namespace {

// What training draws from; of each source the part [from, to).
std::vector<FeedSource> sources_of(const Corpus& corpus, double from, double to,
                                   std::vector<std::unique_ptr<TokenView>>& slices) {
    std::vector<FeedSource> sources;
    for (const CorpusSource& source : corpus.sources()) {
        const TokenView* tokens = source.train.get();
        if (from > 0 || to < 1) {
            const auto size = double(tokens->size());
            slices.push_back(std::make_unique<TokenSlice>(*tokens, uint64_t(from * size), uint64_t(to * size)));
            tokens = slices.back().get();
        }
        sources.push_back({tokens, source.share, source.name});
    }
    if (sources.empty()) corpus.split("train");  // tells what is missing
    return sources;
}

// Whether there is an end on this axis; `automatic` and `budget` stand for all.
bool has_budget(const TrainConfig& t, ScheduleAxis axis) {
    switch (axis) {
        case ScheduleAxis::steps: return t.max_steps > 0;
        case ScheduleAxis::tokens: return t.max_tokens > 0;
        case ScheduleAxis::time: return t.max_seconds > 0;
        case ScheduleAxis::automatic:
        case ScheduleAxis::budget: break;
    }
    return t.max_steps > 0 || t.max_tokens > 0 || t.max_seconds > 0;
}

// Whether the rate is a function of where the run will end.
bool needs_end(ScheduleKind schedule) {
    switch (schedule) {
        case ScheduleKind::linear:
        case ScheduleKind::cosine:
        case ScheduleKind::recipe:
        case ScheduleKind::wsd: return true;
        case ScheduleKind::constant:
        case ScheduleKind::inverse_sqrt: break;
    }
    return false;
}

// Empty: all that the model has.
std::vector<WeightPart> weight_parts(const TrainConfig& train, const ParameterStore& store) {
    if (train.init_parts.empty() && train.lora.rank > 0) return parts_but_lora(store);
    return parse_weight_parts(train.init_parts);
}

// "", or ", 41.0K of them (1.2 %) trained".
std::string trained_share(const ParameterStore& store) {
    const auto all = double(store.count()), trained = double(store.count_trained());
    if (trained == all) return "";
    return fmt::format(", {} of them ({:.2g} %) trained", format_count(trained), 100 * trained / all);
}

// A backward pass that runs layers again is none that a GPU can play.
bool records_steps(const TrainConfig& train) { return train.graphs && train.recompute == "none"; }

void check_schedule(const Config& config, Problems& problems) {
    const TrainConfig& t = config.train;
    const bool ends = needs_end(config.schedule.name) || config.search.supernet ||
                      (config.schedule.warmup > 0 && config.schedule.warmup < 1);
    const ScheduleAxis axis = config.schedule.axis;
    const bool any = axis == ScheduleAxis::automatic || axis == ScheduleAxis::budget;
    if (ends && !has_budget(t, axis))
        problems.add((config.search.supernet ? "a search" : "schedule \"" + name_of(config.schedule.name) + "\"") +
                         " needs a budget" + (any ? std::string() : " in " + name_of(axis)) + " to end at",
                     "schedule", "give " + budget("steps") + ", " + budget("tokens") + " or " + budget("time"));
    if (axis == ScheduleAxis::budget && config.schedule.warmup >= 1)
        problems.add("a schedule over shares of the budget needs a warm-up that is a share", "schedule.warmup",
                     "give one below 1, or schedule.axis = \"steps\", \"tokens\" or \"time\"");
    if (!config.search.supernet) return;
    if (config.search.held_out > 0 && config.data.order == TextOrder::documents)
        problems.add("a part of the text is held out for the choices, which documents in random order have not",
                     "search.held_out", "set it to 0, or data.order = \"streams\"");
    if (config.search.cost != CostUnit::none && config.search.cost_form == CostForm::exceed &&
        !(config.search.budget > 0))
        problems.add("the cost beyond a budget needs one", "search.budget");
}

// The axis that `automatic` means.
ScheduleAxis resolve_axis(const Config& config) {
    if (config.schedule.axis != ScheduleAxis::automatic) return config.schedule.axis;
    std::vector<ScheduleAxis> given;
    for (ScheduleAxis axis : {ScheduleAxis::steps, ScheduleAxis::tokens, ScheduleAxis::time})
        if (has_budget(config.train, axis)) given.push_back(axis);
    if (given.size() > 1 && config.schedule.warmup < 1) return ScheduleAxis::budget;
    return given.empty() ? ScheduleAxis::steps : given[0];
}

// That of the model in train.init_from, unless a part of its weights goes into a model with one of its own.
TokenizerPtr chosen_tokenizer(const Config& config, TokenizerPtr of_weights) {
    const bool named = config.origins.count("data.tokenizer") > 0;
    TokenizerPtr own = named ? named_tokenizer(config.data) : nullptr;
    if (!own || own->hash() == of_weights->hash()) return of_weights;
    if (!config.train.init_parts.empty()) return own;
    log_warning("data.tokenizer = \"" + printable(config.data.tokenizer) +
                "\" is not used: the tokenizer of the model in train.init_from reads the text");
    return of_weights;
}

// What train.init_from gives before the run's folder is opened. A run that goes on has its tokenizer from its own
// newest checkpoint, so that it does not need that model, and no weights to begin with.
struct Beginning {
    TokenizerPtr tokenizer;
    TensorFiles weights;
};
Beginning beginning_of(const Config& config, const TrainOptions& options) {
    const TrainConfig& train = config.train;
    if (train.init_from.empty()) return {};
    std::string own = options.resume_from;
    if (own.empty() && options.resume != ResumeMode::never)
        if (const auto place = RunFolder::newest_valid(options.run)) own = place->folder;
    if (!own.empty()) return {tokenizer_from_file(read_manifest(own).path("tokenizer")), {}};
    const ModelFiles files = find_model(train.init_from);
    return {chosen_tokenizer(config, tokenizer_from_file(files.tokenizer)), files.weights};
}

// The configuration of the checkpoint that a run will go on from, if it can be read: what is "auto" stays what it was.
std::optional<Config> config_before(const TrainOptions& options) {
    if (options.resume == ResumeMode::never) return std::nullopt;
    std::string folder = options.resume_from;
    if (folder.empty())
        if (const auto all = list_checkpoints(options.run); !all.empty()) folder = all[0].folder;
    if (folder.empty()) return std::nullopt;
    try {
        return with_absolute_paths(saved_config({0, folder}));
    } catch (const Error&) { return std::nullopt; }  // verified and told of later
}

void refuse_another_text(const DataConfig& before, const DataConfig& now, const TrainOptions& options) {
    if (!certainly_other_text(before, now)) return;
    fail({.kind = ErrorKind::usage,
          .what = "the run in this folder is of another text",
          .where = options.run,
          .expected = data_name(before),
          .got = data_name(now),
          .hint = "give this one a run of its own with " + option("run", "FOLDER")});
}

void check_request(const Config& config) {
    Problems problems;
    check_config(config, problems);
    check_schedule(config, problems);
    if (!config.train.init_parts.empty() && config.train.init_from.empty())
        problems.add("no model is named to take weights from", "train.init_parts", "name it in train.init_from");
    if (config.train.lora.rank > 0 && config.train.init_from.empty())
        problems.add("updates of low rank need the weights that they change", "train.lora.rank",
                     "name a model in train.init_from");
    problems.throw_if_any("configuration");
}

// What cannot be scored is told before the first step.
void require_scorable(const TrainRun& run) {
    const std::string& file = run.config.data.valid;
    if (!run.corpus.has("valid") && !file.empty())
        fail_file("there is no text to be scored", file, "leave data.valid out to score none");
    if (!run.corpus.has("valid")) return log_warning("the data has no validation split: nothing is evaluated");
    const ScoredText text(run.corpus.split("valid"));
    run.objective->scored_batches(text, protocol_of(run.config, run.corpus.tokenizer()));
}

}  // namespace

Trainer::Trainer(Config config, TrainOptions options)
    : run_(std::make_unique<TrainRun>()),
      loop_(std::make_unique<TrainLoop>(*run_)) {
    TrainRun& r = *run_;
    r.config = with_absolute_paths(std::move(config));
    r.request = r.config;
    r.options = std::move(options);
    r.save = [this](bool best) { return save(best); };
    require_utf8_path(r.options.run, option("run"));
    check_request(r.config);
    settle_objective(r.config);
    const bool automatic_axis = r.config.schedule.axis == ScheduleAxis::automatic;
    r.config.schedule.axis = resolve_axis(r.config);
    if (!r.options.dry_run) {
        RunFolder::check_place(r.options.run, r.options.resume == ResumeMode::never);
        refuse_text_inside(r.config.data, r.options.run);
    }
    const std::optional<Config> before = config_before(r.options);
    if (before) refuse_another_text(before->data, r.config.data, r.options);
    set_up_machine_of(before);
    const Beginning beginning = beginning_of(r.config, r.options);
    r.text.emplace(r.config.data);  // before it is read
    r.corpus = Corpus::open(r.config.data, beginning.tokenizer, r.options.stop);
    settle_objective(r.config, r.corpus.split("train"));
    const int64_t vocabulary = checked_vocabulary(r.config, r.corpus.tokenizer());
    r.objective = make_objective(r.config, r.corpus.tokenizer());
    r.config.model.vocabulary_size = vocabulary;
    r.models = training_models(*r.objective, r.config);
    r.model = r.models.by_role.at("main");
    if (!r.model->has_head() && !r.models.sequence_head && !r.models.companion)
        fail_usage("model.head = \"none\": a stack alone predicts nothing", "model.head",
                   "a head predicts tokens: model.head = \"linear\" or \"transform\"");
    const std::vector<WeightPart> parts = weight_parts(r.config.train, r.model->parameters());
    if (!beginning.weights.empty() && parts.empty()) check_parameters(r.model->parameters(), beginning.weights);
    if (!beginning.weights.empty() && !parts.empty())
        partial_weights_ = plan_partial_weights(r.model->parameters(), beginning.weights, parts);
    open_feeders();
    const bool automatic_parts = r.config.train.parts == 0;
    r.config.train.parts = batch_parts(r.config, r.machine.threads, r.machine.device);
    for (const std::string& each : unused_settings(r.config, r.objective->reads_labels())) log_warning(each);
    if (!r.config.data.parallel.empty() && !r.objective->reads_pairs())
        log_warning("data.parallel: objective \"" + r.objective->name() + "\" reads pairs as documents in a row");
    require_scorable(r);
    r.cost = count_cost(r.models, cost_shape(r.config));

    check_memory();
    add_hooks();
    if (r.options.dry_run) return;
    const std::optional<CheckpointPlace> place = open_folder();
    const bool loaded = place || (!beginning.weights.empty() && !partial_weights_);
    r.model->materialize(at::kFloat, r.machine.working, r.machine.device,
                         loaded ? std::nullopt : std::optional(uint64_t(r.config.train.seed)));
    r.optimizer = std::make_unique<Optimizer>(r.config.optimizer, r.model->parameters(),
                                              r.config.layer_drop.moments == DroppedMoments::hold);
    const std::optional<Config> saved = place ? std::optional(saved_config(*place)) : std::nullopt;
    // a run that goes on with other budgets keeps its axis
    if (saved && automatic_axis && has_budget(r.config.train, saved->schedule.axis))
        r.config.schedule.axis = saved->schedule.axis;
    if (saved && automatic_parts && is_as_before(saved_machine(*place)))
        r.config.train.parts = std::max<int64_t>(1, saved->train.parts);
    r.step = std::make_unique<StepRunner>(
        *r.objective, r.models, *r.optimizer,
        StepRunner::Options{.parts = r.config.train.parts, .graphs = records_steps(r.config.train)});
    r.saved_parts.push_back(checkpoint_part_of(*r.optimizer, r.model->parameters(), uint64_t(r.config.train.seed)));
    r.saved_parts.push_back(checkpoint_part_of(*r.step, r.machine.device, r.machine.working));
    for (const auto& hook : r.hooks)
        if (auto part = hook->checkpoint_part()) r.saved_parts.push_back(std::move(part));
    if (r.config.schedule.axis == ScheduleAxis::time || r.config.schedule.axis == ScheduleAxis::budget)
        r.progress_record.emplace();
    if (place) resume(*place, *saved);
    else start_fresh();
    r.folder->write_config(r.request);
    set_log_file(r.folder->file("log.txt"));
    r.folder->record_start(start_record());
}

// Threads and device stay "auto" in the run's settings where they are, so that it goes on on another machine; what was
// left to it, its precision, stays what it was.
void Trainer::set_up_machine_of(const std::optional<Config>& before) {
    TrainRun& r = *run_;
    const TrainConfig asked = r.config.train;
    if (before && asked.precision == Precision::automatic) r.config.train.precision = before->train.precision;
    run_->machine = set_up_machine(r.config.train);
    r.config.train.threads = asked.threads;
    r.config.train.device = asked.device;
}

// What the weights are trained on, and what is held out for a search's choices.
void Trainer::open_feeders() {
    TrainRun& r = *run_;
    const auto make_feeder = [&](double from, double to) {
        return std::make_unique<Prefetcher>(
            r.objective->feeder(r.config, r.corpus.tokenizer(), sources_of(r.corpus, from, to, r.slices)));
    };
    const double held_out = r.config.search.supernet ? r.config.search.held_out : 0;
    r.feeder = make_feeder(0, 1 - held_out);
    if (held_out > 0) held_out_ = make_feeder(1 - held_out, 1);
}

// Those that end a run stand in the order in which they are asked.
void Trainer::add_hooks() {
    TrainRun& r = *run_;
    r.hooks.push_back(std::make_unique<BudgetHook>(r));
    if (r.config.search.supernet) r.hooks.push_back(std::make_unique<SearchHook>(r, std::move(held_out_)));
    r.hooks.push_back(std::make_unique<EvaluationHook>(r));
    r.hooks.push_back(std::make_unique<SampleHook>(r));
    r.hooks.push_back(std::make_unique<SavingHook>(r));
    r.hooks.push_back(std::make_unique<FailureHook>(r));
    r.hooks.push_back(std::make_unique<MetricsHook>(r));
    r.hooks.push_back(std::make_unique<TextHook>(r));
}

void Trainer::check_memory() {
    TrainRun& r = *run_;
    MemoryEstimate& estimate = r.memory;
    const int working_bytes = r.machine.working == at::kBFloat16 ? 2 : 4;
    const std::string without = settle_recompute(working_bytes);
    estimate = estimate_memory(*r.model, r.config, working_bytes);
    const auto available = double(available_memory());
    std::string needs = "about " + format_bytes(estimate.total()) + " (weights " + format_bytes(estimate.weights) +
                        ", optimizer " + format_bytes(estimate.optimizer) + ", activations " +
                        format_bytes(estimate.activations) + ", carried state " + format_bytes(estimate.state) + ")";
    if (r.machine.device.is_cpu() && estimate.total() > available)
        fail({.kind = ErrorKind::resources,
              .what = "the run does not fit into memory: it needs " + needs,
              .where = "train",
              .expected = "at most " + format_bytes(available),
              .got = format_bytes(estimate.total()),
              .hint =
                  std::string(r.config.train.recompute == "none" ? setting("train.recompute=memory") + ", or " : "") +
                  "lower " +
                  std::string(r.config.train.batch > 1 ? "train.batch (and raise train.accumulation), " : "") +
                  "train.length" + (r.config.model.memory > 0 ? ", model.memory" : "") + " or model.width"});
    if (r.machine.device.is_cpu() && estimate.total() > 0.85 * available)
        log_warning("the run needs " + needs + " of " + format_bytes(available) + " available");
    log_info("model      " + parameters_text(double(r.cost.parameters), double(r.cost.parameters_in_tables)) +
             trained_share(r.model->parameters()) + ", " + format_count(r.cost.training_flops_per_token) +
             " FLOPs per training token, layout " + to_string(decoder_layout(r.config)));
    const TokenView& train = r.corpus.split("train");
    r.train_bytes_per_token = double(train.bytes()) / double(train.size());
    log_info("data       " + format_bytes(double(train.bytes())) + " to train on, vocabulary " +
             std::to_string(r.model->vocabulary_size()));
    log_info("machine    " + r.machine.cpu + ", " + std::to_string(r.machine.threads) + " threads, " +
             r.machine.device.str() + ", " + name_of(r.machine.precision) + ", kernels " +
             kernels::isa_name(kernels::selected_isa()));
    if (!without.empty()) log_info(without);
    log_info("memory     " + needs);
}

// The checkpoint to go on from, if there is one.
std::optional<CheckpointPlace> Trainer::open_folder() {
    TrainRun& r = *run_;
    r.folder = std::make_unique<RunFolder>(r.options.run);
    const double bytes = checkpoint_bytes(*r.model, r.config.optimizer, r.memory.state);
    if (double(free_bytes(r.options.run)) < bytes * double(r.config.checkpoint.keep + 1))
        log_warning("checkpoints of this run need " + format_bytes(bytes * double(r.config.checkpoint.keep + 2)) +
                    " and only " + format_bytes(double(free_bytes(r.options.run))) + " are free in " + r.options.run);
    std::optional<CheckpointPlace> place;
    if (r.options.resume != ResumeMode::never) {
        r.folder->clean();
        if (!r.options.resume_from.empty()) {
            require_training(verify_checkpoint(r.options.resume_from));
            place = CheckpointPlace{0, r.options.resume_from};
        } else {
            place = RunFolder::newest_valid(r.options.run);
            if (!place && RunFolder::has_run(r.options.run))
                log_warning("no checkpoint of the run in " + r.options.run + " can be gone on from: it begins anew");
        }
        if (!place && r.options.resume == ResumeMode::required)
            fail_file("there is no checkpoint to resume from", r.options.run, "start without " + option("resume"));
    }
    return place;
}

// On as many threads of the same device: then what was left to the machine stays what it was.
bool Trainer::is_as_before(const nlohmann::json& machine_before) const {
    const Json now = machine_record();
    for (const char* key : {"device", "threads"})
        if (!machine_before.is_object() || !machine_before.contains(key) || machine_before[key] != now[key])
            return false;
    return true;
}

void Trainer::start_fresh() {
    TrainRun& r = *run_;
    r.folder->cut_back(-1);
    if (r.progress_record) r.progress_record->start(r.folder->file("progress.f64"));
    if (!r.config.train.init_from.empty()) {
        const ModelFiles files = find_model(r.config.train.init_from);
        const auto seed = uint64_t(r.config.train.seed);
        if (partial_weights_) load_partial_weights(r.model->parameters(), files.weights, *partial_weights_);
        else load_parameters(r.model->parameters(), files.weights, {.seed = seed});
        log_info("weights    from " + files.folder +
                 (partial_weights_ ? "; " + partial_weights_text(r.model->parameters(), *partial_weights_) : ""));
    }
}

}  // namespace lithe
