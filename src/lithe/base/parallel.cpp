#include "lithe/base/parallel.h"

#include <atomic>

namespace lithe {
namespace {

void serial(int64_t count, int64_t, RangeFunction body) { body(0, count); }

std::atomic<ParallelBackend> backend_{serial};

}  // namespace

void set_parallel_backend(ParallelBackend backend) { backend_ = backend ? backend : serial; }

void parallel_for(int64_t count, int64_t grain, RangeFunction body) {
    if (count > 0) backend_.load(std::memory_order_relaxed)(count, grain, body);
}

}  // namespace lithe
