#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <random>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/base/timer.h"
#include "lithe/cli/command.h"
#include "lithe/cli/exit_code.h"
#include "lithe/cli/exit_curve.h"
#include "lithe/cli/output.h"
#include "lithe/cli/signals.h"
#include "lithe/data/line_reader.h"
#include "lithe/infer/beam_search.h"
#include "lithe/infer/decode.h"
#include "lithe/model/parameter_files.h"
#include "lithe/objectives/load_model.h"
#include "lithe/objectives/middle.h"
#include "lithe/train/machine.h"

namespace lithe {
namespace {

using Json = nlohmann::ordered_json;

struct Flags {
    std::string model, prompt_file, prompts, precision, layers, exit;
    std::optional<std::string> prompt, suffix;
    std::optional<uint64_t> seed;
    SamplingOptions sampling;
    StopOptions until;
    int64_t memory = 0, samples = 1, rows = 16, beam = 0, alternatives = -1;
    std::optional<double> length_penalty;
    bool no_stream = false, no_cache = false, special = false;
    int64_t threads = 0;
};

// What is printed before a continuation, and its tokens.
struct Prompt {
    std::string text;
    std::vector<int64_t> tokens;
};

// How a model fills in what stands before --suffix; null without it. Throws usage for a model that was not trained to.
const FillMiddle* filling_of(const Flags& flags, const LoadedModel& loaded) {
    if (!flags.suffix) return nullptr;
    if (const auto* middle = dynamic_cast<const MiddleObjective*>(loaded.objective.get())) return &middle->filling();
    fail_usage("the model was trained to continue texts, and not to fill in middles", "--suffix",
               "train one with objective.name = \"middle\"");
}

Prompt tokens_of(std::string text, const Flags& flags, const LoadedModel& loaded) {
    const Tokenizer& tokenizer = *loaded.tokenizer;
    Prompt prompt{std::move(text), {}};
    const SpecialText special = flags.special ? SpecialText::parsed : SpecialText::plain;
    prompt.tokens = tokenizer.encode(prompt.text, special);
    if (const FillMiddle* filling = filling_of(flags, loaded)) {
        const bool suffix_first = filling->suffix_first == 1;  // the only order that it knows
        prompt.tokens = filling->prompt(prompt.tokens, tokenizer.encode(*flags.suffix, special), suffix_first);
    }
    if (!prompt.tokens.empty()) return prompt;
    // nothing to continue: what stood before each document in training
    const bool learned = loaded.config.data.document_end == DocumentEnd::automatic && tokenizer.document_end();
    if (!learned)
        fail_usage("the prompt is empty, and no token began a text in this model's training", "--prompt",
                   "give some text, or leave --prompt out");
    prompt.tokens = {*tokenizer.document_end()};
    return prompt;
}

// The lines of --prompts, or the one prompt.
std::vector<Prompt> prompts_of(const Flags& flags, const LoadedModel& loaded) {
    std::vector<Prompt> prompts;
    if (flags.prompts.empty()) {
        std::string text = flags.prompt ? *flags.prompt : flags.suffix ? "" : neutral_prompt(*loaded.tokenizer);
        if (!flags.prompt_file.empty()) text = read_file(flags.prompt_file, 64 << 20);
        prompts.push_back(tokens_of(std::move(text), flags, loaded));
        return prompts;
    }
    for (const std::string& line : all_lines(LineReader(flags.prompts))) {
        if (line.empty())
            fail_usage("line " + std::to_string(prompts.size() + 1) + " is empty", flags.prompts, "a prompt is a line");
        prompts.push_back(tokens_of(line, flags, loaded));
    }
    if (prompts.empty()) fail_usage("the file of prompts is empty", flags.prompts, "a prompt is a line");
    return prompts;
}

// A beam needs positions for the whole prompt; drawn texts go on from its end.
void check_lengths(const std::vector<Prompt>& prompts, const Flags& flags, int64_t positions) {
    if (flags.beam == 0 || positions == 0) return;
    const std::string file = !flags.prompts.empty() ? flags.prompts : flags.prompt_file;
    for (size_t i = 0; i < prompts.size(); ++i)
        if (int64_t(prompts[i].tokens.size()) > positions)
            fail_usage("the prompt has " + std::to_string(prompts[i].tokens.size()) + " tokens, and the model " +
                           std::to_string(positions) + " absolute positions",
                       file.empty() ? "--prompt" : file + ", line " + std::to_string(i + 1),
                       "shorten it, or leave out --beam");
}

// One text: of which prompt, and what was made.
struct Text {
    size_t prompt;
    Decoded made;
    double score = 0;  // of a beam
};

class Generation {
 public:
    Generation(const Flags& flags, const LoadedModel& loaded, const std::vector<Prompt>& prompts, bool stream)
        : flags_(flags),
          loaded_(loaded),
          prompts_(prompts),
          stream_(stream) {}

    std::vector<Text> run() { return flags_.beam > 0 ? search() : sample(); }

 private:
    Session::Options session_options(int64_t rows) const {
        return {.most_rows = rows,
                .memory = flags_.memory,
                .segment = loaded_.config.train.length,
                .keep_projections = !flags_.no_cache,
                .int8 = flags_.precision == "int8",
                .stop = stop_by_signal()};
    }

    std::vector<Text> sample() {
        std::vector<DecodeRequest> requests;
        for (const Prompt& prompt : prompts_)
            for (int64_t number = 0; number < flags_.samples; ++number) requests.push_back({prompt.tokens, number});
        const int64_t rows = std::min(flags_.rows, int64_t(requests.size()));
        Session session(*loaded_.model, session_options(rows));
        const DecodeOptions options{.sampling = flags_.sampling,
                                    .until = flags_.until,
                                    .alternatives = flags_.alternatives,
                                    .stop = stop_by_signal()};
        UseToken use;
        if (stream_)
            use = [](size_t, int64_t, const std::string& text) {
                std::cout << on_terminal(text) << std::flush;
                return true;
            };
        std::vector<Text> texts;
        for (Decoded& each : decode(session, rows, requests, options, loaded_.tokenizer.get(), use))
            texts.push_back({texts.size() / size_t(flags_.samples), std::move(each)});
        return texts;
    }

    // Prompt by prompt, so that a long list does not have to fit into memory at once.
    std::vector<Text> search() {
        if (!flags_.until.end)
            fail_usage("this model's tokenizer has no token that ends a text, and a beam compares ended ones",
                       "--beam");
        if (flags_.samples > flags_.beam)
            fail_usage("a beam of " + std::to_string(flags_.beam) + " gives at most so many texts", "--samples");
        Session session(*loaded_.model, session_options(flags_.beam));
        const BeamOptions options{.beam = flags_.beam,
                                  .end = *flags_.until.end,
                                  .length_penalty = flags_.length_penalty.value_or(1),
                                  .most_tokens = flags_.until.tokens,
                                  .stop = stop_by_signal()};
        std::vector<Text> texts;
        for (size_t number = 0; number < prompts_.size() && !options.stop.stop_requested(); ++number) {
            auto found = beam_search(session, {prompts_[number].tokens}, options).front();
            found.resize(std::min(found.size(), size_t(flags_.samples)));
            for (BeamHypothesis& each : found) texts.push_back(text_of(number, std::move(each)));
        }
        return texts;
    }

    Text text_of(size_t prompt, BeamHypothesis hypothesis) const {
        Text text{prompt, {}, hypothesis.score};
        text.made.text = continuation(*loaded_.tokenizer, prompts_[prompt].tokens, hypothesis.tokens);
        const bool at_limit = int64_t(hypothesis.tokens.size()) >= flags_.until.tokens;
        text.made.ending = !hypothesis.cut ? "end" : at_limit ? "tokens" : "positions";
        if (flags_.alternatives >= 0 && !hypothesis.cut) text.made.end_log_p = hypothesis.log_p.back();
        text.made.tokens = std::move(hypothesis.tokens);
        if (flags_.alternatives >= 0) text.made.log_p = std::move(hypothesis.log_p);
        return text;
    }

    const Flags& flags_;
    const LoadedModel& loaded_;
    const std::vector<Prompt>& prompts_;
    bool stream_;
};

// Empty where the model's objective added the id.
std::string text_of(int64_t token, const Tokenizer& tokenizer) {
    return token < tokenizer.vocabulary_size() ? tokenizer.decode(std::vector<int64_t>{token}) : "";
}

Json probabilities(const Decoded& made, const Tokenizer& tokenizer) {
    Json list = Json::array();
    for (size_t i = 0; i < std::min(made.tokens.size(), made.log_p.size()); ++i) {
        Json entry = {{"token", made.tokens[i]},
                      {"text", printable(text_of(made.tokens[i], tokenizer))},
                      {"log_p", made.log_p[i]}};
        if (i < made.alternatives.size())
            for (const TokenProbability& each : made.alternatives[i])
                entry["likeliest"].push_back({{"token", each.token}, {"log_p", each.log_p}});
        list.push_back(std::move(entry));
    }
    return list;
}

Json text_json(const Text& text, const Prompt& prompt, const Flags& flags, const Tokenizer& tokenizer) {
    Json json = {{"prompt", printable(prompt.text)},
                 {"text", printable(text.made.text)},
                 {"tokens", text.made.tokens.size()},
                 {"ending", text.made.ending}};
    if (flags.suffix) json["suffix"] = printable(*flags.suffix);
    if (flags.beam > 0) json["score"] = text.score;
    if (flags.alternatives >= 0) json["log_probabilities"] = probabilities(text.made, tokenizer);
    if (text.made.end_log_p) json["end_log_p"] = *text.made.end_log_p;
    return json;
}

void print_probabilities(const Text& text, const Tokenizer& tokenizer) {
    for (const Json& each : probabilities(text.made, tokenizer)) {
        std::cout << each["log_p"].get<double>() << "\t" << for_terminal(each["text"].get<std::string>());
        if (each.contains("likeliest"))
            for (const Json& other : each["likeliest"])
                std::cout << "\t" << other["log_p"].get<double>() << " "
                          << for_terminal(printable(text_of(other["token"].get<int64_t>(), tokenizer)));
        std::cout << "\n";
    }
}

// Several texts stand one below the other, an empty line between them.
void print_texts(const std::vector<Text>& texts, const std::vector<Prompt>& prompts, const Flags& flags,
                 const Tokenizer& tokenizer) {
    for (size_t i = 0; i < texts.size(); ++i) {
        if (i > 0) std::cout << "\n";
        const std::string whole = prompts[texts[i].prompt].text + texts[i].made.text + flags.suffix.value_or("");
        std::cout << on_terminal(whole) << "\n";
        if (flags.alternatives >= 0) print_probabilities(texts[i], tokenizer);
    }
    std::cout << std::flush;
}

void check_flags(const Flags& flags) {
    stop_rules_of(flags.until);  // throws for what is no rule, before anything is printed
    if (flags.beam == 0) {
        if (flags.length_penalty)
            fail_usage("a length penalty compares the texts of a beam", "--length-penalty", "add --beam N");
        return;
    }
    if (flags.seed) fail_usage("a beam draws nothing that a seed could decide", "--seed", "leave it out, or --beam");
    const SamplingOptions& s = flags.sampling;
    const SamplingOptions plain;
    if (s.temperature != plain.temperature || s.top_k != plain.top_k || s.top_p != plain.top_p ||
        s.min_p != plain.min_p || s.repetition_penalty != plain.repetition_penalty)
        fail_usage("a beam takes the likeliest texts and draws nothing", "--beam",
                   "leave out --temperature, --top-k, --top-p, --min-p and --repetition-penalty, or --beam");
    if (!flags.until.strings.empty()) fail_usage("a beam compares texts that ended by themselves", "--stop");
}

int run(Flags flags, const CommandContext& context) {
    check_flags(flags);
    LoadedModel loaded = load_model(flags.model);
    if (loaded.model->has_encoder())
        fail_usage("this model writes a text from another", flags.model, "lithe translate does it");
    if (!flags.layers.empty()) loaded.model->keep_layers(flags.layers);
    const auto exits = std::make_shared<ExitCounts>();
    if (!flags.exit.empty()) loaded.model->set_leaving(parse_exit_rule(flags.exit, "--exit"), exits);
    // int8: of the single steps; the prompt is read as trained
    if (!flags.precision.empty() && flags.precision != "int8")
        loaded.config.train.precision = *value_of<Precision>(flags.precision);
    loaded.config.train.threads = flags.threads;
    Machine machine = set_up_machine(loaded.config.train);
    const Tokenizer& tokenizer = *loaded.tokenizer;
    const std::vector<Prompt> prompts = prompts_of(flags, loaded);
    check_lengths(prompts, flags, loaded.model->max_positions());
    open_parameters(*loaded.model, loaded.weights, machine.working, machine.device);
    flags.until.end = tokenizer.text_end();
    if (const FillMiddle* filling = filling_of(flags, loaded)) flags.until.end = filling->end_id;
    flags.sampling.seed = flags.seed ? *flags.seed : std::random_device()();
    const bool one = prompts.size() == 1 && flags.samples == 1;
    const bool stream = one && !flags.no_stream && !context.json && flags.beam == 0 && flags.alternatives < 0;
    Timer timer;
    if (stream) std::cout << on_terminal(prompts[0].text) << std::flush;
    const std::vector<Text> texts = Generation(flags, loaded, prompts, stream).run();
    const double seconds = timer.seconds();
    size_t tokens = 0;
    for (const Text& text : texts) tokens += text.made.tokens.size();
    if (stream) std::cout << on_terminal(flags.suffix.value_or("")) << std::endl;
    else if (!context.json) print_texts(texts, prompts, flags, tokenizer);
    if (context.json) {
        Json json = {{"model", loaded.folder}};
        if (one && texts.size() == 1) json.update(text_json(texts[0], prompts[0], flags, tokenizer));
        else
            for (const Text& text : texts)
                json["texts"].push_back(text_json(text, prompts[text.prompt], flags, tokenizer));
        json["seed"] = flags.sampling.seed;
        json["seconds"] = seconds;
        json["tokens_per_second"] = double(tokens) / seconds;
        if (!flags.exit.empty())
            json["exits"] = exits_json(*loaded.model->exits(), parse_exit_rule(flags.exit, "--exit"), exits->counts());
        print_json("generate", json);
    }
    if (!flags.exit.empty())
        log_info("exits      " +
                 exits_text(*loaded.model->exits(), parse_exit_rule(flags.exit, "--exit"), exits->counts()));
    if (!flags.seed && flags.sampling.temperature > 0 && flags.beam == 0)
        log_info("seed       " + std::to_string(flags.sampling.seed) + "    (the same text again: --seed)");
    return stop_by_signal().stop_requested() ? int(ExitCode::stopped) : 0;
}

}  // namespace

CommandAction set_up_generate(CLI::App& app, const CommandContext& context) {
    auto flags = std::make_shared<Flags>();
    app.add_option("model", flags->model, "RUN, RUN@best, RUN@step:N, or a .safetensors file")->required();
    auto* prompt = app.add_option("--prompt", flags->prompt,
                                  "text to continue; default a line end; \"\": what stands before each document");
    auto* file = app.add_option("--prompt-file", flags->prompt_file, "read the prompt from a file")->excludes(prompt);
    app.add_option("--suffix", flags->suffix, "fill in what stands between the prompt and this text");
    app.add_option("--prompts", flags->prompts, "continue each line of this file")->excludes(prompt)->excludes(file);
    app.add_option("--samples", flags->samples, "texts for each prompt")
        ->capture_default_str()
        ->check(CLI::Range(int64_t(1), int64_t(1) << 20));
    app.add_option("--rows", flags->rows, "texts that are written side by side; a beam takes prompt by prompt")
        ->capture_default_str()
        ->check(CLI::Range(1, 4096));
    app.add_option("--stop", flags->until.strings, "end the text before this string; may be given several times")
        ->allow_extra_args(false);
    app.add_option("--layers", flags->layers,
                   "run only these layers of the stack, as 2,4,6 or every:2; as after training with layerdrop");
    app.add_option("--exit", flags->exit,
                   "leave the stack early, of a model with exits: confidence:0.9, entropy:0.5 or patience:2");
    app.add_option("--tokens", flags->until.tokens, "tokens to make")
        ->capture_default_str()
        ->check(CLI::Range(int64_t(0), int64_t(1) << 40));
    app.add_option("--temperature", flags->sampling.temperature, "0: always the likeliest token")
        ->capture_default_str()
        ->check(number_between(0.0, 100.0));
    app.add_option("--top-k", flags->sampling.top_k, "only the k likeliest; 0: all")
        ->capture_default_str()
        ->check(CLI::Range(0, 1 << 24));
    app.add_option("--top-p", flags->sampling.top_p, "only the likeliest that together reach p")
        ->capture_default_str()
        ->check(number_between(0.0, 1.0));
    app.add_option("--min-p", flags->sampling.min_p, "only tokens with this share of the likeliest's probability")
        ->capture_default_str()
        ->check(number_between(0.0, 1.0));
    app.add_option("--repetition-penalty", flags->sampling.repetition_penalty,
                   "above 1: tokens that stood there before become less likely")
        ->capture_default_str()
        ->check(number_between(0.01, 100.0));
    app.add_option("--beam", flags->beam, "search the likeliest text with so many hypotheses instead of drawing; 0: no")
        ->capture_default_str()
        ->check(CLI::Range(0, 1024));
    add_length_penalty(app, flags->length_penalty);
    app.add_option(
           "--logprobs", flags->alternatives,
           "also tell log-probabilities: of each token, and of so many of the likeliest in its place (not of a beam)")
        ->check(CLI::Range(0, 1024));
    app.add_option("--seed", flags->seed, "with it the same prompt gives the same text; default another each time")
        ->check(CLI::Validator(
            [](const std::string& text) {
                errno = 0;
                const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
                if (digits) std::strtoull(text.c_str(), nullptr, 10);
                return digits && errno == 0 ? "" : "a whole number from 0 to 18446744073709551615 is expected";
            },
            "UINT"));
    app.add_option("--memory", flags->memory, "earlier positions that attention sees; 0: as trained")
        ->capture_default_str()
        ->check(CLI::Range(0, 1 << 24));
    app.add_option("--precision", flags->precision, "fp32, bf16 or int8 weights; default as trained")
        ->check(CLI::IsMember({"fp32", "bf16", "int8"}));
    app.add_option("--threads", flags->threads, "CPU threads; default all")->check(CLI::Range(1, 1024));
    app.add_flag(
        "--stream,!--no-stream", [flags](int64_t count) { flags->no_stream = count < 0; },
        "print tokens as they come (default)");
    app.add_flag("--special", flags->special, "special tokens in the prompt become their ids");
    app.add_flag("--no-cache", flags->no_cache, "project the memory again for every token (slow; the same text)");
    return [flags, &context] { return run(*flags, context); };
}

}  // namespace lithe
