#include <iostream>

#include "lithe/base/error.h"
#include "lithe/base/text.h"
#include "lithe/base/timer.h"
#include "lithe/cli/command.h"
#include "lithe/data/corpus.h"

namespace lithe {
namespace {

using Json = nlohmann::ordered_json;

struct Flags {
    std::string input, output, split = "90/5/5", vocabulary = "all";
    std::vector<std::string> include, exclude;
};

Json describe(const TokenFileInfo& info) {
    Json splits = Json::array();
    for (const TokenSplit& split : info.splits)
        splits.push_back({{"name", split.name}, {"tokens", split.end - split.begin}, {"bytes", split.bytes}});
    return {{"tokens", info.tokens},
            {"token_bytes", info.token_bytes},
            {"vocabulary_size", info.vocabulary_size},
            {"tokenizer_hash", info.tokenizer_hash},
            {"source", info.source},
            {"splits", splits}};
}

int print(const char* command, const Json& json, const CommandContext& context) {
    if (context.json) {
        print_json(command, json);
        return 0;
    }
    for (const auto& [key, value] : json.items())
        if (!value.is_array())
            std::cout << key << ": " << (value.is_string() ? value.get<std::string>() : value.dump()) << "\n";
    if (json.contains("splits"))
        for (const auto& split : json["splits"])
            std::cout << "split " << split["name"].get<std::string>() << ": " << split["tokens"] << " tokens, "
                      << split["bytes"] << " bytes\n";
    std::cout << std::flush;
    return 0;
}

int prepare(const Flags& flags, const CommandContext& context) {
    DataConfig config;
    config.path = flags.input;
    config.split = flags.split;
    config.vocabulary = flags.vocabulary;
    config.include = flags.include;
    config.exclude = flags.exclude;
    Timer timer;
    TokenFileInfo info = prepare_tokens(config, flags.output, true);
    Json json = describe(info);
    json["file"] = flags.output;
    json["seconds"] = timer.seconds();
    return print("data.prepare", json, context);
}

int info(const Flags& flags, const CommandContext& context) {
    if (TokenFile::looks_like(flags.input)) {
        TokenFile file(flags.input);
        Json json = describe(file.info());
        json["documents"] = file.documents().size();
        Tokenizer tokenizer = Tokenizer::from_json(file.info().tokenizer, flags.input);
        std::vector<int64_t> sample(std::min<uint64_t>(200, file.info().tokens));
        file.read(0, sample.size(), sample.data());
        json["sample"] = printable(tokenizer.decode(sample));
        return print("data.info", json, context);
    }
    DataConfig config;
    config.path = flags.input;
    config.split = flags.split;
    Corpus corpus = Corpus::open(config);
    Json splits = Json::array();
    uint64_t tokens = 0;
    for (const CorpusSplit& split : corpus.splits()) {
        splits.push_back({{"name", split.name}, {"tokens", split.tokens->size()}, {"bytes", split.tokens->bytes()}});
        tokens += split.tokens->size();
    }
    return print("data.info",
                 {{"tokens", tokens},
                  {"vocabulary_size", corpus.tokenizer().vocabulary_size()},
                  {"tokenizer_hash", corpus.tokenizer().hash()},
                  {"fingerprint", corpus.fingerprint()},
                  {"splits", splits}},
                 context);
}

int verify(const Flags& flags, const CommandContext& context) {
    TokenFile file(flags.input);
    file.verify();
    return print("data.verify",
                 {{"file", flags.input}, {"tokens", file.info().tokens}, {"result", "every checksum fits"}}, context);
}

}  // namespace

CommandAction set_up_data(CLI::App& app, const CommandContext& context) {
    auto flags = std::make_shared<Flags>();
    app.require_subcommand(1);
    CLI::App* prepare_app =
        app.add_subcommand("prepare", "turn text into a token file (plain, folder, .gz, .xz, .zst, .bz2)");
    prepare_app->add_option("input", flags->input, "text file, folder or compressed file")->required();
    prepare_app->add_option("--out", flags->output, "token file to write")->required();
    prepare_app
        ->add_option("--split", flags->split,
                     "train/valid/test shares of the bytes in order, or 'files': of each 20 files in order, number 10 "
                     "to valid and 20 to test")
        ->capture_default_str();
    prepare_app->add_option("--vocabulary", flags->vocabulary, "all 256 bytes, or only those used")
        ->capture_default_str()
        ->check(CLI::IsMember({"all", "used"}));
    prepare_app->add_option("--include", flags->include, "folder: only files that match (repeatable)");
    prepare_app->add_option("--exclude", flags->exclude, "folder: no files that match (repeatable)");
    CLI::App* info_app = app.add_subcommand("info", "what a token file or text holds");
    info_app->add_option("input", flags->input, "token file, text file, folder or compressed file")->required();
    CLI::App* verify_app = app.add_subcommand("verify", "check every checksum and token id of a token file");
    verify_app->add_option("input", flags->input, "token file")->required();
    return [=, &context] {
        if (prepare_app->parsed()) return prepare(*flags, context);
        return info_app->parsed() ? info(*flags, context) : verify(*flags, context);
    };
}

}  // namespace lithe
