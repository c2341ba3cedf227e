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
#include "lithe/model/parameter_files.h"
#include "lithe/objectives/load_model.h"
#include "lithe/objectives/translate.h"
#include "lithe/objectives/translator.h"
#include "lithe/report/numbers.h"
#include "lithe/score/bleu.h"
#include "lithe/score/chrf.h"
#include "lithe/train/machine.h"

namespace lithe {
namespace {

using Json = nlohmann::ordered_json;

struct Flags {
    std::string model, in, reference, precision, bleu_tokens = "13a";
    TranslateOptions options;
    int64_t threads = 0;
};

std::vector<std::string> lines_of(const std::string& path) {
    constexpr uint64_t kMost = uint64_t(1) << 30;
    std::string text;
    if (path == "-") text.assign(std::istreambuf_iterator<char>(std::cin), {});
    else text = read_file(path, kMost);
    std::vector<std::string> lines;
    for (size_t begin = 0; begin < text.size();) {
        size_t end = std::min(text.find('\n', begin), text.size());
        lines.push_back(text.substr(begin, end - begin));
        if (lines.back().ends_with('\r')) lines.back().pop_back();
        begin = end + 1;
    }
    if (lines.empty()) fail_usage("there is no line to translate", path, "a sentence is a line");
    return lines;
}

// What of the text is the reference of each line.
std::vector<std::string> references_of(const Flags& flags, size_t lines) {
    if (flags.reference.empty()) return {};
    std::vector<std::string> references = lines_of(flags.reference);
    if (references.size() == lines) return references;
    fail({.kind = ErrorKind::usage,
          .what = "the reference has another number of lines than what is translated",
          .where = flags.reference,
          .expected = std::to_string(lines) + ", as " + flags.in + " has",
          .got = std::to_string(references.size()),
          .hint = "line n of it is the translation of line n"});
}

Json scores_of(const std::vector<std::string>& texts, const std::vector<std::string>& references, BleuTokens tokens) {
    return Json::array(
        {{{"score", "BLEU"},
          {"value", corpus_bleu(texts, references, tokens).score},
          {"signature", bleu_signature(tokens)}},
         {{"score", "chrF"}, {"value", corpus_chrf(texts, references)}, {"signature", chrf_signature()}}});
}

int run(Flags flags, const CommandContext& context) {
    const std::vector<std::string> lines = lines_of(flags.in);
    const std::vector<std::string> references = references_of(flags, lines.size());
    LoadedModel loaded = load_model(flags.model);
    const auto* objective = dynamic_cast<const TranslateObjective*>(loaded.objective.get());
    if (!objective)
        fail_usage("this model was not trained to translate", flags.model,
                   loaded.config.model.direction == "bidirectional" ? "lithe eval scores it"
                                                                    : "lithe generate continues a text with it");
    if (!flags.precision.empty()) loaded.config.train.precision = flags.precision;
    loaded.config.train.threads = flags.threads;
    const Machine machine = set_up_machine(loaded.config.train);
    open_parameters(*loaded.model, loaded.weights, machine.working, machine.device);
    flags.options.stop = stop_by_signal();
    flags.options.progress = [](double done) { log_progress("translating " + std::to_string(int(100 * done)) + " %"); };
    Timer timer;
    const Translator translator(*loaded.model, *loaded.tokenizer, objective->end());
    std::vector<std::string> texts;
    Json results = Json::array();
    for (Translated& each : translator.translate(lines, flags.options, flags.in == "-" ? "standard input" : flags.in)) {
        results.push_back({{"text", printable(each.text)}, {"score", each.score}});
        texts.push_back(std::move(each.text));
    }
    log_progress("");
    Json scores;
    if (!references.empty())
        scores = scores_of(texts, references, flags.bleu_tokens == "none" ? BleuTokens::none : BleuTokens::t13a);
    if (context.json) {
        Json json = {{"model", loaded.folder}, {"translations", results}, {"seconds", timer.seconds()}};
        if (!scores.empty()) json["scores"] = scores;
        print_json("translate", json);
        return 0;
    }
    for (const std::string& text : texts) std::cout << on_terminal(text) << "\n";
    std::cout << std::flush;
    for (const Json& each : scores)
        log_info(each["score"].get<std::string>() + "       " + fixed_digits(each["value"], 2) + "    " +
                 each["signature"].get<std::string>());
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
    app.add_option("--length-penalty", flags->options.length_penalty, "scores are divided by the length to this power")
        ->capture_default_str()
        ->check(number_between(0.0, 10.0));
    app.add_option("--most-tokens", flags->options.most_tokens, "tokens of a translation at most")
        ->capture_default_str()
        ->check(CLI::Range(1, 1 << 20));
    app.add_option("--rows", flags->options.rows, "hypotheses that are written side by side")
        ->capture_default_str()
        ->check(CLI::Range(1, 1 << 16));
    app.add_flag("--keep-empty", flags->options.keeps_empty, "empty lines stay empty; without it they are refused");
    app.add_option("--reference", flags->reference, "a translation of each line: BLEU and chrF are told");
    app.add_option("--bleu-tokens", flags->bleu_tokens, "13a: of plain text; none: of a text that is tokenized")
        ->capture_default_str()
        ->check(CLI::IsMember({"13a", "none"}));
    app.add_option("--precision", flags->precision, "fp32 or bf16 weights; default as trained")
        ->check(CLI::IsMember({"fp32", "bf16"}));
    app.add_option("--threads", flags->threads, "CPU threads; default all")->check(CLI::Range(1, 1024));
    return [flags, &context] { return run(*flags, context); };
}

}  // namespace lithe
