// Working memory of a kernel's task, kept per thread: fresh pages for every call would cost more than the arithmetic.
#pragma once

#include <cstdint>

namespace lithe::kernels {

// At least `bytes` bytes, aligned to 64, until this thread's next call. Throws std::bad_alloc.
char* thread_scratch(int64_t bytes);

}  // namespace lithe::kernels
