// Weights under Hugging Face's names for GPT-2 and Llama give what those programs give: forward passes written here
// from transformers' models (gpt2: pre-norm, gelu's tanh form, products stored the other way round; llama: RMS norm,
// rotate_half, grouped keys, SwiGLU).
#include "lithe/model/import_decoder.h"

#include <cmath>

#include "lithe/spec/config_io.h"
#include "support/errors.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::expect_close;
using testing::wave;
using Weights = std::map<std::string, Tensor>;

constexpr int64_t kWidth = 8, kHeads = 4, kKeptHeads = 2, kInner = 12, kVocabulary = 11, kLayers = 2, kSteps = 5;
constexpr int64_t kSize = kWidth / kHeads;

class Maker {
 public:
    void add(const std::string& name, at::IntArrayRef sizes) {
        weights[name] = wave(sizes, 0.7, seed_++, 0.4).to(at::kFloat);
    }
    Weights weights;

 private:
    double seed_ = 1;
};

std::vector<NamedTensor> as_list(const Weights& weights) {
    std::vector<NamedTensor> list;
    for (const auto& [name, tensor] : weights) list.push_back({name, tensor});
    return list;
}

Weights gpt2_weights() {
    Maker w;
    w.add("transformer.wte.weight", {kVocabulary, kWidth});
    w.add("transformer.wpe.weight", {kSteps, kWidth});
    for (int64_t n = 0; n < kLayers; ++n) {
        const std::string layer = "transformer.h." + std::to_string(n) + ".";
        for (const char* norm : {"ln_1", "ln_2"}) {
            w.add(layer + norm + ".weight", {kWidth});
            w.add(layer + norm + ".bias", {kWidth});
        }
        const auto product = [&](const std::string& name, int64_t in, int64_t out) {
            w.add(layer + name + ".weight", {in, out});
            w.add(layer + name + ".bias", {out});
        };
        product("attn.c_attn", kWidth, 3 * kWidth);
        product("attn.c_proj", kWidth, kWidth);
        product("mlp.c_fc", kWidth, kInner);
        product("mlp.c_proj", kInner, kWidth);
        w.weights[layer + "attn.bias"] = at::ones({1, 1, kSteps, kSteps}).tril();
    }
    w.add("transformer.ln_f.weight", {kWidth});
    w.add("transformer.ln_f.bias", {kWidth});
    w.weights["lm_head.weight"] = w.weights["transformer.wte.weight"].clone();
    return w.weights;
}

Weights llama_weights() {
    Maker w;
    w.add("model.embed_tokens.weight", {kVocabulary, kWidth});
    for (int64_t n = 0; n < kLayers; ++n) {
        const std::string layer = "model.layers." + std::to_string(n) + ".";
        w.add(layer + "input_layernorm.weight", {kWidth});
        w.add(layer + "self_attn.q_proj.weight", {kWidth, kWidth});
        w.add(layer + "self_attn.k_proj.weight", {kKeptHeads * kSize, kWidth});
        w.add(layer + "self_attn.v_proj.weight", {kKeptHeads * kSize, kWidth});
        w.add(layer + "self_attn.o_proj.weight", {kWidth, kWidth});
        w.add(layer + "post_attention_layernorm.weight", {kWidth});
        w.add(layer + "mlp.gate_proj.weight", {kInner, kWidth});
        w.add(layer + "mlp.up_proj.weight", {kInner, kWidth});
        w.add(layer + "mlp.down_proj.weight", {kWidth, kInner});
    }
    w.add("model.norm.weight", {kWidth});
    w.add("lm_head.weight", {kVocabulary, kWidth});
    return w.weights;
}

// Of one text [T], in fp64.
class Original {
 public:
    explicit Original(const Weights& weights) {
        for (const auto& [name, tensor] : weights) w_[name] = tensor.to(at::kDouble);
    }

    Tensor gpt2(const Tensor& ids) {
        Tensor h =
            w_["transformer.wte.weight"].index_select(0, ids) + w_["transformer.wpe.weight"].narrow(0, 0, ids.size(0));
        for (int64_t n = 0; n < kLayers; ++n) {
            const std::string layer = "transformer.h." + std::to_string(n) + ".";
            const auto conv = [&](const std::string& name, const Tensor& x) {
                return at::mm(x, w_[layer + name + ".weight"]) + w_[layer + name + ".bias"];
            };
            const auto parts = conv("attn.c_attn", layer_norm(layer + "ln_1", h)).split(kWidth, 1);
            h = h + conv("attn.c_proj", attention(heads(parts[0]), heads(parts[1]), heads(parts[2])));
            h = h + conv("mlp.c_proj", at::gelu(conv("mlp.c_fc", layer_norm(layer + "ln_2", h)), "tanh"));
        }
        return at::linear(layer_norm("transformer.ln_f", h), w_["lm_head.weight"]);
    }

    Tensor llama(const Tensor& ids, double base) {
        Tensor h = w_["model.embed_tokens.weight"].index_select(0, ids);
        for (int64_t n = 0; n < kLayers; ++n) {
            const std::string layer = "model.layers." + std::to_string(n) + ".";
            const auto linear = [&](const std::string& name, const Tensor& x) {
                return at::linear(x, w_[layer + name + "_proj.weight"]);
            };
            const Tensor x = rms_norm(layer + "input_layernorm", h);
            const auto repeated = [&](const Tensor& kept) { return kept.repeat_interleave(kHeads / kKeptHeads, 1); };
            const Tensor q = turned(heads(linear("self_attn.q", x)), base);
            const Tensor k = repeated(turned(heads(linear("self_attn.k", x)), base));
            h = h + linear("self_attn.o", attention(q, k, repeated(heads(linear("self_attn.v", x)))));
            const Tensor y = rms_norm(layer + "post_attention_layernorm", h);
            h = h + linear("mlp.down", at::silu(linear("mlp.gate", y)) * linear("mlp.up", y));
        }
        return at::linear(rms_norm("model.norm", h), w_["lm_head.weight"]);
    }

 private:
    static Tensor heads(const Tensor& x) { return x.view({x.size(0), -1, kSize}); }
    static Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v) {
        const Tensor score = at::einsum("ihd,jhd->hij", {q, k}) / std::sqrt(double(kSize));
        const Tensor ahead = at::ones({q.size(0), q.size(0)}, at::kBool).triu(1);
        return at::einsum("hij,jhd->ihd", {at::softmax(score.masked_fill(ahead, -INFINITY), 2), v})
            .reshape({q.size(0), -1});
    }
    // transformers' apply_rotary_pos_emb: x cos + rotate_half(x) sin.
    static Tensor turned(const Tensor& x, double base) {
        const int64_t half = kSize / 2;
        const Tensor rate = at::pow(base, at::arange(half, at::kDouble) * 2 / -double(kSize));
        const Tensor angle = at::arange(x.size(0), at::kDouble).unsqueeze(1) * rate;
        const Tensor both = at::cat({angle, angle}, 1).unsqueeze(1);
        const Tensor rotated = at::cat({-x.narrow(2, half, half), x.narrow(2, 0, half)}, 2);
        return x * both.cos() + rotated * both.sin();
    }
    Tensor layer_norm(const std::string& name, const Tensor& x) {
        const Tensor centred = x - x.mean(1, true);
        return centred / (centred.square().mean(1, true) + 1e-5).sqrt() * w_[name + ".weight"] + w_[name + ".bias"];
    }
    Tensor rms_norm(const std::string& name, const Tensor& x) {
        return x / (x.square().mean(1, true) + 1e-5).sqrt() * w_[name + ".weight"];
    }
    Weights w_;
};

std::unique_ptr<LanguageModel> model_of(const std::string& config, const std::vector<NamedTensor>& source) {
    const Config parsed = parse_config(config, "test");
    auto model = std::make_unique<LanguageModel>(parsed, kVocabulary);
    const Imported imported = (is_gpt2(source) ? import_gpt2 : import_llama)(source, *model, "weights");
    model->materialize(at::kDouble, at::kDouble, at::kCPU, 1);
    const at::NoGradGuard no_grad;
    EXPECT_EQ(imported.tensors.size(), model->parameters().size());
    for (size_t i = 0; i < imported.tensors.size(); ++i) {
        EXPECT_EQ(imported.tensors[i].name, model->parameters().spec(i).name);
        model->parameters().working(i).copy_(imported.tensors[i].tensor);
    }
    return model;
}

Tensor logits_of(const LanguageModel& model, const Tensor& ids) {
    return model.forward(ids.unsqueeze(1), {}, model.pass(false)).logits_TBV.squeeze(1);
}

const std::string kGpt2 =
    "[model]\nwidth = 8\nheads = 4\nlayout = \"(sf)x2\"\npositions = \"learned\"\nmax_positions = 5\nfinal_norm = "
    "true\n"
    "tie_embeddings = true\nhead_bias = false\n[blocks.s]\nbias = true\n[blocks.f]\ninner = 12\nactivation = "
    "\"gelu_tanh\"\n";
const std::string kLlama =
    "[model]\nwidth = 8\nheads = 4\nlayout = \"(sf)x2\"\npositions = \"rotary\"\nnorm_form = \"rms\"\nfinal_norm = "
    "true\n"
    "head_bias = false\n[blocks.s]\nkey_value_heads = 2\nrotary_base = 500.0\n[blocks.f]\ninner = 12\nactivation = "
    "\"swiglu\"\nbias = false\n";

TEST(ImportDecoder, Gpt2GivesItsLogits) {
    const Weights weights = gpt2_weights();
    ASSERT_TRUE(is_gpt2(as_list(weights)));
    ASSERT_FALSE(is_llama(as_list(weights)));
    const Tensor ids = at::tensor(std::vector<int64_t>{3, 1, 7, 7, 10});
    const auto model = model_of(kGpt2, as_list(weights));
    expect_close(logits_of(*model, ids), Original(weights).gpt2(ids), 1e-12, "logits");
}

TEST(ImportDecoder, LlamaGivesItsLogits) {
    const Weights weights = llama_weights();
    ASSERT_TRUE(is_llama(as_list(weights)));
    const Tensor ids = at::tensor(std::vector<int64_t>{3, 1, 7, 7, 10});
    const auto model = model_of(kLlama, as_list(weights));
    expect_close(logits_of(*model, ids), Original(weights).llama(ids, 500), 1e-12, "logits");
}

TEST(ImportDecoder, WhatDoesNotFitIsToldByName) {
    Weights weights = llama_weights();
    weights.erase("model.layers.1.mlp.up_proj.weight");
    weights["model.layers.0.self_attn.q_proj.bias"] = at::zeros({kWidth});
    const LanguageModel model(parse_config(kLlama, "test"), kVocabulary);
    EXPECT_ERROR(import_llama(as_list(weights), model, "w"), ErrorKind::bad_file,
                 "'layers.1.mlp.up_proj.weight' is missing");
    EXPECT_ERROR(import_llama(as_list(weights), model, "w"), ErrorKind::bad_file,
                 "'layers.0.self_attn.q_proj.bias' has no place in the model");
    Weights other = gpt2_weights();
    other["lm_head.weight"] = other["lm_head.weight"] + 1;
    const LanguageModel tied(parse_config(kGpt2, "test"), kVocabulary);
    EXPECT_ERROR(import_gpt2(as_list(other), tied, "w"), ErrorKind::bad_file, "'lm_head.weight' differs from");
}

// The published counts.
TEST(ImportDecoder, ConfigurationsHaveThePublishedShapes) {
    const std::string folder = std::string(LITHE_SOURCE_FOLDER) + "/configs/";
    EXPECT_EQ(LanguageModel(load_config(folder + "gpt2.toml"), 50257).parameters().count(), 124'439'808);
    EXPECT_EQ(LanguageModel(load_config(folder + "smollm2-135m.toml"), 49152).parameters().count(), 134'515'008);
}

}  // namespace
}  // namespace lithe
