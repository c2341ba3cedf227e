// A checkpoint folder: files and manifest.json, which says what each is for (model/manifest.h). It is written to a
// temporary folder beside its place (files, fsync, manifest with sizes and hashes, fsync, folder fsync) and renamed;
// the folder's presence under its name means that it is complete. Reading checks the manifest first.
#pragma once

#include <string>
#include <vector>

#include "lithe/model/language_model.h"
#include "lithe/model/manifest.h"
#include "lithe/model/tensor_files.h"
#include "lithe/tokenize/tokenizer.h"

namespace lithe {

struct CheckpointContent {
    std::vector<NamedTensor> model;      // masters, by parameter name
    std::vector<NamedTensor> optimizer;  // moments and carried state; empty for a model only
    std::string state_json, config_json, tokenizer_json;
};

// Throws `resources` when the disk is full; nothing half-written is left under `folder`.
void write_checkpoint(const std::string& folder, const CheckpointContent& content);
// Removes the files that the folder's manifest names (where there is none yet, those that write_checkpoint begins
// with), and the folder unless other files are in it: those stay.
void remove_checkpoint(const std::string& folder);
// Throw a bad_file error that names the first file that does not fit the manifest, or what is missing. A checkpoint has
// either both an optimizer and a state or, as a model only, neither.
Manifest verify_checkpoint(const std::string& folder);
// Of what only training reads, moments and exact rows, it looks at the sizes alone.
Manifest verify_model(const std::string& folder);
// Throws bad_file with what is missing where a run cannot go on from it: a model only.
void require_training(const Manifest& manifest);

// RUN is a run folder, RUN@best, RUN@latest, RUN@step:N, a checkpoint folder, or a .safetensors file with its
// config.json. Returns the checkpoint folder, or the folder of the file.
struct ModelFiles {
    TensorFiles weights;
    std::string config, tokenizer;
    std::string folder;
};
ModelFiles find_model(const std::string& selector);

// Checkpoints of a run, newest first.
struct CheckpointPlace {
    int64_t step = 0;
    std::string folder;
};
std::vector<CheckpointPlace> list_checkpoints(const std::string& run);
std::string checkpoint_name(int64_t step);

}  // namespace lithe
