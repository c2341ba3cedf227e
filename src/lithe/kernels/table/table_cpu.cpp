// Compiled once per instruction set.
#include <cmath>
#include <vector>

#include "lithe/kernels/simd/vec.h"
#include "lithe/kernels/table/table_range.h"

namespace lithe::kernels::LITHE_ISA {

// Rows lie anywhere in a table that no cache holds: those of the groups ahead are asked for early.
template <class C> void table_range(const TableUpdate<C>& a, int64_t begin, int64_t end) {
    constexpr int64_t kAhead = 8, kLine = 64 / int64_t(sizeof(C));
    using V = Vec<C>;
    std::vector<C> gradient(static_cast<size_t>(a.width + kLanes), C(0));
    C* g = gradient.data();
    for (int64_t group = begin; group < end; ++group) {
        if (group + kAhead < end) {
            const C* next = a.table + a.rows[group + kAhead] * a.width;
            for (int64_t j = 0; j < a.width; j += kLine) __builtin_prefetch(next + j, 1);
            __builtin_prefetch(a.sums + a.rows[group + kAhead], 1);
        }
        const int64_t first = a.starts ? a.starts[group] : group, last = a.starts ? a.starts[group + 1] : group + 1;
        V squares{};
        for (int64_t j = 0; j < a.width; j += kLanes) {
            const int64_t left = a.width - j;
            V total{};
            for (int64_t i = first; i < last; ++i) {
                const C* values = a.values + (a.order ? a.order[i] : i) * a.width + j;
                total += left >= kLanes ? load(values) : load_part(values, left);
            }
            total = total * C(a.gradient_scale);
            squares += total * total;
            store(g + j, total);
        }
        const C mean = sum(squares) / C(a.width), s = a.sums[a.rows[group]] += mean;
        const C step = C(a.rate) / (std::sqrt(s) + C(a.epsilon));
        C* row = a.table + a.rows[group] * a.width;
        for (int64_t j = 0; j < a.width; j += kLanes) {
            const int64_t left = a.width - j;
            if (left >= kLanes) store(row + j, load(row + j) - load(g + j) * step);
            else store_part(row + j, load_part(row + j, left) - load(g + j) * step, left);
        }
    }
}

template void table_range<float>(const TableUpdate<float>&, int64_t, int64_t);
template void table_range<double>(const TableUpdate<double>&, int64_t, int64_t);

}  // namespace lithe::kernels::LITHE_ISA
