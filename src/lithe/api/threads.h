// Before a call of the library does its work.
#pragma once

namespace lithe::api {

// LibTorch, once in a process.
void set_up();
// Throws usage for a number of threads that is not 0 to 1024.
void check_threads(int threads);
// The size of LibTorch's pool for the calling thread.
void use_threads(int threads);

}  // namespace lithe::api
