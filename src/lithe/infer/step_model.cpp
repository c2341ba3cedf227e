#include "lithe/infer/step_model.h"

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
    if (!embedding.is_plain_sum() || model.has_encoder() || !model.head()) return nullptr;
    const auto type = embedding.tokens().tensor().scalar_type();
    if (!model.device().is_cpu() || (type != at::kFloat && type != at::kBFloat16)) return nullptr;
    std::unique_ptr<StepModel> step(new StepModel(model, options));
    return step->complete_ ? std::move(step) : nullptr;
}

int StepModel::worthwhile_threads(const LanguageModel& model, int threads, int64_t rows, bool int8) {
    constexpr int64_t kBytesPerThread = 6 << 20;  // of weights per step; below, they wait longer than they read less
    const Parameter& tokens = model.decoder().embedding().tokens();
    if (!tokens) return 1;  // it has no single steps
    const ParameterStore& store = model.parameters();
    int64_t numbers = store.count_without_embeddings();
    if (model.config().tie_embeddings)
        numbers += model.vocabulary_size() * model.config().token_width();  // the head reads them
    const int64_t width = int8 ? 1 : int64_t(tokens.tensor().element_size());
    return int(std::clamp<int64_t>(numbers * width * rows / kBytesPerThread, 1, threads));
}

StepModel::StepModel(const LanguageModel& model, const Options& options)
    : model_(model),
      program_({.most_rows = options.most_rows,
                .threads = options.threads,
                .storage = model.decoder().embedding().tokens().tensor().scalar_type(),
                .quantize = options.int8}),
      tokens_(size_t(options.most_rows)),
      positions_(size_t(options.most_rows)) {
    const int64_t width = model.config().width;
    x_ = program_.vector(width);
    embedded_ = model.decoder().embedding().projection() ? program_.vector(model.config().token_width()) : x_;
    logits_ = program_.vector(model.vocabulary_size());
    add_embedding();
    if (model.exits()) leaving_ = model.pass(false).entries.find<LeavingRule>();
    if (leaving_) program_.set_after_layer([this](size_t layer, const float* x) { add_exit(layer, x); });
    stack_ = model.stack().root->add_step(program_, x_, options.memory);
    if (!stack_.y) return;
    const float* h = stack_.y;
    const auto add_head = [&] {
        if (model.decoder().final_norm()) {
            float* normed = program_.vector(width);
            program_.norm(model.decoder().final_norm(), h, width, normed);
            h = normed;
        }
        float* last = leaving_ ? program_.vector(model.vocabulary_size()) : logits_;
        complete_ = model.head()->add_step(program_, h, last);
        if (leaving_) add_last_logits(last);
    };
    if (leaving_) program_.optional(add_head);
    else add_head();
    program_.set_rows(0);
}

void StepModel::add_exit(size_t layer, const float* x) {
    const auto exit = model_.exits()->behind(layer);
    if (!exit) return;
    program_.optional([&] {
        const int64_t width = model_.config().width;
        float* normed = program_.vector(width);
        float* logits = program_.vector(model_.vocabulary_size());
        program_.norm(model_.exits()->norm(*exit), x, width, normed);
        model_.head()->add_step(program_, normed, logits);
        program_.each_row([this, logits, exit = *exit](int64_t row) { leave(row, exit, logits); });
    });
    program_.settle_held();
}

void StepModel::leave(int64_t row, size_t exit, const float* logits) {
    const int64_t vocabulary = model_.vocabulary_size();
    const float* of_row = logits + row * vocabulary;
    if (program_.held(row) || !leavers_[size_t(row)].leaves(of_row, vocabulary)) return;
    std::copy_n(of_row, vocabulary, logits_ + row * vocabulary);
    exit_of_[size_t(row)] = exit;
    program_.hold(row);
}

void StepModel::add_last_logits(const float* last) {
    program_.each_row([this, last](int64_t row) {
        const int64_t vocabulary = model_.vocabulary_size();
        if (!program_.held(row)) std::copy_n(last + row * vocabulary, vocabulary, logits_ + row * vocabulary);
    });
}

void StepModel::count_exits() {
    if (!leaving_->counts) return;
    for (int64_t row = 0; row < program_.rows(); ++row) leaving_->counts->add(exit_of_[size_t(row)], 1);
}

void StepModel::add_embedding() {
    program_.each_row([this](int64_t row) { embed(row); });
    const NgramEmbedding& ngrams = model_.decoder().embedding().ngrams();
    if (ngrams) {
        seen_.assign(tokens_.size() * size_t(ngrams.history()), -1);
        ngrams.add_step(program_, tokens_.data(), seen_.data(), embedded_);
    }
    const TokenEmbedding& embedding = model_.decoder().embedding();
    if (embedding.projection())
        program_.product(
            {.weight = embedding.projection(), .bias = embedding.projection_bias(), .x = embedded_, .y = x_});
}

// As TokenEmbedding, of one row.
void StepModel::embed(int64_t row) {
    const ModelConfig& config = model_.config();
    const TokenEmbedding& embedding = model_.decoder().embedding();
    const int64_t width = config.token_width();
    const int64_t position = positions_[size_t(row)];
    float* x = embedded_ + row * width;
    std::fill_n(x, width, 0.0f);
    add_row(embedding.tokens().tensor(), tokens_[size_t(row)], width, x);
    if (config.embedding_scale == EmbeddingScale::sqrt_width)
        for (int64_t i = 0; i < width; ++i) x[i] *= std::sqrt(float(width));
    if (config.positions == Positions::learned) add_row(embedding.positions().tensor(), position, width, x);
    if (config.positions != Positions::sinusoidal) return;
    for (int64_t i = 0; i < width / 2; ++i) {
        const double angle = double(position) * std::pow(10000.0, -double(i) / double(width / 2));
        x[i] += float(std::sin(angle));
        x[width / 2 + i] += float(std::cos(angle));
    }
}

void StepModel::load(const State& state, int64_t row, int64_t position) {
    positions_[size_t(row)] = position;
    program_.set_rows(std::max(program_.rows(), row + 1));
    if (stack_.load) stack_.load(state, row);
    if (seen_.empty()) return;
    const size_t history = seen_.size() / tokens_.size();
    int64_t* seen = seen_.data() + size_t(row) * history;
    std::fill_n(seen, history, -1);
    if (const Tensor ids = state.get("ngrams"); ids.defined())
        std::copy_n(ids.cpu().contiguous().data_ptr<int64_t>(), history, seen);
}

void StepModel::keep(std::span<const int64_t> rows) {
    const size_t history = seen_.size() / tokens_.size();
    std::vector<int64_t> positions = positions_, seen = seen_;
    for (size_t i = 0; i < rows.size(); ++i) {
        positions[i] = positions_[size_t(rows[i])];
        std::copy_n(seen_.begin() + rows[i] * int64_t(history), history, seen.begin() + int64_t(i * history));
    }
    positions_ = std::move(positions);
    std::copy(seen.begin(), seen.end(), seen_.begin());  // the program knows its place
    program_.keep(rows);
}

const float* StepModel::next(std::span<const int64_t> tokens) {
    std::copy(tokens.begin(), tokens.end(), tokens_.begin());
    if (leaving_) {
        leavers_.assign(tokens_.size(), Leaver(leaving_->rule));
        exit_of_.assign(tokens_.size(), model_.exits()->count() - 1);
    }
    program_.run();
    if (leaving_) count_exits();
    for (size_t row = 0; row < tokens.size(); ++row) ++positions_[row];
    return logits_;
}

}  // namespace lithe
