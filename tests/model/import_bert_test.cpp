// Weights under Hugging Face's names for BERT give what that program gives: a forward pass written here from the
// paper's formulas (Devlin et al. 2019, section 3, and the authors' code: post-norm, gelu by the error function,
// epsilon 1e-12).
#include "lithe/model/import_bert.h"

#include <cmath>

#include "lithe/spec/config_io.h"
#include "support/errors.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::wave;

constexpr int64_t kWidth = 8, kHeads = 2, kInner = 12, kVocabulary = 11, kLayers = 2, kPositions = 6;

std::string config(const std::string& more = "") {
    return "[model]\nwidth = 8\nheads = 2\nlayout = \"(sf)x2\"\ndirection = \"bidirectional\"\nnorm = \"post\"\n"
           "norm_epsilon = 1e-12\npositions = \"learned\"\nmax_positions = 6\nhead = \"transform\"\n"
           "tie_embeddings = true\n[model.bert]\nembedding_norm = true\ntoken_types = 2\npooler = "
           "true\n[blocks.s]\nbias = true\n"
           "[blocks.f]\ninner = 12\nactivation = \"gelu\"\n[objective]\nname = \"masked\"\n" +
           more;
}

using Weights = std::map<std::string, Tensor>;

// A state dict of BertForPreTraining, tied copies included.
Weights make_weights() {
    Weights w;
    double seed = 1;
    auto add = [&](const std::string& name, at::IntArrayRef sizes) {
        w[name] = wave(sizes, 0.7, seed++, 0.3).to(at::kFloat);
    };
    auto linear = [&](const std::string& name, int64_t out, int64_t in) {
        add(name + ".weight", {out, in});
        add(name + ".bias", {out});
    };
    auto norm = [&](const std::string& name) {
        add(name + ".weight", {kWidth});
        add(name + ".bias", {kWidth});
    };
    add("bert.embeddings.word_embeddings.weight", {kVocabulary, kWidth});
    add("bert.embeddings.position_embeddings.weight", {kPositions, kWidth});
    add("bert.embeddings.token_type_embeddings.weight", {2, kWidth});
    norm("bert.embeddings.LayerNorm");
    w["bert.embeddings.position_ids"] = at::arange(kPositions).unsqueeze(0);
    for (int64_t n = 0; n < kLayers; ++n) {
        const std::string layer = "bert.encoder.layer." + std::to_string(n) + ".";
        for (const char* part : {"query", "key", "value"}) linear(layer + "attention.self." + part, kWidth, kWidth);
        linear(layer + "attention.output.dense", kWidth, kWidth);
        norm(layer + "attention.output.LayerNorm");
        linear(layer + "intermediate.dense", kInner, kWidth);
        linear(layer + "output.dense", kWidth, kInner);
        norm(layer + "output.LayerNorm");
    }
    linear("bert.pooler.dense", kWidth, kWidth);
    linear("cls.predictions.transform.dense", kWidth, kWidth);
    norm("cls.predictions.transform.LayerNorm");
    add("cls.predictions.bias", {kVocabulary});
    w["cls.predictions.decoder.weight"] = w["bert.embeddings.word_embeddings.weight"].clone();
    w["cls.predictions.decoder.bias"] = w["cls.predictions.bias"].clone();
    linear("cls.seq_relationship", 2, kWidth);
    return w;
}

std::vector<NamedTensor> as_list(const Weights& weights) {
    std::vector<NamedTensor> list;
    for (const auto& [name, tensor] : weights) list.push_back({name, tensor});
    return list;
}

// The original's forward pass over one text [T], in fp64.
class Original {
 public:
    explicit Original(const Weights& weights) {
        for (const auto& [name, tensor] : weights) w_[name] = tensor.to(at::kDouble);
    }
    Tensor encode(const Tensor& ids) {
        Tensor h = w_["bert.embeddings.word_embeddings.weight"].index_select(0, ids) +
                   w_["bert.embeddings.position_embeddings.weight"].narrow(0, 0, ids.size(0)) +
                   w_["bert.embeddings.token_type_embeddings.weight"].select(0, 0);
        h = norm("bert.embeddings.LayerNorm", h);
        for (int64_t n = 0; n < kLayers; ++n) {
            const std::string layer = "bert.encoder.layer." + std::to_string(n) + ".";
            h = norm(layer + "attention.output.LayerNorm", h + attention(layer, h));
            const Tensor inner = gelu(linear(layer + "intermediate.dense", h));
            h = norm(layer + "output.LayerNorm", h + linear(layer + "output.dense", inner));
        }
        return h;
    }
    Tensor pool(const Tensor& ids) { return at::tanh(linear("bert.pooler.dense", encode(ids).select(0, 0))); }
    Tensor logits(const Tensor& ids) {
        const Tensor h =
            norm("cls.predictions.transform.LayerNorm", gelu(linear("cls.predictions.transform.dense", encode(ids))));
        return at::mm(h, w_["bert.embeddings.word_embeddings.weight"].t()) + w_["cls.predictions.bias"];
    }

 private:
    Tensor linear(const std::string& name, const Tensor& x) {
        return at::linear(x, w_[name + ".weight"], w_[name + ".bias"]);
    }
    Tensor norm(const std::string& name, const Tensor& x) {
        const Tensor centred = x - x.mean(1, true);
        return centred / (centred.square().mean(1, true) + 1e-12).sqrt() * w_[name + ".weight"] + w_[name + ".bias"];
    }
    static Tensor gelu(const Tensor& x) { return x * 0.5 * (1 + at::erf(x / std::sqrt(2.0))); }
    Tensor attention(const std::string& layer, const Tensor& h) {
        const int64_t size = kWidth / kHeads;
        auto heads = [&](const char* part) {
            return linear(layer + "attention.self." + part, h).view({h.size(0), kHeads, size});
        };
        const Tensor score = at::einsum("ihd,jhd->hij", {heads("query"), heads("key")}) / std::sqrt(double(size));
        const Tensor mixed = at::einsum("hij,jhd->ihd", {at::softmax(score, 2), heads("value")});
        return linear(layer + "attention.output.dense", mixed.reshape({h.size(0), kWidth}));
    }
    std::map<std::string, Tensor> w_;
};

std::unique_ptr<LanguageModel> load(const Weights& weights, const std::string& text,
                                    std::vector<std::string>* left_out = nullptr) {
    auto model = std::make_unique<LanguageModel>(parse_config(text, "test"), kVocabulary);
    model->materialize(at::kDouble, at::kDouble, at::kCPU, 1);
    const Imported imported = import_bert(as_list(weights), *model, "test");
    EXPECT_EQ(imported.tensors.size(), model->parameters().size());
    at::NoGradGuard no_grad;
    for (size_t i = 0; i < imported.tensors.size(); ++i) {
        EXPECT_EQ(imported.tensors[i].name, model->parameters().spec(i).name);
        model->parameters().working(i).copy_(imported.tensors[i].tensor);
    }
    if (left_out) *left_out = imported.left_out;
    return model;
}

double distance(const Tensor& a, const Tensor& b) { return (a - b).abs().max().item<double>(); }

TEST(ImportBert, GivesTheEncodingTheLogitsAndThePooledVectorOfTheOriginal) {
    const Weights weights = make_weights();
    EXPECT_TRUE(is_bert(as_list(weights)));
    std::vector<std::string> left_out;
    const auto model = load(weights, config(), &left_out);
    EXPECT_EQ(left_out, (std::vector<std::string>{"cls.seq_relationship.bias", "cls.seq_relationship.weight"}));
    Original original(weights);
    for (const std::vector<int64_t>& text : {std::vector<int64_t>{3, 7, 10, 0, 5, 8}, {9}, {1, 4, 4}}) {
        const Tensor ids = at::tensor(text), column = ids.unsqueeze(1);
        EXPECT_LT(distance(model->encode(column, model->pass(false)).squeeze(1), original.encode(ids)), 1e-9);
        EXPECT_LT(distance(model->forward(column, {}, model->pass(false)).logits_TBV.squeeze(1), original.logits(ids)),
                  1e-9);
        EXPECT_LT(distance(model->pooler(model->encode(column, model->pass(false)).select(0, 0)).squeeze(0),
                           original.pool(ids)),
                  1e-9);
    }
}

TEST(ImportBert, TakesTheEncoderAloneAndTheOldNamesOfNorms) {
    Weights weights = make_weights(), old;
    for (const auto& [name, tensor] : weights) {
        std::string other = name;
        if (const size_t at = name.find("LayerNorm."); at != std::string::npos)
            other = name.substr(0, at) + (name.ends_with("weight") ? "LayerNorm.gamma" : "LayerNorm.beta");
        old[other] = tensor;
    }
    std::vector<std::string> left_out;
    std::string encoder = config();
    for (const auto& [before, now] :
         std::map<std::string, std::string>{{"head = \"transform\"", "head = \"none\""}, {"pooler = true\n", ""}})
        encoder.replace(encoder.find(before), before.size(), now);
    const auto model = load(old, encoder, &left_out);
    EXPECT_EQ(left_out.size(), 11u);  // the pooler and all of cls
    const Tensor ids = at::tensor(std::vector<int64_t>{3, 7, 10});
    EXPECT_LT(distance(model->encode(ids.unsqueeze(1), model->pass(false)).squeeze(1), Original(weights).encode(ids)),
              1e-9);
    // BertModel's own state dict has no prefix
    Weights bare;
    for (const auto& [name, tensor] : weights)
        if (name.rfind("bert.", 0) == 0) bare[name.substr(5)] = tensor;
    EXPECT_TRUE(is_bert(as_list(bare)));
    load(bare, encoder);
}

TEST(ImportBert, TellsWhatDoesNotFit) {
    const Weights weights = make_weights();
    LanguageModel model(parse_config(config(), "test"), kVocabulary);
    auto import = [&](const Weights& from) { import_bert(as_list(from), model, "file"); };
    Weights missing = weights, left_over = weights, untied = weights, wrong = weights;
    missing.erase("bert.encoder.layer.1.attention.self.key.bias");
    EXPECT_ERROR(import(missing), ErrorKind::bad_file, "'encoder.layer.1.attention.self.key.bias' is missing");
    left_over["bert.encoder.layer.2.output.dense.bias"] = at::zeros({8});
    EXPECT_ERROR(import(left_over), ErrorKind::bad_file, "'encoder.layer.2.output.dense.bias' has no place");
    untied["cls.predictions.decoder.weight"] = at::zeros({kVocabulary, kWidth});
    EXPECT_ERROR(import(untied), ErrorKind::bad_file, "differs from 'embeddings.word_embeddings.weight'");
    wrong["bert.embeddings.position_embeddings.weight"] = at::zeros({kPositions + 1, kWidth});
    EXPECT_ERROR(import(wrong), ErrorKind::bad_file, "needs 48 numbers and gets 56");
    LanguageModel other(parse_config("[model]\nwidth = 8\nlayout = \"uf\"\n", "test"), kVocabulary);
    EXPECT_ERROR(import_bert(as_list(weights), other, "file"), ErrorKind::usage, "(sf)xN");
}

}  // namespace
}  // namespace lithe
