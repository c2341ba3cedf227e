// Weights of Transformer-XL under the names of its PyTorch code (kimiyoung/transformer-xl: MemTransformerLM) or of
// Hugging Face's TransfoXLLMHeadModel ("transformer." before all but the softmax), for a model of lithe with the layout
// (sf)xN. Projections are stacked the same way (all of Q, then K, then V; heads in order), so that nothing is permuted;
// the rows of clusters are turned round where the two differ (model.adaptive.cluster_order).
#pragma once

#include "lithe/model/import_source.h"

namespace lithe {

// `source` as read from a safetensors file. Throws bad_file with every tensor that is missing, left over, or of another
// shape.
Imported import_transformer_xl(const std::vector<NamedTensor>& source, const LanguageModel& model,
                               const std::string& path);

}  // namespace lithe
