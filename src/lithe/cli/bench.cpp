#include "lithe/cli/bench.h"

#include <iostream>

#include "lithe/base/text.h"

namespace lithe {

using Json = nlohmann::ordered_json;

int finish_bench(const Json& machine, const Json& results, const CommandContext& context) {
    if (context.json) {
        print_json("bench", {{"machine", machine}, {"results", results}});
        return 0;
    }
    std::cout << "machine: " << machine.dump() << "\n";
    for (const auto& row : results) {
        std::cout << row["name"].get<std::string>();
        for (const auto& [key, value] : row.items()) {
            if (key == "name" || key == "profile") continue;
            std::cout << "  " << key << " ";
            if (value.is_number_float()) {
                char text[32];
                std::snprintf(text, sizeof text, "%.4g", value.get<double>());
                std::cout << text;
            } else {
                std::cout << (value.is_string() ? value.get<std::string>() : value.dump());
            }
        }
        std::cout << "\n";
        if (row.contains("profile")) std::cout << profile_text(row["profile"]);
    }
    std::cout << std::flush;
    return 0;
}

CommandAction set_up_bench(CLI::App& app, const CommandContext& context) {
    auto flags = std::make_shared<BenchFlags>();
    app.require_subcommand(1);
    CLI::App* kernels = app.add_subcommand(
        "kernels", "each kernel as a share of an in-place stream's bandwidth; gated by parity with its reference");
    CLI::App* train =
        app.add_subcommand("train", "training steps of known models as a share of the matrix-product ceiling");
    CLI::App* generate = app.add_subcommand("generate", "tokens per second of generation, one token after another");
    CLI::App* evaluate = app.add_subcommand(
        "evaluate", "tokens per second of evaluating a long text, beside the forward pass of training on it");
    CLI::App* latency = app.add_subcommand(
        "latency",
        "milliseconds per evaluation segment at batch 1 with a full memory; ratios to the first configuration");
    latency->add_option("configs", flags->configs, "configuration files, which say length and memory in [evaluation]")
        ->required()
        ->check(CLI::ExistingFile);
    latency->add_option("--precision", flags->precision, "fp32 or bf16; default what training would take")
        ->check(CLI::IsMember({"fp32", "bf16"}));
    for (CLI::App* sub : {kernels, train, generate, evaluate, latency}) {
        sub->add_option("--threads", flags->threads, "CPU threads; default all")->check(CLI::Range(1, 1024));
        if (sub != latency)
            sub->add_option("--only", flags->only, "only the row of this name, else rows whose name contains it");
        sub->add_option("--repeats", flags->repeats, "timed repetitions; the median counts")
            ->capture_default_str()
            ->check(CLI::Range(1, 10000));
    }
    for (CLI::App* sub : {train, generate, evaluate})
        sub->add_option("--config", flags->config,
                        "measure this configuration (bytes, unless model.vocabulary_size says)")
            ->check(CLI::ExistingFile);
    for (CLI::App* sub : {train, generate, evaluate, latency})
        add_choice(*sub, "--device", flags->device, "cpu or cuda; auto: cuda where one is");
    train->add_flag("--profile", flags->profile, "also show where a step's time goes, per phase and operator");
    for (CLI::App* sub : {train, evaluate})
        sub->add_option("--precision", flags->precision, "fp32, bf16 or both")
            ->capture_default_str()
            ->check(CLI::IsMember({"fp32", "bf16", "both"}));
    generate->add_option("--precision", flags->precision, "fp32, bf16 or int8 weights, or both: all of them")
        ->capture_default_str()
        ->check(CLI::IsMember({"fp32", "bf16", "int8", "both"}));
    generate->add_option("--rows", flags->rows, "texts that are written side by side, as 1,4,16,64")
        ->delimiter(',')
        ->check(CLI::Range(1, 4096));
    return [=, &context] {
        if (kernels->parsed()) return bench_kernels(*flags, context);
        if (evaluate->parsed()) return bench_evaluate(*flags, context);
        if (latency->parsed()) return bench_latency(*flags, context);
        return train->parsed() ? bench_train(*flags, context) : bench_generate(*flags, context);
    };
}

}  // namespace lithe
