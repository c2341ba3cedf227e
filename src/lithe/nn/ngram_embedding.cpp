#include "lithe/nn/ngram_embedding.h"

#include "lithe/base/rng.h"
#include "lithe/kernels/sru/sru.h"

namespace lithe {

NgramEmbedding::NgramEmbedding(ParameterStore& store, const NgramOptions& options, int64_t model_width)
    : options_(options),
      model_width_(model_width) {
    const int64_t orders = options.longest - 1, inner = orders * options.width;
    table_ = store.add({"ngrams", {orders * options.rows, options.width}, Role::table, Init::normal(0.02)});
    projection_ = store.add({"ngram_projection", {model_width, inner}, Role::matrix, Init::xavier(inner, model_width)});
}

Tensor NgramEmbedding::operator()(const Tensor& ids_TB, const Tensor& flags_TB, const Tensor& before,
                                  Tensor& after) const {
    const int64_t steps = ids_TB.size(0), batch = ids_TB.size(1), orders = options_.longest - 1;
    Tensor ids = ids_TB.cpu().contiguous(), flags = flags_TB.defined() ? flags_TB.cpu().contiguous() : Tensor();
    Tensor last = before.defined() ? before.cpu().clone() : at::full({orders, batch}, -1, ids.options());
    Tensor rows = at::empty({steps, batch, orders}, ids.options());
    const int64_t* id = ids.data_ptr<int64_t>();
    const uint8_t* flag = flags.defined() ? flags.data_ptr<uint8_t>() : nullptr;
    int64_t *seen = last.data_ptr<int64_t>(), *row = rows.data_ptr<int64_t>();
    for (int64_t t = 0; t < steps; ++t) {
        for (int64_t b = 0; b < batch; ++b, ++id, row += orders) {
            if (flag && flag[t * batch + b] & kernels::kSruReset)
                for (int64_t n = 0; n < orders; ++n) seen[n * batch + b] = -1;
            uint64_t hash = mix64(uint64_t(*id) + 1);
            for (int64_t n = 0; n < orders; ++n) {
                hash = combine_key(hash, uint64_t(seen[n * batch + b]));
                row[n] = int64_t(hash % uint64_t(options_.rows)) + n * options_.rows;
            }
            for (int64_t n = orders - 1; n > 0; --n) seen[n * batch + b] = seen[(n - 1) * batch + b];
            seen[b] = *id;
        }
    }
    after = last.to(ids_TB.device());
    Tensor found = at::embedding(table_.tensor(), rows.to(ids_TB.device()), -1, false, true);
    return at::linear(found.flatten(2).to(projection_.tensor().scalar_type()), projection_.tensor());
}

}  // namespace lithe
