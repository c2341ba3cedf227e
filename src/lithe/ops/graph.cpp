#include "lithe/ops/graph.h"

#include "lithe/kernels/cuda.h"
#include "lithe/ops/torch.h"

namespace lithe::ops {
namespace {

const GraphTable* table() {
    static const GraphTable* const found = [] {
        auto* get = reinterpret_cast<const GraphTable* (*)()>(kernels::cuda_symbol("lithe_cuda_graphs"));
        return get ? get() : nullptr;
    }();
    return found;
}

thread_local std::vector<Tensor>* keeping = nullptr;

struct Keeping {
    explicit Keeping(std::vector<Tensor>& list) { keeping = &list; }
    ~Keeping() { keeping = nullptr; }
};

}  // namespace

bool Graph::possible() { return table() != nullptr; }

Graph::Graph(const std::function<void()>& work) {
    check(possible(), "graph", "this build cannot record work for a GPU");
    const Keeping here(kept_);
    recording_ = table()->record(work);
}

Graph::~Graph() { table()->forget(recording_); }

void Graph::keep(const Tensor& tensor) {
    if (keeping) keeping->push_back(tensor);
}

void Graph::play() const { table()->play(recording_); }

}  // namespace lithe::ops
