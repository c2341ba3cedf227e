// Before a call of the library does its work.
#pragma once

namespace lithe::api {

// LibTorch, once in a process.
void set_up();
// The size of LibTorch's pool for the calling thread.
void use_threads(int threads);

}  // namespace lithe::api
