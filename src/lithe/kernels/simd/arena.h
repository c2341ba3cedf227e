// Pieces of a task's working memory, one after the other. From a null pointer it only counts bytes. Included only by
// *_cpu.cpp files; see simd/vec.h.
#pragma once

#include "lithe/kernels/simd/product.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

class Arena {
 public:
    explicit Arena(char* begin) : begin_(begin) {}
    // Null where bytes are only counted.
    template <class T> T* take(int64_t count) {
        char* here = begin_ ? begin_ + used_ : nullptr;
        used_ += round_up(count * int64_t(sizeof(T)), 64);
        return reinterpret_cast<T*>(here);
    }
    int64_t used() const { return used_; }

 private:
    char* begin_;
    int64_t used_ = 0;
};

}  // namespace
}  // namespace lithe::kernels::LITHE_ISA
