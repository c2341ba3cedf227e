#include "lithe/cli/data.h"

#include <iostream>

#include "lithe/base/text.h"

namespace lithe {
namespace {

using Json = nlohmann::ordered_json;

const Command kSubcommands[] = {
    {"prepare", "turn text into a token set", set_up_data_prepare},
    {"info", "what a token set or a text holds", set_up_data_info},
    {"verify", "check every checksum and token id of a token set", set_up_data_verify},
    {"get", "download a known corpus and split it the conventional way", set_up_data_get},
    {"import", "make a token set of nanoGPT's, llm.c's or Megatron's token files", set_up_data_import},
    {"train-tokenizer", "make a tokenizer from text", set_up_data_train_tokenizer},
    {"encode", "print the token ids of a text", set_up_data_encode},
    {"decode", "print the text of token ids", set_up_data_decode},
};

}  // namespace

void add_data_flags(CLI::App& app, DataConfig& config) {
    app.add_option(
           "--split", config.split,
           "train/valid/test shares: \"90/5/5\" of the bytes in order, \"documents 90/5/5\" by a hash of each "
           "document, \"files\": of each 20 files of a folder, number 10 to valid and 20 to test; names of files or "
           "folders that say train, valid or test come before \"90/5/5\"")
        ->capture_default_str();
    add_choice(app, "--format", config.format,
               "what files hold; auto: by their names and what is in them; text: their bytes as they stand");
    app.add_option("--field", config.field, "jsonl: the field with the text; csv, tsv: the column, by name or number")
        ->capture_default_str();
    app.add_option("--second", config.second,
                   "jsonl, csv, tsv: the field with a second text: documents then come in pairs");
    app.add_option(
        "--label", config.label,
        "jsonl, csv, tsv: the field with a label of each document or pair, for objective.name = \"classify\" "
        "or \"regress\"");
    app.add_option("--parallel", config.parallel,
                   "text in two files, line by line: the other file's extension, as \".en\" for train.de: pairs for "
                   "objective.name = \"translate\"");
    app.add_option("--documents", config.documents,
                   "text: what a document is: file, line, blank_line, or the separator itself, as \"<|endoftext|>\"")
        ->capture_default_str();
    add_choice(app, "--deduplicate", config.deduplicate,
               "leave out documents that were there before: none, exact, near");
    app.add_option(
        "--include", config.include,
        "folder, archive: only files that match (repeatable); hidden ones only if a pattern names them, as .git/*");
    app.add_option("--exclude", config.exclude, "folder, archive: no files that match (repeatable)");
    app.add_option("--max-expansion", config.max_expansion, "refuse packed files that unpack to more times their size")
        ->capture_default_str()
        ->check(number_between(2.0, 1e9));
}

int print_data(const char* command, const Json& json, const CommandContext& context) {
    if (context.json) {
        print_json(command, json);
        return 0;
    }
    for (const auto& [key, value] : json.items())
        if (!value.is_array() && !(value.is_string() && value.get_ref<const std::string&>().empty()))
            std::cout << key << ": " << (value.is_string() ? for_terminal(value.get<std::string>()) : value.dump())
                      << "\n";
    if (json.contains("splits"))
        for (const auto& split : json["splits"]) {
            std::cout << "split " << for_terminal(split["name"].get<std::string>()) << ": ";
            const char* before = "";
            for (const auto& [key, value] : split.items())
                if (key != "name" && !value.is_array()) std::cout << std::exchange(before, ", ") << value << " " << key;
            std::cout << "\n";
        }
    std::cout << std::flush;
    return 0;
}

CommandAction set_up_data(CLI::App& app, const CommandContext& context) {
    app.require_subcommand(1);
    std::vector<std::pair<CLI::App*, CommandAction>> actions;
    for (const Command& command : kSubcommands) {
        CLI::App* sub = app.add_subcommand(command.name, command.description);
        actions.emplace_back(sub, command.set_up(*sub, context));
    }
    return [actions] {
        for (const auto& [sub, action] : actions)
            if (sub->parsed()) return action();
        return 0;
    };
}

}  // namespace lithe
