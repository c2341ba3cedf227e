#include "lithe/model/generate.h"

#include <iostream>
#include <random>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/base/timer.h"
#include "lithe/cli/command.h"
#include "lithe/cli/exit_code.h"
#include "lithe/cli/output.h"
#include "lithe/cli/signals.h"
#include "lithe/model/cost.h"
#include "lithe/objectives/load_model.h"
#include "lithe/train/machine.h"

namespace lithe {
namespace {

struct Flags {
    std::string model, prompt_file, precision, layers;
    std::optional<std::string> prompt;
    std::optional<uint64_t> seed;
    SamplingOptions sampling;
    bool no_stream = false, no_cache = false, special = false;
    int64_t threads = 0;
};

// What is printed before the continuation, and its tokens.
struct Prompt {
    std::string text;
    std::vector<int64_t> tokens;
};

Prompt prompt_of(const Flags& flags, const LoadedModel& loaded) {
    const Tokenizer& tokenizer = *loaded.tokenizer;
    Prompt prompt;
    if (!flags.prompt_file.empty()) prompt.text = read_file(flags.prompt_file, 64 << 20);
    else prompt.text = flags.prompt ? *flags.prompt : neutral_prompt(tokenizer);
    prompt.tokens = tokenizer.encode(prompt.text, flags.special ? SpecialText::parsed : SpecialText::plain);
    if (!prompt.tokens.empty()) return prompt;
    // nothing to continue: what stood before each document in training
    const bool learned = loaded.config.data.document_end == "auto" && tokenizer.document_end();
    if (!learned)
        fail_usage("the prompt is empty, and no token began a text in this model's training", "--prompt",
                   "give some text, or leave --prompt out");
    prompt.tokens = {*tokenizer.document_end()};
    return prompt;
}

int run(Flags flags, const CommandContext& context) {
    LoadedModel loaded = load_model(flags.model);
    if (!flags.layers.empty()) loaded.model->keep_layers(flags.layers);
    flags.sampling.int8 = flags.precision == "int8";  // of the single steps; the prompt is read as trained
    if (!flags.precision.empty() && !flags.sampling.int8) loaded.config.train.precision = flags.precision;
    loaded.config.train.threads = flags.threads;
    Machine machine = set_up_machine(loaded.config.train);
    const Tokenizer& tokenizer = *loaded.tokenizer;
    const Prompt prompt = prompt_of(flags, loaded);
    StreamDecoder decoder(tokenizer, prompt.tokens);
    check_weights_fit(*loaded.model, machine.working, machine.device);
    loaded.model->materialize(at::kFloat, machine.working, machine.device, std::nullopt);
    load_parameters(loaded.model->parameters(), loaded.weights);
    flags.sampling.cache = !flags.no_cache;
    flags.sampling.stop = stop_by_signal();
    flags.sampling.segment = loaded.config.train.length;
    flags.sampling.end = tokenizer.text_end();
    flags.sampling.seed = flags.seed ? *flags.seed : std::random_device()();
    const bool stream = !flags.no_stream && !context.json;
    if (stream) std::cout << on_terminal(prompt.text) << std::flush;
    Timer timer;
    auto tokens = generate(*loaded.model, prompt.tokens, flags.sampling, [&](int64_t token) {
        if (stream) std::cout << on_terminal(decoder.next(token)) << std::flush;
        return true;
    });
    const bool ended = int64_t(tokens.size()) < flags.sampling.tokens && !flags.sampling.stop.stop_requested();
    const double seconds = timer.seconds();
    const std::string text = continuation(tokenizer, prompt.tokens, tokens);
    if (stream) std::cout << on_terminal(decoder.rest()) << std::endl;
    else if (!context.json) std::cout << on_terminal(prompt.text + text) << std::endl;
    if (context.json)
        print_json("generate", {{"model", loaded.folder},
                                {"prompt", printable(prompt.text)},
                                {"text", printable(text)},
                                {"tokens", tokens.size()},
                                {"ended", ended},
                                {"seed", flags.sampling.seed},
                                {"seconds", seconds},
                                {"tokens_per_second", double(tokens.size()) / seconds}});
    if (!flags.seed && flags.sampling.temperature > 0)
        log_info("seed       " + std::to_string(flags.sampling.seed) + "    (the same text again: --seed)");
    return flags.sampling.stop.stop_requested() ? int(ExitCode::stopped) : 0;
}

}  // namespace

CommandAction set_up_generate(CLI::App& app, const CommandContext& context) {
    auto flags = std::make_shared<Flags>();
    app.add_option("model", flags->model, "RUN, RUN@best, RUN@step:N, or a .safetensors file")->required();
    auto* prompt = app.add_option("--prompt", flags->prompt,
                                  "text to continue; default a line end; \"\": what stands before each document");
    app.add_option("--prompt-file", flags->prompt_file, "read the prompt from a file")->excludes(prompt);
    app.add_option("--layers", flags->layers,
                   "run only these layers of the stack, as 2,4,6 or every:2; as after training with layerdrop");
    app.add_option("--tokens", flags->sampling.tokens, "tokens to make")
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
    app.add_option("--seed", flags->seed, "with it the same prompt gives the same text; default another each time");
    app.add_option("--memory", flags->sampling.memory, "earlier positions that attention sees; 0: as trained")
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
