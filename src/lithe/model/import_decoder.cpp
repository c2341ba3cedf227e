#include "lithe/model/import_decoder.h"

#include <algorithm>
#include <optional>

namespace lithe {
namespace {

// What the two have in common: a name of lithe's is one outside the layers, or a part of block number n.
class DecoderImporter {
 public:
    DecoderImporter(const std::vector<NamedTensor>& source, const LanguageModel& model, const std::string& prefix,
                    std::string program)
        : program_(std::move(program)),
          source_(source, prefix),
          model_(model),
          blocks_(count_blocks(model, program_)) {}
    virtual ~DecoderImporter() = default;

    Imported run(const std::string& path) {
        Imported result;
        result.tensors = source_.place(model_.parameters(), [this](const std::string& name) { return value_of(name); });
        for (const std::string& name : source_.unused())
            if (!is_made_anew(name)) source_.check_twin(name, name == "lm_head.weight" ? tokens_name() : "");
        source_.throw_if_any(path,
                             "layout, width, heads, key_value_heads, inner, positions, norms and biases must be those "
                             "that it was trained with");
        return result;
    }

 protected:
    using Names = std::map<std::string, std::string>;
    virtual const Names& outside() const = 0;
    virtual std::string tokens_name() const = 0;
    // A part of attention or feed-forward block number `number`; nullopt: the program has none.
    virtual std::optional<Tensor> part(bool attention, int number, const std::string& name) = 0;
    // Masks and angles that the program keeps beside its weights.
    virtual bool is_made_anew(const std::string& name) const = 0;

    Tensor take(const std::string& name) { return source_.take(name); }
    // One below the other; undefined where one is missing.
    Tensor stacked(const std::vector<std::string>& names) {
        std::vector<Tensor> all;
        for (const std::string& name : names) all.push_back(take(name));
        const bool whole = std::all_of(all.begin(), all.end(), [](const Tensor& each) { return each.defined(); });
        return whole ? at::cat(all) : Tensor();
    }

 private:
    Tensor value_of(const std::string& name) {
        if (const auto found = outside().find(name); found != outside().end()) return take(found->second);
        for (const auto& [block, number] : blocks_) {
            if (name.rfind(block + ".", 0) != 0) continue;
            const bool attention = block.find(".attention") != std::string::npos;
            if (const auto value = part(attention, number, name.substr(block.size() + 1))) return *value;
        }
        source_.add_problem("'" + name + "' has no counterpart in " + program_);
        return {};
    }

    std::string program_;
    ImportSource source_;
    const LanguageModel& model_;
    std::map<std::string, int> blocks_;
};

class Gpt2Importer : public DecoderImporter {
 public:
    Gpt2Importer(const std::vector<NamedTensor>& source, const LanguageModel& model)
        : DecoderImporter(source, model, "transformer.", "GPT-2") {}

 protected:
    const Names& outside() const override {
        static const Names names = {{"embeddings.tokens", "wte.weight"},
                                    {"embeddings.positions", "wpe.weight"},
                                    {"decoder.norm.gain", "ln_f.weight"},
                                    {"decoder.norm.bias", "ln_f.bias"},
                                    {"head.weight", "lm_head.weight"}};
        return names;
    }
    std::string tokens_name() const override { return "wte.weight"; }
    bool is_made_anew(const std::string& name) const override {
        return name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias");
    }
    std::optional<Tensor> part(bool attention, int number, const std::string& name) override {
        static const Names of_attention = {{"qkv", "attn.c_attn.weight"},      {"qkv_bias", "attn.c_attn.bias"},
                                           {"out", "attn.c_proj.weight"},      {"out_bias", "attn.c_proj.bias"},
                                           {"shell_norm.gain", "ln_1.weight"}, {"shell_norm.bias", "ln_1.bias"}};
        static const Names of_feed_forward = {{"w1", "mlp.c_fc.weight"},          {"b1", "mlp.c_fc.bias"},
                                              {"w2", "mlp.c_proj.weight"},        {"b2", "mlp.c_proj.bias"},
                                              {"shell_norm.gain", "ln_2.weight"}, {"shell_norm.bias", "ln_2.bias"}};
        const Names& names = attention ? of_attention : of_feed_forward;
        const auto found = names.find(name);
        if (found == names.end()) return std::nullopt;
        const Tensor value = take("h." + std::to_string(number) + "." + found->second);
        return value.defined() && value.dim() == 2 ? value.t() : value;
    }
};

class LlamaImporter : public DecoderImporter {
 public:
    LlamaImporter(const std::vector<NamedTensor>& source, const LanguageModel& model)
        : DecoderImporter(source, model, "model.", "Llama") {}

 protected:
    const Names& outside() const override {
        static const Names names = {{"embeddings.tokens", "embed_tokens.weight"},
                                    {"decoder.norm.gain", "norm.weight"},
                                    {"head.weight", "lm_head.weight"}};
        return names;
    }
    std::string tokens_name() const override { return "embed_tokens.weight"; }
    bool is_made_anew(const std::string& name) const override { return name.ends_with("rotary_emb.inv_freq"); }
    std::optional<Tensor> part(bool attention, int number, const std::string& name) override {
        const std::string layer = "layers." + std::to_string(number) + ".";
        const auto of_attention = [&](const char* what) { return layer + "self_attn." + what + "_proj.weight"; };
        const auto of_mlp = [&](const char* what) { return layer + "mlp." + what + "_proj.weight"; };
        if (attention && name == "qkv") return stacked({of_attention("q"), of_attention("k"), of_attention("v")});
        if (attention && name == "query") return take(of_attention("q"));
        if (attention && name == "key_value") return stacked({of_attention("k"), of_attention("v")});
        if (attention && name == "out") return take(of_attention("o"));
        if (attention && name == "query_norm.gain") return take(layer + "self_attn.q_norm.weight");
        if (attention && name == "key_norm.gain") return take(layer + "self_attn.k_norm.weight");
        if (!attention && name == "w1") return stacked({of_mlp("gate"), of_mlp("up")});
        if (!attention && name == "w2") return take(of_mlp("down"));
        if (name == "shell_norm.gain")
            return take(layer + (attention ? "input_layernorm.weight" : "post_attention_layernorm.weight"));
        return std::nullopt;
    }
};

bool has_name(const std::vector<NamedTensor>& source, const char* end) {
    return std::any_of(source.begin(), source.end(), [&](const NamedTensor& each) { return each.name.ends_with(end); });
}

}  // namespace

bool is_gpt2(const std::vector<NamedTensor>& source) { return has_name(source, "h.0.attn.c_attn.weight"); }
bool is_llama(const std::vector<NamedTensor>& source) { return has_name(source, "layers.0.self_attn.q_proj.weight"); }

Imported import_gpt2(const std::vector<NamedTensor>& source, const LanguageModel& model, const std::string& path) {
    return Gpt2Importer(source, model).run(path);
}

Imported import_llama(const std::vector<NamedTensor>& source, const LanguageModel& model, const std::string& path) {
    return LlamaImporter(source, model).run(path);
}

}  // namespace lithe
