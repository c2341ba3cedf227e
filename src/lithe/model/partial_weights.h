// Weights of a part of a model from a part of another's file: what a stack, an embedding or a block begins with.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "lithe/model/tensor_files.h"

namespace lithe {

// What stands under `into` in the model is taken from under `from` in the files.
struct WeightPart {
    std::string into, from;
};
// "embeddings" stands for both paths, "encoder=decoder" for the encoder's from the decoder's. Throws usage.
std::vector<WeightPart> parse_weight_parts(const std::vector<std::string>& texts);

// The first words of its parameters' names: "decoder", "embeddings", "head".
std::set<std::string> parts_of(const ParameterStore& store);
// All of the model but updates of low rank: what a model without them has.
std::vector<WeightPart> parts_but_lora(const ParameterStore& store);

struct PartialWeights {
    struct Taken {
        size_t parameter;    // of the store
        std::string tensor;  // of the files
    };
    std::vector<Taken> taken;
    std::vector<std::string> initial;  // parameters that keep their initial values
    std::vector<std::string> unused;   // tensors of the files
};
// Reads headers only. Throws usage for a path under which the model has nothing; bad_file where a parameter's tensor is
// missing or of another shape.
PartialWeights plan_partial_weights(const ParameterStore& store, const TensorFiles& files,
                                    const std::vector<WeightPart>& parts);
// Copies them; the store is materialized, the others keep their values.
void load_partial_weights(ParameterStore& store, const TensorFiles& files, const PartialWeights& plan);

// "taken: 12 parameters; from the seed: decoder (30), head.weight; unused in the file: decoder.norm (2)".
std::string partial_weights_text(const ParameterStore& store, const PartialWeights& plan);

}  // namespace lithe
