#include <filesystem>
#include <iostream>

#include <torch/version.h>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/text.h"
#include "lithe/base/version.h"
#include "lithe/cli/command.h"
#include "lithe/cli/configuration.h"
#include "lithe/kernels/catalog.h"
#include "lithe/kernels/isa.h"
#include "lithe/model/cost.h"
#include "lithe/model/halting.h"
#include "lithe/objectives/load_model.h"
#include "lithe/spec/config_io.h"
#include "lithe/train/machine.h"

namespace lithe {
namespace {

struct Flags {
    std::string subject;
    std::vector<std::string> sets;
};

using Json = nlohmann::ordered_json;

void print_machine(const Json& json) {
    const auto word = [&](const char* key) { return json[key].get<std::string>(); };
    std::cout << "lithe " << word("version") << " (" << word("revision") << "), LibTorch " << word("libtorch")
              << "\ncpu       " << word("cpu") << ", " << json["threads"] << " threads\nmemory    "
              << format_bytes(json["memory_bytes"].get<double>()) << " available\ncuda      " << word("cuda")
              << "\nprecision " << word("precision") << " (fp32 products: " << word("fp32_products") << ")\nkernels   ";
    std::vector<std::string> names;
    for (const Json& kernel : json["kernels"]) names.push_back(kernel["name"]);
    std::cout << join(names, ", ") << "\n";
    for (const Json& each : json["kernels"][0]["implementations"])  // alike for all
        std::cout << "          " << (each["used"].get<bool>() ? "* " : "  ") << each["name"].get<std::string>() << "  "
                  << each["reason"].get<std::string>() << "\n";
}

void print_options(const std::vector<FieldDoc>& options) {
    for (const FieldDoc& field : options)
        std::cout << "       " << field.path << " = " << field.default_value << "  " << field.help << "\n";
}

void print_blocks_and_objectives() {
    std::cout << "\nblocks\n";
    for (const BlockKind& kind : block_kinds()) {
        std::cout << "  " << (kind.letter ? std::string(1, kind.letter) : " ") << "  <" << kind.name << ">  "
                  << kind.description << "\n";
        auto options = kind.make_options(ModelConfig());
        print_options(list_fields([&](FieldVisitor& v) { options->visit(v); }));
    }
    std::cout << "  @  [blocks.halting]  before a group: its repetitions are steps that may halt\n";
    HaltingValues halting;
    print_options(list_fields([&](FieldVisitor& v) { halting.visit(v); }));
    std::cout << "\nobjectives\n";
    for (const ObjectiveKind& kind : objective_kinds()) {
        std::cout << "  " << kind.name << "  " << kind.description << "\n";
        print_options(list_fields([&](FieldVisitor& v) { kind.make_options()->visit(v); }));
    }
}

int machine_info(const CommandContext& context) {
    TrainConfig train;
    Machine machine = set_up_machine(train);
    Json kernels = Json::array();
    for (const auto& row : kernels::catalog()) {
        Json implementations = Json::array();
        for (const auto& each : kernels::implementations(ops::cuda_status().available ? "" : ops::cuda_status().reason))
            implementations.push_back({{"name", each.name}, {"used", each.used}, {"reason", each.reason}});
        kernels.push_back({{"name", row.name}, {"formula", row.formula}, {"implementations", implementations}});
    }
    Json blocks = Json::array();
    for (const BlockKind& kind : block_kinds())
        blocks.push_back({{"name", kind.name},
                          {"letter", kind.letter ? std::string(1, kind.letter) : ""},
                          {"description", kind.description}});
    Json objectives = Json::array();
    for (const ObjectiveKind& kind : objective_kinds()) {
        Json options = Json::array();
        for (const FieldDoc& field : list_fields([&](FieldVisitor& v) { kind.make_options()->visit(v); }))
            options.push_back({{"name", field.path}, {"default", field.default_value}, {"help", field.help}});
        objectives.push_back({{"name", kind.name}, {"description", kind.description}, {"options", options}});
    }
    Json json = {{"version", version()},
                 {"revision", revision()},
                 {"libtorch", TORCH_VERSION},
                 {"cpu", machine.cpu},
                 {"threads", machine.threads},
                 {"device", name_of(train.device)},
                 {"precision", name_of(machine.precision)},
                 {"fp32_products", machine.products},
                 {"memory_bytes", available_memory()},
                 {"cuda", ops::cuda_status().available ? "available" : ops::cuda_status().reason},
                 {"kernels", kernels},
                 {"blocks", blocks},
                 {"objectives", objectives}};
    if (context.json) {
        print_json("info", json);
        return 0;
    }
    print_machine(json);
    print_blocks_and_objectives();
    std::cout << std::flush;
    return 0;
}

void print_layers(const ModelCost& cost) {
    std::cout << "layer  block  kind            parameters   FLOPs per token\n";
    for (size_t i = 0; i < cost.layers.size(); ++i) {
        const LayerCost& layer = cost.layers[i];
        char line[160];
        std::snprintf(line, sizeof line, "%5zu  %-5s  %-14s %11lld   %15s\n", i + 1, layer.label.c_str(),
                      layer.kind.c_str(), static_cast<long long>(layer.parameters),
                      format_count(layer.flops_per_token).c_str());
        std::cout << line;
    }
}

int model_info(const Flags& flags, const CommandContext& context) {
    Config config;
    Models models;
    if (is_configuration(flags.subject)) {
        config = checked_configuration(flags.subject, flags.sets);
        models = models_to_count(config, vocabulary_to_train(config, flags.subject));
    } else {
        if (!flags.sets.empty()) fail_usage("--set changes configurations, not trained models", "--set");
        LoadedModel loaded = load_model(flags.subject);
        config = loaded.config;
        models = std::move(loaded.models);
    }
    const LanguageModel& model = models.main();
    if (config.train.precision == Precision::automatic) config.train.precision = precision_of_cpu();
    ModelCost cost = count_cost(models, cost_shape(config));
    const int working_bytes = config.train.precision == Precision::bf16 ? 2 : 4;
    const Recompute recompute = choose_recompute(model, config, working_bytes);
    config.train.recompute = to_string(recompute);
    MemoryEstimate memory = estimate_memory(model, config, working_bytes);
    const double again = recomputed_flops_per_token(model, config, recompute);
    Json layers = Json::array();
    for (const LayerCost& layer : cost.layers)
        layers.push_back({{"block", layer.label},
                          {"kind", layer.kind},
                          {"parameters", layer.parameters},
                          {"flops_per_token", layer.flops_per_token}});
    Json json = {{"parameters", cost.parameters},
                 {"parameters_in_tables", cost.parameters_in_tables},
                 {"parameters_without_embeddings", cost.parameters_without_embeddings},
                 {"flops_per_token", cost.flops_per_token},
                 {"training_flops_per_token", cost.training_flops_per_token},
                 {"recompute", {{"way", config.train.recompute}, {"flops_per_token", again}}},
                 {"layout", to_string(decoder_layout(config))},
                 {"vocabulary_size", model.vocabulary_size()},
                 {"layers", layers},
                 {"memory_bytes",
                  {{"weights", memory.weights},
                   {"optimizer", memory.optimizer},
                   {"activations", memory.activations},
                   {"state", memory.state},
                   {"total", memory.total()}}}};
    if (context.json) {
        print_json("info", json);
        return 0;
    }
    std::cout << for_terminal(flags.subject) << "\nparameters        " << cost.parameters << " ("
              << cost.parameters_without_embeddings << " without embeddings and tables, " << cost.parameters_in_tables
              << " in tables of n-grams)\nFLOPs per token   " << format_count(cost.flops_per_token) << " forward, "
              << format_count(cost.training_flops_per_token) << " training\nmemory, training  about "
              << format_bytes(memory.total()) << " (batch " << config.train.batch << " x " << config.train.length
              << " tokens)\n";
    if (again > 0)  // reversible runs compute again, too, whatever is asked for
        std::cout << "recompute         " << config.train.recompute << ", " << format_count(again)
                  << " FLOPs per token more" << (model.stack().reversible.empty() ? "" : ", reversible runs among them")
                  << "\n";
    print_layers(cost);
    return 0;
}

}  // namespace

CommandAction set_up_info(CLI::App& app, const CommandContext& context) {
    auto flags = std::make_shared<Flags>();
    app.add_option("subject", flags->subject,
                   "a run, a model file or a configuration (.toml); none: this machine, kernels and blocks");
    app.add_option("--set", flags->sets, "override a setting of the configuration (repeatable)")
        ->allow_extra_args(false);
    return [flags, &context] { return flags->subject.empty() ? machine_info(context) : model_info(*flags, context); };
}

}  // namespace lithe
