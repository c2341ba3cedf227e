// Lithe as a library: everything that include/lithe declares.
//
//   lithe/model.h     a trained model: text and tokens, scores, generation
//   lithe/training.h  a training run, update by update
//   lithe/error.h     what they throw
//
// Process. The first call of open() sets up LibTorch, sets environment variables that LibTorch reads
// (THP_MEM_ALLOC_ENABLE, CUBLAS_WORKSPACE_CONFIG, unless they are set), and chooses how fp32 products are computed.
// Signals are the caller's business, and a std::stop_token ends whatever takes long. No signal handler may run on a
// thread that computes (oneDNN's products keep their stack pointer in heap memory): block signals before any thread is
// started, and wait for them in a thread of your own, as examples/train.cpp does.
//
// Threads. Work runs on LibTorch's pool of the calling thread, whose size is set at the begin of each call: `threads`
// of the object's options, 0 for as many as the process may use. Calls from several threads have a pool each.
#pragma once

#include "lithe/error.h"
#include "lithe/export.h"
#include "lithe/model.h"
#include "lithe/training.h"

namespace lithe {

// Warnings go to standard error, and with `Talk::everything` also what is being done. Warnings alone at first. Safe at
// any time.
enum class Talk { warnings, everything };
LITHE_API void set_talk(Talk talk);

// As "0.1.0".
LITHE_API const char* version();

}  // namespace lithe
