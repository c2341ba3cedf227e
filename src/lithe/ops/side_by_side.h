// Independent pieces of a training step on several threads, each piece on one thread from its first operator to its
// last. Nothing waits at the end of every operator, and one piece's products run beside another's element-wise work.
#pragma once

#include <cstdint>
#include <functional>

namespace lithe::ops {

// Calls body(0) ... body(count - 1) on LibTorch's threads; operators inside use the calling thread alone, but all of
// them when there is one piece. An exception is thrown here when all have ended. The profile counts every thread's time
// as its share, so that rows still add up.
void side_by_side(int64_t count, const std::function<void(int64_t)>& body);

}  // namespace lithe::ops
