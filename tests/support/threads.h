// As many of LibTorch's threads as asked for, while it lives.
#pragma once

#include <ATen/Parallel.h>

namespace lithe::testing {

class Threads {
 public:
    explicit Threads(int count) : before_(at::get_num_threads()) { at::set_num_threads(count); }
    ~Threads() { at::set_num_threads(before_); }
    Threads(const Threads&) = delete;
    Threads& operator=(const Threads&) = delete;

 private:
    int before_;
};

}  // namespace lithe::testing
