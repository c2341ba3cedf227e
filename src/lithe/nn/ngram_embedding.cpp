#include "lithe/nn/ngram_embedding.h"

#include <algorithm>

#include "lithe/base/position_flags.h"
#include "lithe/base/rng.h"

namespace lithe {

static constexpr int64_t kMostTables = 64;  // of one step

NgramEmbedding::NgramEmbedding(ParameterStore& store, const NgramOptions& options, int64_t model_width)
    : options_(options),
      model_width_(model_width) {
    ops::check(tables() <= kMostTables, "n-grams", std::to_string(tables()) + " lengths are too many");
    const int64_t inner = tables() * options.width;
    table_ = store.add(
        {"embeddings.ngrams.table", {tables() * options.rows, options.width}, Role::table, Init::normal(0.02)});
    projection_ = store.add(
        {"embeddings.ngrams.projection", {model_width, inner}, Role::matrix, Init::xavier(inner, model_width)});
}

void NgramEmbedding::rows_of(int64_t id, int64_t* seen, int64_t stride, int64_t* rows) const {
    uint64_t hash = mix64(uint64_t(id) + 1);
    int64_t before = 0;  // tokens before this one that the hash knows
    for (int64_t table = 0; table < tables(); ++table) {
        for (; before + 1 < options_.lengths[size_t(table)]; ++before)
            hash = combine_key(hash, uint64_t(seen[before * stride]));
        rows[table] = int64_t(hash % uint64_t(options_.rows)) + table * options_.rows;
    }
    for (int64_t n = history() - 1; n > 0; --n) seen[n * stride] = seen[(n - 1) * stride];
    seen[0] = id;
}

void NgramEmbedding::add_step(StepProgram& program, const int64_t* tokens, int64_t* seen, float* x) const {
    const int64_t width = options_.width, model_width = model_width_;
    float *found = program.vector(tables() * width), *projected = program.vector(model_width);
    const CodedTable* coded = table_.coded();
    const float* table = coded ? nullptr : table_.tensor().data_ptr<float>();
    program.each_row([=, this](int64_t row) {
        int64_t rows[kMostTables];
        rows_of(tokens[row], seen + row * history(), 1, rows);
        float* to = found + row * tables() * width;
        if (coded) return coded->look_up(rows, tables(), to);
        for (int64_t n = 0; n < tables(); ++n) std::copy_n(table + rows[n] * width, width, to + n * width);
    });
    program.product({.weight = projection_, .x = found, .y = projected});
    program.parts(model_width, [=](int64_t row, int64_t begin, int64_t end) {
        for (int64_t i = row * model_width + begin; i < row * model_width + end; ++i) x[i] += projected[i];
    });
}

Tensor NgramEmbedding::operator()(const Tensor& ids_TB, const Tensor& flags_TB, const Tensor& before,
                                  Tensor& after) const {
    const int64_t steps = ids_TB.size(0), batch = ids_TB.size(1);
    Tensor ids = ids_TB.cpu().contiguous(), flags = flags_TB.defined() ? flags_TB.cpu().contiguous() : Tensor();
    Tensor last = before.defined() ? before.cpu().clone() : at::full({history(), batch}, -1, ids.options());
    Tensor rows = at::empty({steps, batch, tables()}, ids.options());
    const int64_t* id = ids.data_ptr<int64_t>();
    const uint8_t* flag = flags.defined() ? flags.data_ptr<uint8_t>() : nullptr;
    int64_t *seen = last.data_ptr<int64_t>(), *row = rows.data_ptr<int64_t>();
    for (int64_t t = 0; t < steps; ++t) {
        for (int64_t b = 0; b < batch; ++b, ++id, row += tables()) {
            if (flag && flag[t * batch + b] & kDocumentBegins)
                for (int64_t n = 0; n < history(); ++n) seen[n * batch + b] = -1;
            rows_of(*id, seen + b, batch, row);
        }
    }
    after = last.to(ids_TB.device());
    const CodedTable* coded = table_.coded();
    const Tensor found =
        coded ? coded->look_up(rows) : at::embedding(table_.tensor(), rows.to(ids_TB.device()), -1, false, true);
    return at::linear(found.flatten(2).to(projection_.tensor().scalar_type()), projection_.tensor());
}

}  // namespace lithe
