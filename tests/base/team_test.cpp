#include "lithe/base/team.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

namespace lithe {
namespace {

TEST(Team, EveryMemberWorksOncePerRun) {
    for (int size : {1, 2, 4}) {
        Team team(size);
        std::vector<std::atomic<int>> counts(size_t(team.size()));
        for (int i = 0; i < 2000; ++i)
            team.run([&](int64_t begin, int64_t end) {
                EXPECT_EQ(end, begin + 1);
                ++counts[size_t(begin)];
            });
        for (auto& count : counts) EXPECT_EQ(count, 2000);
    }
}

// What one member wrote before the barrier, the others read after it.
TEST(Team, BarriersOrderTheWork) {
    Team team(3);
    std::vector<int> written(3), seen(3);
    for (int round = 1; round <= 500; ++round) {
        team.run([&](int64_t member, int64_t) {
            written[size_t(member)] = round;
            team.barrier();
            seen[size_t(member)] = written[0] + written[1] + written[2];
            team.barrier();
        });
        for (int sum : seen) ASSERT_EQ(sum, 3 * round);
    }
}

// Waits until every thread of this process but the calling one sleeps.
void wait_until_others_sleep() {
    for (bool awake = true; awake; std::this_thread::yield()) {
        awake = false;
        for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
            if (task.path().filename() == std::to_string(gettid())) continue;
            std::ifstream file(task.path() / "stat");
            std::string stat;
            std::getline(file, stat);
            const size_t name = stat.rfind(") ");  // the state stands behind the name
            awake = awake || (name != std::string::npos && stat[name + 2] != 'S');
        }
    }
}

TEST(Team, SleepingMembersWakeUp) {
    Team team(2);
    std::atomic<int> count{0};
    for (int i = 0; i < 3; ++i) {
        wait_until_others_sleep();
        team.run([&](int64_t, int64_t) { ++count; });
    }
    EXPECT_EQ(count, 6);
}

}  // namespace
}  // namespace lithe
