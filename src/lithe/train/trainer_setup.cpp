// Everything before the first step: what can be wrong is told here, and nothing is written before it is known to be
// right.
#include <sys/utsname.h>
#include <torch/version.h>

#include <chrono>
#include <filesystem>

#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/base/version.h"
#include "lithe/data/named_paths.h"
#include "lithe/data/own_folders.h"
#include "lithe/kernels/isa.h"
#include "lithe/spec/config_io.h"
#include "lithe/train/trainer_parts.h"

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

std::unique_ptr<Prefetcher> make_feeder(const Config& config, const Corpus& corpus, std::vector<FeedSource> sources) {
    FeedOptions options{.batch = config.train.batch,
                        .length = config.train.length,
                        .seed = combine_key(uint64_t(config.train.seed), "documents"),
                        .chunk = config.data.order == "chunks" ? kChunk : 0,
                        .one_per_row = config.data.rows == "single"};
    if (config.data.document_end == "auto") options.document_end = corpus.tokenizer().document_end();
    const bool documents = config.data.order == "documents";
    return std::make_unique<Prefetcher>(documents ? make_document_feeder(std::move(sources), options)
                                                  : make_stream_feeder(std::move(sources), options));
}

std::string now_text() {
    auto seconds = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    char text[32];
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text;
}

// Whether there is an end on this axis; "auto" and "budget" stand for all.
bool has_budget(const TrainConfig& t, const std::string& axis) {
    const bool any = axis == "auto" || axis == "budget";
    return ((any || axis == "steps") && t.max_steps > 0) || ((any || axis == "tokens") && t.max_tokens > 0) ||
           ((any || axis == "time") && t.max_seconds > 0);
}

void check_schedule(const Config& config, Problems& problems) {
    const TrainConfig& t = config.train;
    const bool needs_end = config.schedule.name == "linear" || config.schedule.name == "cosine" ||
                           config.schedule.name == "recipe" || config.schedule.name == "wsd" ||
                           config.search.supernet || (config.schedule.warmup > 0 && config.schedule.warmup < 1);
    const std::string& axis = config.schedule.axis;
    if (needs_end && !has_budget(t, axis))
        problems.add((config.search.supernet ? "a search" : "schedule \"" + config.schedule.name + "\"") +
                         " needs a budget" + (axis == "auto" || axis == "budget" ? std::string() : " in " + axis) +
                         " to end at",
                     "schedule", "give --max-steps, --max-tokens or --max-time");
    if (axis == "budget" && config.schedule.warmup >= 1)
        problems.add("a schedule over shares of the budget needs a warm-up that is a share", "schedule.warmup",
                     "give one below 1, or schedule.axis = \"steps\", \"tokens\" or \"time\"");
    if (!config.search.supernet) return;
    if (config.search.held_out > 0 && config.data.order == "documents")
        problems.add("a part of the text is held out for the choices, which documents in random order have not",
                     "search.held_out", "set it to 0, or data.order = \"streams\"");
    if (config.search.cost != "none" && config.search.cost_form == "exceed" && !(config.search.budget > 0))
        problems.add("the cost beyond a budget needs one", "search.budget");
}

// The axis that "auto" means.
std::string resolve_axis(const Config& config) {
    if (config.schedule.axis != "auto") return config.schedule.axis;
    std::vector<std::string> given;
    for (const char* axis : {"steps", "tokens", "time"})
        if (has_budget(config.train, axis)) given.push_back(axis);
    if (given.size() > 1 && config.schedule.warmup < 1) return "budget";
    return given.empty() ? "steps" : given[0];
}

// What train.init_from gives before the run's folder is opened. A run that goes on has its tokenizer from its own
// newest checkpoint, so that it does not need that model, and no weights to begin with.
struct Beginning {
    TokenizerPtr tokenizer;
    TensorFiles weights;
};
Beginning beginning_of(const TrainConfig& train, const TrainOptions& options) {
    if (train.init_from.empty()) return {};
    std::string own = options.resume_from;
    if (own.empty() && options.resume != ResumeMode::never)
        if (const auto place = RunFolder::newest_valid(options.run)) own = place->folder;
    if (!own.empty()) return {tokenizer_from_file(read_manifest(own).path("tokenizer")), {}};
    const ModelFiles files = find_model(train.init_from);
    return {tokenizer_from_file(files.tokenizer), files.weights};
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
    fail({.code = ExitCode::usage,
          .what = "the run in this folder is of another text",
          .where = options.run,
          .expected = data_name(before),
          .got = data_name(now),
          .hint = "give this one a run of its own with --run FOLDER"});
}

}  // namespace

Trainer::Trainer(Config config, TrainOptions options)
    : config_(with_absolute_paths(std::move(config))),
      request_(config_),
      options_(std::move(options)),
      parts_(std::make_unique<Parts>()) {
    require_utf8_path(options_.run, "--run");
    Problems problems;
    check_model(config_, problems);
    check_schedule(config_, problems);
    if (config_.model.head == "none")
        problems.add("model.head = \"none\": an encoder alone predicts nothing", "model.head",
                     "model.head = \"masked\" trains it on masked tokens");
    problems.throw_if_any("configuration");
    const bool automatic_axis = config_.schedule.axis == "auto";
    config_.schedule.axis = resolve_axis(config_);
    Parts& p = *parts_;
    if (!options_.dry_run) {
        RunFolder::check_place(options_.run, options_.resume == ResumeMode::never);
        refuse_text_inside(config_.data, options_.run);
    }
    const std::optional<Config> before = config_before(options_);
    if (before) refuse_another_text(before->data, config_.data, options_);
    set_up_machine_of(before);
    const Beginning beginning = beginning_of(config_.train, options_);
    p.text.emplace(config_.data);  // before it is read
    p.corpus = Corpus::open(config_.data, beginning.tokenizer);
    const int64_t vocabulary = checked_vocabulary(config_, p.corpus.tokenizer());
    p.masking = masking_of(config_, p.corpus.tokenizer());
    config_.model.vocabulary_size = vocabulary;
    p.model = std::make_unique<LanguageModel>(config_, vocabulary);
    if (!beginning.weights.empty()) check_parameters(p.model->parameters(), beginning.weights);
    open_feeders();
    p.batch = config_.train.batch;
    const bool automatic_parts = config_.train.parts == 0;
    config_.train.parts = batch_parts(config_, p.machine.threads, p.machine.device);
    for (const std::string& each : untrained_settings(config_)) log_warning(each);
    if (!p.corpus.has("valid")) log_warning("the data has no validation split: nothing is evaluated");
    p.cost = count_cost(*p.model, cost_shape(config_));

    check_memory();
    find_readable_tokens();
    if (options_.dry_run) return;
    const std::optional<CheckpointPlace> place = open_folder();
    const bool loaded = place || !beginning.weights.empty();
    p.model->materialize(at::kFloat, p.machine.working, p.machine.device,
                         loaded ? std::nullopt : std::optional(uint64_t(config_.train.seed)));
    p.optimizer =
        std::make_unique<Optimizer>(config_.optimizer, p.model->parameters(), config_.layer_drop.moments == "hold");
    const std::optional<Config> saved = place ? std::optional(saved_config(*place)) : std::nullopt;
    // a run that goes on with other budgets keeps its axis
    if (saved && automatic_axis && has_budget(config_.train, saved->schedule.axis))
        config_.schedule.axis = saved->schedule.axis;
    if (saved && automatic_parts && is_as_before(saved_machine(*place)))
        config_.train.parts = std::max<int64_t>(1, saved->train.parts);
    p.step = std::make_unique<TrainStep>(*p.model, *p.optimizer, config_.train.accumulation, config_.train.parts,
                                         config_.train.graphs);
    p.saved_parts.push_back(checkpoint_part_of(*p.optimizer, p.model->parameters()));
    p.saved_parts.push_back(checkpoint_part_of(*p.step, p.machine.device, p.machine.working));
    if (p.search) p.saved_parts.push_back(checkpoint_part_of(*p.search, p.machine.device, p.machine.working));
    if (config_.schedule.axis == "time" || config_.schedule.axis == "budget") p.progress.emplace();
    if (place) resume(*place, *saved);
    else start_fresh();
    p.folder->write_config(request_);
    set_log_file(p.folder->file("log.txt"));
    p.folder->record_start(start_record());
}

// Threads and device stay "auto" in the run's settings where they are, so that it goes on on another machine; what was
// left to it, its precision, stays what it was.
void Trainer::set_up_machine_of(const std::optional<Config>& before) {
    const TrainConfig asked = config_.train;
    if (before && asked.precision == "auto") config_.train.precision = before->train.precision;
    parts_->machine = set_up_machine(config_.train);
    config_.train.threads = asked.threads;
    config_.train.device = asked.device;
}

// What the weights are trained on, and what is held out for a search's choices.
void Trainer::open_feeders() {
    Parts& p = *parts_;
    const double held_out = config_.search.supernet ? config_.search.held_out : 0;
    p.feeder = make_feeder(config_, p.corpus, sources_of(p.corpus, 0, 1 - held_out, p.slices));
    if (!config_.search.supernet) return;
    std::unique_ptr<Prefetcher> feeder;
    if (held_out > 0) feeder = make_feeder(config_, p.corpus, sources_of(p.corpus, 1 - held_out, 1, p.slices));
    p.search = std::make_unique<SearchSteps>(config_, *p.model, std::move(feeder));
    if (options_.costs) p.search->architecture().set_costs(*options_.costs);
}

void Trainer::check_memory() {
    Parts& p = *parts_;
    MemoryEstimate& estimate = p.memory;
    estimate = estimate_memory(*p.model, config_, p.machine.working == at::kBFloat16 ? 2 : 4);
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
              .hint = "lower " +
                      std::string(config_.train.batch > 1 ? "train.batch (and raise train.accumulation), " : "") +
                      "train.length" + (config_.model.memory > 0 ? ", model.memory" : "") + " or model.width"});
    if (p.machine.device.is_cpu() && estimate.total() > 0.85 * available)
        log_warning("the run needs " + needs + " of " + format_bytes(available) + " available");
    log_info("model      " + parameters_text(double(p.cost.parameters), double(p.cost.parameters_in_tables)) + ", " +
             format_count(p.cost.training_flops_per_token / 1e6) + " MFLOP per training token, layout " +
             to_string(decoder_layout(config_)));
    const TokenView& train = p.corpus.split("train");
    p.train_bytes_per_token = double(train.bytes()) / double(train.size());
    log_info("data       " + format_bytes(double(train.bytes())) + " to train on, vocabulary " +
             std::to_string(p.model->vocabulary_size()));
    log_info("machine    " + p.machine.cpu + ", " + std::to_string(p.machine.threads) + " threads, " +
             p.machine.device.str() + ", " + p.machine.precision + ", kernels " +
             kernels::isa_name(kernels::selected_isa()));
    log_info("memory     " + needs);
}

// Through long n-grams a text that is read again is learned by heart (docs/planner.md, "What came out"). Where the
// budget tells that it will be, that is said before the first update.
void Trainer::find_readable_tokens() {
    constexpr int64_t kLongNgram = 6;
    Parts& p = *parts_;
    if (config_.model.ngrams <= kLongNgram) return;
    const TrainConfig& t = config_.train;
    const double readable = 1.05 * double(p.corpus.split("train").size());
    const double by_steps = double(t.max_steps) * double(t.batch * t.length * t.accumulation);
    const double most = t.max_tokens > 0 && t.max_steps > 0 ? std::min(by_steps, double(t.max_tokens))
                                                            : std::max(by_steps, double(t.max_tokens));
    if (t.max_seconds <= 0 && most > readable) warn_of_reading_again();
    else p.readable_tokens = int64_t(readable);
}

void Trainer::warn_of_reading_again() const {
    log_warning(
        "the text is read more than once, and n-grams of up to " + std::to_string(config_.model.ngrams) +
        " tokens learn it by heart: other text gets worse with each reading; better are model.ngrams = 3 to 6, or "
        "fewer tokens");
}

// The checkpoint to go on from, if there is one.
std::optional<CheckpointPlace> Trainer::open_folder() {
    Parts& p = *parts_;
    p.folder = std::make_unique<RunFolder>(options_.run);
    const double checkpoint_bytes = double(p.cost.parameters) * 12 + p.memory.state;
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
            place = RunFolder::newest_valid(options_.run);
        }
        if (!place && options_.resume == ResumeMode::required)
            fail_file("there is no checkpoint to resume from", options_.run, "start without --resume");
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

// What the numbers depend on in their last bits.
Json Trainer::machine_record() const {
    const Machine& machine = parts_->machine;
    return {{"device", machine.device.str()},
            {"isa", kernels::isa_name(kernels::selected_isa())},
            {"threads", machine.threads},
            {"precision", machine.precision},
            {"parts", config_.train.parts}};
}

Json Trainer::start_record() const {
    struct utsname host {};
    uname(&host);
    const Parts& p = *parts_;
    return {{"time", now_text()},
            {"from_step", state_.step},
            {"lithe", std::string(version()) + " " + revision()},
            {"libtorch", TORCH_VERSION},
            {"host", host.nodename},
            {"system", std::string(host.sysname) + " " + host.release},
            {"cpu", p.machine.cpu},
            {"isa", kernels::isa_name(kernels::selected_isa())},
            {"device", p.machine.device.str()},
            {"threads", p.machine.threads},
            {"precision", p.machine.precision},
            {"parts", config_.train.parts},
            {"changed", p.changes},
            {"fp32_products", p.machine.products},
            {"seed", config_.train.seed},
            {"data_fingerprint", p.corpus.fingerprint()},
            {"tokenizer_hash", p.corpus.tokenizer().hash()},
            {"source", options_.source.empty() ? RunFolder::source(options_.run) : options_.source},
            {"argv", options_.argv}};
}

void Trainer::start_fresh() {
    Parts& p = *parts_;
    p.folder->cut_back(-1);
    if (p.progress) p.progress->start(p.folder->file("progress.f64"));
    if (!config_.train.init_from.empty()) {
        const ModelFiles files = find_model(config_.train.init_from);
        load_parameters(p.model->parameters(), files.weights);
        log_info("weights    from " + files.folder);
    }
}

}  // namespace lithe
