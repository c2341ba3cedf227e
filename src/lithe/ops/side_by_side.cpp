#include "lithe/ops/side_by_side.h"

#include <ATen/Parallel.h>
#include <omp.h>

#include <algorithm>

#include "lithe/base/parallel.h"
#include "lithe/ops/profile.h"

namespace lithe::ops {
namespace {

// oneDNN cuts its work by the number of threads that OpenMP names, which inside a parallel region is not the number
// that it gets: it is told so here.
class OneThread {
 public:
    OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
    ~OneThread() { omp_set_num_threads(before_); }
    OneThread(const OneThread&) = delete;
    OneThread& operator=(const OneThread&) = delete;

 private:
    int before_;
};

}  // namespace

void side_by_side(int64_t count, const std::function<void(int64_t)>& body) {
    if (count == 1) return body(0);
    ProfileGather gather(std::min<int64_t>(count, at::get_num_threads()));
    parallel_for(count, 1, [&](int64_t begin, int64_t end) {
        const OneThread one;
        const ProfileGather::Thread thread(gather);
        for (int64_t i = begin; i < end; ++i) body(i);
    });
}

}  // namespace lithe::ops
