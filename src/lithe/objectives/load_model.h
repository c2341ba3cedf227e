// A trained model from its files.
#pragma once

#include "lithe/model/checkpoint.h"
#include "lithe/objectives/objective.h"

namespace lithe {

struct LoadedModel {
    Config config;
    TokenizerPtr tokenizer;
    std::unique_ptr<Objective> objective;
    Models models;                         // not materialized
    std::shared_ptr<LanguageModel> model;  // the main one
    TensorFiles weights;
    std::string folder;
};
// Checks the files and builds the models; the caller hands the main one and `weights` to open_parameters. `selector`:
// as find_model() takes it.
LoadedModel load_model(const std::string& selector);

}  // namespace lithe
