// The profile's rows add up to what was profiled, and scopes give their phase to what runs inside.
#include "lithe/ops/profile.h"

#include <gtest/gtest.h>

#include <chrono>
#include <map>

#include "lithe/ops/side_by_side.h"
#include "support/threads.h"

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

// What two threads do counts half of its time and all of its work, so that rows still add up to the wall clock.
TEST(Profile, ThreadsSideBySideAddUpToTheTimeThatPassed) {
    const testing::Threads threads(2);
    const Tensor a = at::ones({256, 256});
    std::vector<ops::ProfileRow> rows;
    double seconds = 0;
    {
        ops::Profiler profiler;
        const auto start = std::chrono::steady_clock::now();
        {
            ops::ProfileScope whole("step");
            ops::side_by_side(2, [&](int64_t part) {
                for (int i = 0; i < (part == 0 ? 4 : 40); ++i) at::mm(a, a);
            });
            at::mm(a, a);
        }
        seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        rows = profiler.rows();
    }
    double sum = 0, flops = 0, waited = 0;
    for (const ops::ProfileRow& row : rows) {
        sum += row.seconds, flops += row.flops;
        if (row.name.rfind("waiting", 0) == 0) waited = row.seconds;
    }
    EXPECT_EQ(flops, 45 * 2.0 * 256 * 256 * 256);
    EXPECT_LE(sum, seconds * 1.001);
    EXPECT_GE(sum, 0.5 * seconds);
    EXPECT_GT(waited, 0);
}

}  // namespace
}  // namespace lithe
