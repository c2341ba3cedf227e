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

}  // namespace

bool Graph::possible() { return table() != nullptr; }

Graph::Graph(const std::function<void()>& work) {
    check(possible(), "graph", "this build cannot record work for a GPU");
    recording_ = table()->record(work);
}

Graph::~Graph() { table()->forget(recording_); }

void Graph::play() const { table()->play(recording_); }

}  // namespace lithe::ops
