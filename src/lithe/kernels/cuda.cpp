#include "lithe/kernels/cuda.h"

#include <dlfcn.h>

namespace lithe::kernels {
namespace {

const CudaTable* table_ = nullptr;
void* library_ = nullptr;

}  // namespace

const CudaTable* cuda_table() { return table_; }

bool load_cuda(const char* library, const char** reason) {
    void* handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        *reason = dlerror();
        return false;
    }
    auto* get = reinterpret_cast<const CudaTable* (*)()>(dlsym(handle, "lithe_cuda_table"));
    const CudaTable* table = get ? get() : nullptr;
    if (!table || table->version != kCudaTableVersion) {
        *reason = "it belongs to another build";
        return false;
    }
    table_ = table;
    library_ = handle;
    return true;
}

void* cuda_symbol(const char* name) { return library_ ? dlsym(library_, name) : nullptr; }

}  // namespace lithe::kernels
