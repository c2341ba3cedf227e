// Weights of another program while lithe's parameters take them: what was taken, what is missing, what is left over.
#pragma once

#include <functional>
#include <map>
#include <set>

#include "lithe/model/checkpoint.h"

namespace lithe {

struct Imported {
    std::vector<NamedTensor> tensors;   // the model's parameters, by its names, in its order
    std::vector<std::string> left_out;  // names of weights that the model has no use for, and may be without
};

class ImportSource {
 public:
    // `prefix` is taken off the names that begin with it.
    ImportSource(const std::vector<NamedTensor>& tensors, const std::string& prefix);
    bool had_prefix() const { return had_prefix_; }
    bool has(const std::string& name) const { return tensors_.count(name) > 0; }
    // In fp32; undefined, and a problem, where it is missing.
    Tensor take(const std::string& name);
    void add_problem(const std::string& text) { problems_.add(text); }
    // Every parameter's tensor by its name; where value_of gives none it has noted why.
    std::vector<NamedTensor> place(const ParameterStore& parameters,
                                   const std::function<Tensor(const std::string& name)>& value_of);
    std::vector<std::string> unused() const;
    // `name` must equal `twin`, to which the configuration ties it; an empty twin: the name has no place.
    void check_twin(const std::string& name, const std::string& twin);
    // Throws bad_file with what was noted.
    void throw_if_any(const std::string& path, const std::string& hint) const { check_fit(problems_, path, hint); }

 private:
    std::map<std::string, Tensor> tensors_;
    std::set<std::string> used_;
    Problems problems_;
    bool had_prefix_ = false;
};

// "decoder.layers.3.feed_forward" -> 3: a block's number among those of its kind. Throws usage when there are other
// blocks than attention and feed-forward.
std::map<std::string, int> count_blocks(const LanguageModel& model, const std::string& program);

}  // namespace lithe
