// Parallel loops for torch-free code. The backend is set once by ops/ to LibTorch's thread pool, so that there is one
// pool per process; until then loops run on the calling thread.
#pragma once

#include <cstdint>

namespace lithe {

// A reference to a callable, cheaper than std::function. The callable must outlive the call.
class RangeFunction {
 public:
    template <class F>
    RangeFunction(const F& f)
        : object_(&f),
          call_([](const void* object, int64_t begin, int64_t end) { (*static_cast<const F*>(object))(begin, end); }) {}
    void operator()(int64_t begin, int64_t end) const { call_(object_, begin, end); }

 private:
    const void* object_;
    void (*call_)(const void*, int64_t, int64_t);
};

using ParallelBackend = void (*)(int64_t count, int64_t grain, RangeFunction body);

void set_parallel_backend(ParallelBackend backend);
// Calls body(begin, end) on disjoint ranges that cover [0, count); a range has at least `grain` elements, but the last.
void parallel_for(int64_t count, int64_t grain, RangeFunction body);

}  // namespace lithe
