// Parity and speed of the table update.
#include <memory>

#include "lithe/base/rng.h"
#include "lithe/kernels/parity.h"
#include "lithe/kernels/rows.h"
#include "lithe/kernels/table/table.h"

namespace lithe::kernels {
namespace {

template <class C> void table_case(ParityResult& result, int64_t width, int64_t rows, int64_t entries) {
    std::vector<int64_t> row_of_entry;
    for (int64_t i = 0; i < entries; ++i) row_of_entry.push_back(int64_t(random_unit(7, uint64_t(i)) * double(rows)));
    const RowGroups groups = group_rows(row_of_entry.data(), entries);
    TestBuffer<C> table(rows * width, 0.3, 0.1, 1.0), table_ref(rows * width, 0.3, 0.1, 1.0),
        values(entries * width, 0.7, 0.2, 1.0), sums(rows), sums_ref(rows);
    for (int64_t r = 0; r < rows; ++r) sums.data()[r] = sums_ref.data()[r] = C(0.01 * double(r % 5));
    TableUpdate<C> args{.table = table.data(),
                        .sums = sums.data(),
                        .values = values.data(),
                        .rows = groups.rows.data(),
                        .starts = groups.starts.data(),
                        .order = groups.order.data(),
                        .groups = int64_t(groups.rows.size()),
                        .width = width,
                        .rate = 0.1,
                        .gradient_scale = 0.5};
    table_update(args);
    args.table = table_ref.data();
    args.sums = sums_ref.data();
    table_update_ref(args);
    const std::string what = std::string("table ") + storage_name<C>();
    compare(result, table, table_ref, storage_tolerance<C>(), what + " weight", 10);
    compare(result, sums, sums_ref, storage_tolerance<C>(), what + " sum", 10);
}

ParityResult table_parity(int64_t size) {
    ParityResult result;
    for (const auto& [rows, entries] : {std::pair<int64_t, int64_t>{5, 17}, {300, 200}}) {
        table_case<float>(result, size, rows, entries);
        table_case<double>(result, size, rows, entries);
    }
    return result;
}

std::vector<BenchmarkCase> table_benchmarks() {
    // a segment of 16 x 128 tokens with n-grams of two to six, a table of 5 x 131072 rows
    const int64_t rows = 5 * 131072, width = 64, entries = 5 * 16 * 128;
    auto table = std::make_shared<TestBuffer<float>>(rows * width, 0.37, 0.1, 1.0),
         values = std::make_shared<TestBuffer<float>>(entries * width, 0.53, 0.7, 1.0),
         sums = std::make_shared<TestBuffer<float>>(rows, 0, 1.57, 0.01);
    auto row_of_entry = std::make_shared<std::vector<int64_t>>();
    for (int64_t i = 0; i < entries; ++i) row_of_entry->push_back(int64_t(random_unit(7, uint64_t(i)) * double(rows)));
    return {{"table update, 10k rows of 64", double(entries * width) * 3 * 4, [=] {
                 const RowGroups groups = group_rows(row_of_entry->data(), entries);
                 table_update<float>({.table = table->data(),
                                      .sums = sums->data(),
                                      .values = values->data(),
                                      .rows = groups.rows.data(),
                                      .starts = groups.starts.data(),
                                      .order = groups.order.data(),
                                      .groups = int64_t(groups.rows.size()),
                                      .width = width,
                                      .rate = 1e-3});
             }}};
}

}  // namespace

KernelRow table_row() {
    return {"table", "rows of a table that were looked up: s += mean(g^2), w -= rate g / sqrt(s)", table_parity,
            table_benchmarks};
}

}  // namespace lithe::kernels
