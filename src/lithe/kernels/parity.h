// Buffers and comparison for the catalog's parity checks.
#pragma once

#include <stdlib.h>
#include <sys/mman.h>

#include <cmath>
#include <limits>
#include <new>
#include <vector>

#include "lithe/kernels/catalog.h"
#include "lithe/kernels/types.h"

namespace lithe::kernels {

// Large blocks on huge pages, as LibTorch's tensors are (ops/torch.cpp).
template <class T> struct HugePages {
    using value_type = T;
    HugePages() = default;
    template <class U> HugePages(const HugePages<U>&) {}
    T* allocate(size_t count) {
        constexpr size_t kPage = size_t(2) << 20;
        const size_t bytes = count * sizeof(T), size = bytes < kPage ? bytes : (bytes + kPage - 1) / kPage * kPage;
        void* memory = bytes < kPage ? malloc(bytes ? bytes : 1) : aligned_alloc(kPage, size);
        if (!memory) throw std::bad_alloc();
        if (bytes >= kPage) madvise(memory, size, MADV_HUGEPAGE);
        return static_cast<T*>(memory);
    }
    void deallocate(T* memory, size_t) { free(memory); }
    template <class U> bool operator==(const HugePages<U>&) const { return true; }
};

// A buffer that starts one element off alignment, filled with a wave or poisoned with NaN.
template <class T> class TestBuffer {
 public:
    explicit TestBuffer(int64_t count) : values_(static_cast<size_t>(count) + 1) {
        for (T& value : values_) from_compute(std::numeric_limits<Compute<T>>::quiet_NaN(), value);
    }
    TestBuffer(int64_t count, double a, double b, double scale) : TestBuffer(count) {
        for (int64_t i = 0; i < count; ++i) from_compute(Compute<T>(scale * std::sin(a * double(i) + b)), data()[i]);
    }
    T* data() { return values_.data() + 1; }
    int64_t size() const { return int64_t(values_.size()) - 1; }
    double at(int64_t i) const { return double(to_compute(values_[size_t(i) + 1])); }

 private:
    std::vector<T, HugePages<T>> values_;
};

template <class S> double storage_tolerance() {
    if constexpr (sizeof(S) == 8) return 1e-9;
    else if constexpr (sizeof(S) == 4) return 1e-5;
    else return 1e-2;
}
template <class S> const char* storage_name() { return sizeof(S) == 8 ? "fp64" : sizeof(S) == 4 ? "fp32" : "bf16"; }

// Errors are relative to 1 + |expected| ; sums over many elements pass a wider `slack`.
template <class T>
void compare(ParityResult& result, const TestBuffer<T>& got, const TestBuffer<T>& expected, double tolerance,
             const std::string& what, double slack = 1) {
    for (int64_t i = 0; i < got.size(); ++i) {
        double error = std::abs(got.at(i) - expected.at(i)) / (1 + std::abs(expected.at(i)));
        if (!(error == error)) error = 1e30;  // NaN: never written, or wrong
        result.add(error, tolerance * slack, what + " element " + std::to_string(i));
    }
}

// Calls f with a value of every storage type.
template <class F> void for_each_storage(const F& f) {
    f(float{});
    f(bfloat16{});
    f(double{});
}

}  // namespace lithe::kernels
