#include "lithe/base/cgroup.h"

#include <gtest/gtest.h>

#include "support/files.h"

namespace lithe {
namespace {

constexpr const char* kV2Mounts =
    "24 30 0:22 / /proc rw - proc proc rw\n"
    "31 24 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

struct Tree {
    testing::TemporaryFolder folder;
    void put(const std::string& path, const std::string& content) const { folder.write(path, content); }
    CgroupLimits read() const { return read_cgroup_limits(folder.path()); }
};

TEST(Cgroup, NothingLimitsWhereNothingIsSaid) {
    const Tree tree;
    EXPECT_FALSE(tree.read().processors);
    EXPECT_FALSE(tree.read().memory);
}

TEST(Cgroup, V2TakesTheLeastOfAllLevels) {
    const Tree tree;
    tree.put("proc/self/mountinfo", kV2Mounts);
    tree.put("proc/self/cgroup", "0::/jobs.slice/job 7/step\n");
    const std::string top = "sys/fs/cgroup/jobs.slice/", job = top + "job 7/", step = job + "step/";
    tree.put(top + "memory.max", "1000000000\n");
    tree.put(top + "memory.current", "900000000\n");
    tree.put(top + "memory.stat", "anon 100\nfile 5\ninactive_file 300000000\nactive_file 7\n");
    tree.put(job + "cpu.max", "150000 100000\n");
    tree.put(job + "memory.max", "max\n");
    tree.put(step + "cpu.max", "max 100000\n");
    tree.put(step + "memory.max", "800000000\n");
    tree.put(step + "memory.current", "1000\n");
    EXPECT_EQ(tree.read().processors, 1.5);
    EXPECT_EQ(tree.read().memory, 400000000u);
    tree.put(step + "memory.current", "700000000\n");
    EXPECT_EQ(tree.read().memory, 100000000u);
    tree.put(step + "memory.current", "900000000\n");
    EXPECT_EQ(tree.read().memory, 0u);
}

// A container without a namespace of its own: the mount shows its group as the root, the process's file names the
// host's.
TEST(Cgroup, V2OfAContainer) {
    const Tree tree;
    tree.put("proc/self/mountinfo", "31 24 0:27 /docker/4f2 /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
    tree.put("proc/self/cgroup", "0::/docker/4f2\n");
    tree.put("sys/fs/cgroup/cpu.max", "100000 100000\n");
    tree.put("sys/fs/cgroup/memory.max", "2147483648\n");
    EXPECT_EQ(tree.read().processors, 1);
    EXPECT_EQ(tree.read().memory, 2147483648u);
    tree.put("proc/self/cgroup", "0::/../other\n");
    EXPECT_EQ(tree.read().processors, 1);
}

TEST(Cgroup, V1QuotasAndNestedMemory) {
    const Tree tree;
    tree.put("proc/self/mountinfo",
             "33 32 0:28 / /sys/fs/cgroup/memory rw shared:15 - cgroup cgroup rw,memory\n"
             "34 32 0:29 / /cg\\040roups/cpu rw shared:16 - cgroup cgroup rw,cpu,cpuacct\n"
             "35 32 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
    tree.put("proc/self/cgroup", "12:memory:/a/b\n5:cpu,cpuacct:/a/b/c\n1:name=systemd:/x\n0::/\n");
    tree.put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    tree.put("sys/fs/cgroup/memory/memory.usage_in_bytes", "5\n");
    tree.put("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "3000000000\n");
    tree.put("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "1000000000\n");
    tree.put("sys/fs/cgroup/memory/a/memory.stat", "cache 1\ninactive_file 9\ntotal_inactive_file 500000000\n");
    tree.put("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n");
    tree.put("cg roups/cpu/cpu.cfs_quota_us", "-1\n");
    tree.put("cg roups/cpu/cpu.cfs_period_us", "100000\n");
    tree.put("cg roups/cpu/a/cpu.cfs_quota_us", "300000\n");
    tree.put("cg roups/cpu/a/cpu.cfs_period_us", "100000\n");
    tree.put("cg roups/cpu/a/b/c/cpu.cfs_quota_us", "50000\n");
    tree.put("cg roups/cpu/a/b/c/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(tree.read().memory, 2500000000u);
    EXPECT_EQ(tree.read().processors, 0.5);
}

TEST(Cgroup, DamagedFilesLimitNothing) {
    const Tree tree;
    tree.put("proc/self/mountinfo", std::string(kV2Mounts) + "rubbish\n - \n");
    tree.put("proc/self/cgroup", "\n::\n0::/a\n");
    tree.put("sys/fs/cgroup/a/cpu.max", "much\n");
    tree.put("sys/fs/cgroup/a/memory.max", "\n");
    EXPECT_FALSE(tree.read().processors);
    EXPECT_FALSE(tree.read().memory);
    tree.put("sys/fs/cgroup/a/cpu.max", "100000 0\n");
    EXPECT_FALSE(tree.read().processors);
}

TEST(Cgroup, AtLeastOneProcessor) { EXPECT_GE(usable_processors(), 1); }

}  // namespace
}  // namespace lithe
