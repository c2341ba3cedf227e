// Small models of every kind that goes on with a text.
#pragma once

#include "lithe/model/language_model.h"
#include "lithe/spec/config_io.h"
#include "support/block_variants.h"
#include "support/waves.h"

namespace lithe::testing {

inline constexpr int64_t kVocabulary = 50;

// Those that have single steps.
inline const char* const kStepModels[] = {
    "width = 48\nlayout = \"ux2\"\nmemory = 8",
    "width = 48\nlayout = \"ux2\"\nmemory = 8\nheads = 2",
    "width = 48\nlayout = \"(rru)(sf)\"\nheads = 4\nmemory = 8\nfinal_norm = true\n"
    "ngrams.lengths = \"2-3, 7\"\nngrams.rows = 60",
    "width = 48\nlayout = \"(sf)x2\"\nheads = 4\npositions = \"learned\"\nmax_positions = 64\ntie_embeddings = true",
    "width = 48\nlayout = \"sf-\"\npositions = \"sinusoidal\"\nmax_positions = 64\nnorm = \"post\"",
    "width = 40\nlayout = \"[<sru>]x2 l <gru><atr>\"",
    "width = 40\nlayout = \"<min_gru><min_lstm><lrn><ssru>\"\n[blocks.min_gru]\nexpansion = 2\nbias = true\n"
    "[blocks.ssru]\nprojection = true",
    "width = 40\nlayout = \"<rg_lru>x2 <qrnn>\"\n[blocks.qrnn]\nwindow = 3",
    "width = 40\nlayout = \"<rg_lru><qrnn>\"\n[blocks.rg_lru]\ninner = 56\n"
    "[blocks.qrnn]\ngate = \"admit\"\npooling = \"f\"\nzoneout = 0.2",
    "width = 48\nlayout = \"(sf)x2\"\nheads = 4\nmemory = 8\npositions = \"relative\"\nnorm = \"post\"\n"
    "embedding_scale = \"sqrt_width\"\ntie_embeddings = true",
    "width = 48\nlayout = \"(sf)x2\"\nheads = 2\nmemory = 8\npositions = \"relative\"",
    "width = 48\nlayout = \"(<cascade>f)x2\"\nheads = 4\nmemory = 8\n[blocks.cascade]\nwindow = 3",
    "width = 48\nlayout = \"<gla><retnet>f<linear_attention>\"\nheads = 3",
    "width = 48\nlayout = \"<performer>fs<performer>\"\nheads = 3\nmemory = 8\n[blocks.performer]\nfeatures = 40",
    "width = 48\nlayout = \"(sf)x2\"\nheads = 4\nmemory = 8\npositions = \"rotary\"\nnorm_form = \"rms\"\nfinal_norm = "
    "true",
    "width = 48\nlayout = \"(sf)x2\"\nheads = 2\nmemory = 8\npositions = \"rotary\"\nnorm = \"post\"\nnorm_form = "
    "\"rms\"",
    "width = 48\nlayout = \"<delta_net><gated_delta>s<kda>\"\nmemory = 8\n[blocks.gated_delta]\nheads = 3\n"
    "[blocks.kda]\nheads = 4",
    "width = 48\nlayout = \"<mlstm>s<mlstm>\"\nmemory = 8\n[blocks.mlstm]\nheads = 3",
    "width = 48\nlayout = \"u~(sf)x3~[sff]x2\"\nheads = 4\nmemory = 8\nfinal_norm = true",
    "width = 48\nlayout = \"[sf]x3\"\nheads = 4\nmemory = 8\nembedding_width = 12\ntie_embeddings = true\n"
    "ngrams.lengths = \"2-3\"\nngrams.rows = 60",
    "width = 48\nlayout = \"u@[sf]x4@(sf)x2\"\nheads = 4\nmemory = 8\n[blocks.halting]\nbias = -0.5",
    "width = 48\nlayout = \"(<hgrn2>s)x3<mamba2>\"\nmemory = 8\n[blocks.mamba2]\nheads = 4\nstate = 20",
};

// Each variant of a block that reads one text from left to right, two of them with attention below.
inline std::vector<std::string> variant_models() {
    std::vector<std::string> texts;
    for (const BlockVariant& variant : block_variants()) {
        const std::string kind = variant.kind->name;
        if (kind == "cross_attention" || !variant.kind->traits.causal || has_value(variant, "bidirectional", "true"))
            continue;
        std::string text = "width = 16\nlayout = \"s<" + kind + ">x2\"\nmemory = 8\n[blocks." + kind + "]\n";
        for (const RawValue& value : variant.values) text += value.key + " = " + value.text + "\n";
        texts.push_back(text);
    }
    return texts;
}

inline std::unique_ptr<LanguageModel> make_model(const std::string& text, at::ScalarType working = at::kFloat,
                                                 int64_t vocabulary = kVocabulary) {
    auto model = std::make_unique<LanguageModel>(parse_config("[model]\n" + text, "test"), vocabulary);
    model->materialize(at::kFloat, working, at::kCPU, 5);
    const at::NoGradGuard no_grad;
    for (size_t i = 0; i < model->parameters().size(); ++i) {
        const ParameterSpec& spec = model->parameters().spec(i);
        const Tensor value = model->parameters().working(i);
        if (spec.role == Role::scalar) value.fill_(0.5);
        if (spec.name.find("position_bias") != std::string::npos) value.copy_(wave(spec.shape, 0.7, 0.3, 1.0));
    }
    return model;
}

}  // namespace lithe::testing
