#include "lithe/cli/bench.h"

#include <algorithm>
#include <cstdio>
#include <iostream>

#include "lithe/base/text.h"

namespace lithe {

using Json = nlohmann::ordered_json;

static std::string cell(const Json& value) {
    if (value.is_null()) return "";
    if (value.is_string()) return value.get<std::string>();
    if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
    if (!value.is_number_float()) return value.dump();
    char text[32];
    std::snprintf(text, sizeof text, "%.4g", value.get<double>());
    return text;
}

// A column for each thing that some row tells; the name comes first.
static void print_table(const Json& results) {
    std::vector<std::string> keys;
    for (const Json& row : results)
        for (const auto& [key, value] : row.items())
            if (key != "profile" && std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
    std::vector<size_t> widths(keys.size());
    for (size_t k = 0; k < keys.size(); ++k) {
        widths[k] = keys[k].size();
        for (const Json& row : results) widths[k] = std::max(widths[k], cell(row.value(keys[k], Json())).size());
    }
    const auto print = [&](const auto& text_of) {
        std::string line;
        for (size_t k = 0; k < keys.size(); ++k) {
            std::string text = text_of(keys[k]);
            const std::string padding(widths[k] - text.size(), ' ');
            line += (k > 0 ? "  " : "") + (k > 0 ? padding + text : text + padding);
        }
        std::cout << line << "\n";
    };
    print([](const std::string& key) { return key; });
    for (const Json& row : results) print([&](const std::string& key) { return cell(row.value(key, Json())); });
}

int finish_bench(const Json& machine, const Json& results, const CommandContext& context) {
    if (context.json) {
        print_json("bench", {{"machine", machine}, {"results", results}});
        return 0;
    }
    std::vector<std::string> words;
    for (const auto& [key, value] : machine.items()) {
        if (!value.is_object()) words.push_back(key + " " + cell(value));
        else
            for (const auto& [part, number] : value.items()) words.push_back(key + " " + part + " " + cell(number));
    }
    std::cout << "machine: " << join(words, ", ") << "\n";
    print_table(results);
    for (const Json& row : results)
        if (row.contains("profile"))
            std::cout << row["name"].get<std::string>() << "\n" << profile_text(row["profile"]);
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
