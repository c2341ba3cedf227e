#include "lithe/lithe.h"

#include <ATen/Parallel.h>

#include "lithe/api/threads.h"
#include "lithe/base/log.h"
#include "lithe/ops/torch.h"

namespace lithe {

void set_talk(Talk talk) { set_log_level(talk == Talk::everything ? LogLevel::normal : LogLevel::quiet); }

namespace api {

void set_up() { ops::initialize(); }

void use_threads(int threads) {
    if (at::get_num_threads() != threads) at::set_num_threads(threads);
}

}  // namespace api
}  // namespace lithe
