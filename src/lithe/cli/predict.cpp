#include <algorithm>
#include <iostream>

#include "lithe/base/error.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/cli/command.h"
#include "lithe/cli/output.h"
#include "lithe/cli/signals.h"
#include "lithe/data/documents.h"
#include "lithe/model/parameter_files.h"
#include "lithe/objectives/evaluate.h"
#include "lithe/objectives/load_model.h"
#include "lithe/objectives/predict.h"
#include "lithe/report/numbers.h"
#include "lithe/train/machine.h"

namespace lithe {
namespace {

using Json = nlohmann::ordered_json;

struct Flags {
    std::string model, in, out, field, second;
    std::optional<TextFormat> format;
    std::optional<Precision> precision;
    int64_t length = 0, batch = 0, threads = 0;
};

const LabelObjective& objective_of(const LoadedModel& loaded, const Flags& flags) {
    if (const auto* found = dynamic_cast<const LabelObjective*>(loaded.objective.get())) return *found;
    fail_usage("this model gives texts no labels", flags.model,
               "lithe finetune makes one of it that does: lithe finetune " + shell_quoted(flags.model) + " TASK.tsv");
}

// How the texts are read: as those that the model was trained on, but for their labels.
DataConfig data_of(const LoadedModel& loaded, const Flags& flags) {
    const DataConfig& trained = loaded.config.data;
    DataConfig data;
    data.path = flags.in;
    data.split = "100/0/0";
    data.documents = "line";
    data.field = flags.field.empty() ? trained.field : flags.field;
    data.second = flags.second.empty() ? trained.second : flags.second;
    data.format = flags.format.value_or(TextFormat::automatic);
    if (trained.second.empty() != data.second.empty())
        fail_usage("the model was trained on texts alone, and pairs are given", "--second", "leave it out");
    return data;
}

TokenList read_texts(const DataConfig& data, const Tokenizer& tokenizer) {
    TokenList texts;
    std::vector<int64_t> ids;
    uint64_t bytes = 0;
    const auto take = [&](const DocumentPart& part) {
        const std::vector<int64_t> more = tokenizer.encode(part.text);
        ids.insert(ids.end(), more.begin(), more.end());
        bytes += part.text.size();
        if (!part.ends) return;
        texts.add(ids, bytes);
        ids.clear();
        bytes = 0;
    };
    const DocumentStatistics read =
        read_documents(data, list_inputs(data), take, {.blank_lines = true, .stop = stop_by_signal()});
    if (const std::string left = read.left_out.words(); !left.empty())
        fail_file("not every record is a text, so that predictions would not stand beside theirs: " + left, data.path,
                  "take these out of the file");
    if (texts.documents() == 0) fail_file("there is no text", data.path);
    return texts;
}

constexpr const char* kHeader = "prediction";

// A row for each text. Line ends and tabs of labels become spaces.
std::string table(const std::vector<LabelObjective::Told>& told) {
    const bool classes = told[0].probability.has_value();
    std::string text = std::string(kHeader) + (classes ? "\tprobability\n" : "\n");
    for (const LabelObjective::Told& each : told) {
        std::string prediction = each.prediction;
        std::replace_if(
            prediction.begin(), prediction.end(), [](char c) { return c == '\t' || c == '\n' || c == '\r'; }, ' ');
        text += prediction + (classes ? "\t" + fixed_digits(*each.probability, 4) : "") + "\n";
    }
    return text;
}

// Tokens of a text at most.
int64_t length_of(const LoadedModel& loaded, const Flags& flags) {
    const int64_t most = loaded.model->max_positions();
    if (most > 0 && flags.length > most)
        fail_usage("the model has " + std::to_string(most) + " positions, got " + std::to_string(flags.length),
                   "--length", "at most " + std::to_string(most));
    return flags.length > 0 ? flags.length : loaded.config.train.length;
}

int run(const Flags& flags, const CommandContext& context) {
    LoadedModel loaded = load_model(flags.model);
    const LabelObjective& objective = objective_of(loaded, flags);
    const DataConfig data = data_of(loaded, flags);
    if (flags.precision) loaded.config.train.precision = *flags.precision;
    loaded.config.train.threads = flags.threads;
    const Machine machine = set_up_machine(loaded.config.train);
    const TokenList texts = read_texts(data, *loaded.tokenizer);
    open_parameters(*loaded.model, loaded.weights, machine.working, machine.device);
    const auto told = predict(
        objective, loaded.models, texts,
        {.batch = flags.batch > 0 ? flags.batch : protocol_of(loaded.config, *loaded.tokenizer).batch,
         .length = length_of(loaded, flags),
         .stop = stop_by_signal(),
         .progress = [](double done) { log_progress("predicting " + std::to_string(int(100 * done)) + " %"); }});
    log_progress("");
    if (!flags.out.empty()) {
        write_result(flags.out, table(told), kHeader);
        log_info("written    " + flags.out + ", " + std::to_string(told.size()) + " texts");
    }
    if (!context.json) {
        if (flags.out.empty()) std::cout << on_terminal(table(told)) << std::flush;
        return 0;
    }
    Json json = {{"model", loaded.folder}, {"predictions", Json::array()}};
    for (const LabelObjective::Told& each : told) {
        if (each.probability)
            json["predictions"].push_back(
                {{"prediction", printable(each.prediction)}, {"probability", *each.probability}});
        else json["predictions"].push_back({{"prediction", each.number}});
    }
    print_json("predict", json);
    return 0;
}

}  // namespace

CommandAction set_up_predict(CLI::App& app, const CommandContext& context) {
    auto flags = std::make_shared<Flags>();
    app.add_option("model", flags->model, "RUN, RUN@best, RUN@step:N, or a .safetensors file")->required();
    app.add_option("--in", flags->in,
                   "the texts: JSON lines, CSV or TSV with the fields of the training text, or a text a line")
        ->required();
    app.add_option("--field", flags->field, "JSON lines, CSV, TSV: what holds the text; default as in training");
    app.add_option("--second", flags->second, "what holds the second text of a pair; default as in training");
    add_choice(app, "--format", flags->format, "what the file holds; default: by its name and content",
               {TextFormat::text, TextFormat::jsonl, TextFormat::csv, TextFormat::tsv});
    app.add_option("--length", flags->length, "tokens of a text at most; default as in training")
        ->check(CLI::Range(1, 1 << 22));
    app.add_option("--out", flags->out, "write the table to this file, instead of standard output");
    app.add_option("--batch", flags->batch, "texts at a time; default as in evaluation")->check(CLI::Range(1, 1 << 20));
    add_choice(app, "--precision", flags->precision, "fp32 or bf16; default as trained",
               {Precision::fp32, Precision::bf16});
    app.add_option("--threads", flags->threads, "CPU threads; default all")->check(CLI::Range(1, 1024));
    return [flags, &context] { return run(*flags, context); };
}

}  // namespace lithe
