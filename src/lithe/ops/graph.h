// A piece of GPU work that is recorded once and played again at the cost of one launch (a CUDA graph): where tensors
// are small, launching a step's kernels takes longer than they run.
#pragma once

#include <functional>
#include <vector>

#include "lithe/ops/torch.h"

namespace lithe::ops {

class Graph {
 public:
    // Whether the program runs on a GPU and was built with what recording needs.
    static bool possible();
    // Records what `work` asks of the GPU; nothing of it is done yet. `work` may neither wait for the GPU nor copy from
    // or to the host, and what it reads and others write must stay where it is. Throws what `work` throws, or
    // LibTorch's error for what cannot be recorded.
    explicit Graph(const std::function<void()>& work);
    ~Graph();
    Graph(const Graph&) = delete;
    Graph& operator=(const Graph&) = delete;

    void play() const;
    // For work that reads a tensor out of a cache of its own: one that is being recorded by this thread keeps it.
    static void keep(const Tensor& tensor);

 private:
    std::vector<Tensor> kept_;
    void* recording_ = nullptr;
};

// What liblithe_cuda.so brings (graph_cuda.cpp), found under the name lithe_cuda_graphs.
struct GraphTable {
    void* (*record)(const std::function<void()>& work);
    void (*play)(void* recording);
    void (*forget)(void* recording);
};

}  // namespace lithe::ops
