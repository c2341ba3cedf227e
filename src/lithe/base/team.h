// A few threads that do short pieces of work together, hundreds of times a millisecond: they wait by spinning and sleep
// only when nothing comes for a while. For loops of ordinary length use base/parallel.h.
#pragma once

#include <atomic>
#include <thread>
#include <vector>

#include "lithe/base/parallel.h"

namespace lithe {

class Team {
 public:
    // The calling thread is member 0; size - 1 threads are started.
    explicit Team(int size);
    ~Team();
    Team(const Team&) = delete;
    Team& operator=(const Team&) = delete;

    int size() const { return size_; }
    // Runs work(member, member + 1) on every member, and returns when all are done. `work` must not throw.
    void run(RangeFunction work);
    // Inside `work`: returns when every member has come here.
    void barrier();

 private:
    void serve(int member);
    const int size_;
    std::vector<std::thread> threads_;
    std::atomic<const RangeFunction*> work_{nullptr};
    std::atomic<uint32_t> call_{0}, arrived_{0}, phase_{0};
    std::atomic<bool> ending_{false};
};

}  // namespace lithe
