// Weights under the names of Transformer-XL's PyTorch code and of Hugging Face give the logits that those programs
// give: a forward pass written here from the formulas of Dai et al. 2019 (section 3 and appendix B) and of that code,
// with its shift by padding.
#include "lithe/model/import_transformer_xl.h"

#include <cmath>

#include "lithe/spec/config_io.h"
#include "support/errors.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::wave;

constexpr int64_t kWidth = 8, kHeads = 2, kInner = 12, kVocabulary = 11, kLayers = 2;

struct Shape {
    std::vector<int64_t> edges = {0, kVocabulary};  // of bins
    int64_t divisor = 1;
    bool untied_biases = false, pre_norm = false, hugging_face = false;
    std::string config() const {
        std::string cutoffs;
        for (size_t i = 1; i + 1 < edges.size(); ++i) cutoffs += (i > 1 ? "/" : "") + std::to_string(edges[i]);
        return "[model]\nwidth = 8\nheads = 2\nmemory = 4\nlayout = \"(sf)x2\"\npositions = \"relative\"\n"
               "tie_embeddings = true\nembedding_scale = \"sqrt_width\"\nnorm = \"" +
               std::string(pre_norm ? "pre" : "post") + "\"\n[model.adaptive]\ncutoffs = \"" + cutoffs +
               "\"\ndivisor = " + std::to_string(divisor) +
               "\n[blocks.s]\ntie_position_biases = " + (untied_biases ? "false" : "true") +
               "\n[blocks.f]\ninner = 12\nactivation = \"relu\"\n";
    }
};

using Weights = std::map<std::string, Tensor>;

// A state dict as the original saves it, tied copies included.
Weights make_weights(const Shape& shape) {
    Weights w;
    double seed = 1;
    auto add = [&](const std::string& name, at::IntArrayRef sizes) {
        w[name] = wave(sizes, 0.7, seed++, 0.3).to(at::kFloat);
    };
    const size_t bins = shape.edges.size() - 1;
    for (size_t b = 0; b < (shape.divisor > 1 ? bins : 1); ++b) {
        const int64_t narrow = kWidth / int64_t(std::pow(shape.divisor, b)),
                      rows = shape.divisor > 1 ? shape.edges[b + 1] - shape.edges[b] : kVocabulary;
        const std::string number = std::to_string(b);
        add("word_emb.emb_layers." + number + ".weight", {rows, narrow});
        w["crit.out_layers." + number + ".weight"] = w["word_emb.emb_layers." + number + ".weight"].clone();
        add("crit.out_layers." + number + ".bias", {rows});
        if (shape.divisor == 1) continue;
        add("word_emb.emb_projs." + number, {kWidth, narrow});
        if (b == 0) add("crit.out_projs.0", {kWidth, narrow});
        else w["crit.out_projs." + number] = w["word_emb.emb_projs." + number].clone();
    }
    if (bins > 1) {
        add("crit.cluster_weight", {int64_t(bins) - 1, kWidth});
        add("crit.cluster_bias", {int64_t(bins) - 1});
    }
    for (const char* name : {"r_w_bias", "r_r_bias"})
        if (!shape.untied_biases) add(name, {kHeads, kWidth / kHeads});
    for (int64_t n = 0; n < kLayers; ++n) {
        const std::string a = "layers." + std::to_string(n) + ".dec_attn.",
                          f = "layers." + std::to_string(n) + ".pos_ff.";
        add(a + "qkv_net.weight", {3 * kWidth, kWidth});
        add(a + "r_net.weight", {kWidth, kWidth});
        add(a + "o_net.weight", {kWidth, kWidth});
        for (const char* name : {"r_w_bias", "r_r_bias"}) {
            if (shape.untied_biases) add(a + name, {kHeads, kWidth / kHeads});
            else if (shape.hugging_face) w[a + name] = w[name].clone();
        }
        add(f + "CoreNet.0.weight", {kInner, kWidth});
        add(f + "CoreNet.0.bias", {kInner});
        add(f + "CoreNet.3.weight", {kWidth, kInner});
        add(f + "CoreNet.3.bias", {kWidth});
        for (const std::string& block : {a, f}) {
            add(block + "layer_norm.weight", {kWidth});
            add(block + "layer_norm.bias", {kWidth});
        }
    }
    w["pos_emb.inv_freq"] = at::ones({kWidth / 2});
    return w;
}

std::vector<NamedTensor> as_list(const Weights& weights, const Shape& shape) {
    std::vector<NamedTensor> list;
    for (const auto& [name, tensor] : weights)
        list.push_back({(shape.hugging_face && name.rfind("crit.", 0) != 0 ? "transformer." : "") + name, tensor});
    return list;
}

// The original's forward pass over one segment with memory, in fp64.
class Original {
 public:
    Original(const Weights& weights, Shape shape) : shape_(std::move(shape)) {
        for (const auto& [name, tensor] : weights) w_[name] = tensor.to(at::kDouble);
    }
    // Log-probabilities [T][V]; appends to the memory.
    Tensor operator()(const std::vector<int64_t>& ids) {
        Tensor h = embed(ids);
        for (int64_t n = 0; n < kLayers; ++n) {
            Tensor& memory = memory_[n];
            const Tensor entering = h;
            const Tensor context = memory.defined() ? at::cat({memory, h}) : h;
            h = attention(n, h, context);
            h = feed_forward(n, h);
            memory = at::cat({context}).narrow(0, std::max<int64_t>(0, context.size(0) - 4),
                                               std::min<int64_t>(4, context.size(0)));
        }
        return output(h);
    }

 private:
    Tensor norm(const std::string& name, const Tensor& x) {
        return at::layer_norm(x, {kWidth}, w_[name + "layer_norm.weight"], w_[name + "layer_norm.bias"], 1e-5);
    }
    Tensor bias(const std::string& layer, const char* name) {
        return shape_.untied_biases ? w_[layer + name] : w_[name];
    }

    Tensor attention(int64_t n, const Tensor& h, const Tensor& context) {
        const std::string a = "layers." + std::to_string(n) + ".dec_attn.";
        const int64_t q = h.size(0), k = context.size(0), d = kWidth / kHeads;
        const Tensor all = at::linear(shape_.pre_norm ? norm(a, context) : context, w_[a + "qkv_net.weight"]);
        auto heads = [&](const Tensor& x) { return x.reshape({x.size(0), kHeads, d}); };
        const Tensor query = heads(all.narrow(1, 0, kWidth).narrow(0, k - q, q)),
                     key = heads(all.narrow(1, kWidth, kWidth)), value = heads(all.narrow(1, 2 * kWidth, kWidth));
        const Tensor frequency = at::pow(10000.0, -at::arange(0, kWidth, 2, at::kDouble) / double(kWidth));
        const Tensor angle = at::arange(k - 1, -1, -1, at::kDouble).unsqueeze(1) * frequency;
        const Tensor r = heads(at::linear(at::cat({angle.sin(), angle.cos()}, 1), w_[a + "r_net.weight"]));
        const Tensor content = at::einsum("ihd,jhd->ijh", {query + bias(a, "r_w_bias"), key});
        Tensor place = at::einsum("ihd,jhd->ijh", {query + bias(a, "r_r_bias"), r});
        place = at::cat({at::zeros({q, 1, kHeads}, at::kDouble), place}, 1)
                    .view({k + 1, q, kHeads})
                    .narrow(0, 1, k)
                    .reshape({q, k, kHeads});
        Tensor score = (content + place) / std::sqrt(double(d));
        const Tensor hidden = at::ones({q, k}, at::kBool).triu(1 + k - q).unsqueeze(2);
        const Tensor p = at::softmax(score.masked_fill(hidden, -INFINITY), 1);
        const Tensor out =
            at::linear(at::einsum("ijh,jhd->ihd", {p, value}).reshape({q, kWidth}), w_[a + "o_net.weight"]);
        return shape_.pre_norm ? h + out : norm(a, h + out);
    }
    Tensor feed_forward(int64_t n, const Tensor& h) {
        const std::string f = "layers." + std::to_string(n) + ".pos_ff.";
        const Tensor in = shape_.pre_norm ? norm(f, h) : h;
        const Tensor out = at::linear(at::relu(at::linear(in, w_[f + "CoreNet.0.weight"], w_[f + "CoreNet.0.bias"])),
                                      w_[f + "CoreNet.3.weight"], w_[f + "CoreNet.3.bias"]);
        return shape_.pre_norm ? h + out : norm(f, h + out);
    }
    size_t bin_of(int64_t id) const {
        size_t b = 0;
        while (id >= shape_.edges[b + 1]) ++b;
        return b;
    }
    Tensor embed(const std::vector<int64_t>& ids) {
        std::vector<Tensor> rows;
        for (int64_t id : ids) {
            const size_t b = bin_of(id);
            const std::string number = std::to_string(shape_.divisor > 1 ? b : 0);
            Tensor row =
                w_["word_emb.emb_layers." + number + ".weight"][shape_.divisor > 1 ? id - shape_.edges[b] : id];
            if (shape_.divisor > 1) row = at::mv(w_["word_emb.emb_projs." + number], row);
            rows.push_back(row * std::sqrt(double(kWidth)));
        }
        return at::stack(rows);
    }
    Tensor bin_logits(const Tensor& h, size_t b, const Tensor& more_weight = {}, const Tensor& more_bias = {}) {
        Tensor weight, bias, x = h;
        if (shape_.divisor > 1) {
            const std::string number = std::to_string(b);
            weight = w_["crit.out_layers." + number + ".weight"];
            bias = w_["crit.out_layers." + number + ".bias"];
            x = at::matmul(h, w_["crit.out_projs." + number]);
        } else {
            const int64_t begin = shape_.edges[b], size = shape_.edges[b + 1] - begin;
            weight = w_["crit.out_layers.0.weight"].narrow(0, begin, size);
            bias = w_["crit.out_layers.0.bias"].narrow(0, begin, size);
        }
        if (more_weight.defined()) {
            weight = at::cat({weight, more_weight});
            bias = at::cat({bias, more_bias});
        }
        return at::linear(x, weight, bias);
    }
    Tensor output(const Tensor& h) {
        const auto clusters = int64_t(shape_.edges.size()) - 2;
        if (clusters == 0) return at::log_softmax(bin_logits(h, 0), 1);
        const Tensor head = at::log_softmax(bin_logits(h, 0, w_["crit.cluster_weight"], w_["crit.cluster_bias"]), 1);
        std::vector<Tensor> parts = {head.narrow(1, 0, shape_.edges[1])};
        for (int64_t i = 1; i <= clusters; ++i) {
            const int64_t column = shape_.hugging_face ? shape_.edges[1] + i - 1 : head.size(1) - i;
            parts.push_back(head.select(1, column).unsqueeze(1) + at::log_softmax(bin_logits(h, size_t(i)), 1));
        }
        return at::cat(parts, 1);
    }
    Weights w_;
    Shape shape_;
    std::map<int64_t, Tensor> memory_;
};

LanguageModel& load(std::unique_ptr<LanguageModel>& model, const Shape& shape, const Weights& weights,
                    const std::string& more = "") {
    model = std::make_unique<LanguageModel>(parse_config(shape.config() + more, "test"), kVocabulary);
    model->materialize(at::kDouble, at::kDouble, at::kCPU, 1);
    at::NoGradGuard no_grad;
    const auto imported = import_transformer_xl(as_list(weights, shape), *model, "test").tensors;
    for (size_t i = 0; i < imported.size(); ++i) {
        EXPECT_EQ(imported[i].name, model->parameters().spec(i).name);
        model->parameters().working(i).copy_(imported[i].tensor);
    }
    EXPECT_EQ(imported.size(), model->parameters().size());
    return *model;
}

TEST(ImportTransformerXl, GivesTheLogitsOfTheOriginal) {
    const std::vector<int64_t> adaptive = {0, 4, 6, 9, kVocabulary}, plain = {0, kVocabulary};
    for (const Shape& shape : {Shape{plain, 1, false, false, false}, Shape{plain, 1, true, true, true},
                               Shape{adaptive, 1, false, false, false}, Shape{adaptive, 2, true, false, true},
                               Shape{adaptive, 2, false, true, false}}) {
        const Weights weights = make_weights(shape);
        std::unique_ptr<LanguageModel> holder;
        LanguageModel& model = load(holder, shape, weights);
        Original original(weights, shape);
        State state;
        for (const std::vector<int64_t>& ids : {std::vector<int64_t>{3, 7, 10}, {0, 5, 8}, {9, 1, 4}}) {
            auto out = model.forward(at::tensor(ids).unsqueeze(1), state, model.pass(false));
            state = std::move(out.state);
            const Tensor expected = original(ids), got = at::log_softmax(out.logits_TBV.squeeze(1), 1);
            EXPECT_LT((got - expected).abs().max().item<double>(), 1e-9)
                << shape.config() << " " << shape.hugging_face << " token " << ids[0];
        }
    }
}

TEST(ImportTransformerXl, ClustersAreTurnedRoundWhereTheOrdersDiffer) {
    const Shape shape{{0, 4, 6, 9, kVocabulary}, 2, false, false, true};
    const Weights weights = make_weights(shape);
    std::unique_ptr<LanguageModel> one, two;
    load(one, shape, weights);
    load(two, shape, weights);
    LanguageModel& forward = *two;
    Shape other = shape;
    const std::string config = other.config();
    auto model = std::make_unique<LanguageModel>(
        parse_config(config, "test", {"model.adaptive.cluster_order=\"forward\""}), kVocabulary);
    model->materialize(at::kDouble, at::kDouble, at::kCPU, 1);
    const auto imported = import_transformer_xl(as_list(weights, shape), *model, "test").tensors;
    at::NoGradGuard no_grad;
    for (size_t i = 0; i < imported.size(); ++i) model->parameters().working(i).copy_(imported[i].tensor);
    const Tensor ids = at::tensor(std::vector<int64_t>{3, 7, 10}).unsqueeze(1);
    EXPECT_LT((model->forward(ids, {}, model->pass(false)).logits_TBV -
               forward.forward(ids, {}, forward.pass(false)).logits_TBV)
                  .abs()
                  .max()
                  .item<double>(),
              1e-12);
}

TEST(ImportTransformerXl, TellsWhatDoesNotFit) {
    const Shape shape;
    Weights weights = make_weights(shape);
    LanguageModel model(parse_config(shape.config(), "test"), kVocabulary);
    auto import = [&](const Weights& from) { import_transformer_xl(as_list(from, shape), model, "file"); };
    Weights missing = weights, left_over = weights, untied = weights, wrong = weights;
    missing.erase("layers.1.dec_attn.r_net.weight");
    EXPECT_ERROR(import(missing), ErrorKind::bad_file, "'layers.1.dec_attn.r_net.weight' is missing");
    left_over["layers.2.dec_attn.r_net.weight"] = at::zeros({8, 8});
    EXPECT_ERROR(import(left_over), ErrorKind::bad_file, "'layers.2.dec_attn.r_net.weight' has no place");
    untied["crit.out_layers.0.weight"] = at::zeros({kVocabulary, kWidth});
    EXPECT_ERROR(import(untied), ErrorKind::bad_file, "differs from 'word_emb.emb_layers.0.weight'");
    wrong["layers.0.pos_ff.CoreNet.0.bias"] = at::zeros({kInner + 1});
    EXPECT_ERROR(import(wrong), ErrorKind::bad_file, "needs 12 numbers and gets 13");
    LanguageModel other(parse_config("[model]\nwidth = 8\nlayout = \"uf\"\n", "test"), kVocabulary);
    EXPECT_ERROR(import_transformer_xl(as_list(weights, shape), other, "file"), ErrorKind::usage, "(sf)xN");
}

}  // namespace
}  // namespace lithe
