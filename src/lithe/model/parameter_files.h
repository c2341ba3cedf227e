// A model's parameters in files, and back. Tables stand in a model's file as int8 codes of the rows that training
// reached (formats/coded_table.h), which read as zeros elsewhere; everything else in fp32. What goes on needs the bits:
// a checkpoint's training part has the same rows in fp32, and the others are drawn again from the seed. Files of
// earlier schemas have whole tables in fp32.
#pragma once

#include "lithe/model/language_model.h"
#include "lithe/model/saved_tensors.h"

namespace lithe {

// What a model's file holds of the store.
std::vector<NamedTensor> model_tensors(const ParameterStore& store);
// What a training part holds of its tables: "weights/NAME.kept", "weights/NAME.rows" and, so that another way to draw
// is noticed, the first row as the seed draws it, "drawn/NAME".
std::vector<NamedTensor> table_tensors(const ParameterStore& store, uint64_t seed);

// Throws bad_file unless the files have every parameter with its shape, and nothing else; reads no values. Names of
// earlier schemas are known (spec/migrations.h).
void check_parameters(const ParameterStore& store, const TensorFiles& files);

struct LoadOptions {
    std::optional<uint64_t> seed = std::nullopt;  // draws rows that no file has; without: zeros
    bool coded_tables = true;                     // false: load_table takes them from the training part
    bool merge_lora = true;                       // matrices come with the updates that a file has of them (nn/lora.h)
};
// Copies such files' tensors into the store's masters, whatever the order in either. Updates of low rank go into those
// of the store; where it has none, into the matrices.
void load_parameters(ParameterStore& store, const TensorFiles& files, const LoadOptions& options = {});

// A parameter of such files: its name there, and its shape whatever form it has.
struct SavedParameter {
    std::string name;
    std::vector<int64_t> shape;
    bool coded = false;  // a table of codes
};
// Without the names of earlier schemas, and without updates of low rank, which are a part of their matrices. Throws
// bad_file for a table that does not fit together.
std::vector<SavedParameter> saved_parameters(const SavedTensors& tensors);
// Copies one of them into the master of a parameter of this shape.
void take_parameter(ParameterStore& store, size_t index, SavedTensors& tensors, const std::string& name,
                    const LoadOptions& options = {});

// Takes table number `table` of the store, bit by bit, from a training part; false where it has none.
bool load_table(ParameterStore& store, size_t table, SavedTensors& saved, uint64_t seed);

// Materializes a model to be read, not trained, with the parameters of these files: on a CPU its tables stay where they
// are. Throws resources where the rest does not fit into memory.
void open_parameters(LanguageModel& model, const TensorFiles& files, at::ScalarType working, at::Device device);

}  // namespace lithe
