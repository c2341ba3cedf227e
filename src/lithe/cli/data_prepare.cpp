#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <utility>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/text.h"
#include "lithe/base/timer.h"
#include "lithe/cli/data.h"
#include "lithe/cli/signals.h"
#include "lithe/data/corpus.h"
#include "lithe/data/import_tokens.h"
#include "lithe/data/named_paths.h"
#include "lithe/data/prepare.h"

namespace lithe {
namespace {

using Json = nlohmann::ordered_json;

struct Flags {
    DataConfig data;
    std::string output, round;
    PrepareOptions options;
};

double ratio(uint64_t bytes, uint64_t tokens) { return tokens > 0 ? double(bytes) / double(tokens) : 0; }

// Standard input cannot be read twice: it is kept beside the output while it is needed.
class Spool {
 public:
    explicit Spool(std::string path) : path_(std::move(path)) {
        FileWriter out(path_);
        std::string buffer(1 << 20, '\0');
        while (const ssize_t count = read(STDIN_FILENO, buffer.data(), buffer.size())) {
            if (count < 0) fail_errno("cannot read standard input", "-", ErrorKind::bad_file);
            out.write(buffer.data(), size_t(count));
        }
        out.close();
    }
    ~Spool() { unlink(path_.c_str()); }
    const std::string& path() const { return path_; }

 private:
    std::string path_;
};

TokenSetInfo prepared(const Flags& flags, const Spool* spool) {
    try {
        return prepare_tokens(flags.data, flags.output, flags.options);
    } catch (const Error& error) {
        ErrorParts parts = error.parts();
        if (!spool || parts.where.find(spool->path()) == std::string::npos) throw;
        parts.where.replace(parts.where.find(spool->path()), spool->path().size(), "standard input");
        fail(std::move(parts));
    }
}

int prepare(Flags flags, const CommandContext& context) {
    for (const auto& [where, path] : {std::pair("prepare", &flags.data.path),
                                      {"--valid", &flags.data.valid},
                                      {"--test", &flags.data.test},
                                      {"--out", &flags.output}})
        if (*path != "-") require_utf8_path(*path, where);
    std::unique_ptr<Spool> spool;
    if (flags.data.path == "-") {
        spool = std::make_unique<Spool>(flags.output + ".stdin-" + std::to_string(getpid()));
        flags.data.path = spool->path();
        flags.options.source = "standard input";
    }
    if (!flags.round.empty()) {
        const auto bytes = parse_count(flags.round);
        if (!bytes || *bytes < 1 << 16)
            fail_usage("expected an amount such as 64M, at least 64k, got '" + flags.round + "'", "--shard");
        flags.options.round_bytes = uint64_t(*bytes);
    }
    if (TokenSet::looks_like(flags.data.path)) fail_usage("the input is a token set already", flags.data.path);
    if (!flags.data.valid.empty() || !flags.data.test.empty()) flags.data.train = std::exchange(flags.data.path, "");
    flags.options.progress = true;
    flags.options.stop = stop_by_signal();
    Timer timer;
    const TokenSetInfo info = prepared(flags, spool.get());
    Json json = describe_token_set(info);
    json["output"] = flags.output;
    json["seconds"] = timer.seconds();
    return print_data("data.prepare", json, context);
}

// Lengths of the longest documents of a split, in tokens.
Json longest(const TokenView& view) {
    std::vector<uint64_t> lengths;
    const uint64_t count = view.documents();
    for (uint64_t i = 0; i < count; ++i)
        lengths.push_back((i + 1 < count ? view.document_begin(i + 1) : view.size()) - view.document_begin(i));
    std::partial_sort(lengths.begin(), lengths.begin() + int64_t(std::min<size_t>(3, lengths.size())), lengths.end(),
                      std::greater<>());
    lengths.resize(std::min<size_t>(3, lengths.size()));
    return lengths;
}

int info(const Flags& flags, const CommandContext& context) {
    const Corpus corpus = Corpus::open(flags.data, nullptr, stop_by_signal());
    Json json;
    if (TokenSet::looks_like(flags.data.path)) {
        json = describe_token_set(TokenSet(flags.data.path).info());
    } else {
        Json splits = Json::array();
        uint64_t tokens = 0, bytes = 0;
        for (const CorpusSplit& split : corpus.splits()) {
            splits.push_back({{"name", split.name},
                              {"tokens", split.tokens->size()},
                              {"bytes", split.tokens->bytes()},
                              {"documents", split.tokens->documents()}});
            tokens += split.tokens->size();
            bytes += split.tokens->bytes();
        }
        json = {{"tokens", tokens},
                {"bytes", bytes},
                {"bytes_per_token", ratio(bytes, tokens)},
                {"vocabulary_size", corpus.tokenizer().vocabulary_size()},
                {"tokenizer_hash", corpus.tokenizer().hash()},
                {"division", corpus.division()},
                {"splits", splits}};
    }
    json["tokenizer"] = corpus.tokenizer().kind();
    json["fingerprint"] = corpus.fingerprint();
    json["longest_documents"] = Json::object();
    for (const CorpusSplit& split : corpus.splits())
        if (split.tokens->size() > 0) json["longest_documents"][split.name] = longest(*split.tokens);
    for (const CorpusSplit& split : corpus.splits()) {
        if (split.tokens->size() == 0) continue;
        std::vector<int64_t> sample(std::min<uint64_t>(200, split.tokens->size()));
        split.tokens->read(0, sample.size(), sample.data());
        json["sample"] = printable(corpus.tokenizer().decode(sample));
        break;
    }
    return print_data("data.info", json, context);
}

struct ImportFlags {
    ImportOptions options;
    std::string tokenizer, output;
};

int import(ImportFlags flags, const CommandContext& context) {
    require_utf8_path(flags.output, "--out");
    flags.options.progress = true;
    flags.options.stop = stop_by_signal();
    const TokenSetInfo info = import_tokens(flags.options, tokenizer_from_file(flags.tokenizer), flags.output);
    Json json = describe_token_set(info);
    json["output"] = flags.output;
    return print_data("data.import", json, context);
}

int verify(const Flags& flags, const CommandContext& context) {
    const TokenSet set(flags.data.path);
    set.verify();
    const auto tokenizer = tokenizer_from_json(set.tokenizer_json(), flags.data.path);
    if (tokenizer->hash() != set.info().tokenizer_hash)
        fail_file("the tokenizer has hash " + tokenizer->hash() + ", expected " + set.info().tokenizer_hash,
                  flags.data.path);
    return print_data("data.verify",
                      {{"file", flags.data.path}, {"tokens", set.info().tokens()}, {"result", "every checksum fits"}},
                      context);
}

}  // namespace

Json describe_token_set(const TokenSetInfo& info) {
    Json splits = Json::array();
    uint64_t bytes = 0, documents = 0;
    for (const TokenSetSplit& split : info.splits) {
        splits.push_back({{"name", split.name},
                          {"tokens", split.tokens},
                          {"bytes", split.bytes},
                          {"documents", split.documents},
                          {"shards", std::max<size_t>(1, split.shards.size())}});
        bytes += split.bytes;
        documents += split.documents;
    }
    return {{"tokens", info.tokens()},
            {"bytes", bytes},
            {"documents", documents},
            {"bytes_per_token", ratio(bytes, info.tokens())},
            {"token_bytes", info.token_bytes},
            {"vocabulary_size", info.vocabulary_size},
            {"tokenizer_hash", info.tokenizer_hash},
            {"source", info.source},
            {"division", info.division},
            {"removed", info.removed},
            {"labels", info.labels},
            {"parallel", info.parallel},
            {"splits", splits}};
}

CommandAction set_up_data_prepare(CLI::App& app, const CommandContext& context) {
    auto flags = std::make_shared<Flags>();
    app.add_option(
           "input", flags->data.path,
           "text file, folder, compressed file (.gz .xz .zst .bz2), tar or zip archive, JSON lines, CSV, or - for "
           "standard input")
        ->required();
    app.add_option("--valid", flags->data.valid, "validation text; the input is then all for training");
    app.add_option("--test", flags->data.test, "test text, likewise");
    app.add_option("--out", flags->output, "folder to write; an interrupted one is continued")->required();
    app.add_option("--tokenizer", flags->data.tokenizer,
                   "bytes, characters, words, or a file: tokenizer.json, a SentencePiece model")
        ->capture_default_str();
    add_choice(app, "--vocabulary", flags->data.vocabulary, "tokenizer bytes: all 256, or only those used");
    app.add_option("--min-count", flags->data.min_count, "tokenizer characters, words: what is rarer is unknown")
        ->capture_default_str()
        ->check(CLI::Range(1, 1000000000));
    add_choice(app, "--document-end", flags->data.document_end,
               "auto: the tokenizer's end token follows each document; none");
    add_data_flags(app, flags->data);
    app.add_option("--shard", flags->round, "text between two durable points and in one round of shards; default 256M");
    app.add_option("--threads", flags->options.threads, "threads that encode; default all")->check(CLI::Range(1, 1024));
    return [flags, &context] { return prepare(*flags, context); };
}

CommandAction set_up_data_info(CLI::App& app, const CommandContext& context) {
    auto flags = std::make_shared<Flags>();
    app.add_option("input", flags->data.path, "token set, or text as for prepare")->required();
    app.add_option("--tokenizer", flags->data.tokenizer, "for text: as for prepare")->capture_default_str();
    add_data_flags(app, flags->data);
    return [flags, &context] { return info(*flags, context); };
}

CommandAction set_up_data_import(CLI::App& app, const CommandContext& context) {
    auto flags = std::make_shared<ImportFlags>();
    app.add_option("train", flags->options.files[0], "token file of the training split")->required();
    app.add_option("--valid", flags->options.files[1], "token file of the validation split");
    app.add_option("--test", flags->options.files[2], "token file of the test split");
    app.add_option("--tokenizer", flags->tokenizer,
                   "the tokenizer that made the ids: tokenizer.json or SentencePiece model")
        ->required();
    app.add_option("--out", flags->output, "folder to write")->required();
    app.add_option(
           "--kind", flags->options.kind,
           "auto: Megatron where NAME.idx is beside NAME.bin, llm.c by its header, else raw ids of the width that they "
           "show; nanogpt: of 16 bits")
        ->capture_default_str()
        ->check(CLI::IsMember({"auto", "nanogpt", "uint32", "uint64", "llm.c", "megatron"}));
    return [flags, &context] { return import(*flags, context); };
}

CommandAction set_up_data_verify(CLI::App& app, const CommandContext& context) {
    auto flags = std::make_shared<Flags>();
    app.add_option("input", flags->data.path, "token set")->required();
    return [flags, &context] { return verify(*flags, context); };
}

}  // namespace lithe
