// What a run is: one typed struct per section of a configuration file. Defaults stand here; help, bounds and units
// stand in the `visit` functions (config.cpp), and every use of a configuration is a visitor over them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lithe/base/fields.h"

namespace lithe {

// `[blocks.x]`: the letter or name x means `kind` with these options.
struct BlockDefinition {
    std::string kind;  // empty: x itself is a kind
    std::vector<RawValue> options;
};

struct ModelConfig {
    int64_t width = 512;
    std::string layout = "u x6";
    int64_t vocabulary_size = 0;  // 0: the tokenizer's
    double dropout = 0.0;
    double attention_dropout = 0.0;
    int64_t memory = 0;
    std::string memory_form = "inputs";
    int64_t heads = 1;
    std::string norm = "pre";
    bool final_norm = false;
    double norm_epsilon = 1e-5;
    bool tie_embeddings = false;
    std::string positions = "none";
    int64_t max_positions = 0;
    int64_t ngrams = 0;
    std::string ngram_lengths = "all";
    int64_t ngram_rows = 65536;
    int64_t ngram_width = 64;
    std::string embedding_init = "uniform";
    std::string embedding_scale = "one";
    std::string cutoffs;
    int64_t cutoff_divisor = 1;
    std::string tie_projections = "tails";
    std::string cluster_order = "original";
    std::string direction = "causal";
    std::string head = "linear";
    bool embedding_norm = false;
    int64_t token_types = 0;
    bool pooler = false;
    void visit(FieldVisitor& v);
};

struct DataConfig {
    std::string path;
    std::string train, valid, test;  // separate files, instead of `path`
    std::string split = "90/5/5";
    std::string tokenizer = "bytes";
    std::string vocabulary = "all";
    int64_t min_count = 1;
    std::string format = "auto";
    std::string field = "text";
    std::string label;
    std::string parallel;
    std::string documents = "file";
    std::string document_end = "auto";
    std::string deduplicate = "none";
    double max_expansion = 500;
    std::vector<std::string> sources;
    double temperature = 1;
    std::string order = "streams";
    std::string rows = "packed";
    std::vector<std::string> include, exclude;
    void visit(FieldVisitor& v);
};

struct OptimizerConfig {
    std::string name = "adamw";
    double learning_rate = 1e-3;
    double beta1 = 0.9, beta2 = 0.99, epsilon = 1e-8;
    double momentum = 0.9;
    double weight_decay = 0.1;
    std::string decay = "matrices";
    std::string radam_fallback = "sgd";
    double clip_norm = 1.0;
    double table_learning_rate = 0.05;
    double muon_learning_rate = 0.01;
    double muon_momentum = 0.95;
    std::string muon_scale = "shape";
    int64_t lookahead_steps = 0;
    double lookahead_rate = 0.5;
    double average = 0;
    void visit(FieldVisitor& v);
};

struct ScheduleConfig {
    std::string name = "cosine";
    std::string axis = "auto";
    double warmup = 0.02;
    double decay = 0.2;
    double final_ratio = 0.0;
    void visit(FieldVisitor& v);
};

struct LayerDropConfig {
    std::string method = "none";
    double keep = 0.5;
    double gamma = 0.001;
    std::string form = "paper";
    std::string draw = "micro_batch";
    std::string moments = "advance";
    void visit(FieldVisitor& v);
};

struct ObjectiveConfig {
    std::string name = "next";
    std::vector<RawValue> options;  // of the objective's kind
    void visit(FieldVisitor& v);
};

struct SearchConfig {
    std::string method = "gumbel";
    bool supernet = false;
    std::string candidates = "s f -";
    double warmup = 0.2;
    int64_t period = 100;
    double share = 0.2;
    double held_out = 0.2;
    double learning_rate = 0.01, weight_decay = 5e-4, beta1 = 0.5, beta2 = 0.999;
    double temperature = 5, final_temperature = 0.1;
    std::string sampling = "soft";
    bool tie_candidates = false;
    double settled = 0.75;
    std::string cost = "none";
    std::string cost_form = "multiply";
    double alpha = 0.2, beta = 0.6;
    double budget = 0;
    int64_t retrain_tokens = 0;
    std::vector<std::string> baselines;
    int64_t random_layouts = 2;
    int64_t trial_tokens = 0;
    int64_t population = 16, tournament = 4, rungs = 3;
    double eta = 3;
    void visit(FieldVisitor& v);
};

struct TrainConfig {
    int64_t batch = 16;
    int64_t length = 256;
    int64_t accumulation = 1;
    int64_t max_steps = 0;
    int64_t max_tokens = 0;
    double max_seconds = 0;
    int64_t seed = 1;
    std::string init_from;
    std::vector<std::string> init_parts;
    std::vector<std::string> frozen;
    std::string precision = "auto";
    std::string device = "auto";
    int64_t threads = 0;
    int64_t parts = 0;
    bool graphs = false;
    std::string non_finite = "abort";
    int64_t non_finite_limit = 10;
    int64_t log_every = 20;
    int64_t patience = 0;
    void visit(FieldVisitor& v);

 private:
    void visit_beginning(FieldVisitor& v);
};

struct EvaluationConfig {
    int64_t every = 0;  // steps
    double every_seconds = 0;
    int64_t bytes = 500000;  // of the valid split's text, 0 = all
    int64_t batch = 0;       // 0: the training batch
    int64_t length = 0;      // 0: the training length
    int64_t memory = -1;     // -1: the model's
    int64_t lead = 1024;     // unscored tokens before each stream
    std::string mask = "causal";
    int64_t clamp_length = -1;
    void visit(FieldVisitor& v);
};

struct CheckpointConfig {
    int64_t every = 0;
    double every_seconds = 600;
    int64_t keep = 2;
    void visit(FieldVisitor& v);
};

struct SampleConfig {
    int64_t every = 0;
    std::string prompt = "The ";
    int64_t tokens = 200;
    double temperature = 0.8;
    int64_t pairs = 200;
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

// What the configuration asks for and no training uses yet, in words; empty for most.
std::vector<std::string> untrained_settings(const Config& config);

}  // namespace lithe
