// The profile's rows add up to what was profiled, and scopes give their phase to what runs inside.
#include "lithe/ops/profile.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>

#include "lithe/ops/side_by_side.h"
#include "support/threads.h"

namespace lithe {
namespace {

// A clock that goes on by one second whenever it is read, on whatever thread.
class CountingClock {
 public:
    CountingClock() {
        ops::set_profile_clock([] { return double(++readings_); });
    }
    ~CountingClock() { ops::set_profile_clock(nullptr); }
    CountingClock(const CountingClock&) = delete;
    CountingClock& operator=(const CountingClock&) = delete;
    static double seconds() { return double(readings_); }

 private:
    static inline std::atomic<int64_t> readings_{0};
};

TEST(Profile, RowsAddUpAndScopesGiveTheirPhase) {
    const CountingClock clock;
    const Tensor a = at::ones({64, 32}), b = at::ones({32, 48});
    std::vector<ops::ProfileRow> rows;
    double seconds = 0;
    {
        ops::Profiler profiler;
        const double start = CountingClock::seconds() + 1;  // what the first reading gives
        {
            ops::ProfileScope whole("step");
            at::mm(a, b);
            {
                ops::ProfileScope inner("lithe::optimizer update");
                at::mm(a, b);
            }
            {
                ops::ProfileScope inner("lithe::recurrence");
                ops::add_work(5, 7);
            }
        }
        seconds = CountingClock::seconds() - start;
        rows = profiler.rows();
    }
    double sum = 0;
    std::map<std::string, ops::ProfileRow> phases;
    for (const ops::ProfileRow& row : rows) {
        EXPECT_GT(row.seconds, 0) << row.name;
        sum += row.seconds;
        ops::ProfileRow& phase = phases[row.phase];
        phase.flops += row.flops;
        phase.bytes += row.bytes;
    }
    EXPECT_DOUBLE_EQ(sum, seconds);
    EXPECT_EQ(phases["matrix products"].flops, 2.0 * 64 * 32 * 48);
    EXPECT_EQ(phases["optimizer"].flops, 2.0 * 64 * 32 * 48);
    EXPECT_EQ(phases["recurrence"].flops, 5);
    EXPECT_EQ(phases["recurrence"].bytes, 7);
    EXPECT_FALSE(ops::profiling());
}

// What two threads do counts half of its time and all of its work, so that rows still add up to the wall clock.
TEST(Profile, ThreadsSideBySideAddUpToTheTimeThatPassed) {
    const testing::Threads threads(2);
    const CountingClock clock;
    const Tensor a = at::ones({256, 256});
    std::vector<ops::ProfileRow> rows;
    double seconds = 0;
    {
        ops::Profiler profiler;
        const double start = CountingClock::seconds() + 1;  // what the first reading gives
        {
            ops::ProfileScope whole("step");
            ops::side_by_side(2, [&](int64_t part) {
                for (int i = 0; i < (part == 0 ? 4 : 40); ++i) at::mm(a, a);
            });
            at::mm(a, a);
        }
        seconds = CountingClock::seconds() - start;
        rows = profiler.rows();
    }
    double sum = 0, flops = 0, waited = 0;
    for (const ops::ProfileRow& row : rows) {
        sum += row.seconds;
        flops += row.flops;
        if (row.name.rfind("waiting", 0) == 0) waited = row.seconds;
    }
    EXPECT_EQ(flops, 45 * 2.0 * 256 * 256 * 256);
    EXPECT_DOUBLE_EQ(sum, seconds);
    EXPECT_GT(waited, 0);
}

}  // namespace
}  // namespace lithe
