// What a checkpoint holds of a run beside the weights, and back.
#include <set>

#include "lithe/base/json.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/base/wording.h"
#include "lithe/data/named_paths.h"
#include "lithe/model/parameter_files.h"
#include "lithe/spec/config_io.h"
#include "lithe/spec/migrations.h"
#include "lithe/train/feed_position.h"
#include "lithe/train/train_hook.h"

namespace lithe {
using Json = nlohmann::ordered_json;
namespace {

// A value as people write it.
template <class AnyJson> std::string plain(const AnyJson& value) {
    return value.is_string() ? printable(value.template get<std::string>()) : value.dump();
}

// Settings that may differ between a checkpoint and the run that resumes it. After other threads, parts, precision or
// device the bits are other ones, which is told and recorded.
bool may_change(const std::string& difference) {
    for (const char* prefix :
         {"train.max_", "train.log_every", "train.patience", "train.non_finite", "evaluation.", "checkpoint.",
          "sample.", "data.path", "data.train", "data.valid", "data.test", "data.tokenizer", "train.recompute",
          "train.threads", "train.device", "train.precision", "train.parts"})
        if (difference.rfind(prefix, 0) == 0) return true;
    return false;
}

std::string short_number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.2g", value);
    return text;
}

}  // namespace

Json to_json(const TrainerState& s) {
    return {{"schema", "lithe.state/" + std::to_string(kStateSchema)},
            {"step", s.step},
            {"tokens", s.tokens},
            {"train_seconds", s.train_seconds},
            {"joules", s.joules},
            {"data", to_json(s.data)}};
}

TrainerState trainer_state_from_json(const nlohmann::json& json, const std::string& source) {
    try {
        schema_number(json.at("schema"), "lithe.state", kStateSchema, source);
        TrainerState s;
        s.step = whole(json.at("step"));
        s.tokens = whole(json.at("tokens"));
        s.train_seconds = json.at("train_seconds");
        s.joules = json.value("joules", -1.0);
        s.data = feed_position_from_json(json.at("data"));
        if (s.step < 0 || s.tokens < 0 || !(s.train_seconds >= 0))
            fail_file("damaged trainer state: a count below zero", source);
        return s;
    } catch (const nlohmann::json::exception& error) {
        fail_file("damaged trainer state: " + fault_text(error), source);
    }
}

Config saved_config(const CheckpointPlace& place) {
    const std::string path = read_manifest(place.folder).path("config");
    Config config = config_from_json(read_file(path, 1 << 20), path);
    settle_objective(config);
    return config;
}

// "" where there is none.
static std::string text_at(const nlohmann::json& state, const char* key, const std::string& source) {
    const auto found = state.find(key);
    if (found == state.end()) return "";
    if (!found->is_string()) fail_file(std::string("damaged trainer state: '") + key + "' is no text", source);
    return *found;
}

void Trainer::refuse_other_settings(const CheckpointPlace& place, const Config& saved,
                                    const nlohmann::json& state) const {
    const TrainRun& r = *run_;
    std::vector<std::string> refused;
    for (const std::string& difference : differences(with_absolute_paths(saved), r.config))
        if (!may_change(difference)) refused.push_back(difference);
    const std::string fingerprint = text_at(state, "data_fingerprint", place.folder);
    if (!fingerprint.empty() && !r.corpus.is(fingerprint)) {
        const std::string before = data_name(with_absolute_paths(saved).data), now = data_name(r.config.data);
        refused.push_back((before == now
                               ? "the data is not what it was when the run was trained on it: " + now
                               : "the data is not the data that the run was trained on: " + before + " became " + now) +
                          " (fingerprint " + fingerprint + " became " + r.corpus.fingerprint() + ")");
    }
    const std::string tokenizer = text_at(state, "tokenizer_hash", place.folder);
    if (!tokenizer.empty() && tokenizer != r.corpus.tokenizer().hash())
        refused.push_back("the tokenizer's hash " + tokenizer + " became " + r.corpus.tokenizer().hash());
    if (refused.empty()) return;
    const std::string source = RunFolder::source(r.options.run);
    if (!source.empty() && !r.options.source.empty() && source != r.options.source)
        refused.push_back("the run was begun with " + source + ", and this is " + r.options.source);
    fail_usage("the run cannot be resumed with other settings:\n  - " + join(refused, "\n  - "), place.folder,
               "restore them, or start a new run with " + option("run"));
}

// state.json in today's form.
static nlohmann::json state_of(const Manifest& manifest) {
    const std::string path = manifest.path("state"), config = manifest.path("config");
    auto state = parse_json<nlohmann::json>(read_file(path, 1 << 20), path);
    if (!state.is_object()) fail_file("not a JSON object", path);
    migrate_state(state, parse_json<nlohmann::json>(read_file(config, 1 << 20), config));
    return state;
}

nlohmann::json saved_machine(const CheckpointPlace& place) {
    const nlohmann::json state = state_of(read_manifest(place.folder));
    return state.value("machine", nlohmann::json::object());
}

[[noreturn]] static void unknown_key(const std::string& key, const std::string& path) {
    fail_file("unknown key '" + printable(key) + "': a newer version of lithe saved this state", path, "update lithe");
}

static void refuse_unknown_keys(const nlohmann::json& state, const CheckpointParts& parts, const std::string& path) {
    std::set<std::string> known = {"data_fingerprint", "tokenizer_hash", "machine"};
    const Json counters = to_json(TrainerState());
    for (const auto& [key, value] : counters.items()) known.insert(key);
    for (const auto& part : parts) known.insert(part->name());
    for (const auto& [key, value] : state.items())
        if (!known.count(key)) unknown_key(key, path);
}

// What this version would not save again is of a newer one.
static void refuse_unknown_keys(const nlohmann::json& read, const Json& known, const std::string& prefix,
                                const std::string& path) {
    if (!read.is_object() || !known.is_object()) return;
    for (const auto& [key, value] : read.items()) {
        if (!known.contains(key)) unknown_key(prefix + key, path);
        refuse_unknown_keys(value, known[key], prefix + key + ".", path);
    }
}

// `path`: the file that the position is from.
static void seek(Prefetcher& feeder, const FeedPosition& position, const std::string& path) {
    try {
        feeder.seek(position);
    } catch (const Error& error) {
        ErrorParts parts = error.parts();
        parts.where = path;
        fail(parts);
    }
}

void Trainer::resume(const CheckpointPlace& place, const Config& saved) {
    TrainRun& r = *run_;
    const Manifest manifest = read_manifest(place.folder);
    const nlohmann::json json = state_of(manifest);
    r.state = trainer_state_from_json(json, manifest.path("state"));
    refuse_other_settings(place, saved, json);
    refuse_unknown_keys(json, r.saved_parts, manifest.path("state"));
    load_parameters(r.model->parameters(), manifest.paths("model"), {.coded_tables = false});
    load_parts(manifest, json);
    refuse_unknown_keys(json["data"], to_json(r.state.data), "data.", manifest.path("state"));
    seek(*r.feeder, r.state.data, manifest.path("state"));
    r.folder->cut_back(r.state.step);
    if (!r.options.resume_from.empty()) r.folder->set_aside_after(r.state.step);
    r.saved_step = r.state.step;
    r.changed = !r.options.resume_from.empty();  // that checkpoint may lie elsewhere
    if (r.progress_record)
        r.progress_record->go_on(r.folder->file("progress.f64"), r.state.step, r.state.train_seconds);
    log_info("resumed    step " + std::to_string(r.state.step) + ", " + format_count(double(r.state.tokens)) +
             " tokens, from " + place.folder);
    tell_changes(manifest, json.value("machine", nlohmann::json::object()));
    warn_of_another_rate(saved);
}

// What makes the numbers differ, in their last bits, from those of a run that was never stopped.
void Trainer::tell_changes(const Manifest& manifest, const nlohmann::json& machine_before) {
    TrainRun& r = *run_;
    if (manifest.schema == 1)
        r.changes.push_back("an earlier version of lithe saved it (checkpoint schema " +
                            std::to_string(manifest.schema) + ")");
    const Json now = machine_record();
    for (const auto& [key, value] : now.items())
        if (machine_before.is_object() && machine_before.contains(key) && machine_before[key] != value)
            r.changes.push_back(key + " " + plain(machine_before[key]) + " became " + plain(value));
    if (r.changes.empty()) return;
    log_info("changed    " + join(r.changes, ", ") + ": from step " + std::to_string(r.state.step + 1) +
             " on the bits differ from those of a run that was never stopped");
}

// What makes every rate of the optimizer `share` of its peak.
static std::vector<std::string> lower_rates(const TrainRun& run, double share) {
    const OptimizerConfig& optimizer = run.config.optimizer;
    const auto lowered = [&](const char* name, double rate) {
        return setting(name + ("=" + short_number(share * rate)));
    };
    std::vector<std::string> settings = {lowered("optimizer.learning_rate", optimizer.learning_rate)};
    if (optimizer.name == OptimizerKind::muon)
        settings.push_back(lowered("optimizer.muon_learning_rate", optimizer.muon_learning_rate));
    if (!run.model->parameters().tables().empty())
        settings.push_back(lowered("optimizer.table_learning_rate", optimizer.table_learning_rate));
    return settings;
}

// A rate that had come down and is high again undoes for a while what the low one had reached.
void Trainer::warn_of_another_rate(const Config& saved) const {
    const TrainRun& r = *run_;
    if (!r.reached().empty()) return;
    const double now = r.learning_rate();
    const double before =
        learning_rate(saved.schedule, saved.optimizer.learning_rate, schedule_position(saved, r.state.spent()));
    if (now <= 1.2 * before) return;
    std::vector<std::string> settings = {option("run", "ANOTHER"),
                                         setting("train.init_from=" + shell_quoted(r.options.run)),
                                         setting("schedule.name=constant")};
    for (std::string& rate : lower_rates(r, std::max(before / r.config.optimizer.learning_rate, 0.05)))
        settings.push_back(std::move(rate));
    log_warning("with this budget the learning rate is " + short_number(now) + " here, where it was " +
                short_number(before) +
                " with the earlier one: the loss rises before it falls again. To train on at a "
                "low rate, start a run with its weights: " +
                command("train " + shell_quoted(r.options.run + "/config.toml"), settings));
}

void Trainer::load_parts(const Manifest& manifest, const nlohmann::json& state) {
    SavedTensors saved(TensorFiles(manifest.paths("optimizer")));
    if (manifest.schema == 1) migrate_optimizer_tensors(saved, run_->model->parameters());
    const at::NoGradGuard no_grad;
    for (const auto& part : run_->saved_parts) {
        const nlohmann::json entry = state.value(part->name(), nlohmann::json());
        const std::string path = manifest.path("state");
        try {
            part->load(saved, entry);
        } catch (const nlohmann::json::exception& error) {
            fail_file("damaged trainer state: '" + part->name() + "' " +
                          (entry.is_null() ? "is missing" : "cannot be read: " + fault_text(error)),
                      path, "take another checkpoint");
        }
        refuse_unknown_keys(entry, part->entry(), part->name() + ".", path);
    }
    if (manifest.schema > 1) saved.check_all_taken();
}

// False when the disk is full; training goes on and it is tried again later.
bool Trainer::save(bool best) {
    TrainRun& r = *run_;
    log_progress("");
    CheckpointContent content;
    for (const auto& hook : r.hooks) hook->before_saving();
    const AveragedWeights averaged(r);  // the file of weights has the average, that of the optimizer the weights
    content.model = model_tensors(r.model->parameters());
    Json state = to_json(r.state);
    for (const auto& part : r.saved_parts) {
        part->save(content.optimizer);
        if (Json entry = part->entry(); !entry.is_null()) state[part->name()] = std::move(entry);
    }
    state["machine"] = machine_record();
    state["data_fingerprint"] = r.corpus.fingerprint();
    state["tokenizer_hash"] = r.corpus.tokenizer().hash();
    content.state_json = state.dump(2) + "\n";
    content.config_json = to_json(r.config);
    content.tokenizer_json = r.corpus.tokenizer().to_json();
    try {
        r.folder->save(r.state.step, content, best, r.config.checkpoint.keep);
        if (r.save_failed)
            log_info("saved      the checkpoint of step " + std::to_string(r.state.step) + "; there is space again");
        r.save_failed = false;
        r.saved_step = r.state.step;
        r.changed = false;
        log_verbose("saved      step " + std::to_string(r.state.step));
        return true;
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::resources) throw;
        log_warning("no checkpoint of step " + std::to_string(r.state.step) +
                    " could be written; earlier ones are kept and training goes on: " + error.what());
        r.save_failed = true;
        return false;
    }
}

}  // namespace lithe
