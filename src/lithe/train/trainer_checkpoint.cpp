// What a checkpoint holds of a run beside the weights, and back.
#include <cstring>
#include <filesystem>

#include "lithe/base/json.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/data/named_paths.h"
#include "lithe/spec/config_io.h"
#include "lithe/train/trainer_parts.h"

namespace lithe {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
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
    position.epoch = whole(json.at("epoch"));
    position.at = whole(json.at("at"));
    if (!json.contains("rows")) return position;
    position.drawn = whole_numbers<uint64_t>(json.at("drawn"));
    for (const auto& row : json.at("rows"))
        position.rows.push_back({whole(row.at(0)), whole(row.at(1)), whole(row.at(2)), row.at(3)});
    return position;
}

// Settings that may differ between a checkpoint and the run that resumes it.
bool may_change(const std::string& difference) {
    for (const char* prefix : {"train.max_", "train.log_every", "train.patience", "train.non_finite", "evaluation.",
                               "checkpoint.", "sample.", "data.path", "data.train", "data.valid", "data.test",
                               "data.tokenizer", "train.threads", "train.device"})
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
    return {{"schema", "lithe.state/1"},
            {"step", s.step},
            {"tokens", s.tokens},
            {"train_seconds", s.train_seconds},
            {"joules", s.joules},
            {"data", to_json(s.data)},
            {"evaluated_step", s.evaluated_step},
            {"evaluated_seconds", s.evaluated_seconds},
            {"evaluations", s.evaluations},
            {"without_best", s.without_best},
            {"best_bits", s.best_bits},
            {"best_step", s.best_step},
            {"skipped_in_row", s.skipped_in_row},
            {"skipped", s.skipped},
            {"stopped_early", s.stopped_early},
            {"settled", s.settled}};
}

TrainerState trainer_state_from_json(const nlohmann::json& json, const std::string& source) {
    try {
        if (json.at("schema") != "lithe.state/1") fail_file("state of another version", source);
        TrainerState s;
        s.step = whole(json.at("step"));
        s.tokens = whole(json.at("tokens"));
        s.train_seconds = json.at("train_seconds");
        s.joules = json.value("joules", -1.0);
        s.data = feed_position_from_json(json.at("data"));
        s.evaluated_step = whole(json.at("evaluated_step"));
        s.evaluated_seconds = json.at("evaluated_seconds");
        s.evaluations = whole(json.at("evaluations"));
        s.without_best = whole(json.at("without_best"));
        s.best_bits = json.at("best_bits");
        s.best_step = whole(json.at("best_step"));
        s.skipped_in_row = whole(json.at("skipped_in_row"));
        s.skipped = whole(json.at("skipped"));
        s.stopped_early = json.at("stopped_early");
        s.settled = json.value("settled", false);
        return s;
    } catch (const nlohmann::json::exception& error) {
        fail_file(std::string("damaged trainer state: ") + error.what(), source);
    }
}

// Before the names of the state that a search's updates of the choices carry.
constexpr const char* kSearchPrefix = "search/";

// The sums that a checkpoint calls "table.N"; undefined where there are none.
static Tensor table_sums(const Optimizer& optimizer, const std::string& name) {
    const auto table = size_t(std::strtoul(name.c_str() + std::strlen("table."), nullptr, 10));
    return table < optimizer.table_sums().size() ? optimizer.table_sums()[table] : Tensor();
}

Config saved_config(const CheckpointPlace& place) {
    const std::string path = place.folder + "/config.json";
    return config_from_json(read_file(path, 1 << 20), path);
}

void Trainer::refuse_other_settings(const CheckpointPlace& place, const Config& saved,
                                    const nlohmann::json& state) const {
    const Parts& p = *parts_;
    std::vector<std::string> refused;
    for (const std::string& difference : differences(with_absolute_paths(saved), config_))
        if (!may_change(difference)) refused.push_back(difference);
    const std::string fingerprint = state.value("data_fingerprint", "");
    if (!fingerprint.empty() && !p.corpus.is(fingerprint)) {
        const std::string before = data_name(with_absolute_paths(saved).data), now = data_name(config_.data);
        refused.push_back((before == now
                               ? "the data is not what it was when the run was trained on it: " + now
                               : "the data is not the data that the run was trained on: " + before + " became " + now) +
                          " (fingerprint " + fingerprint + " became " + p.corpus.fingerprint() + ")");
    }
    const std::string tokenizer = state.value("tokenizer_hash", "");
    if (!tokenizer.empty() && tokenizer != p.corpus.tokenizer().hash())
        refused.push_back("the tokenizer's hash " + tokenizer + " became " + p.corpus.tokenizer().hash());
    if (refused.empty()) return;
    const std::string source = RunFolder::source(options_.run);
    if (!source.empty() && !options_.source.empty() && source != options_.source)
        refused.push_back("the run was begun with " + source + ", and this is " + options_.source);
    fail_usage("the run cannot be resumed with other settings:\n  - " + join(refused, "\n  - "), place.folder,
               "restore them, or start a new run with --run");
}

void Trainer::resume(const CheckpointPlace& place, const Config& saved) {
    Parts& p = *parts_;
    const std::string state_path = place.folder + "/state.json";
    const auto json = parse_json<nlohmann::json>(read_file(state_path, 1 << 20), state_path);
    if (!json.is_object()) fail_file("not a JSON object", state_path);
    state_ = trainer_state_from_json(json, state_path);
    refuse_other_settings(place, saved, json);
    const int64_t patience = config_.train.patience;
    state_.stopped_early = patience > 0 && state_.without_best >= patience;  // another patience may be meant now
    load_parameters(p.model->parameters(), place.folder + "/model.safetensors");
    restore_tensors(place, json);
    p.feeder->seek(state_.data);
    p.folder->cut_back(state_.step);
    if (!options_.resume_from.empty()) p.folder->set_aside_after(state_.step);
    p.saved_step = state_.step;
    p.changed = !options_.resume_from.empty();  // that checkpoint may lie elsewhere
    if (p.progress) p.progress->go_on(p.folder->file("progress.f64"), state_.step, state_.train_seconds);
    log_info("resumed    step " + std::to_string(state_.step) + ", " + format_count(double(state_.tokens)) +
             " tokens, from " + place.folder);
    warn_of_another_rate(saved);
}

// A rate that had come down and is high again undoes for a while what the low one had reached.
void Trainer::warn_of_another_rate(const Config& saved) const {
    if (!budget_reached().empty()) return;
    const double now = update_rate();
    const double before =
        learning_rate(saved.schedule, saved.optimizer.learning_rate, schedule_position(saved, state_.spent()));
    if (now <= 1.2 * before) return;
    const double low = std::max(before, 0.05 * config_.optimizer.learning_rate);
    log_warning("with this budget the learning rate is " + short_number(now) + " here, where it was " +
                short_number(before) +
                " with the earlier one: the loss rises before it falls again. To train on at a "
                "low rate, start a run with its weights: lithe train " +
                shell_quoted(options_.run + "/config.toml") +
                " --run ANOTHER --set train.init_from=" + shell_quoted(options_.run) +
                " --set schedule.name=constant --set optimizer.learning_rate=" + short_number(low));
}

// Moments, carried states, and what a search has learned.
void Trainer::restore_tensors(const CheckpointPlace& place, const nlohmann::json& json) {
    Parts& p = *parts_;
    at::NoGradGuard no_grad;
    std::vector<std::pair<std::string, StateTensor>> carried, carried_by_search;
    each_tensor(place.folder + "/optimizer.safetensors", [&](const NamedTensor& each) {
        auto into = [&](const Tensor& flat) {
            ops::check(flat.defined() && flat.sizes() == each.tensor.sizes(), "resume",
                       "optimizer tensor '" + each.name + "' does not fit");
            flat.copy_(each.tensor);
        };
        if (each.name == "m") into(p.optimizer->m());
        else if (each.name == "v") into(p.optimizer->v());
        else if (each.name == "slow") into(p.optimizer->slow());
        else if (each.name == "weights") into(p.optimizer->average());
        else if (each.name.rfind("table.", 0) == 0) into(table_sums(*p.optimizer, each.name));
        else if (each.name.rfind("architecture.", 0) == 0 && p.search) {
            if (!p.search->architecture().load(each))
                fail_file("tensor '" + printable(each.name) + "' does not fit the search", place.folder);
        } else {
            int batch_axis = 0, time_axis = -1;
            const bool search = each.name.rfind(kSearchPrefix, 0) == 0;
            const size_t begin = search ? std::strlen(kSearchPrefix) : 0, colon = each.name.find(':');
            if (colon == std::string::npos ||
                std::sscanf(each.name.c_str() + colon, ":%d:%d", &batch_axis, &time_axis) != 2)
                fail_file("unknown tensor '" + printable(each.name) + "'", place.folder + "/optimizer.safetensors");
            (search ? carried_by_search : carried)
                .emplace_back(each.name.substr(begin, colon - begin),
                              StateTensor{"", each.tensor.to(p.model->device()), batch_axis, time_axis});
        }
    });
    if (p.optimizer->average().defined()) p.model->parameters().exchange(p.optimizer->average());
    p.optimizer->set_updates(json.contains("updates") ? int64_t(whole(json["updates"])) : state_.step);
    p.step->carry(unflatten(carried));
    if (!p.search) return;
    p.search->carried() = unflatten(carried_by_search);
    SearchSteps::Progress& progress = p.search->progress();
    const auto& saved = json.at("search");
    progress.begin = whole(saved.at("begin"));
    progress.changed_at = saved.at("changed_at");
    progress.likeliest = whole_numbers<int64_t>(saved.at("likeliest"));
    if (p.search->held_out()) p.search->held_out()->seek(feed_position_from_json(saved.at("data")));
    p.search->run_likeliest();  // what a finished search is evaluated with
}

// False when the disk is full; training goes on and it is tried again later.
bool Trainer::save(bool best) {
    Parts& p = *parts_;
    log_progress("");
    CheckpointContent content;
    const AveragedWeights averaged(p);  // the file of weights has the average, that of the optimizer the weights
    if (p.optimizer->average().defined()) content.optimizer.push_back({"weights", p.optimizer->average()});
    content.model = named_masters(p.model->parameters());
    content.optimizer.push_back({"m", p.optimizer->m()});
    if (p.optimizer->v().defined()) content.optimizer.push_back({"v", p.optimizer->v()});
    if (p.optimizer->slow().defined()) content.optimizer.push_back({"slow", p.optimizer->slow()});
    for (size_t table = 0; table < p.optimizer->table_sums().size(); ++table)
        content.optimizer.push_back({"table." + std::to_string(table), p.optimizer->table_sums()[table]});
    for (const auto& [path, tensor] : flatten(join_rows(p.step->carried())))
        content.optimizer.push_back(
            {path + ":" + std::to_string(tensor.batch_axis) + ":" + std::to_string(tensor.time_axis), tensor.value});
    Json state = to_json(state_);
    if (p.search) {
        for (NamedTensor& tensor : p.search->architecture().state()) content.optimizer.push_back(std::move(tensor));
        for (const auto& [path, tensor] : flatten(p.search->carried()))
            content.optimizer.push_back({kSearchPrefix + path + ":" + std::to_string(tensor.batch_axis) + ":" +
                                             std::to_string(tensor.time_axis),
                                         tensor.value});
        const SearchSteps::Progress& progress = p.search->progress();
        state["search"] = {{"begin", progress.begin},
                           {"changed_at", progress.changed_at},
                           {"likeliest", progress.likeliest},
                           {"data", to_json(p.search->held_out() ? p.search->held_out()->position() : FeedPosition())}};
    }
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

}  // namespace lithe
