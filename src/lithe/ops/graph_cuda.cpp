// Compiled into liblithe_cuda.so, where LibTorch comes with its CUDA part.
#include "lithe/ops/graph.h"

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>

namespace {

void* record(const std::function<void()>& work) {
    auto graph = std::make_unique<at::cuda::CUDAGraph>();
    c10::cuda::device_synchronize();
    const c10::cuda::CUDAStreamGuard stream(c10::cuda::getStreamFromPool());  // the default stream cannot be recorded
    graph->capture_begin();
    try {
        work();
    } catch (...) {
        try {
            graph->capture_end();
        } catch (...) {  // what ended the recording tells more
        }
        throw;
    }
    graph->capture_end();
    return graph.release();
}

void play(void* recording) { static_cast<at::cuda::CUDAGraph*>(recording)->replay(); }

void forget(void* recording) { delete static_cast<at::cuda::CUDAGraph*>(recording); }

}  // namespace

extern "C" __attribute__((visibility("default"))) const lithe::ops::GraphTable* lithe_cuda_graphs() {
    static const lithe::ops::GraphTable table{record, play, forget};
    return &table;
}
