#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/text.h"
#include "lithe/base/timer.h"
#include "lithe/cli/data.h"
#include "lithe/cli/output.h"
#include "lithe/cli/signals.h"
#include "lithe/cli/standard_input.h"
#include "lithe/data/named_paths.h"
#include "lithe/data/prepare.h"

namespace lithe {
namespace {

struct TrainFlags {
    DataConfig data;
    TokenizerTrainingOptions training;
    std::string output, sample = "100M", size;
};

// What may be overwritten.
bool holds_tokenizer(const std::string& path) {
    try {
        tokenizer_from_file(path);
        return true;
    } catch (const Error&) { return false; }
}

int train(TrainFlags flags, const CommandContext& context) {
    auto amount = [](const std::string& text, const char* flag) {
        const auto count = parse_count(text);
        if (!count) fail_usage("expected an amount such as 32k, got '" + printable(text) + "'", flag);
        return *count;
    };
    require_utf8_path(flags.output, "--out");
    flags.training.size = flags.size.empty() ? -1 : amount(flags.size, "--size");
    const bool whole =
        flags.training.kind == "words" || flags.training.kind == "characters" || flags.training.kind == "bytes";
    if (flags.training.size < 0) flags.training.size = whole ? 0 : 8192;
    if (std::filesystem::exists(flags.output) && !holds_tokenizer(flags.output))
        fail_usage("the output is there already, and is no tokenizer", flags.output, "choose another name with --out");
    flags.training.stop = stop_by_signal();
    Timer timer;
    std::string division;
    const TokenizerPtr tokenizer = train_tokenizer(
        flags.data, flags.training, whole ? 0 : uint64_t(amount(flags.sample, "--sample")), true, &division);
    replace_file(flags.output, tokenizer->to_json());
    return print_data("data.train-tokenizer",
                      {{"output", flags.output},
                       {"kind", tokenizer->kind()},
                       {"vocabulary_size", tokenizer->vocabulary_size()},
                       {"lossless", tokenizer->lossless()},
                       {"hash", tokenizer->hash()},
                       {"division", division},
                       {"seconds", timer.seconds()}},
                      context);
}

struct CodeFlags {
    std::string tokenizer, input = "-";
    bool lines = false, hex = false, special = false;
};

std::string read_input(const std::string& path) { return path == "-" ? read_standard_input() : read_file(path); }

std::string from_hex(const std::string& line) {
    auto digit = [&](char c) {
        const int value = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (value < 0 || line.size() % 2) fail_usage("not hexadecimal: " + printable(line.substr(0, 40)), "--hex");
        return value;
    };
    std::string bytes;
    for (size_t i = 0; i < line.size(); i += 2) {
        const int high = digit(line[i]);  // refuses odd lengths, too
        bytes += char(high << 4 | digit(line[i + 1]));
    }
    return bytes;
}

std::string to_hex_text(const std::string& bytes) {
    static const char digits[] = "0123456789abcdef";
    std::string out;
    for (char c : bytes) out += {digits[static_cast<unsigned char>(c) >> 4], digits[c & 15]};
    return out;
}

std::vector<std::string> split_lines(const std::string& text) {
    std::vector<std::string> lines;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        lines.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return lines;
}

int encode(const CodeFlags& flags, const CommandContext& context) {
    const TokenizerPtr tokenizer = tokenizer_from_file(flags.tokenizer);
    const std::string text = read_input(flags.input);
    const auto texts = flags.lines || flags.hex ? split_lines(text) : std::vector<std::string>{text};
    nlohmann::ordered_json all = nlohmann::ordered_json::array();
    for (const std::string& each : texts) {
        std::vector<int32_t> ids;
        tokenizer->encode(flags.hex ? from_hex(each) : each, ids,
                          flags.special ? SpecialText::parsed : SpecialText::plain);
        if (context.json) {
            all.push_back(ids);
            continue;
        }
        std::string line;
        for (int32_t id : ids) line += (line.empty() ? "" : " ") + std::to_string(id);
        std::cout << line << "\n";
    }
    if (context.json) print_json("data.encode", {{"ids", all}});
    std::cout << std::flush;
    return 0;
}

int decode(const CodeFlags& flags, const CommandContext& context) {
    const TokenizerPtr tokenizer = tokenizer_from_file(flags.tokenizer);
    nlohmann::ordered_json all = nlohmann::ordered_json::array();
    for (const std::string& line : split_lines(read_input(flags.input))) {
        std::vector<int64_t> ids;
        const char* at = line.c_str();
        for (char* end = nullptr; *at; at = end) {
            ids.push_back(std::strtoll(at, &end, 10));
            if (end == at) fail_usage("not a token id: " + printable(std::string(at).substr(0, 20)), flags.input);
            while (*end == ' ' || *end == '\r') ++end;
        }
        const std::string text = tokenizer->decode(ids);
        if (context.json) all.push_back(printable(text));
        else std::cout << (flags.hex ? to_hex_text(text) : on_terminal(text)) << "\n";
    }
    if (context.json) print_json("data.decode", {{"texts", all}});
    std::cout << std::flush;
    return 0;
}

}  // namespace

CommandAction set_up_data_train_tokenizer(CLI::App& app, const CommandContext& context) {
    auto flags = std::make_shared<TrainFlags>();
    app.add_option("input", flags->data.path, "text as for prepare; the training split is used")->required();
    app.add_option("--out", flags->output, "tokenizer.json to write")->required();
    app.add_option("--kind", flags->training.kind,
                   "bpe: byte-level, GPT-2's form; unigram, sentencepiece-bpe: SentencePiece")
        ->capture_default_str()
        ->check(CLI::IsMember(tokenizer_training_kinds()));
    app.add_option("--size", flags->size, "tokens at most, as 32k; default 8192, for words and characters all");
    app.add_option("--min-count", flags->training.min_count, "words, characters, merges that are rarer are left out");
    app.add_option("--sample", flags->sample, "bpe, unigram, sentencepiece-bpe: bytes of text to learn from")
        ->capture_default_str();
    app.add_option("--end", flags->training.end, "bpe: token between documents; empty: none")->capture_default_str();
    app.add_flag("--lower", flags->training.lower, "words: lower case");
    app.add_option("--line-end", flags->training.line_end, "words: token at every line end; empty: none")
        ->capture_default_str();
    app.add_flag("--line-start", flags->training.line_start,
                 "words: the same token before every line (billion-word corpus)");
    app.add_option("--normalization", flags->training.normalization,
                   "SentencePiece: identity (text comes back), nmt_nfkc, nfkc_cf")
        ->capture_default_str();
    app.add_option("--coverage", flags->training.character_coverage, "SentencePiece: share of characters with a token")
        ->capture_default_str()
        ->check(number_between(0.5, 1.0));
    add_data_flags(app, flags->data);
    return [flags, &context] { return train(*flags, context); };
}

CommandAction set_up_data_encode(CLI::App& app, const CommandContext& context) {
    auto flags = std::make_shared<CodeFlags>();
    app.add_option("tokenizer", flags->tokenizer, "tokenizer.json or SentencePiece model")->required();
    app.add_option("input", flags->input, "text file; default standard input");
    app.add_flag("--lines", flags->lines, "each line is a text of its own");
    app.add_flag("--hex", flags->hex, "each line is a text in hexadecimal, so that any bytes can be given");
    app.add_flag("--special", flags->special, "special tokens in the text become their ids");
    return [flags, &context] { return encode(*flags, context); };
}

CommandAction set_up_data_decode(CLI::App& app, const CommandContext& context) {
    auto flags = std::make_shared<CodeFlags>();
    app.add_option("tokenizer", flags->tokenizer, "tokenizer.json or SentencePiece model")->required();
    app.add_option("input", flags->input, "file with token ids, one text per line; default standard input");
    app.add_flag("--hex", flags->hex, "print hexadecimal");
    return [flags, &context] { return decode(*flags, context); };
}

}  // namespace lithe
