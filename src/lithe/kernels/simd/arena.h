// Pieces of a task's working memory, one after the other. From a null pointer it only counts bytes. Included only by
// *_cpu.cpp files; see simd/vec.h.
#pragma once

#include "lithe/kernels/simd/product.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

class Arena {
 public:
    explicit Arena(char* begin) : at_(begin), begin_(begin) {}
    template <class T> T* take(int64_t count) {
        char* here = at_;
        at_ += round_up(count * int64_t(sizeof(T)), 64);
        return reinterpret_cast<T*>(here);
    }
    int64_t used() const { return at_ - begin_; }

 private:
    char *at_, *begin_;
};

}  // namespace
}  // namespace lithe::kernels::LITHE_ISA
