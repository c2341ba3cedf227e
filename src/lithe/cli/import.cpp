#include <filesystem>
#include <iostream>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/cli/command.h"
#include "lithe/cli/signals.h"
#include "lithe/data/corpus.h"
#include "lithe/data/named_paths.h"
#include "lithe/model/import_bert.h"
#include "lithe/model/import_decoder.h"
#include "lithe/model/import_transformer_xl.h"
#include "lithe/objectives/objective.h"
#include "lithe/spec/config_io.h"

namespace lithe {
namespace {

struct Flags {
    std::string weights, config, out, tokenizer;
    std::vector<std::string> sets;
};

using Importer = Imported (*)(const std::vector<NamedTensor>& source, const LanguageModel& model,
                              const std::string& path);
// Whose weights these are, by their names.
Importer importer_of(const std::vector<NamedTensor>& source) {
    if (is_bert(source)) return import_bert;
    if (is_gpt2(source)) return import_gpt2;
    return is_llama(source) ? import_llama : import_transformer_xl;
}

int run(const Flags& flags, const CommandContext& context) {
    require_utf8_path(flags.out, "--out");
    if (std::filesystem::exists(flags.out))
        fail_usage("the folder exists already", flags.out, "choose another with --out");
    Config config = load_config(flags.config, flags.sets);
    const TokenizerPtr given = flags.tokenizer.empty() ? nullptr : tokenizer_from_file(flags.tokenizer);
    std::optional<Corpus> corpus;
    if (!given) corpus = Corpus::open(config.data, nullptr, stop_by_signal());
    const Tokenizer& tokenizer = given ? *given : corpus->tokenizer();
    const int64_t vocabulary = checked_vocabulary(config, tokenizer);
    config.model.vocabulary_size = vocabulary;
    const LanguageModel model(config, vocabulary);
    const std::vector<NamedTensor> source = read_tensors(flags.weights);
    Imported imported = importer_of(source)(source, model, flags.weights);
    CheckpointContent content;
    content.model = std::move(imported.tensors);
    content.config_json = to_json(config);
    content.tokenizer_json = tokenizer.to_json();
    write_checkpoint(std::filesystem::absolute(flags.out).lexically_normal().string(), content);
    const nlohmann::ordered_json json = {{"model", flags.out},
                                         {"parameters", model.parameters().count()},
                                         {"tensors", content.model.size()},
                                         {"left_out", imported.left_out}};
    for (const std::string& name : imported.left_out) log_info("left out   " + printable(name));
    if (context.json) print_json("import", json);
    else
        std::cout << "wrote " << for_terminal(flags.out) << ", " << model.parameters().count()
                  << " parameters; next: lithe eval " << for_terminal(shell_quoted(flags.out)) << " --data TEXT"
                  << std::endl;
    return 0;
}

}  // namespace

CommandAction set_up_import(CLI::App& app, const CommandContext& context) {
    auto flags = std::make_shared<Flags>();
    app.add_option(
           "weights", flags->weights,
           "a .safetensors file: Transformer-XL's weights under the names of its PyTorch code or of Hugging Face; or "
           "BERT's, GPT-2's or Llama's (also SmolLM2's) under those of Hugging Face")
        ->required();
    app.add_option("--config", flags->config,
                   "configuration of the same shape, as configs/wikitext103-txl-base.toml, bert-base.toml, gpt2.toml "
                   "or smollm2-135m.toml")
        ->required();
    app.add_option("--out", flags->out, "folder for the model; must not exist")->required();
    app.add_option("--tokenizer", flags->tokenizer, "tokenizer.json with its vocabulary; default that of the data");
    app.add_option("--set", flags->sets, "override a setting of the configuration (repeatable)")
        ->allow_extra_args(false);
    return [flags, &context] { return run(*flags, context); };
}

}  // namespace lithe
