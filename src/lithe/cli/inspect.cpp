#include <iostream>

#include "lithe/base/error.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/cli/command.h"
#include "lithe/cli/output.h"
#include "lithe/cli/scored_data.h"
#include "lithe/cli/signals.h"
#include "lithe/inspect/attention_maps.h"
#include "lithe/inspect/context.h"
#include "lithe/inspect/gradient_norms.h"
#include "lithe/inspect/kept_state.h"
#include "lithe/model/parameter_files.h"
#include "lithe/report/numbers.h"
#include "lithe/report/page.h"
#include "lithe/train/machine.h"

namespace lithe {
namespace {

using Json = nlohmann::ordered_json;

struct Flags {
    std::vector<std::string> models;
    std::string data, page = "inspect.html";
    std::optional<std::string> text;
    int64_t tokens = 64, threads = 0;
    ContextOptions context;
};

// A model with its text, opened to be looked into.
struct Opened {
    LoadedModel loaded;
    std::string split = "valid";
    std::optional<Corpus> corpus;

    LanguageModel& model() const { return *loaded.model; }
    // Contexts and gradients are of the loss of next tokens.
    bool predicts_next() const {
        return model().config().direction == Direction::causal && loaded.objective->loss_is_cross_entropy() &&
               !loaded.objective->reads_labels() && model().has_head();
    }
    const TokenView& view() const { return corpus->split(split == "all" ? "train" : split); }
};

Opened open(const std::string& name, const Flags& flags, bool needs_text) {
    Opened opened{load_model(name), "valid", {}};
    LoadedModel& loaded = opened.loaded;
    if (loaded.model->has_encoder())
        fail_usage("a model of two stacks has no text of its own to look at", name,
                   "models of one stack are looked into");
    loaded.config.train.threads = flags.threads;
    loaded.config.train.precision = Precision::fp32;
    loaded.config.train.device = DeviceKind::cpu;
    set_up_machine(loaded.config.train);
    if (needs_text || opened.predicts_next()) {
        choose_data(flags.data, loaded.objective->reads_labels(), loaded.config, opened.split);
        opened.corpus = open_data(loaded, name, flags.data);
    }
    open_parameters(*loaded.model, loaded.weights, at::kFloat, at::kCPU);
    return opened;
}

// The text that maps are of.
std::vector<int64_t> tokens_of(const Opened& opened, const Flags& flags) {
    std::vector<int64_t> ids;
    if (flags.text) {
        ids = opened.loaded.tokenizer->encode(*flags.text);
        if (int64_t(ids.size()) > flags.tokens)
            log_info("text       the first " + std::to_string(flags.tokens) + " of " + std::to_string(ids.size()) +
                     " tokens: --tokens");
        ids.resize(std::min(ids.size(), size_t(flags.tokens)));
    } else {
        ids.resize(size_t(std::min<uint64_t>(opened.view().size(), uint64_t(flags.tokens))));
        opened.view().read(0, ids.size(), ids.data());
    }
    if (ids.size() < 2)
        fail_usage("the text has " + std::to_string(ids.size()) + " tokens: there is nothing to see", "--text");
    if (const int64_t most = opened.model().max_positions(); most > 0 && int64_t(ids.size()) > most)
        fail_usage("the model has " + std::to_string(most) + " positions, and the text " + std::to_string(ids.size()) +
                       " tokens",
                   "--tokens");
    return ids;
}

ContextOptions context_of(const Opened& opened, const Flags& flags, const std::string& name) {
    ContextOptions options = flags.context;
    const int64_t most = opened.model().max_positions();
    if (most > 0 && options.longest > most)
        fail_usage("the model has " + std::to_string(most) + " positions, and a context of " +
                       std::to_string(options.longest) + " tokens is asked for",
                   "--context", "--context " + std::to_string(most));
    if (options.longest < 2 * options.step)
        fail_usage("two lengths of context are compared at least", "--step",
                   "--step " + std::to_string(std::max<int64_t>(1, options.longest / 8)));
    options.stop = stop_by_signal();
    options.progress = [name](double done) {
        log_progress("context of " + name + " " + std::to_string(int(100 * done)) + " %");
    };
    return options;
}

// Contexts of all models, over the same tokens.
std::vector<ContextOfRun> contexts_of(const std::vector<Opened>& all, const Flags& flags) {
    std::vector<ContextLosses> group;
    std::vector<ContextOfRun> runs;
    for (size_t i = 0; i < all.size(); ++i) {
        const ContextOptions options = context_of(all[i], flags, flags.models[i]);
        group.push_back(losses_by_context(all[i].model(), all[i].view(), options));
        ContextOfRun run{flags.models[i], group[i].contexts, {}, {}, {}};
        for (const std::vector<double>& losses : group[i].losses) {
            double sum = 0;
            for (const double loss : losses) sum += loss;
            run.losses.push_back(sum / double(losses.size()));
        }
        run.changes = changes_by_distance(all[i].model(), all[i].view(), options);
        runs.push_back(std::move(run));
    }
    log_progress("");
    for (const double hardest : kHardest) {
        const auto effective = effective_contexts(group, hardest);
        for (size_t i = 0; i < runs.size(); ++i) runs[i].effective.push_back(effective[i]);
    }
    return runs;
}

// Models of one group predict the same tokens of the same text.
void check_group(const std::vector<Opened>& all, const Flags& flags) {
    for (size_t i = 0; i < all.size(); ++i) {
        if (!all[i].predicts_next())
            fail_usage("it does not predict next tokens, so that its context cannot be compared", flags.models[i]);
        if (all[i].loaded.tokenizer->hash() != all[0].loaded.tokenizer->hash() ||
            all[i].corpus->fingerprint() != all[0].corpus->fingerprint())
            fail_usage("it reads another text than " + flags.models[0] + ", or the same by another tokenizer",
                       flags.models[i], "--data TEXT:valid names one text for all; tokenizers have to be the same");
    }
}

Json to_json(const Inspection& seen) {
    Json json = {{"model", seen.model}, {"tokens", seen.tokens.size()}};
    for (const ContextOfRun& run : seen.contexts) {
        Json one = {{"run", run.run}, {"contexts", run.contexts}, {"losses", run.losses}, {"changes", run.changes}};
        for (size_t i = 0; i < run.effective.size(); ++i)
            one["effective"].push_back(
                {{"hardest", kHardest[i]}, {"tokens", run.effective[i].tokens}, {"reached", run.effective[i].reached}});
        json["runs"].push_back(std::move(one));
    }
    for (const BlockGradient& block : seen.gradients)
        json["gradients"].push_back({{"block", block.path}, {"gradient", block.gradient}, {"weight", block.weight}});
    for (const AttentionMap& map : seen.maps)
        json["maps"].push_back(
            {{"block", map.name}, {"heads", map.heads}, {"queries", map.queries}, {"keys", map.keys}});
    for (const KeptState& state : seen.kept) {
        double sum = 0;
        for (const float kept : state.kept) sum += double(kept);
        json["states"].push_back({{"state", state.name},
                                  {"numbers", state.numbers},
                                  {"kept", sum / double(std::max<size_t>(1, state.kept.size()))}});
    }
    return json;
}

std::string effective_text(const EffectiveContext& context) {
    return (context.reached ? "" : "at least ") + std::to_string(context.tokens);
}

void print(const Inspection& seen) {
    for (const ContextOfRun& run : seen.contexts)
        std::cout << "context    " << for_terminal(run.run) << ": " << effective_text(run.effective[0]) << " tokens; "
                  << effective_text(run.effective[1]) << " for the hardest half, " << effective_text(run.effective[2])
                  << " for the hardest tenth\n";
    for (const KeptState& state : seen.kept) {
        std::vector<double> means = state.means();
        std::sort(means.begin(), means.end());
        const double middle = half_life(means[means.size() / 2]);
        std::cout << "state      " << for_terminal(state.name) << ": half is left after " << three_digits(middle)
                  << " tokens (median of " << state.numbers << " numbers)\n";
    }
    for (const BlockGradient& block : seen.gradients)
        std::cout << "gradient   " << for_terminal(block.path) << ": " << three_digits(block.gradient) << "\n";
    std::cout << std::flush;
}

int run(const Flags& flags, const CommandContext& context) {
    std::vector<Opened> all;
    const bool one = flags.models.size() == 1;
    for (const std::string& name : flags.models) all.push_back(open(name, flags, one && !flags.text));
    Inspection seen{.model = one ? flags.models[0] : std::to_string(all.size()) + " models"};
    if (!one) check_group(all, flags);
    if (one) {
        const std::vector<int64_t> ids = tokens_of(all[0], flags);
        for (const int64_t id : ids) seen.tokens.push_back(printable(all[0].loaded.tokenizer->decode({id})));
        seen.maps = attention_maps(all[0].model(), ids);
        if (all[0].model().config().direction == Direction::causal) seen.kept = kept_states(all[0].model(), ids);
    }
    if (all[0].predicts_next()) {
        seen.contexts = contexts_of(all, flags);
        constexpr int64_t kRows = 16;
        if (one)
            seen.gradients =
                gradient_norms(all[0].model(), all[0].view(), std::min<int64_t>(flags.context.longest, 256), kRows);
    }
    write_result(flags.page, inspection_page(seen), kPageMark);
    log_info("page       " + flags.page);
    if (context.json) print_json("inspect", to_json(seen));
    else print(seen);
    return 0;
}

}  // namespace

CommandAction set_up_inspect(CLI::App& app, const CommandContext& context) {
    auto flags = std::make_shared<Flags>();
    app.add_option("models", flags->models,
                   "RUN, RUN@best, RUN@step:N, or a .safetensors file; several: how far back each of them reads")
        ->required();
    app.add_option("--text", flags->text, "what maps of attention and states are of; default the beginning of --data");
    app.add_option("--tokens", flags->tokens, "of that text at most")->capture_default_str()->check(CLI::Range(2, 512));
    app.add_option("--data", flags->data,
                   "what contexts and gradients are measured on: FILE, FILE:valid, or :test of the run's own text; "
                   "default its validation");
    app.add_option("--context", flags->context.longest, "the longest context, in tokens")
        ->capture_default_str()
        ->check(CLI::Range(2, 1 << 20));
    app.add_option("--step", flags->context.step, "tokens between lengths of context that are compared")
        ->capture_default_str()
        ->check(CLI::Range(1, 1 << 20));
    app.add_option("--positions", flags->context.positions, "tokens that are predicted from each length of context")
        ->capture_default_str()
        ->check(CLI::Range(4, 1 << 20));
    app.add_option("--html", flags->page, "the page")->capture_default_str();
    app.add_option("--threads", flags->threads, "CPU threads; default all")->check(CLI::Range(1, 1024));
    return [flags, &context] { return run(*flags, context); };
}

}  // namespace lithe
