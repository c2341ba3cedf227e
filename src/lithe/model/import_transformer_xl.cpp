#include "lithe/model/import_transformer_xl.h"

#include <map>
#include <set>

#include "lithe/base/text.h"

namespace lithe {
namespace {

class Importer {
 public:
    Importer(const std::vector<NamedTensor>& source, const LanguageModel& model, std::string path)
        : model_(model),
          path_(std::move(path)) {
        for (const NamedTensor& each : source) {
            std::string name = each.name;
            if (name.rfind(kPrefix, 0) == 0) name = name.substr(std::string(kPrefix).size()), hugging_face_ = true;
            source_[name] = each.tensor.to(at::kFloat);
        }
    }

    std::vector<NamedTensor> run() {
        number_layers();
        std::vector<NamedTensor> result;
        for (size_t i = 0; i < model_.parameters().size(); ++i) {
            const ParameterSpec& spec = model_.parameters().spec(i);
            Tensor value = value_of(spec.name);
            if (!value.defined()) continue;
            if (value.numel() != spec.count())
                problems_.add("'" + spec.name + "' needs " + std::to_string(spec.count()) + " numbers and gets " +
                              std::to_string(value.numel()));
            else result.push_back({spec.name, value.reshape(spec.shape).contiguous()});
        }
        check_rest();
        if (problems_.empty()) return result;
        auto lines = problems_.lines();
        if (lines.size() > 8) lines.resize(8), lines.push_back("…");
        fail_file("the weights do not fit the configuration: " + join(lines, "; "), path_,
                  "layout (sf)xN, width, heads, cutoffs and norm must be those that it was trained with");
    }

 private:
    static constexpr const char* kPrefix = "transformer.";

    // "body.7.feed_forward" -> "layers.3.pos_ff."
    void number_layers() {
        std::map<std::string, int> count;
        for (const AppliedBlock& applied : model_.stack().blocks) {
            const std::string kind = applied.parts->kind->name;
            if (kind != "attention" && kind != "feed_forward")
                fail_usage("Transformer-XL has attention and feed-forward blocks only", "model.layout",
                           "layout = \"(sf)xN\"");
            const std::string layer = "layers." + std::to_string(count[kind]++);
            const std::string first = model_.parameters().spec(applied.parts->first_parameter).name;
            // body.N.KIND
            const size_t dot = first.find('.', first.find('.') + 1);
            blocks_[first.substr(0, first.find('.', dot + 1))] =
                layer + (kind == "attention" ? ".dec_attn." : ".pos_ff.");
        }
    }

    Tensor take(const std::string& name) {
        auto found = source_.find(name);
        if (found == source_.end()) {
            problems_.add("'" + name + "' is missing");
            return {};
        }
        used_.insert(name);
        return found->second;
    }

    Tensor value_of(const std::string& name) {
        if (name.rfind("vocabulary.", 0) == 0 || name == "head_bias" || name == "embedding" || name == "head")
            return vocabulary(name);
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
        problems_.add("'" + name + "' has no counterpart in Transformer-XL");
        return {};
    }

    // The cutoffs with 0 and the vocabulary around them.
    std::vector<int64_t> edges() const {
        std::vector<int64_t> edges = {0};
        for (int64_t cutoff : parse_cutoffs(model_.config().cutoffs, model_.vocabulary_size())) edges.push_back(cutoff);
        edges.push_back(model_.vocabulary_size());
        return edges;
    }

    // Rows of bin b of what is one tensor with divisor 1, and one per bin else.
    Tensor bin_of(const std::string& before, size_t b, const std::string& behind) {
        const auto edge = edges();
        if (model_.config().cutoff_divisor > 1) return take(before + std::to_string(b) + behind);
        Tensor whole = take(before + "0" + behind);
        if (!whole.defined()) return {};
        if (whole.size(0) != edge.back()) {
            problems_.add("'" + before + "0" + behind + "' has " + std::to_string(whole.size(0)) +
                          " rows, the vocabulary " + std::to_string(edge.back()));
            return {};
        }
        return whole.narrow(0, edge[b], edge[b + 1] - edge[b]);
    }

    Tensor vocabulary(const std::string& name) {
        if (name == "embedding") return take("word_emb.emb_layers.0.weight");
        if (name == "head") return take("crit.out_layers.0.weight");
        if (name == "head_bias") {
            std::vector<Tensor> bins;
            for (size_t b = 0; b + 1 < edges().size(); ++b) {
                bins.push_back(bin_of("crit.out_layers.", b, ".bias"));
                if (!bins.back().defined()) return {};
            }
            return at::cat(bins);
        }
        if (name == "vocabulary.clusters") return clusters("crit.cluster_weight");
        if (name == "vocabulary.cluster_bias") return clusters("crit.cluster_bias");
        const size_t dot = name.find('.', 11);
        const std::string number = name.substr(11, dot - 11), part = name.substr(dot + 1);
        if (part == "table") return bin_of("word_emb.emb_layers.", size_t(std::stoul(number)), ".weight");
        return take((part == "input" ? "word_emb.emb_projs." : "crit.out_projs.") + number);
    }

    // The original has the clusters' columns in falling order, Hugging Face in rising.
    Tensor clusters(const std::string& name) {
        Tensor rows = take(name);
        const char* order = hugging_face_ ? "forward" : "original";
        if (rows.defined() && model_.config().cluster_order != order) rows = rows.flip(0);
        return rows;
    }

    // What was not used must be a tied copy of what was, or no weight.
    void check_rest() {
        for (const auto& [name, tensor] : source_) {
            if (used_.count(name) || name.find("inv_freq") != std::string::npos) continue;
            std::string twin;
            if (name.rfind("crit.out_layers.", 0) == 0 && name.ends_with(".weight"))
                twin = "word_emb.emb_layers." + name.substr(16);
            if (name.rfind("crit.out_projs.", 0) == 0) twin = "word_emb.emb_projs." + name.substr(15);
            if (name.ends_with(".r_w_bias")) twin = "r_w_bias";
            if (name.ends_with(".r_r_bias")) twin = "r_r_bias";
            auto found = source_.find(twin);
            if (found == source_.end()) problems_.add("'" + printable(name) + "' has no place in the model");
            else if (found->second.sizes() != tensor.sizes() || !at::equal(found->second, tensor))
                problems_.add("'" + name + "' differs from '" + twin + "', to which the configuration ties it");
        }
    }

    const LanguageModel& model_;
    std::string path_;
    std::map<std::string, Tensor> source_;
    std::set<std::string> used_;
    std::map<std::string, std::string> blocks_;
    Problems problems_;
    bool hugging_face_ = false;
};

}  // namespace

std::vector<NamedTensor> import_transformer_xl(const std::vector<NamedTensor>& source, const LanguageModel& model,
                                               const std::string& path) {
    return Importer(source, model, path).run();
}

}  // namespace lithe
