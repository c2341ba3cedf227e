#include <algorithm>
#include <iostream>
#include <iterator>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/base/timer.h"
#include "lithe/cli/command.h"
#include "lithe/cli/output.h"
#include "lithe/cli/signals.h"
#include "lithe/cli/standard_input.h"
#include "lithe/data/line_reader.h"
#include "lithe/model/parameter_files.h"
#include "lithe/objectives/load_model.h"
#include "lithe/objectives/translate.h"
#include "lithe/objectives/translator.h"
#include "lithe/report/numbers.h"
#include "lithe/train/machine.h"

namespace lithe {
namespace {

using Json = nlohmann::ordered_json;

struct Flags {
    std::string model, in, reference;
    std::optional<Precision> precision;
    std::optional<BleuTokens> bleu_tokens;
    TranslateOptions options;
    int64_t threads = 0;
};

std::vector<std::string> lines_at(const std::string& path) {
    if (path != "-") return all_lines(LineReader(path));
    return all_lines(LineReader(read_standard_input(), "standard input"));
}

// What of the text is the reference of each line.
std::vector<std::string> references_of(const Flags& flags, size_t lines) {
    if (flags.reference.empty()) return {};
    std::vector<std::string> references = lines_at(flags.reference);
    if (references.size() == lines) return references;
    fail({.kind = ErrorKind::usage,
          .what = "the reference has another number of lines than what is translated",
          .where = flags.reference,
          .expected = std::to_string(lines) + ", as " + flags.in + " has",
          .got = std::to_string(references.size()),
          .hint = "line n of it is the translation of line n"});
}

const TranslateObjective& objective_of(const LoadedModel& loaded, const Flags& flags) {
    if (const auto* found = dynamic_cast<const TranslateObjective*>(loaded.objective.get())) return *found;
    fail_usage("this model was not trained to translate", flags.model,
               loaded.config.model.direction == Direction::bidirectional ? "lithe eval scores it"
                                                                         : "lithe generate continues a text with it");
}

// Prints them as they come.
std::vector<Translated> translate_lines(const std::vector<std::string>& lines, const Translator& translator,
                                        const Flags& flags, bool print) {
    std::vector<Translated> all;
    const std::string source = flags.in == "-" ? "standard input" : flags.in;
    try {
        translator.translate(lines, flags.options, source, [&](std::vector<Translated> window) {
            log_progress("");
            for (Translated& each : window) {
                if (print) std::cout << on_terminal(each.text) << "\n";
                all.push_back(std::move(each));
            }
            std::cout << std::flush;
        });
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::stopped) throw;
        fail({.kind = ErrorKind::stopped,
              .what = "stopped while translating",
              .where = source,
              .hint = std::to_string(print ? all.size() : 0) + " of " + std::to_string(lines.size()) +
                      " lines were written; the rest is to be given again"});
    }
    log_progress("");
    const auto cut = std::count_if(all.begin(), all.end(), [](const Translated& each) { return each.cut; });
    if (cut > 0)
        log_warning(std::to_string(cut) + " of " + std::to_string(all.size()) +
                    " translations were cut off by --most-tokens or the model's positions");
    return all;
}

int run(Flags flags, const CommandContext& context) {
    if (flags.in == "-" && flags.reference == "-")
        fail_usage("standard input is one text, and two are to be read from it", "--reference", "give a file");
    const std::vector<std::string> lines = lines_at(flags.in);
    if (lines.empty()) fail_usage("there is no line to translate", flags.in, "a sentence is a line");
    const std::vector<std::string> references = references_of(flags, lines.size());
    LoadedModel loaded = load_model(flags.model);
    const TranslateObjective& objective = objective_of(loaded, flags);
    if (flags.precision) loaded.config.train.precision = *flags.precision;
    loaded.config.train.threads = flags.threads;
    const Machine machine = set_up_machine(loaded.config.train);
    open_parameters(*loaded.model, loaded.weights, machine.working, machine.device);
    flags.options.stop = stop_by_signal();
    flags.options.progress = [](double done) { log_progress("translating " + std::to_string(int(100 * done)) + " %"); };
    Timer timer;
    const Translator translator(*loaded.model, *loaded.tokenizer, objective.end());
    const std::vector<Translated> made = translate_lines(lines, translator, flags, !context.json);
    std::vector<SignedScore> scores;
    if (!references.empty()) {
        std::vector<std::string> texts;
        for (const Translated& each : made) texts.push_back(each.text);
        scores = translation_scores(texts, references, flags.bleu_tokens.value_or(objective.bleu_tokens()));
    }
    if (context.json) {
        Json json = {{"model", loaded.folder}, {"translations", Json::array()}, {"seconds", timer.seconds()}};
        for (const Translated& each : made)
            json["translations"].push_back({{"text", printable(each.text)}, {"score", each.score}, {"cut", each.cut}});
        for (const auto& [score, signature] : scores)
            json["scores"].push_back({{"score", score.kind.unit}, {"value", score.value}, {"signature", signature}});
        print_json("translate", json);
        return 0;
    }
    for (const auto& [score, signature] : scores)
        log_info(score.kind.unit + "       " + fixed_digits(score.value, 2) + "    " + signature);
    return 0;
}

}  // namespace

CommandAction set_up_translate(CLI::App& app, const CommandContext& context) {
    auto flags = std::make_shared<Flags>();
    app.add_option("model", flags->model, "RUN, RUN@best, RUN@step:N, or a .safetensors file")->required();
    app.add_option("--in", flags->in, "the text, a sentence a line; -: standard input")->required();
    app.add_option("--beam", flags->options.beam, "hypotheses of each line; 1: always the likeliest token")
        ->capture_default_str()
        ->check(CLI::Range(1, 1024));
    add_length_penalty(app, flags->options.length_penalty);
    app.add_option("--most-tokens", flags->options.most_tokens, "tokens of a translation at most")
        ->capture_default_str()
        ->check(CLI::Range(1, 1 << 20));
    app.add_option("--per-source", flags->options.per_source,
                   "so many tokens more for each of the line's, as fairseq's --max-len-a")
        ->capture_default_str()
        ->check(number_between(0.0, 100.0));
    app.add_option("--least-tokens", flags->options.least_tokens, "tokens of a translation at least")
        ->capture_default_str()
        ->check(CLI::Range(0, 1 << 20));
    app.add_option("--no-repeat-ngram", flags->options.no_repeat_ngram,
                   "no n-gram of this length, 2 or more, stands twice in a translation; 0: any may")
        ->capture_default_str()
        ->check(CLI::Range(0, 1024))
        ->check([](const std::string& text) {
            return text == "1"
                       ? std::string("1 would ban the end token, which begins every translation, too: 2 or more")
                       : "";
        });
    app.add_option("--unknown-penalty", flags->options.unknown_penalty,
                   "taken off the log-probability of the unknown token")
        ->capture_default_str()
        ->check(number_between(0.0, 1e6));
    app.add_option("--rows", flags->options.rows, "hypotheses that are written side by side")
        ->capture_default_str()
        ->check(CLI::Range(1, 1 << 16));
    app.add_flag("--keep-empty", flags->options.keeps_empty, "empty lines stay empty; without it they are refused");
    app.add_option("--reference", flags->reference, "a translation of each line: BLEU and chrF are told");
    add_choice(app, "--bleu-tokens", flags->bleu_tokens,
               "13a: of plain text; none: of a text that is tokenized; default the run's",
               {BleuTokens::t13a, BleuTokens::none});
    add_choice(app, "--precision", flags->precision, "fp32 or bf16 weights; default as trained",
               {Precision::fp32, Precision::bf16});
    app.add_option("--threads", flags->threads, "CPU threads; default all")->check(CLI::Range(1, 1024));
    return [flags, &context] { return run(*flags, context); };
}

}  // namespace lithe
