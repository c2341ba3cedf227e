// Where a step's time goes: every LibTorch and Lithe operator that the calling thread runs, with its own time (that of
// operators inside it taken off), its arithmetic and the memory it touches. Operators on a CPU are done when they
// return, so that the rows add up to the step.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lithe/ops/torch.h"

namespace lithe::ops {

struct ProfileRow {
    std::string
        phase;  // matrix products, attention, recurrence, norm, dropout, loss, optimizer, data, element-wise, other
    std::string name;
    int64_t calls = 0;
    double seconds = 0;
    double flops = 0;  // 0: not counted
    double bytes = 0;  // of inputs and outputs
};

// Collects from construction to destruction, on this thread. One at a time.
class Profiler {
 public:
    Profiler();
    ~Profiler();
    Profiler(const Profiler&) = delete;
    Profiler& operator=(const Profiler&) = delete;
    // Longest first.
    std::vector<ProfileRow> rows() const;

 private:
    uint64_t handle_;
};

// Names a stretch of code: operators inside belong to its phase, and what is left is its own.
class ProfileScope {
 public:
    explicit ProfileScope(const char* name);
    ~ProfileScope();
    ProfileScope(const ProfileScope&) = delete;
    ProfileScope& operator=(const ProfileScope&) = delete;

 private:
    bool active_;
};

// For work on several threads at once (side_by_side.h). Made and destroyed by the thread that waits for them, whose
// profile takes their rows: times divided by the number of threads, and what is left of its own time as waiting.
class ProfileGather {
 public:
    explicit ProfileGather(int64_t threads);
    ~ProfileGather();
    ProfileGather(const ProfileGather&) = delete;
    ProfileGather& operator=(const ProfileGather&) = delete;

    // While it lives, the thread that made it is profiled for the gathering one, if that is.
    class Thread {
     public:
        explicit Thread(ProfileGather& gather);
        ~Thread();
        Thread(const Thread&) = delete;
        Thread& operator=(const Thread&) = delete;

     private:
        ProfileGather& gather_;
        std::optional<uint64_t> listening_;  // what LibTorch calls it
    };

 private:
    struct Gathered;
    std::unique_ptr<Gathered> gathered_;  // null: nobody profiles
};

// For tests: a clock of one's own, in seconds, while nothing is profiled; null: the steady one again.
void set_profile_clock(double (*seconds)());

// What the innermost open scope computes and touches; for kernels, which LibTorch does not see.
bool profiling();
void add_work(double flops, double bytes);

}  // namespace lithe::ops
