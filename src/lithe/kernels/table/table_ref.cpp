#include <cmath>

#include "lithe/kernels/table/table.h"

namespace lithe::kernels {

template <class C> void table_update_ref(const TableUpdate<C>& a) {
    for (int64_t group = 0; group < a.groups && a.width > 0; ++group) {
        const int64_t begin = a.starts ? a.starts[group] : group, end = a.starts ? a.starts[group + 1] : group + 1;
        std::vector<C> g(size_t(a.width), C(0));
        for (int64_t i = begin; i < end; ++i) {
            const C* values = a.values + (a.order ? a.order[i] : i) * a.width;
            for (int64_t j = 0; j < a.width; ++j) g[size_t(j)] += values[j];
        }
        C squares = 0;
        for (C& each : g) {
            each *= C(a.gradient_scale);
            squares += each * each;
        }
        C& sum = a.sums[a.rows[group]];
        sum += squares / C(a.width);
        C* row = a.table + a.rows[group] * a.width;
        for (int64_t j = 0; j < a.width; ++j) row[j] -= C(a.rate) * g[size_t(j)] / (std::sqrt(sum) + C(a.epsilon));
    }
}

template void table_update_ref<float>(const TableUpdate<float>&);
template void table_update_ref<double>(const TableUpdate<double>&);

}  // namespace lithe::kernels
