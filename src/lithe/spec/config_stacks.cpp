#include "lithe/spec/config_stacks.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "lithe/base/text.h"
#include "lithe/spec/field_printer.h"
#include "lithe/spec/field_reader.h"

namespace lithe {

bool is_stack(const std::string& name) { return name == "encoder" || name == "decoder"; }

void visit_encoder(const Config& config, FieldVisitor& v) {
    if (!config.encoder) return;
    ModelConfig encoder = *config.encoder;
    v.section({.name = "model.encoder"}, [&](FieldVisitor& s) { encoder.visit(s); });
}

// Tables of settings in [model], which are no stacks.
static std::vector<std::string> parts_of_model() {
    std::vector<std::string> names;
    FieldPrinter sections([](const auto&...) {}, [&](const std::string& name) { names.push_back(name); });
    ModelConfig().visit(sections);
    return names;
}

constexpr std::string_view kModel = "model.", kEncoder = "model.encoder.", kDecoder = "model.decoder.";

// Moves the origins of all settings with one prefix to another.
static void move_origins(std::map<std::string, std::string>& origins, std::string_view from, std::string_view to) {
    for (auto each = origins.lower_bound(std::string(from));
         each != origins.end() && each->first.rfind(from, 0) == 0;) {
        origins[std::string(to) + each->first.substr(from.size())] = each->second;
        each = origins.erase(each);
    }
}

ModelConfig encoder_like(const ModelConfig& shared) {
    ModelConfig encoder = shared;
    encoder.direction = Direction::bidirectional;
    encoder.memory = 0;
    encoder.ngrams.lengths.clear();
    encoder.bert.pooler = false;
    encoder.adaptive.cutoffs.clear();
    if (encoder.positions == Positions::relative) encoder.positions = Positions::sinusoidal;
    return encoder;
}

// What a model has once, beside its decoder. An encoder may repeat it.
static void take_what_both_share(ModelConfig& encoder, const ModelConfig& shared, const ModelConfig& model,
                                 Problems& problems) {
    const auto refuse = [&](const std::string& name) {
        problems.add("an encoder has none of its own: model." + name + " is for both stacks",
                     std::string(kEncoder) + name);
    };
    const auto take = [&](const char* name, auto field) {
        if (encoder.*field != shared.*field) refuse(name);
        encoder.*field = model.*field;
    };
    // 0 is what saved runs have there: the vocabulary is known later
    if (encoder.vocabulary_size != 0 && encoder.vocabulary_size != shared.vocabulary_size) refuse("vocabulary_size");
    take("head", &ModelConfig::head);
    take("head_bias", &ModelConfig::head_bias);
    take("tie_embeddings", &ModelConfig::tie_embeddings);
}

// What an encoder did not set itself comes from where the model's does.
static void inherit_origins(std::map<std::string, std::string>& origins,
                            const std::map<std::string, std::string>& shared, const ModelConfig& was,
                            const ModelConfig& is) {
    const auto values = [](ModelConfig model) { return field_values([&](FieldVisitor& v) { model.visit(v); }); };
    const auto before = values(was), after = values(is);
    for (const auto& [path, origin] : shared) {
        if (path.rfind(kModel, 0) != 0) continue;
        const std::string name = path.substr(kModel.size());
        if (const auto found = after.find(name); found != after.end() && before.at(name) == found->second)
            origins.emplace(std::string(kEncoder) + name, origin);
    }
}

// [model.encoder] and [model.decoder] have [model]'s settings but for those that they set. The decoder's become the
// model's own.
void read_stacks(const toml::table& root, Config& config, Problems& problems, const std::string& file,
                 const std::set<std::string>& from_flags) {
    const toml::table* model = root["model"].as_table();
    if (!model) return;
    const ModelConfig shared = config.model;
    const auto shared_origins = config.origins;
    const std::vector<std::string> parts = parts_of_model();
    const auto read = [&](const std::string& name, const toml::node& node, ModelConfig stack) {
        const toml::table* table = node.as_table();
        if (!table) {
            problems.add("model." + name + ": expected a table [model." + name + "]", file);
            return stack;
        }
        FieldReader nested(*table, file, "model." + name + ".", problems, &config.origins, from_flags);
        stack.visit(nested);
        nested.report_unknown({});
        return stack;
    };
    for (const auto& [key, node] : *model) {
        const std::string name(key.str());
        if (node.is_table() && !is_stack(name) && std::find(parts.begin(), parts.end(), name) == parts.end())
            problems.add("unknown stack [model." + printable(name) + "]: expected encoder or decoder" +
                             did_you_mean(name, parts),
                         file);
    }
    if (const toml::node* node = model->get("decoder")) {
        config.model = read("decoder", *node, shared);
        move_origins(config.origins, kDecoder, kModel);
    }
    if (const toml::node* node = model->get("encoder")) {
        config.encoder = read("encoder", *node, encoder_like(shared));
        take_what_both_share(*config.encoder, shared, config.model, problems);
        inherit_origins(config.origins, shared_origins, shared, *config.encoder);
    }
}

}  // namespace lithe
