#include "lithe/model/import_transformer_xl.h"

#include <regex>

namespace lithe {
namespace {

class Importer {
 public:
    Importer(const std::vector<NamedTensor>& source, const LanguageModel& model)
        : model_(model),
          source_(source, "transformer.") {
        for (const auto& [block, number] : count_blocks(model, "Transformer-XL"))
            blocks_[block] = "layers." + std::to_string(number) +
                             (block.find(".attention") != std::string::npos ? ".dec_attn." : ".pos_ff.");
    }

    Imported run(const std::string& path) {
        Imported result{source_.place(model_.parameters(), [this](const std::string& name) { return value_of(name); }),
                        {}};
        for (const std::string& name : source_.unused())
            if (name.find("inv_freq") == std::string::npos) source_.check_twin(name, twin_of(name));
        source_.throw_if_any(path,
                             "layout (sf)xN, width, heads, cutoffs and norm must be those that it was trained with");
        return result;
    }

 private:
    Tensor take(const std::string& name) { return source_.take(name); }

    Tensor value_of(const std::string& name) {
        if (name.rfind("embeddings.", 0) == 0 || name.rfind("head.", 0) == 0) return vocabulary(name);
        if (name == "position_bias.u") return take("r_w_bias");
        if (name == "position_bias.v") return take("r_r_bias");
        static const std::map<std::string, std::string> parts = {{"shell_norm.gain", "layer_norm.weight"},
                                                                 {"shell_norm.bias", "layer_norm.bias"},
                                                                 {"qkv", "qkv_net.weight"},
                                                                 {"qkv_bias", "qkv_net.bias"},
                                                                 {"positions", "r_net.weight"},
                                                                 {"out", "o_net.weight"},
                                                                 {"out_bias", "o_net.bias"},
                                                                 {"u", "r_w_bias"},
                                                                 {"v", "r_r_bias"},
                                                                 {"w1", "CoreNet.0.weight"},
                                                                 {"b1", "CoreNet.0.bias"},
                                                                 {"w2", "CoreNet.3.weight"},
                                                                 {"b2", "CoreNet.3.bias"}};
        for (const auto& [block, layer] : blocks_) {
            if (name.rfind(block + ".", 0) != 0) continue;
            auto part = parts.find(name.substr(block.size() + 1));
            if (part != parts.end()) return take(layer + part->second);
        }
        source_.add_problem("'" + name + "' has no counterpart in Transformer-XL");
        return {};
    }

    // The cutoffs with 0 and the vocabulary around them.
    std::vector<int64_t> edges() const {
        std::vector<int64_t> edges = {0};
        for (int64_t cutoff : parse_cutoffs(model_.config().adaptive.cutoffs, model_.vocabulary_size()))
            edges.push_back(cutoff);
        edges.push_back(model_.vocabulary_size());
        return edges;
    }

    // Rows of bin b of what is one tensor with divisor 1, and one per bin else.
    Tensor bin_of(const std::string& before, size_t b, const std::string& behind) {
        const auto edge = edges();
        if (model_.config().adaptive.divisor > 1) return take(before + std::to_string(b) + behind);
        Tensor whole = take(before + "0" + behind);
        if (!whole.defined()) return {};
        if (whole.size(0) != edge.back()) {
            source_.add_problem("'" + before + "0" + behind + "' has " + std::to_string(whole.size(0)) +
                                " rows, the vocabulary " + std::to_string(edge.back()));
            return {};
        }
        return whole.narrow(0, edge[b], edge[b + 1] - edge[b]);
    }

    Tensor vocabulary(const std::string& name) {
        if (name == "embeddings.tokens") return take("word_emb.emb_layers.0.weight");
        if (name == "head.weight") return take("crit.out_layers.0.weight");
        if (name == "head.bias") {
            std::vector<Tensor> bins;
            for (size_t b = 0; b + 1 < edges().size(); ++b) {
                bins.push_back(bin_of("crit.out_layers.", b, ".bias"));
                if (!bins.back().defined()) return {};
            }
            return at::cat(bins);
        }
        if (name == "head.clusters.weight") return clusters("crit.cluster_weight");
        if (name == "head.clusters.bias") return clusters("crit.cluster_bias");
        // embeddings.bins.N.table, embeddings.bins.N.projection, head.bins.N.projection
        static const std::regex bin(R"((embeddings|head)\.bins\.(\d+)\.(table|projection))");
        std::smatch parts;
        if (!std::regex_match(name, parts, bin)) {
            source_.add_problem("'" + name + "' has no counterpart in Transformer-XL");
            return {};
        }
        const std::string number = parts[2];
        if (parts[3] == "table") return bin_of("word_emb.emb_layers.", size_t(std::stoul(number)), ".weight");
        return take((parts[1] == "embeddings" ? "word_emb.emb_projs." : "crit.out_projs.") + number);
    }

    // The original has the clusters' columns in falling order, Hugging Face in rising.
    Tensor clusters(const std::string& name) {
        Tensor rows = take(name);
        const ClusterOrder order = source_.had_prefix() ? ClusterOrder::forward : ClusterOrder::original;
        if (rows.defined() && model_.config().adaptive.cluster_order != order) rows = rows.flip(0);
        return rows;
    }

    // The tensor that one which was not taken must be a tied copy of.
    static std::string twin_of(const std::string& name) {
        if (name.rfind("crit.out_layers.", 0) == 0 && name.ends_with(".weight"))
            return "word_emb.emb_layers." + name.substr(16);
        if (name.rfind("crit.out_projs.", 0) == 0) return "word_emb.emb_projs." + name.substr(15);
        if (name.ends_with(".r_w_bias")) return "r_w_bias";
        if (name.ends_with(".r_r_bias")) return "r_r_bias";
        return {};
    }

    const LanguageModel& model_;
    ImportSource source_;
    std::map<std::string, std::string> blocks_;  // "decoder.layers.3.feed_forward" -> "layers.3.pos_ff."
};

}  // namespace

Imported import_transformer_xl(const std::vector<NamedTensor>& source, const LanguageModel& model,
                               const std::string& path) {
    return Importer(source, model).run(path);
}

}  // namespace lithe
