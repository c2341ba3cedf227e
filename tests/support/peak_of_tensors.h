// How much memory a piece of code takes in tensors.
#pragma once

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <algorithm>
#include <functional>
#include <memory>

namespace lithe::testing {

// The most bytes that this thread's tensors took together while `work` ran, beside those that were there before.
inline int64_t peak_of_tensors(const std::function<void()>& work) {
    class Reporter : public c10::MemoryReportingInfoBase {
     public:
        void reportMemoryUsage(void*, int64_t bytes, size_t, size_t, c10::Device) override {
            now_ += bytes;
            peak_ = std::max(peak_, now_);
        }
        bool memoryProfilingEnabled() const override { return true; }
        int64_t peak() const { return peak_; }

     private:
        int64_t now_ = 0;
        int64_t peak_ = 0;
    };
    const auto reporter = std::make_shared<Reporter>();
    const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, reporter);
    work();
    return reporter->peak();
}

}  // namespace lithe::testing
