// Weights of decoders under the names of Hugging Face's programs, for models of lithe with the layout (sf)xN:
//
//   GPT-2    GPT2LMHeadModel, whose products lie the other way round; configs/gpt2.toml
//   Llama    LlamaForCausalLM and what has its names (SmolLM2, Mistral); configs/smollm2-135m.toml
#pragma once

#include "lithe/model/import_source.h"

namespace lithe {

bool is_gpt2(const std::vector<NamedTensor>& source);
bool is_llama(const std::vector<NamedTensor>& source);
// `source` as read from a safetensors file. Throw bad_file with every tensor that is missing, left over, or of another
// shape.
Imported import_gpt2(const std::vector<NamedTensor>& source, const LanguageModel& model, const std::string& path);
Imported import_llama(const std::vector<NamedTensor>& source, const LanguageModel& model, const std::string& path);

}  // namespace lithe
