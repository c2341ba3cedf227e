// A run: [train], [evaluation], [checkpoint] and [sample].
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lithe/base/fields.h"

namespace lithe {

enum class Precision { automatic, fp32, bf16 };
constexpr auto names_of(Precision) {
    using enum Precision;
    return std::to_array<Named<Precision>>({{automatic, "auto"}, {fp32, "fp32"}, {bf16, "bf16"}});
}

enum class DeviceKind { automatic, cpu, cuda };
constexpr auto names_of(DeviceKind) {
    using enum DeviceKind;
    return std::to_array<Named<DeviceKind>>({{automatic, "auto"}, {cpu, "cpu"}, {cuda, "cuda"}});
}

// What becomes of an update whose loss or gradient is not finite.
enum class NonFinite { abort, skip };
constexpr auto names_of(NonFinite) {
    using enum NonFinite;
    return std::to_array<Named<NonFinite>>({{abort, "abort"}, {skip, "skip"}});
}

// Updates of low rank (nn/lora.h).
struct LoraConfig {
    int64_t rank = 0;
    double alpha = 16;
    std::vector<std::string> paths;
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
    bool freeze_biases = true;
    LoraConfig lora;
    Precision precision = Precision::automatic;
    DeviceKind device = DeviceKind::automatic;
    int64_t threads = 0;
    int64_t parts = 0;
    bool graphs = false;
    std::string recompute = "none";
    int64_t max_memory = 0;
    NonFinite non_finite = NonFinite::abort;
    int64_t non_finite_limit = 10;
    int64_t log_every = 20;
    int64_t patience = 0;
    void visit(FieldVisitor& v);

 private:
    void visit_beginning(FieldVisitor& v);
    void visit_execution(FieldVisitor& v);
};

// What a query sees of the memory.
enum class AttentionMask { causal, same_length, same_length_original };
constexpr auto names_of(AttentionMask) {
    using enum AttentionMask;
    return std::to_array<Named<AttentionMask>>(
        {{causal, "causal"}, {same_length, "same_length"}, {same_length_original, "same_length_original"}});
}

struct EvaluationConfig {
    int64_t every = 0;  // steps
    double every_seconds = 0;
    int64_t bytes = 500000;  // of the valid split's text, 0 = all
    int64_t batch = 0;       // 0: the training batch
    int64_t length = 0;      // 0: the training length
    int64_t memory = -1;     // -1: the model's
    int64_t lead = 1024;     // unscored tokens before each stream
    AttentionMask mask = AttentionMask::causal;
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

}  // namespace lithe
