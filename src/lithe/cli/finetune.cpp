#include <cmath>
#include <filesystem>
#include <iostream>
#include <set>

#include "lithe/base/error.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/cli/command.h"
#include "lithe/cli/exit_code.h"
#include "lithe/cli/signals.h"
#include "lithe/data/corpus.h"
#include "lithe/model/partial_weights.h"
#include "lithe/objectives/label_objective.h"
#include "lithe/objectives/load_model.h"
#include "lithe/report/numbers.h"
#include "lithe/report/report.h"
#include "lithe/spec/config_io.h"
#include "lithe/train/trainer.h"

namespace lithe {
namespace {

// Which weights are trained.
enum class Trained { all, head, lora, adapters, biases };
constexpr auto names_of(Trained) {
    using enum Trained;
    return std::to_array<Named<Trained>>(
        {{all, "all"}, {head, "head"}, {lora, "lora"}, {adapters, "adapters"}, {biases, "biases"}});
}

struct Flags {
    std::string model, task, valid, test, field = "text", second, label = "label", run, score;
    bool regress = false;
    std::optional<PairForm> pairs;
    Trained trained = Trained::all;
    double epochs = 3, rate = 5e-5;
    int64_t batch = 32, length = 0, seed = 1, threads = 0;
    std::vector<std::string> sets;
};

DataConfig data_of(const Flags& flags) {
    DataConfig data;
    (flags.valid.empty() ? data.path : data.train) = flags.task;
    data.valid = flags.valid;
    data.test = flags.test;
    // names of a folder's files come first, and a token set is divided already
    if (flags.valid.empty() && !std::filesystem::is_directory(flags.task)) data.split = "documents 95/5/0";
    data.field = flags.field;
    data.second = flags.second;
    data.label = flags.label;
    return data;
}

// What is learnt, with the recipe that papers fine-tune by: AdamW, a linear schedule with a warm-up of 6 % (Liu et al.
// 2019, table 10).
Config task_config(const LoadedModel& loaded, const Flags& flags) {
    Config config;
    config.model = loaded.config.model;
    config.blocks = loaded.config.blocks;
    config.data = data_of(flags);
    config.objective = {.name = flags.regress ? "regress" : "classify", .options = {}};
    config.optimizer.learning_rate = flags.rate;
    config.optimizer.beta2 = 0.999;
    config.optimizer.weight_decay = 0.01;
    config.schedule.name = ScheduleKind::linear;
    config.schedule.warmup = 0.06;
    config.train.batch = flags.batch;
    const int64_t most = loaded.model->max_positions();
    config.train.length = flags.length > 0 ? flags.length : std::min<int64_t>(128, most > 0 ? most : 128);
    config.train.seed = flags.seed;
    config.train.threads = flags.threads;
    config.train.precision = loaded.config.train.precision;
    config.evaluation.bytes = 0;
    if (most > 0) config.model.max_positions = most;
    constexpr int64_t kRank = 8, kAdapter = 64;
    if (flags.trained == Trained::lora) config.train.lora.rank = kRank;
    if (flags.trained == Trained::adapters && config.model.adapter_width == 0) config.model.adapter_width = kAdapter;
    config.train.freeze_biases = flags.trained != Trained::biases;
    return config;
}

// The parts that the trained model gives to the new one, by the first word of their paths; the head is new.
std::vector<std::string> taken_parts(const LanguageModel& trained, const LanguageModel& model) {
    std::vector<std::string> taken;
    const std::set<std::string> has = parts_of(trained.parameters());
    for (const std::string& part : parts_of(model.parameters()))
        if (part != SequenceHead::kName && has.count(part)) taken.push_back(part);
    return taken;
}

// Settings of the command line are checked as those of a file are.
Config with_sets(const Config& config, const Flags& flags) {
    std::vector<std::string> sets = flags.sets;
    if (flags.pairs) sets.insert(sets.begin(), "objective.pairs=\"" + std::string(name_of(*flags.pairs)) + "\"");
    if (!flags.score.empty()) sets.insert(sets.begin(), "objective.score=\"" + flags.score + "\"");
    return sets.empty() ? config : parse_config(to_toml(config), "lithe finetune", sets);
}

// The number of updates in which every text is seen once.
int64_t updates_of_epoch(const Config& config, const LoadedModel& loaded) {
    const Corpus corpus = Corpus::open(config.data, loaded.tokenizer, stop_by_signal());
    const auto texts = int64_t(corpus.split("train").documents() / (config.data.second.empty() ? 1 : 2));
    const int64_t each = config.train.batch * config.train.accumulation;
    return (texts + each - 1) / each;
}

std::string run_of(const Flags& flags) {
    if (!flags.run.empty()) return flags.run;
    std::filesystem::path model = std::filesystem::path(flags.model).lexically_normal();
    if (model.filename().empty()) model = model.parent_path();
    std::string name = model.filename().string();
    name = name.substr(0, name.find('@'));
    const std::filesystem::path task(flags.task);
    const bool named_by_folder = task.stem() == "train" && task.has_parent_path();  // as GLUE's files are
    return "runs/" + name + "-" + (named_by_folder ? task.parent_path().filename() : task.stem()).string();
}

Config finetune_config(const Flags& flags) {
    const LoadedModel loaded = load_model(flags.model);
    if (loaded.config.encoder)
        fail_usage("the model has two stacks, and a text is read by one", flags.model,
                   "lithe train with model.vocabulary_size = " + std::to_string(loaded.model->vocabulary_size()) +
                       " and train.init_parts = [\"decoder=encoder\", \"embeddings\"] takes one of them");
    Config config = with_sets(task_config(loaded, flags), flags);
    config.train.init_from = loaded.folder;
    const TrainConfig& limits = config.train;
    const int64_t epoch = updates_of_epoch(config, loaded);
    if (limits.max_steps == 0 && limits.max_tokens == 0 && limits.max_seconds == 0)
        config.train.max_steps = std::max<int64_t>(1, std::llround(flags.epochs * double(epoch)));
    if (config.evaluation.every == 0) config.evaluation.every = epoch;
    const auto objective = make_objective(config, *loaded.tokenizer);
    const Models models = objective->models(config, std::make_shared<ParameterStore>());
    config.train.init_parts = taken_parts(*loaded.model, models.main());
    if (flags.trained == Trained::all) return config;
    if (flags.trained == Trained::lora && config.train.lora.rank == 0)
        fail_usage("updates of rank 0 are none", "train.lora.rank", "--train head trains the head alone");
    if (flags.trained == Trained::adapters && config.model.adapter_width == 0)
        fail_usage("adapters of width 0 are none", "model.adapter_width", "--train head trains the head alone");
    for (const std::string& part : config.train.init_parts)
        if (flags.trained != Trained::adapters || part != "adapters") config.train.frozen.push_back(part);
    return config;
}

int run(const Flags& flags, const CommandContext& context) {
    if (!flags.second.empty() && flags.second == flags.field)
        fail_usage("both texts of a pair would be the same column", "--second", "it names the other one");
    if (!flags.test.empty() && flags.valid.empty())
        fail_usage("a test file stands beside a validation file", "--test", "give --valid FILE, too");
    const std::string folder = run_of(flags);
    if (RunFolder::looks_like(folder) && !list_checkpoints(folder).empty())
        fail_usage("the folder holds a run", folder,
                   "lithe train " + shell_quoted(folder) + " goes on with it; another one: --run FOLDER");
    TrainOptions options;
    options.run = folder;
    options.argv = context.argv;
    options.stop = stop_by_signal();
    options.save_asked = take_save_request;
    Trainer trainer(finetune_config(flags), options);
    const TrainResult result = trainer.run();
    write_report(folder);
    const bool stopped = result.stopped_by == "signal";
    log_info(stopped ? "resume     lithe train " + shell_quoted(folder)
                     : "next       lithe predict " + shell_quoted(folder) + (result.best ? "@best" : "") +
                           " --in TEXTS    (report: " + shell_quoted(folder + "/report.html") + ")");
    nlohmann::ordered_json json = {
        {"run", result.run}, {"steps", result.state.step}, {"stopped_by", result.stopped_by}};
    if (result.valid) json["valid"] = to_json(*result.valid, false);
    if (result.best) json["best"] = {{result.best->kind.name, result.best->value}, {"step", result.best_step}};
    if (context.json) print_json("finetune", json);
    else if (result.best)
        std::cout << fixed_digits(result.best->value, 4) << " " << result.best->kind.unit << " at best, step "
                  << result.best_step << std::endl;
    return stopped ? int(ExitCode::stopped) : 0;
}

}  // namespace

CommandAction set_up_finetune(CLI::App& app, const CommandContext& context) {
    auto flags = std::make_shared<Flags>();
    app.add_option("model", flags->model, "what to begin with: RUN, RUN@best, RUN@step:N, or a .safetensors file")
        ->required();
    app.add_option("task", flags->task, "texts with labels: a .tsv, .csv or .jsonl file")->required();
    app.add_option(
        "--valid", flags->valid,
        "a file of its own for validation; default: a twentieth of the task's texts, or what a folder's names say");
    app.add_option("--test", flags->test, "a file of its own for `lithe eval RUN --data :test`");
    app.add_option("--field", flags->field, "the column of the text, by name or number")->capture_default_str();
    app.add_option("--second", flags->second, "the column of a second text: labels are of pairs");
    add_choice(app, "--pairs", flags->pairs,
               "the texts of a pair: joined, in one sequence (default); or apart, each for itself by the same stack",
               {PairForm::joined, PairForm::apart});
    app.add_option("--label", flags->label, "the column of labels")->capture_default_str();
    app.add_flag("--regress", flags->regress, "labels are numbers to be learnt as such, not names of classes");
    app.add_option("--score", flags->score,
                   "what evaluations are ranked by: accuracy, f1, matthews; pearson, spearman");
    add_choice(app, "--train", flags->trained,
               "all weights, or the new head alone; or with it updates of low rank (LoRA), adapters, biases");
    app.add_option("--epochs", flags->epochs, "times that every text is seen")
        ->capture_default_str()
        ->check(number_between(0.001, 1e6));
    app.add_option("--rate", flags->rate, "learning rate at its highest")
        ->capture_default_str()
        ->check(number_between(1e-9, 10.0));
    app.add_option("--batch", flags->batch, "texts of an update")->capture_default_str()->check(CLI::Range(1, 1 << 20));
    app.add_option("--length", flags->length, "tokens of a text at most; default 128")->check(CLI::Range(1, 1 << 22));
    app.add_option("--run", flags->run, "run folder; default runs/<model>-<task>");
    app.add_option("--seed", flags->seed, "of the order of texts, the head and dropout")
        ->capture_default_str()
        ->check(CLI::Range(0, 1 << 30));
    app.add_option("--threads", flags->threads, "CPU threads; default all")->check(CLI::Range(1, 1024));
    app.add_option("--set", flags->sets, "another setting, as --set optimizer.weight_decay=0.1 (repeatable)")
        ->allow_extra_args(false);
    return [flags, &context] { return run(*flags, context); };
}

}  // namespace lithe
