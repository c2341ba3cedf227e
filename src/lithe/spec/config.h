// What a run is: one typed struct per section of a configuration file. Defaults and closed choices stand in the
// headers; help, bounds and units stand in the `visit` functions, and every use of a configuration is a visitor over
// them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lithe/base/fields.h"
#include "lithe/spec/config_data.h"
#include "lithe/spec/config_model.h"
#include "lithe/spec/config_optimizer.h"
#include "lithe/spec/config_run.h"
#include "lithe/spec/config_search.h"

namespace lithe {

// `[blocks.x]`: the letter or name x means `kind` with these options.
struct BlockDefinition {
    std::string kind;  // empty: x itself is a kind
    std::vector<RawValue> options;
};

struct ObjectiveConfig {
    std::string name = "next";
    std::vector<RawValue> options;  // of the objective's kind
    void visit(FieldVisitor& v);
};

struct Config {
    ModelConfig model;
    std::optional<ModelConfig> encoder;  // [model.encoder]: a second stack, with [model]'s settings but for its own
    std::map<std::string, BlockDefinition> blocks;
    DataConfig data;
    OptimizerConfig optimizer;
    ScheduleConfig schedule;
    LayerDropConfig layer_drop;
    ObjectiveConfig objective;
    SearchConfig search;
    TrainConfig train;
    EvaluationConfig evaluation;
    CheckpointConfig checkpoint;
    SampleConfig sample;

    // path "optimizer.learning_rate" -> where its value comes from; absent = default
    std::map<std::string, std::string> origins;

    void visit(FieldVisitor& v);  // all sections but the encoder and blocks
};

// What the configuration asks for and its training does not use, in words; empty for most. `reads_labels`: what the
// objective does.
std::vector<std::string> unused_settings(const Config& config, bool reads_labels);

}  // namespace lithe
