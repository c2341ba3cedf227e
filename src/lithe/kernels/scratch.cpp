#include "lithe/kernels/scratch.h"

#include <cstdlib>
#include <memory>
#include <new>

namespace lithe::kernels {

char* thread_scratch(int64_t bytes) {
    struct Free {
        void operator()(char* p) const { std::free(p); }
    };
    thread_local std::unique_ptr<char, Free> memory;
    thread_local int64_t size = 0;
    if (bytes > size) {
        memory.reset();
        size = (bytes + 63) / 64 * 64;
        memory.reset(static_cast<char*>(std::aligned_alloc(64, size_t(size))));
        if (!memory) size = 0, throw std::bad_alloc();
    }
    return memory.get();
}

}  // namespace lithe::kernels
