#include "lithe/model/step_model.h"

#include <algorithm>
#include <cmath>

namespace lithe {
namespace {

// Adds row `index` of an embedding to x; fp32 or bf16.
void add_row(const Tensor& table, int64_t index, int64_t width, float* x) {
    auto add = [&](const auto* row) {
        for (int64_t i = 0; i < width; ++i) x[i] += kernels::to_compute(row[i]);
    };
    if (table.scalar_type() == at::kBFloat16)
        add(static_cast<const kernels::bfloat16*>(table.data_ptr()) + index * width);
    else add(table.data_ptr<float>() + index * width);
}

}  // namespace

std::unique_ptr<StepModel> StepModel::make(const LanguageModel& model, const Options& options) {
    const TokenEmbedding& embedding = model.decoder().embedding();
    if (!embedding.is_plain_sum() || model.has_encoder() || !model.head() || model.head().has_transform())
        return nullptr;
    const auto type = embedding.tokens().tensor().scalar_type();
    if (!model.device().is_cpu() || (type != at::kFloat && type != at::kBFloat16)) return nullptr;
    std::unique_ptr<StepModel> step(new StepModel(model, options));
    return step->stack_.y ? std::move(step) : nullptr;
}

int StepModel::worthwhile_threads(const LanguageModel& model, int threads, bool int8) {
    constexpr int64_t kBytesPerThread = 6 << 20;  // of weights per token; below, they wait longer than they read less
    const Parameter& tokens = model.decoder().embedding().tokens();
    if (!tokens) return 1;  // it has no single steps
    const ParameterStore& store = model.parameters();
    int64_t numbers = store.count_without_embeddings();
    if (model.config().tie_embeddings)
        numbers += model.vocabulary_size() * model.config().width;  // the head reads them
    const int64_t width = int8 ? 1 : int64_t(tokens.tensor().element_size());
    return int(std::clamp<int64_t>(numbers * width / kBytesPerThread, 1, threads));
}

StepModel::StepModel(const LanguageModel& model, const Options& options)
    : model_(model),
      program_(options.threads, model.decoder().embedding().tokens().tensor().scalar_type(), options.int8) {
    const int64_t width = model.config().width;
    x_ = program_.vector(width), logits_ = program_.vector(model.vocabulary_size());
    add_embedding();
    stack_ = model.stack().root->add_step(program_, x_, options.memory);
    if (!stack_.y) return;
    const float* h = stack_.y;
    if (model.decoder().final_norm()) {
        float* normed = program_.vector(width);
        program_.norm(model.decoder().final_norm(), h, width, normed);
        h = normed;
    }
    program_.product({.weight = model.head().weight(), .bias = model.head().bias(), .x = h, .y = logits_});
}

void StepModel::add_embedding() {
    const int64_t width = model_.config().width;
    const TokenEmbedding& embedding = model_.decoder().embedding();
    program_.single([this, width, &embedding] {
        std::fill_n(x_, width, 0.0f);
        add_row(embedding.tokens().tensor(), token_, width, x_);
        if (model_.config().embedding_scale == "sqrt_width")
            for (int64_t i = 0; i < width; ++i) x_[i] *= std::sqrt(float(width));
        if (model_.config().positions == "learned") add_row(embedding.positions().tensor(), position_, width, x_);
        if (model_.config().positions != "sinusoidal") return;
        for (int64_t i = 0; i < width / 2; ++i) {  // as TokenEmbedding
            const double angle = double(position_) * std::pow(10000.0, -double(i) / double(width / 2));
            x_[i] += float(std::sin(angle)), x_[width / 2 + i] += float(std::cos(angle));
        }
    });
    const NgramEmbedding& ngrams = embedding.ngrams();
    if (!ngrams) return;
    seen_.assign(size_t(ngrams.history()), -1);
    ngrams.add_step(program_, &token_, seen_.data(), x_);
}

void StepModel::load(const State& state, int64_t position) {
    position_ = position;
    if (stack_.load) stack_.load(state);
    std::fill(seen_.begin(), seen_.end(), -1);
    if (Tensor ids = state.get("ngrams"); ids.defined() && !seen_.empty())
        std::copy_n(ids.cpu().contiguous().data_ptr<int64_t>(), seen_.size(), seen_.begin());
}

const float* StepModel::next(int64_t token) {
    token_ = token;
    program_.run();
    ++position_;
    return logits_;
}

}  // namespace lithe
