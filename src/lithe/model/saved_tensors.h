// The tensors of one or several files under their names of today, each read when it is asked for.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "lithe/formats/coded_table.h"
#include "lithe/formats/safetensors.h"
#include "lithe/model/tensor_files.h"

namespace lithe {

class SavedTensors {
 public:
    // Throws bad_file for files that are damaged, and for a name that stands in two of them.
    explicit SavedTensors(const TensorFiles& files);

    bool has(const std::string& name) const { return places_.count(name) > 0; }
    // Those that begin with `prefix`, in order.
    std::vector<std::string> names(const std::string& prefix = "") const;
    const std::vector<int64_t>& shape(const std::string& name) const { return place(name).info.shape; }
    // Where a tensor's bytes lie, and the mapping that they are in.
    struct Mapped {
        TensorBytes tensor;
        std::shared_ptr<const MappedFile> file;
    };
    Mapped mapped(const std::string& name) const;

    // Throw bad_file where it is missing; `take_into`, too, where the shape is another.
    Tensor take(const std::string& name);
    void take_into(const std::string& name, const Tensor& to);
    // It was read by mapped().
    void note_taken(const std::string& name) { taken_.insert(name); }
    // Throws bad_file when there is one that nothing took.
    void check_all_taken() const;

    // For what earlier schemas called otherwise.
    void rename(const std::string& before, const std::string& now);
    // Makes `numbers` of a flat tensor, from number `first` on, a tensor of their own.
    void cut_out(const std::string& flat, int64_t first, const std::string& name, const std::vector<int64_t>& shape);
    void forget(const std::string& name) { places_.erase(name); }

    // For errors.
    std::string path() const { return files_.empty() ? "checkpoint" : files_.front()->path(); }

 private:
    struct Place {
        std::shared_ptr<const SafetensorsFile> file;
        TensorInfo info;
    };
    const Place& place(const std::string& name) const;

    std::vector<std::shared_ptr<const SafetensorsFile>> files_;
    std::map<std::string, Place> places_;
    std::set<std::string> taken_;
};

}  // namespace lithe
