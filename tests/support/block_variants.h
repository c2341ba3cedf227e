// Every block kind as it ships, and with every other choice that its options have: what suites over kinds run over.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "support/block_maker.h"

namespace lithe::testing {

struct BlockVariant {
    std::string name;  // of the kind, and what is different: letters, digits, underscores
    const BlockKind* kind;
    std::vector<RawValue> values;  // options that are not the kind's own
};

inline BlockVariant variant_of(const char* kind, const char* what,
                               const std::vector<std::pair<const char*, const char*>>& values) {
    BlockVariant variant{std::string(kind) + "_" + what, find_block_kind(kind), {}};
    for (const auto& [key, text] : values) variant.values.push_back({key, text, "test"});
    return variant;
}

// Of attention over all keys.
inline std::vector<BlockVariant> attention_variants() {
    return {
        variant_of("attention", "heads", {{"heads", "2"}, {"bias", "true"}, {"init", "\"normal\""}}),
        variant_of("attention", "rotary", {{"heads", "2"}, {"positions", "\"rotary\""}}),
        variant_of("attention", "today",
                   {{"heads", "4"},
                    {"key_value_heads", "2"},
                    {"positions", "\"rotary\""},
                    {"rotary_share", "0.5"},
                    {"rotary_base", "500.0"},
                    {"window", "3"},
                    {"query_key_norm", "true"},
                    {"gated", "true"}}),
        variant_of("attention", "alibi", {{"heads", "4"}, {"positions", "\"alibi\""}}),
        variant_of("attention", "bent",
                   {{"heads", "2"},
                    {"positions", "\"alibi\""},
                    {"soft_cap", "0.8"},
                    {"sinks", "true"},
                    {"key_value_heads", "1"},
                    {"window", "6"}}),
        variant_of("attention", "forgetting", {{"heads", "2"}, {"forget_gate", "true"}}),
        variant_of("attention", "forgetting_today",
                   {{"heads", "4"},
                    {"key_value_heads", "2"},
                    {"positions", "\"rotary\""},
                    {"forget_gate", "true"},
                    {"window", "5"},
                    {"query_key_norm", "true"},
                    {"sinks", "true"},
                    {"gated", "true"}}),
        variant_of("attention", "sinks", {{"heads", "2"}, {"sinks", "true"}, {"soft_cap", "0.8"}}),
        variant_of("attention", "one_key_head", {{"heads", "2"}, {"key_value_heads", "1"}, {"bias", "true"}}),
        variant_of("attention", "relative", {{"heads", "2"}, {"positions", "\"relative\""}}),
        variant_of("attention", "relative_clamped",
                   {{"positions", "\"relative\""}, {"clamp_length", "4"}, {"tie_position_biases", "false"}}),
    };
}

// Of attention over patterns of keys.
inline std::vector<BlockVariant> pattern_variants() {
    return {
        variant_of("sparse", "strided", {{"heads", "2"}, {"stride", "4"}, {"bias", "true"}, {"init", "\"normal\""}}),
        variant_of("sparse", "fixed", {{"heads", "2"}, {"pattern", "\"fixed\""}, {"stride", "4"}, {"summary", "2"}}),
        variant_of("sparse", "fixed_one", {{"pattern", "\"fixed\""}, {"stride", "5"}, {"summary", "1"}}),
        variant_of("cascade", "heads", {{"heads", "2"}, {"bias", "true"}, {"init", "\"normal\""}}),
        variant_of("longformer", "dilated",
                   {{"heads", "4"},
                    {"window", "2"},
                    {"dilation", "3"},
                    {"dilated_heads", "1"},
                    {"bias", "true"},
                    {"init", "\"normal\""}}),
        variant_of("longformer", "near", {{"window", "2"}, {"dilation", "2"}}),
        variant_of("bigbird", "blocks",
                   {{"heads", "2"}, {"block", "2"}, {"random", "1"}, {"bias", "true"}, {"init", "\"normal\""}}),
        variant_of("blockbert", "shifted",
                   {{"heads", "4"}, {"blocks", "3"}, {"shifted", "1"}, {"bias", "true"}, {"init", "\"normal\""}}),
        variant_of("sinkhorn", "blocks",
                   {{"heads", "2"}, {"block", "4"}, {"iterations", "5"}, {"bias", "true"}, {"init", "\"normal\""}}),
        variant_of("sinkhorn", "unfilled", {{"heads", "2"}, {"block", "5"}, {"temperature", "0.5"}}),
        // few chunks, which are all positions: others are not the same in lower precisions, where hashes differ
        variant_of("lsh", "two_chunks",
                   {{"heads", "2"},
                    {"chunk", "7"},
                    {"rounds", "1"},
                    {"scaled", "true"},
                    {"bias", "true"},
                    {"init", "\"normal\""}}),
        variant_of("lsh", "one_chunk", {{"chunk", "13"}, {"buckets", "4"}, {"allow_leak", "true"}, {"rounds", "2"}}),
        variant_of("adaptive_span", "heads",
                   {{"heads", "2"},
                    {"span", "9"},
                    {"ramp", "5"},
                    {"initial", "0.37"},
                    {"bias", "true"},
                    {"init", "\"normal\""}}),
        variant_of("adaptive_span", "own",
                   {{"span", "6"}, {"ramp", "3"}, {"initial", "0.61"}, {"own_position", "true"}}),
        variant_of("all_attention", "heads",
                   {{"heads", "2"},
                    {"span", "9"},
                    {"ramp", "5"},
                    {"initial", "0.37"},
                    {"vectors", "5"},
                    {"bias", "true"},
                    {"init", "\"normal\""}}),
        variant_of("all_attention", "own",
                   {{"span", "30"}, {"ramp", "3"}, {"initial", "0.41"}, {"own_position", "true"}, {"vectors", "3"}}),
    };
}

// Of attention of low rank.
inline std::vector<BlockVariant> low_rank_variants() {
    return {
        variant_of("linformer", "own",
                   {{"heads", "2"}, {"rank", "3"}, {"sharing", "\"none\""}, {"bias", "true"}, {"init", "\"normal\""}}),
        variant_of("linformer", "keys_as_values", {{"heads", "2"}, {"rank", "5"}, {"sharing", "\"key_value\""}}),
        variant_of("linformer", "layers", {{"length", "13"}, {"rank", "13"}, {"sharing", "\"layerwise\""}}),
        variant_of("nystrom", "pieces",
                   {{"heads", "2"},
                    {"landmarks", "4"},
                    {"iterations", "3"},
                    {"taps", "5"},
                    {"bias", "true"},
                    {"init", "\"normal\""}}),
        variant_of("nystrom", "no_convolution", {{"landmarks", "5"}, {"taps", "0"}}),
        variant_of("synthesizer", "dense",
                   {{"heads", "2"}, {"length", "14"}, {"bias", "true"}, {"init", "\"normal\""}}),
        variant_of("synthesizer", "random", {{"heads", "2"}, {"length", "14"}, {"dense", "false"}, {"random", "true"}}),
        variant_of("synthesizer", "factorised",
                   {{"length", "14"}, {"dense", "false"}, {"factorised_dense", "true"}, {"bias", "true"}}),
        variant_of("synthesizer", "low_rank",
                   {{"heads", "2"}, {"length", "14"}, {"dense", "false"}, {"factorised_random", "true"}}),
        variant_of("synthesizer", "mixed",
                   {{"heads", "2"},
                    {"length", "14"},
                    {"random", "true"},
                    {"factorised_dense", "true"},
                    {"factor", "7"},
                    {"factorised_random", "true"},
                    {"rank", "3"},
                    {"attention", "true"}}),
    };
}

// Of recurrences with a matrix for a state.
inline std::vector<BlockVariant> matrix_state_variants() {
    return {
        variant_of("performer", "heads", {{"heads", "2"}, {"features", "6"}, {"bias", "true"}}),
        variant_of("performer", "redrawn", {{"features", "20"}, {"redraw", "3"}}),
        variant_of("performer", "relu", {{"heads", "2"}, {"features", "24"}, {"kernel", "\"relu\""}}),
        variant_of("performer", "relu_alone", {{"heads", "2"}, {"features", "0"}, {"kernel", "\"relu\""}}),
        variant_of("linear_attention", "heads", {{"heads", "2"}, {"bias", "false"}}),
        variant_of("retnet", "heads", {{"heads", "2"}, {"key_width", "4"}, {"value_width", "6"}}),
        variant_of("gla", "wide", {{"heads", "2"}, {"key_width", "8"}, {"value_width", "10"}, {"decay_rank", "3"}}),
        variant_of("mamba2", "heads", {{"heads", "2"}, {"inner", "12"}, {"state", "5"}, {"taps", "3"}}),
        variant_of("delta_net", "gate",
                   {{"heads", "2"},
                    {"key_width", "6"},
                    {"value_width", "10"},
                    {"taps", "3"},
                    {"gate", "true"},
                    {"negative_eigenvalues", "true"}}),
        variant_of("gated_delta", "heads", {{"heads", "2"}, {"key_width", "6"}, {"value_width", "10"}, {"taps", "3"}}),
        variant_of("gated_delta", "turning", {{"negative_eigenvalues", "true"}}),
        variant_of("kda", "heads", {{"heads", "2"}, {"key_width", "6"}, {"value_width", "10"}, {"taps", "3"}}),
        variant_of("kda", "turning", {{"negative_eigenvalues", "true"}}),
        variant_of("rwkv7", "heads",
                   {{"heads", "2"}, {"decay_rank", "3"}, {"rate_rank", "4"}, {"value_rank", "5"}, {"gate_rank", "6"}}),
        variant_of("rwkv7_channel", "narrow", {{"inner", "6"}}),
        variant_of("mlstm", "heads", {{"heads", "2"}, {"key_width", "6"}, {"value_width", "10"}, {"gate_cap", "2.5"}}),
        variant_of("hgrn2", "unbounded", {{"heads", "2"}, {"lower_bounds", "false"}}),
    };
}

// Of element-wise recurrences whose state is updated at some steps alone.
inline std::vector<BlockVariant> skipping_variants() {
    std::vector<BlockVariant> list;
    for (const char* kind : {"sru", "lrn", "ssru", "min_gru", "min_lstm", "rg_lru", "qrnn"})
        list.push_back(variant_of(kind, "skipping", {{"skip_updates", "true"}}));
    return list;
}

// A new kind is in it by itself; a new option needs a row, or BlockVariants.EveryChoiceIsTested fails.
inline const std::vector<BlockVariant>& block_variants() {
    static const std::vector<BlockVariant> all = [] {
        std::vector<BlockVariant> list;
        for (const BlockKind& kind : block_kinds()) list.push_back({kind.name, &kind, {}});
        for (BlockVariant& each : list)  // a segment of the suites has fewer tokens than its landmarks
            if (each.name == "nystrom") each.values = {{"landmarks", "4", "test"}};
        for (BlockVariant& each : list)  // at its begin, a span can only grow
            if (each.name == "adaptive_span" || each.name == "all_attention")
                each.values = {{"span", "16", "test"}, {"ramp", "4", "test"}, {"initial", "0.3", "test"}};
        for (BlockVariant& each : std::vector<BlockVariant>{
                 variant_of("srupp", "heads_rescale", {{"heads", "2"}, {"projection", "4"}, {"rescale", "true"}}),
                 variant_of("projected_sru", "rescale", {{"rescale", "true"}}),
                 variant_of("sru", "projected",
                            {{"projection", "4"},
                             {"layer_norm", "\"before\""},
                             {"skip", "\"projected\""},
                             {"activation", "\"tanh\""}}),
                 variant_of("sru", "no_skip", {{"layer_norm", "\"after\""}, {"skip", "\"none\""}}),
                 variant_of("sru", "rescale", {{"rescale", "true"}, {"highway_bias", "-1.0"}}),
                 variant_of("feed_forward", "relu", {{"activation", "\"relu\""}, {"bias", "false"}, {"inner", "12"}}),
                 variant_of("feed_forward", "gelu_tanh", {{"activation", "\"gelu_tanh\""}}),
                 variant_of("feed_forward", "squared_relu", {{"activation", "\"squared_relu\""}}),
                 variant_of("feed_forward", "glu", {{"activation", "\"glu\""}, {"inner", "20"}}),
                 variant_of("feed_forward", "swiglu", {{"activation", "\"swiglu\""}, {"bias", "false"}}),
                 variant_of("feed_forward", "geglu", {{"activation", "\"geglu\""}}),
                 variant_of("feed_forward", "reglu", {{"activation", "\"reglu\""}}),
                 variant_of("moe", "two", {{"experts", "3"}, {"top", "2"}, {"inner", "12"}, {"bias", "false"}}),
                 variant_of("moe", "swiglu",
                            {{"experts", "4"}, {"capacity", "0"}, {"activation", "\"swiglu\""}, {"inner", "6"}}),
                 variant_of("cross_attention", "heads", {{"heads", "2"}, {"bias", "true"}, {"init", "\"normal\""}}),
                 variant_of("qrnn", "window", {{"window", "3"}, {"pooling", "\"f\""}}),
                 variant_of("qrnn", "admit", {{"window", "2"}, {"gate", "\"admit\""}}),
                 variant_of("qrnn", "admit_f", {{"gate", "\"admit\""}, {"pooling", "\"f\""}}),
                 variant_of("qrnn", "ifo", {{"pooling", "\"ifo\""}}),
                 variant_of("lrn", "identity", {{"activation", "\"identity\""}}),
                 variant_of("ssru", "whole", {{"layer_norm", "true"}, {"projection", "true"}}),
                 variant_of("min_gru", "wide", {{"expansion", "2"}, {"bias", "true"}}),
                 variant_of("min_lstm", "wide", {{"expansion", "2"}, {"bias", "true"}}),
                 variant_of("rg_lru", "heads", {{"heads", "2"}, {"inner", "12"}, {"taps", "3"}}),
                 variant_of("sha", "no_attention", {{"attention", "false"}, {"expansion", "2"}}),
                 variant_of("boom", "three", {{"expansion", "3"}}),
                 variant_of("trans_blstm", "replace", {{"form", "\"replace\""}, {"heads", "2"}, {"units", "5"}}),
                 variant_of("lru", "ring", {{"states", "5"}, {"r_min", "0.5"}, {"r_max", "0.9"}, {"max_phase", "1.0"}}),
                 variant_of("s4d", "inv", {{"states", "6"}, {"start", "\"inv\""}}),
                 variant_of("s4d", "real", {{"states", "5"}, {"start", "\"real\""}}),
                 variant_of("slstm", "heads", {{"heads", "2"}, {"taps", "3"}}),
                 variant_of("lstm", "forget", {{"forget_bias", "1.0"}}),
             })
            list.push_back(std::move(each));
        for (BlockVariant& each : attention_variants()) list.push_back(std::move(each));
        for (BlockVariant& each : pattern_variants()) list.push_back(std::move(each));
        for (BlockVariant& each : low_rank_variants()) list.push_back(std::move(each));
        for (BlockVariant& each : matrix_state_variants()) list.push_back(std::move(each));
        for (BlockVariant& each : skipping_variants()) list.push_back(std::move(each));
        return list;
    }();
    return all;
}

inline bool has_value(const BlockVariant& variant, const std::string& key, const std::string& text) {
    return std::any_of(variant.values.begin(), variant.values.end(),
                       [&](const RawValue& value) { return value.key == key && value.text == text; });
}

// A kind that can run both ways has options that look back alone.
inline bool looks_back_alone(const BlockVariant& variant) {
    const bool attention = std::string_view(variant.kind->name) == "attention";
    const bool window =
        attention && std::any_of(variant.values.begin(), variant.values.end(), [](const RawValue& value) {
            return value.key == "window" || value.key == "forget_gate";
        });
    const bool back = has_value(variant, "positions", "\"relative\"") || has_value(variant, "positions", "\"alibi\"");
    const bool skips = has_value(variant, "skip_updates", "true");
    return !variant.kind->traits.bidirectional || window || back || skips;
}

}  // namespace lithe::testing
