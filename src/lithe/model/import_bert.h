// Weights of BERT under the names of Hugging Face's BertModel, BertForMaskedLM or BertForPreTraining, for an encoder of
// lithe with the layout (sf)xN, as configs/bert-base.toml. The next-sentence head, the pooler without model.bert.pooler
// and the prediction head with model.head = "none" are left out.
#pragma once

#include "lithe/model/import_source.h"

namespace lithe {

bool is_bert(const std::vector<NamedTensor>& source);
// `source` as read from a safetensors file. Throws bad_file with every tensor that is missing, left over, or of another
// shape.
Imported import_bert(const std::vector<NamedTensor>& source, const LanguageModel& model, const std::string& path);

}  // namespace lithe
