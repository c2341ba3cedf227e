#include <filesystem>
#include <iostream>
#include <optional>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/json.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/cli/command.h"
#include "lithe/cli/exit_curve.h"
#include "lithe/cli/scored_data.h"
#include "lithe/cli/signals.h"
#include "lithe/data/named_paths.h"
#include "lithe/model/parameter_files.h"
#include "lithe/objectives/evaluate.h"
#include "lithe/objectives/load_model.h"
#include "lithe/report/numbers.h"
#include "lithe/spec/config_io.h"
#include "lithe/train/machine.h"

namespace lithe {
namespace {

constexpr int64_t kBeam = 5;

struct Flags {
    std::string model, data, field, second, label, format, bytes, layers, exit;
    std::optional<double> max_loss;
    std::optional<AttentionMask> mask;
    std::optional<Precision> precision;
    std::vector<std::string> sets;
    int64_t memory = -1, length = 0, batch = 0, lead = -1, clamp_length = -1, threads = 0;
    std::optional<int64_t> beam;
    std::optional<double> length_penalty;
};

// The run's configuration with --field, --format and --set.
Config with_data_settings(const Config& config, const Flags& flags) {
    std::vector<std::string> sets = flags.sets;
    for (const std::string& set : sets)
        if (set.rfind("data.", 0) != 0)
            fail_usage("only settings of the data can be changed for an evaluation, got '" + printable(set) + "'",
                       "--set", "--set data.documents=line; flags change the rest: lithe eval --help");
    const auto set = [&](const char* name, const std::string& value) {
        if (!value.empty()) sets.push_back(std::string(name) + "=" + nlohmann::json(value).dump());
    };
    set("data.field", flags.field);
    set("data.second", flags.second);
    set("data.label", flags.label);
    if (!flags.format.empty()) sets.push_back("data.format=" + flags.format);
    return sets.empty() ? config : parse_config(to_toml(config), flags.model, sets);
}

// The run's own text may have become another since.
void warn_of_another_text(const LoadedModel& loaded, const Corpus& corpus) {
    const std::string path = loaded.folder + "/state.json";
    if (!std::filesystem::exists(path)) return;
    const auto state = try_parse_json<nlohmann::json>(read_file(path, 1 << 20)).value_or(nullptr);
    const nlohmann::json fingerprint = state.is_object() ? state.value("data_fingerprint", nlohmann::json()) : state;
    if (!fingerprint.is_string() || corpus.is(fingerprint)) return;
    log_warning(data_name(loaded.config.data) + " is not what the run was trained on: the result is of another text");
}

// Flags that would do nothing for this model.
void refuse_without_effect(const Flags& flags, const Objective& objective) {
    const auto refuse = [&](const char* flag, const char* why) {
        fail_usage(std::string("no effect on a model of objective \"") + objective.name() + "\": " + why, flag,
                   "leave it out");
    };
    if (!objective.scoring_words().carries_state) {
        const char* why = "nothing is carried from segment to segment";
        if (flags.memory >= 0) refuse("--memory", why);
        if (flags.lead >= 0) refuse("--lead", why);
        if (flags.mask) refuse("--mask", why);
        if (flags.clamp_length >= 0) refuse("--clamp-length", why);
    }
    if (objective.reads_pairs()) return;
    if (flags.beam) refuse("--beam", "it writes no translations");
    if (flags.length_penalty) refuse("--length-penalty", "it writes no translations");
}

int64_t beam_of(const Flags& flags) { return flags.beam.value_or(kBeam); }

// A rule with its number is one way to leave, a measure alone a curve over thresholds.
bool asks_curve(const Flags& flags) { return !flags.exit.empty() && flags.exit.find(':') == std::string::npos; }

// What was scored, and what there is to say of exits.
struct Scored {
    EvaluationResult result;
    nlohmann::ordered_json exits = {};
    std::string text = {};  // lines for people
};

nlohmann::ordered_json point_json(const ExitPoint& point) {
    return {{"rule", point.rule ? nlohmann::ordered_json(to_string(*point.rule)) : nlohmann::ordered_json()},
            {"layers", point.layers},
            {"loss", point.result.loss},
            {"bits_per_byte", point.result.bits_per_byte},
            {"tokens_per_second", point.tokens_per_second}};
}

std::string point_text(const ExitPoint& point) {
    char line[160];
    std::snprintf(line, sizeof line, "%-18s %6.2f  %7.4f  %13.4f  %16.0f\n",
                  point.rule ? to_string(*point.rule).c_str() : "all layers", point.layers, point.result.loss,
                  point.result.bits_per_byte, point.tokens_per_second);
    return line;
}

// The curve, and with a bound the cheapest way within it, whose result it then is.
Scored score_curve(const Flags& flags, LanguageModel& model, ExitCurve curve) {
    const std::vector<ExitPoint> points = curve.points(parse_exit_measure(flags.exit, "--exit"));
    Scored scored{points.front().result};
    scored.text = "exit               layers     loss  bits per byte  tokens per second\n";
    for (const ExitPoint& point : points) {
        scored.exits["curve"].push_back(point_json(point));
        scored.text += point_text(point);
    }
    if (!flags.max_loss) return scored;
    const ExitPoint best = curve.cheapest(points, *flags.max_loss);
    scored.result = best.result;
    scored.exits["max_loss"] = *flags.max_loss;
    scored.exits["chosen"] = point_json(best);
    scored.text += "at most " + format_number(*flags.max_loss) + " nats above all " +
                   std::to_string(model.exits()->depth(model.exits()->count() - 1)) + " layers:\n" + point_text(best);
    return scored;
}

Scored score(const Flags& flags, const LoadedModel& loaded, const ScoredText& text,
             const std::function<EvaluationResult()>& evaluated) {
    LanguageModel& model = *loaded.model;
    if (flags.exit.empty()) return {evaluated()};
    if (asks_curve(flags)) return score_curve(flags, model, {model, text, loaded.config.train.length, evaluated});
    const ExitRule rule = parse_exit_rule(flags.exit, "--exit");
    const auto counts = std::make_shared<ExitCounts>();
    model.set_leaving(rule, counts);
    Scored scored{evaluated()};
    scored.exits = exits_json(model.required_exits(), rule, counts->counts());
    scored.text = "exits      " + exits_text(model.required_exits(), rule, counts->counts()) + "\n";
    return scored;
}

void check_exit_flags(const Flags& flags, const LanguageModel& model) {
    if (flags.max_loss && !asks_curve(flags))
        fail_usage("a bound chooses among the thresholds of a measure", "--max-loss",
                   "--exit confidence --max-loss 0.01");
    if (flags.exit.empty()) return;
    if (asks_curve(flags)) parse_exit_measure(flags.exit, "--exit");
    else parse_exit_rule(flags.exit, "--exit");
    model.required_exits();
}

// Scores of what the models write; what needs it, but for the split, as the loss's evaluation.
std::optional<Writing> write(const Flags& flags, const LoadedModel& loaded, const ScoredText& text, uint64_t bytes) {
    const int64_t beam = beam_of(flags);
    if (beam == 0) return std::nullopt;
    std::optional<Writing> writing = loaded.objective->write(
        loaded.models, text, *loaded.tokenizer,
        {.beam = beam, .length_penalty = flags.length_penalty.value_or(1), .bytes = bytes, .stop = stop_by_signal()});
    if (writing && writing->scores.empty() && !writing->texts.empty())
        log_warning("no BLEU: the tokenizer does not give the references back; lithe translate " +
                    shell_quoted(flags.model) + " --in FILE --reference FILE scores against the text itself");
    return writing;
}

nlohmann::ordered_json scores_json(const Writing& writing, const Flags& flags) {
    nlohmann::ordered_json json = {{"texts", writing.texts.size()},
                                   {"beam", beam_of(flags)},
                                   {"length_penalty", flags.length_penalty.value_or(1)}};
    if (!writing.scores.empty()) json["scores"] = to_json(writing.scores);
    return json;
}

std::string figures(const EvaluationResult& result) {
    if (result.judged()) return figures_text(result);
    return "loss " + fixed_digits(result.loss, 4) + " nats per token, perplexity " +
           fixed_digits(result.perplexity, 3) + unspoken_text(result);
}

std::string scored(const EvaluationResult& result) {
    if (result.texts > 0) return std::to_string(result.texts) + " texts";
    return std::to_string(result.tokens) + " tokens, " + std::to_string(result.bytes) + " bytes";
}

int run(const Flags& flags, const CommandContext& context) {
    LoadedModel loaded = load_model(flags.model);
    refuse_without_effect(flags, *loaded.objective);
    check_exit_flags(flags, *loaded.model);
    if (!flags.layers.empty()) loaded.model->keep_layers(flags.layers);
    if (flags.precision) loaded.config.train.precision = *flags.precision;
    loaded.config.train.threads = flags.threads;
    Machine machine = set_up_machine(loaded.config.train);
    std::string split = "valid";
    choose_data(flags.data, loaded.objective->reads_labels(), loaded.config, split);
    loaded.config = with_data_settings(loaded.config, flags);
    const Corpus corpus = open_data(loaded, flags.model, flags.data);
    const bool own = flags.data.empty() || flags.data[0] == ':';
    if (own && flags.sets.empty() && flags.field.empty() && flags.format.empty()) warn_of_another_text(loaded, corpus);
    open_parameters(*loaded.model, loaded.weights, machine.working, machine.device);

    EvaluationProtocol protocol = protocol_of(loaded.config, *loaded.tokenizer);
    protocol.split = split == "all" ? "train" : split;
    protocol.bytes = 0;
    if (!flags.bytes.empty()) {
        auto count = parse_count(flags.bytes);
        if (!count) fail_usage("expected a number of bytes such as 500000 or 5M, got '" + flags.bytes + "'", "--bytes");
        protocol.bytes = uint64_t(*count);
    }
    if (flags.memory >= 0) protocol.memory = flags.memory;
    if (flags.length > 0) protocol.length = flags.length;
    if (const int64_t most = loaded.model->max_positions(); most > 0 && flags.length > most)
        fail_usage("the model has " + std::to_string(most) + " positions, got " + std::to_string(flags.length),
                   "--length", "at most " + std::to_string(most));
    if (flags.batch > 0) protocol.batch = flags.batch;
    if (flags.lead >= 0) protocol.lead = flags.lead;
    if (flags.mask) protocol.mask = *flags.mask;
    if (flags.clamp_length >= 0) protocol.clamp_length = flags.clamp_length;
    protocol.precision = machine.precision;
    const ScoredText text(corpus.split(protocol.split), *loaded.tokenizer);
    const Scored done = score(flags, loaded, text, [&] {
        auto result = evaluate(*loaded.objective, loaded.models, text, protocol, stop_by_signal());
        if (!result) fail({.kind = ErrorKind::stopped, .what = "evaluation was stopped before its end"});
        if (split == "all") result->protocol.split = "all";
        return std::move(*result);
    });
    const EvaluationResult* result = &done.result;
    nlohmann::ordered_json json = to_json(*result, true);
    if (!done.exits.empty()) json["exits"] = done.exits;
    json["model"] = loaded.folder;
    if (!flags.layers.empty()) json["layers"] = flags.layers;
    json["data"] = split_file(loaded.config.data, split);
    const std::optional<Writing> writing = write(flags, loaded, text, protocol.bytes);
    if (writing) json["written"] = scores_json(*writing, flags);
    if (context.json) {
        print_json("eval", json);
    } else {
        std::cout << fixed_digits(result->score.value, 4) << " " << result->score.kind.unit << ", " << figures(*result)
                  << "\nscored     " << scored(*result) << " of " << for_terminal(json["data"].get<std::string>())
                  << ", " << (split == "all" ? "all of it" : "split " + split) << ", in "
                  << format_seconds(result->seconds) << "\nprotocol   " << protocol_text(*result) << "\n"
                  << done.text << std::flush;
        if (writing)
            for (const auto& [score, signature] : writing->scores)
                std::cout << fixed_digits(score.value, 2) << " " << score.kind.unit << " of " << writing->texts.size()
                          << " texts, beam " << beam_of(flags) << ", " << signature << std::endl;
    }
    return 0;
}

}  // namespace

CommandAction set_up_eval(CLI::App& app, const CommandContext& context) {
    auto flags = std::make_shared<Flags>();
    app.add_option("model", flags->model, "RUN, RUN@best, RUN@step:N, or a .safetensors file")->required();
    app.add_option(
        "--data", flags->data,
        "FILE:split, FILE (all of it), or :split of the run's own data; default :valid. Another text is read with "
        "the run's settings of the data (field, format, documents ...)");
    app.add_option("--field", flags->field, "JSON lines, CSV: what holds the text; default as the run's data.field");
    app.add_option("--second", flags->second, "what holds the second text of a pair; default as the run's data.second");
    app.add_option("--label", flags->label, "what holds the label of a text; default as the run's data.label");
    app.add_option("--format", flags->format, "auto, text, jsonl, csv or tsv; default as the run's data.format");
    app.add_option("--set", flags->sets, "another setting of the data: --set data.documents=line (repeatable)")
        ->allow_extra_args(false);
    app.add_option("--bytes", flags->bytes,
                   "score the split only up to this byte of its text, as 500000: the same for every tokenizer");
    app.add_option("--memory", flags->memory, "earlier positions that attention sees; default as trained")
        ->check(CLI::Range(0, 1 << 24));
    app.add_option("--length", flags->length, "time steps per segment; default as trained")
        ->check(CLI::Range(1, 1 << 22));
    app.add_option("--batch", flags->batch, "parallel streams; default as trained")->check(CLI::Range(1, 1 << 20));
    app.add_option("--lead", flags->lead, "tokens read before each stream's first scored one; default 1024")
        ->check(CLI::Range(0, 1 << 24));
    add_choice(app, "--mask", flags->mask,
               "causal; same_length: a query sees the last memory + 1 positions only; same_length_original: the last "
               "memory positions (Transformer-XL's PyTorch code)",
               {AttentionMask::causal, AttentionMask::same_length, AttentionMask::same_length_original});
    app.add_option("--clamp-length", flags->clamp_length, "relative positions beyond this count as this; 0 = no clamp")
        ->check(CLI::Range(0, 1 << 30));
    app.add_option("--layers", flags->layers,
                   "run only these layers of the stack, as 2,4,6 or every:2; as after training with layerdrop");
    app.add_option("--exit", flags->exit,
                   "leave the stack early: confidence:0.9, entropy:0.5 or patience:2; without a number: loss, layers "
                   "and speed for several");
    app.add_option("--max-loss", flags->max_loss,
                   "with --exit confidence: the threshold with the fewest layers whose loss is at most so many nats "
                   "per token above that of all layers")
        ->check(number_between(0.0, 100.0));
    app.add_option("--beam", flags->beam, "translations: hypotheses of each text, 5; 0: none are written")
        ->check(CLI::Range(0, 1024));
    add_length_penalty(app, flags->length_penalty);
    add_choice(app, "--precision", flags->precision, "fp32 or bf16; default as trained",
               {Precision::fp32, Precision::bf16});
    app.add_option("--threads", flags->threads, "CPU threads; default all")->check(CLI::Range(1, 1024));
    return [flags, &context] { return run(*flags, context); };
}

}  // namespace lithe
