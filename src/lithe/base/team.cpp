#include "lithe/base/team.h"

namespace lithe {
namespace {

constexpr int kSpins = 20000;  // some 100 us

void pause_briefly() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

// Waits until `value` is no longer `old`.
void wait_for_change(const std::atomic<uint32_t>& value, uint32_t old) {
    for (int i = 0; i < kSpins; ++i) {
        if (value.load(std::memory_order_acquire) != old) return;
        pause_briefly();
    }
    value.wait(old, std::memory_order_acquire);
}

}  // namespace

Team::Team(int size) : size_(size < 1 ? 1 : size) {
    for (int member = 1; member < size_; ++member) threads_.emplace_back([this, member] { serve(member); });
}

Team::~Team() {
    ending_ = true;
    call_.fetch_add(1, std::memory_order_release);
    call_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

void Team::serve(int member) {
    for (uint32_t seen = 0;; ++seen) {
        wait_for_change(call_, seen);
        if (ending_) return;
        (*work_.load(std::memory_order_acquire))(member, member + 1);
        barrier();
    }
}

void Team::run(RangeFunction work) {
    if (size_ == 1) return work(0, 1);
    work_.store(&work, std::memory_order_release);
    call_.fetch_add(1, std::memory_order_release);
    call_.notify_all();
    work(0, 1);
    barrier();
}

void Team::barrier() {
    if (size_ == 1) return;
    const uint32_t phase = phase_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == uint32_t(size_)) {
        arrived_.store(0, std::memory_order_relaxed);
        phase_.fetch_add(1, std::memory_order_release);
        phase_.notify_all();
        return;
    }
    wait_for_change(phase_, phase);
}

}  // namespace lithe
