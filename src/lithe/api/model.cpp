#include "lithe/model.h"

#include <algorithm>
#include <cmath>

#include "lithe/api/threads.h"
#include "lithe/base/error.h"
#include "lithe/base/text.h"
#include "lithe/base/wording.h"
#include "lithe/infer/decode.h"
#include "lithe/model/parameter_files.h"
#include "lithe/objectives/evaluate.h"
#include "lithe/objectives/load_model.h"
#include "lithe/objectives/translate.h"
#include "lithe/objectives/translator.h"
#include "lithe/train/machine.h"

namespace lithe {
struct Model::Impl {
    LoadedModel loaded;
    Machine machine;

    const Tokenizer& tokenizer() const { return *loaded.tokenizer; }
    std::vector<int64_t> tokens_of(std::string_view prompt) const {
        if (!prompt.empty()) return tokenizer().encode(prompt);
        const auto end = tokenizer().document_end();
        if (end && loaded.config.data.document_end == DocumentEnd::automatic)
            return {*end};  // stood before each document
        return tokenizer().encode(neutral_prompt(tokenizer()));
    }
};

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::Model(Model&& other) noexcept = default;
Model& Model::operator=(Model&& other) noexcept = default;
Model::~Model() = default;

static void check_options(const ModelOptions& options) {
    api::check_threads(options.threads);
    const auto refuse = [](const std::string& value, const std::vector<std::string>& choices, const char* name) {
        fail_usage("'" + printable(value) + "' is none of " + join(choices, ", "), option(name));
    };
    if (!value_of<DeviceKind>(options.device)) refuse(options.device, choice_names<DeviceKind>(), "device");
    const std::vector<std::string> precisions = {"", name_of(Precision::fp32), name_of(Precision::bf16)};
    if (std::find(precisions.begin(), precisions.end(), options.precision) == precisions.end())
        refuse(options.precision, precisions, "precision");
}

Model Model::open(const std::string& place, const ModelOptions& options) {
    check_options(options);
    api::set_up();
    auto impl = std::make_unique<Impl>();
    LoadedModel& loaded = impl->loaded;
    loaded = load_model(place);
    TrainConfig& train = loaded.config.train;
    train.threads = options.threads;
    train.device = *value_of<DeviceKind>(options.device);
    if (!options.precision.empty()) train.precision = *value_of<Precision>(options.precision);
    const Machine machine = impl->machine = set_up_machine(train);
    open_parameters(*loaded.model, loaded.weights, machine.working, machine.device);
    loaded.weights = {};  // the files may go
    return Model(std::move(impl));
}

int64_t Model::vocabulary_size() const { return impl_->loaded.model->vocabulary_size(); }

int64_t Model::parameters() const { return impl_->loaded.model->parameters().count(); }

std::vector<int64_t> Model::encode(std::string_view text) const { return impl_->tokenizer().encode(text); }

std::string Model::decode(const std::vector<int64_t>& tokens) const {
    for (const int64_t id : tokens)
        if (id < 0 || id >= impl_->tokenizer().vocabulary_size())
            fail_usage("the id " + std::to_string(id) + " is outside the vocabulary of " +
                           std::to_string(impl_->tokenizer().vocabulary_size()),
                       "decode");
    return impl_->tokenizer().decode(tokens);
}

TextScore Model::score(std::string_view text, const std::stop_token& stop) const {
    api::use_threads(impl_->machine.threads);
    const LoadedModel& loaded = impl_->loaded;
    if (loaded.objective->reads_pairs())
        fail_usage("the model translates, and a text alone has no score", "score", "translate() writes with it");
    if (loaded.objective->reads_labels())
        fail_usage("the model gives texts labels and predicts no tokens, so that a text has no score", "score");
    if (const ScoreKind kind = loaded.objective->score_kind(); !(kind == ScoreKind()))
        fail_usage("the model is judged by its " + kind.unit + ", and not by bits per byte", "score");
    TokenList tokens;
    tokens.add(encode(text), text.size());
    if (tokens.size() < 2)
        fail_usage("a text to be scored has at least 2 tokens, got " + std::to_string(tokens.size()), "score");
    EvaluationProtocol protocol = protocol_of(loaded.config, *loaded.tokenizer);
    protocol.split = "text";
    protocol.bytes = 0;
    protocol.batch = 1;
    protocol.lead = 0;
    const ScoredText scored(tokens, *loaded.tokenizer);
    const auto result = evaluate(*loaded.objective, loaded.models, scored, protocol, stop);
    if (!result) fail({.kind = ErrorKind::stopped, .what = "stopped while scoring a text"});
    if (!std::isfinite(result->loss))
        fail({.kind = ErrorKind::diverged, .what = "the model's loss is not finite", .hint = "take an earlier one"});
    return {.bits_per_byte = result->bits_per_byte,
            .nats_per_token = result->loss,
            .tokens = result->tokens,
            .bytes = result->bytes};
}

Generated Model::generate(std::string_view prompt, const GenerateOptions& options) const {
    api::use_threads(impl_->machine.threads);
    const Tokenizer& tokenizer = impl_->tokenizer();
    if (impl_->loaded.objective->reads_pairs())
        fail_usage("the model translates and continues no text", "generate", "translate() writes with it");
    if (impl_->loaded.objective->reads_labels())
        fail_usage("the model gives texts labels and continues none", "generate");
    const std::vector<int64_t> begin = impl_->tokens_of(prompt);
    const LanguageModel& model = *impl_->loaded.model;
    Session session(model, {.segment = impl_->loaded.config.train.length, .stop = options.stop});
    const DecodeOptions decoding{
        .sampling = {.temperature = options.temperature,
                     .top_k = options.top_k,
                     .top_p = options.top_p,
                     .min_p = options.min_p,
                     .repetition_penalty = options.repetition_penalty,
                     .seed = options.seed},
        .until = {.tokens = options.tokens, .end = tokenizer.text_end(), .strings = options.stop_strings},
        .stop = options.stop};
    Generated made;
    UseToken use;
    if (options.on_token)
        use = [&](size_t, int64_t token, const std::string& text) {
            if (token == kNoToken) made.held_back = text;
            return token == kNoToken || options.on_token(token, text);
        };
    Decoded decoded = lithe::decode(session, 1, {{begin, 0}}, decoding, &tokenizer, use).front();
    made.tokens = std::move(decoded.tokens);
    made.text = std::move(decoded.text);
    made.ended = decoded.ending == "end" || decoded.ending == "stop";
    return made;
}

std::vector<std::string> Model::translate(const std::vector<std::string>& lines,
                                          const TranslationOptions& options) const {
    api::use_threads(impl_->machine.threads);
    const auto* objective = dynamic_cast<const TranslateObjective*>(impl_->loaded.objective.get());
    if (!objective) fail_usage("the model was not trained to translate", "translate");
    const auto check = [](const char* name, int64_t value) {
        if (value < 1 || value > 1024) fail_usage("expected 1 to 1024, got " + std::to_string(value), option(name));
    };
    check("beam", options.beam);
    check("most_tokens", options.most_tokens);
    std::vector<std::string> texts;
    for (Translated& each : Translator(*impl_->loaded.model, impl_->tokenizer(), objective->end())
                                .translate(lines,
                                           {.beam = options.beam,
                                           .length_penalty = options.length_penalty,
                                           .most_tokens = options.most_tokens,
                                           .stop = options.stop},
                                           "lines"))
        texts.push_back(std::move(each.text));
    return texts;
}

}  // namespace lithe
