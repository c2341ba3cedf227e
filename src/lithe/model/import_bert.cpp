#include "lithe/model/import_bert.h"

#include <algorithm>

namespace lithe {
namespace {

constexpr const char* kWords = "embeddings.word_embeddings.weight";

class BertImporter {
 public:
    BertImporter(const std::vector<NamedTensor>& source, const LanguageModel& model)
        : model_(model),
          source_(source, "bert."),
          blocks_(count_blocks(model, "BERT")) {}

    Imported run(const std::string& path) {
        Imported result;
        result.tensors = source_.place(model_.parameters(), [this](const std::string& name) { return value_of(name); });
        for (const std::string& name : source_.unused()) {
            if (name.ends_with(".position_ids")) continue;  // 0, 1, 2, …
            if (may_be_left_out(name)) result.left_out.push_back(name);
            else source_.check_twin(name, twin_of(name));
        }
        source_.throw_if_any(path,
                             "layout, width, blocks.f.inner, max_positions, bert.token_types and the tokenizer's "
                             "vocabulary must be those that it was trained with");
        return result;
    }

 private:
    Tensor value_of(const std::string& name) {
        // Outside the layers.
        static const std::map<std::string, std::string> outside = {
            {"embeddings.tokens", kWords},
            {"embeddings.positions", "embeddings.position_embeddings.weight"},
            {"embeddings.token_types", "embeddings.token_type_embeddings.weight"},
            {"embeddings.norm.gain", "embeddings.LayerNorm.weight"},
            {"embeddings.norm.bias", "embeddings.LayerNorm.bias"},
            {"pooler.weight", "pooler.dense.weight"},
            {"pooler.bias", "pooler.dense.bias"},
            {"head.weight", "cls.predictions.decoder.weight"},
            {"head.bias", "cls.predictions.bias"},
            {"head.transform.weight", "cls.predictions.transform.dense.weight"},
            {"head.transform.bias", "cls.predictions.transform.dense.bias"},
            {"head.norm.gain", "cls.predictions.transform.LayerNorm.weight"},
            {"head.norm.bias", "cls.predictions.transform.LayerNorm.bias"}};
        // In a layer, of either block.
        static const std::map<std::string, std::string> of_attention = {
            {"out", "attention.output.dense.weight"},
            {"out_bias", "attention.output.dense.bias"},
            {"shell_norm.gain", "attention.output.LayerNorm.weight"},
            {"shell_norm.bias", "attention.output.LayerNorm.bias"}};
        static const std::map<std::string, std::string> of_feed_forward = {
            {"w1", "intermediate.dense.weight"},
            {"b1", "intermediate.dense.bias"},
            {"w2", "output.dense.weight"},
            {"b2", "output.dense.bias"},
            {"shell_norm.gain", "output.LayerNorm.weight"},
            {"shell_norm.bias", "output.LayerNorm.bias"}};
        if (auto part = outside.find(name); part != outside.end()) return take(part->second);
        for (const auto& [block, number] : blocks_) {
            if (name.rfind(block + ".", 0) != 0) continue;
            const std::string layer = "encoder.layer." + std::to_string(number) + ".",
                              part = name.substr(block.size() + 1);
            const bool attention = block.find(".attention") != std::string::npos;
            if (attention && part == "qkv") return queries_keys_values(layer, "weight");
            if (attention && part == "qkv_bias") return queries_keys_values(layer, "bias");
            const auto& parts = attention ? of_attention : of_feed_forward;
            if (auto found = parts.find(part); found != parts.end()) return take(layer + found->second);
        }
        source_.add_problem("'" + name + "' has no counterpart in BERT");
        return {};
    }

    Tensor queries_keys_values(const std::string& layer, const std::string& what) {
        std::vector<Tensor> all;
        for (const char* part : {"query", "key", "value"}) {
            all.push_back(take(layer + "attention.self." + part + "." + what));
            if (!all.back().defined()) return {};
        }
        return at::cat(all);
    }

    // The oldest files call a norm's gain and bias gamma and beta.
    Tensor take(const std::string& name) {
        const size_t norm = name.find("LayerNorm.");
        if (norm != std::string::npos && !source_.has(name)) {
            const std::string old =
                name.substr(0, norm) + (name.ends_with("weight") ? "LayerNorm.gamma" : "LayerNorm.beta");
            if (source_.has(old)) return source_.take(old);
        }
        return source_.take(name);
    }

    bool may_be_left_out(const std::string& name) const {
        return name.rfind("cls.seq_relationship.", 0) == 0 ||
               (model_.config().head == HeadForm::none && name.rfind("cls.", 0) == 0) ||
               (!model_.config().bert.pooler && name.rfind("pooler.", 0) == 0);
    }

    // The tensor that one which was not taken must be a copy of.
    static std::string twin_of(const std::string& name) {
        if (name == "cls.predictions.decoder.weight") return kWords;
        if (name == "cls.predictions.decoder.bias") return "cls.predictions.bias";
        return {};
    }

    const LanguageModel& model_;
    ImportSource source_;
    std::map<std::string, int> blocks_;
};

}  // namespace

bool is_bert(const std::vector<NamedTensor>& source) {
    return std::any_of(source.begin(), source.end(),
                       [](const NamedTensor& each) { return each.name.ends_with(kWords); });
}

Imported import_bert(const std::vector<NamedTensor>& source, const LanguageModel& model, const std::string& path) {
    return BertImporter(source, model).run(path);
}

}  // namespace lithe
