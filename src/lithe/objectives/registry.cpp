#include "lithe/base/text.h"
#include "lithe/base/wording.h"
#include "lithe/objectives/classify.h"
#include "lithe/objectives/exits.h"
#include "lithe/objectives/masked.h"
#include "lithe/objectives/middle.h"
#include "lithe/objectives/mixed.h"
#include "lithe/objectives/next.h"
#include "lithe/objectives/prefix.h"
#include "lithe/objectives/regress.h"
#include "lithe/objectives/replaced.h"
#include "lithe/objectives/spans.h"
#include "lithe/objectives/translate.h"
#include "lithe/spec/config_io.h"
#include "lithe/tokenize/bytes.h"

namespace lithe {
namespace {

std::vector<std::string> names() {
    std::vector<std::string> list;
    for (const ObjectiveKind& kind : objective_kinds()) list.push_back(kind.name);
    return list;
}

const ObjectiveKind* find_kind(const std::string& name) {
    for (const ObjectiveKind& kind : objective_kinds())
        if (name == kind.name) return &kind;
    return nullptr;
}

bool has_field(ObjectiveOptions& options, const std::string& key) {
    for (const FieldDoc& field : list_fields([&](FieldVisitor& v) { options.visit(v); }))
        if (field.path == key) return true;
    return false;
}

// The options that are the kind's own. What another kind knows may stand there, too, and is passed over: one file may
// hold the settings of several objectives.
std::vector<RawValue> own_options(const ObjectiveKind& kind, const Config& config, Problems& problems) {
    std::vector<RawValue> own;
    const auto mine = kind.make_options();
    for (const RawValue& value : config.objective.options) {
        if (has_field(*mine, value.key)) {
            own.push_back(value);
            continue;
        }
        bool known = false;
        std::vector<std::string> fields;
        for (const ObjectiveKind& other : objective_kinds()) {
            const auto options = other.make_options();
            known = known || has_field(*options, value.key);
            for (const FieldDoc& field : list_fields([&](FieldVisitor& v) { options->visit(v); }))
                fields.push_back(field.path);
        }
        if (!known)
            problems.add("unknown key objective." + printable(value.key) + did_you_mean(value.key, fields),
                         value.origin);
    }
    return own;
}

// Null, with a problem told, where the configuration has none.
std::unique_ptr<ObjectiveOptions> read_objective(const Config& config, Problems& problems) {
    const ObjectiveKind* kind = find_kind(config.objective.name);
    if (!kind) {
        problems.add("objective.name: expected one of " + join(names(), ", ") + ", got \"" +
                         printable(config.objective.name) + "\"" + did_you_mean(config.objective.name, names()),
                     "objective.name");
        return nullptr;
    }
    auto options = kind->make_options();
    read_options(
        own_options(*kind, config, problems), [&](FieldVisitor& v) { options->visit(v); }, "objective", problems);
    return options;
}

}  // namespace

std::span<const ObjectiveKind> objective_kinds() {
    static const ObjectiveKind table[] = {
        {"next", "predict each next token", make_objective_options<NextValues>, make_next},
        {"middle", "predict each next token, also of middles behind what follows them (Bavarian et al. 2022)",
         make_objective_options<MiddleValues>, make_middle},
        {"exits", "predict each next token behind several layers, to write with fewer (Elbayad et al. 2020)",
         make_objective_options<ExitsValues>, make_exits},
        {"masked", "predict tokens that were masked (Devlin et al. 2019)", make_objective_options<MaskedValues>,
         make_masked},
        {"prefix", "read a text's first part from both sides and predict the rest (Raffel et al. 2020)",
         make_objective_options<PrefixValues>, make_prefix},
        {"mixed", "predict next tokens in some rows and masked ones in others (Charpentier, Samuel 2024)",
         make_objective_options<MixedValues>, make_mixed},
        {"replaced", "tell which tokens a generator has replaced (Clark et al. 2020)",
         make_objective_options<ReplacedValues>, make_replaced},
        {"spans", "write the spans that were taken out of a text, with [model.encoder] (Raffel et al. 2020)",
         make_objective_options<SpansValues>, make_spans},
        {"classify", "tell texts, or pairs of them, apart by data.label", make_objective_options<ClassifyValues>,
         make_classify},
        {"regress", "give texts, or pairs of them, the numbers of data.label", make_objective_options<RegressValues>,
         make_regress},
        {"translate", "write a text from another: pairs of data.parallel, with [model.encoder]",
         make_objective_options<TranslateValues>, make_translate},
    };
    return table;
}

void RowOutputs::add(const Tensor& outputs_BC, const RowLabels& labels_B) {
    const Tensor all = outputs_BC.to(at::kCPU, at::kDouble).contiguous();
    columns = all.size(1);
    values.insert(values.end(), all.data_ptr<double>(), all.data_ptr<double>() + all.numel());
    labels.classes.insert(labels.classes.end(), labels_B.classes.begin(), labels_B.classes.end());
    labels.numbers.insert(labels.numbers.end(), labels_B.numbers.begin(), labels_B.numbers.end());
}

Models Models::of(LanguageModel& model) {
    Models models;
    models.by_role["main"] = std::shared_ptr<LanguageModel>(std::shared_ptr<void>(), &model);
    return models;
}

void check_config(const Config& config, Problems& problems) {
    check_model(config, problems);
    if (const auto options = read_objective(config, problems)) options->check(config, problems);
}

// All options into the configuration.
static void write_options(ObjectiveOptions& options, Config& config) {
    std::vector<RawValue> all;
    for (const FieldDoc& field : list_fields([&](FieldVisitor& v) { options.visit(v); })) {
        std::string origin = "default";
        for (const RawValue& given : config.objective.options)
            if (given.key == field.path) origin = given.origin;
        all.push_back({field.path, field.default_value, origin});
        config.origins["objective." + field.path] = origin;
    }
    config.objective.options = std::move(all);
}

static std::unique_ptr<ObjectiveOptions> options_of(const Config& config) {
    Problems problems;
    auto options = read_objective(config, problems);
    problems.throw_if_any("configuration");
    return options;
}

void settle_objective(Config& config) { write_options(*options_of(config), config); }

void settle_objective(Config& config, const TokenView& training_text) {
    const auto options = options_of(config);
    options->take_text(training_text, config);
    write_options(*options, config);
}

std::unique_ptr<Objective> make_objective(const Config& config, const Tokenizer& tokenizer) {
    const auto options = options_of(config);
    return find_kind(config.objective.name)->make(*options, config, tokenizer);
}

Models training_models(const Objective& objective, const Config& config) {
    const auto store = std::make_shared<ParameterStore>();
    Models models = objective.models(config, store);
    const std::vector<std::string> unknown = store->freeze(config.train.frozen, config.train.freeze_biases);
    if (!unknown.empty())
        fail_usage("the model has no parameters under " + join(unknown, ", "), "train.frozen",
                   "a path is a parameter's name or its beginning, as embeddings or decoder.layers.0");
    if (const LoraConfig& lora = config.train.lora; lora.rank > 0) {
        const auto none = store->add_lora({.rank = lora.rank, .alpha = lora.alpha, .paths = lora.paths});
        if (!none.empty())
            fail_usage("the model has no matrices under " + join(none, ", "), "train.lora.paths",
                       "a path is a matrix's name or its beginning, as decoder.layers.0");
    }
    if (store->all_frozen()) fail_usage("every parameter is frozen: nothing would be trained", "train.frozen");
    return models;
}

Models models_to_count(Config config, int64_t vocabulary) {
    config.model.vocabulary_size = vocabulary;
    return make_objective(config, tokenize::ByteTokenizer())->models(config, std::make_shared<ParameterStore>());
}

ModelCost count_cost(const Models& models, const CostShape& shape) {
    ModelCost cost = count_cost(models.main(), shape);
    if (!models.companion) return cost;
    const double beside = models.companion->flops_per_token(shape);
    cost.flops_per_token += beside;
    cost.training_flops_per_token += 3 * beside;
    return cost;
}

int64_t checked_vocabulary(const Config& config, const Tokenizer& tokenizer) {
    const int64_t stated = config.model.vocabulary_size, needed = make_objective(config, tokenizer)->vocabulary();
    if (stated != 0 && stated != needed)
        fail({.kind = ErrorKind::usage,
              .what = "model.vocabulary_size does not fit the tokenizer",
              .where = "model.vocabulary_size",
              .expected = std::to_string(needed) + ", or 0 to take the tokenizer's",
              .got = std::to_string(stated),
              .hint = setting("model.vocabulary_size=0") +
                      ", or name the tokenizer's own: data.vocabulary, data.path, " + option("tokenizer") +
                      " of lithe import"});
    return needed;
}

}  // namespace lithe
