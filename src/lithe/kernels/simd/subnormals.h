// Included only by *_cpu.cpp files; see simd/vec.h.
#pragma once

#include "lithe/kernels/simd/vec.h"

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace lithe::kernels::LITHE_ISA {
namespace {

// While it lives, this thread's subnormal numbers count as 0: arithmetic on them costs a hundred times as much, and
// products of decays pass through them on their way to 0.
class NoSubnormals {
 public:
    NoSubnormals(const NoSubnormals&) = delete;
    NoSubnormals& operator=(const NoSubnormals&) = delete;
#if defined(__SSE2__)
    NoSubnormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | kFlushToZero | kSubnormalsAreZero); }
    ~NoSubnormals() { _mm_setcsr(before_); }

 private:
    static constexpr unsigned kFlushToZero = 0x8000, kSubnormalsAreZero = 0x0040;
    unsigned before_;
#else
    NoSubnormals() {}
    ~NoSubnormals() {}
#endif
};

}  // namespace
}  // namespace lithe::kernels::LITHE_ISA
