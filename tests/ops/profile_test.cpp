// The profile's rows add up to what was profiled, and scopes give their phase to what runs inside.
#include "lithe/ops/profile.h"

#include <gtest/gtest.h>

#include <chrono>
#include <map>

namespace lithe {
namespace {

TEST(Profile, RowsAddUpAndScopesGiveTheirPhase) {
    const Tensor a = at::ones({64, 32}), b = at::ones({32, 48});
    std::vector<ops::ProfileRow> rows;
    double seconds = 0;
    {
        ops::Profiler profiler;
        const auto start = std::chrono::steady_clock::now();
        {
            ops::ProfileScope whole("step");
            at::mm(a, b);
            {
                ops::ProfileScope inner("lithe::optimizer update");
                at::mm(a, b);
            }
            {
                ops::ProfileScope inner("lithe::sru");
                ops::add_work(5, 7);
            }
        }
        seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        rows = profiler.rows();
    }
    double sum = 0;
    std::map<std::string, ops::ProfileRow> phases;
    for (const ops::ProfileRow& row : rows) {
        EXPECT_GE(row.seconds, -1e-9) << row.name;
        sum += row.seconds;
        ops::ProfileRow& phase = phases[row.phase];
        phase.flops += row.flops, phase.bytes += row.bytes;
    }
    EXPECT_LE(sum, seconds);
    EXPECT_GE(sum, 0.5 * seconds);
    EXPECT_EQ(phases["matrix products"].flops, 2.0 * 64 * 32 * 48);
    EXPECT_EQ(phases["optimizer"].flops, 2.0 * 64 * 32 * 48);
    EXPECT_EQ(phases["recurrence"].flops, 5);
    EXPECT_EQ(phases["recurrence"].bytes, 7);
    EXPECT_FALSE(ops::profiling());
}

}  // namespace
}  // namespace lithe
