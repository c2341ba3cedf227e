// What a stack carries from one segment to the next: SRU's c, a memory, cached keys and values. A tree of named
// tensors, each tagged with its batch axis and time axis, so that one set of functions serves training on streams,
// evaluation with memory, generation, beam search and batched serving. Cutting gradients between segments (detach) is
// the trainer's job.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lithe/ops/torch.h"

namespace lithe {

struct StateTensor {
    std::string name;
    Tensor value;
    int batch_axis = 0;
    int time_axis = -1;  // -1: none. Rows of different length mark missing positions in a tensor called "hidden".
};

struct State {
    std::vector<StateTensor> tensors;
    std::vector<State> parts;  // of the units of a sequence, in order

    bool empty() const { return tensors.empty() && parts.empty(); }
    // An empty one where nothing was carried.
    const State& part(size_t index) const;
    const Tensor* find(const std::string& name) const;
    // Undefined when there is none.
    Tensor get(const std::string& name) const;
    void put(std::string name, Tensor value, int batch_axis, int time_axis = -1);

    State detach() const;
    State select_rows(const Tensor& rows) const;               // int64 indices; a row may be chosen several times
    void scatter_rows(const Tensor& rows, const State& from);  // rows[i] takes row i of `from`; shapes must agree
    int64_t bytes() const;
    // Visits every tensor with its path, for instance "2.memory".
    void for_each(const std::function<void(const std::string& path, const StateTensor&)>& use) const;
};

// The rows of several states below each other. Along their time axes they end together: what reaches back less far is
// filled up in front, and marked in "hidden". Throws where they differ otherwise.
State join_rows(const std::vector<State>& states);
// Without the positions at the front of time axes that are hidden from every row.
State trimmed(const State& state);

// A state tensor of batch 1 as `count` fp32 numbers; zeros where it is undefined.
void copy_state(const Tensor& value, int64_t count, float* to);

// For checkpoints: the flat list and back.
std::vector<std::pair<std::string, StateTensor>> flatten(const State& state);
State unflatten(const std::vector<std::pair<std::string, StateTensor>>& list);

}  // namespace lithe
