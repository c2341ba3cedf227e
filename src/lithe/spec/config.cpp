#include "lithe/spec/config.h"

namespace lithe {

void ObjectiveConfig::visit(FieldVisitor& v) {
    v.field({.name = "name", .help = "what is predicted: lithe info lists the objectives and their options"}, name);
    v.rest(options);
}

void Config::visit(FieldVisitor& v) {
    v.section({.name = "model", .help = "the network"}, [&](FieldVisitor& s) { model.visit(s); });
    v.section({.name = "data", .help = "the text"}, [&](FieldVisitor& s) { data.visit(s); });
    v.section({.name = "optimizer", .help = "the update rule"}, [&](FieldVisitor& s) { optimizer.visit(s); });
    v.section({.name = "schedule", .help = "the learning rate"}, [&](FieldVisitor& s) { schedule.visit(s); });
    v.section({.name = "layer_drop", .help = "layers that training steps leave out"},
              [&](FieldVisitor& s) { layer_drop.visit(s); });
    v.section({.name = "objective", .help = "what is predicted"}, [&](FieldVisitor& s) { objective.visit(s); });
    v.section({.name = "search", .help = "what stands at the searched places of a layout ('?')"},
              [&](FieldVisitor& s) { search.visit(s); });
    v.section({.name = "train", .help = "batch, budget, precision"}, [&](FieldVisitor& s) { train.visit(s); });
    v.section({.name = "evaluation", .help = "how validation is measured"},
              [&](FieldVisitor& s) { evaluation.visit(s); });
    v.section({.name = "checkpoint", .help = "what is saved when"}, [&](FieldVisitor& s) { checkpoint.visit(s); });
    v.section({.name = "sample", .help = "texts written during training"}, [&](FieldVisitor& s) { sample.visit(s); });
}

std::vector<std::string> unused_settings(const Config& config, bool reads_labels) {
    std::vector<std::string> words;
    const std::string objective = "objective \"" + config.objective.name + "\"";
    if (!config.data.label.empty() && !reads_labels) words.push_back("data.label: " + objective + " reads no labels");
    if (!config.data.second.empty() && !reads_labels)
        words.push_back("data.second: " + objective + " reads pairs as documents in a row");
    if (config.model.bert.pooler && !reads_labels)
        words.push_back("model.bert.pooler: " + objective + " leaves its weights as they are");
    if (config.model.bert.token_types > 1 && config.data.second.empty())
        words.push_back("model.bert.token_types: without data.second the first is used alone");
    if (config.model.bert.token_types > 2)
        words.push_back("model.bert.token_types: two are used, the others stay as they are");
    return words;
}

}  // namespace lithe
