#include "lithe/lithe.h"

#include <ATen/Parallel.h>

#include "lithe/api/threads.h"
#include "lithe/base/error.h"
#include "lithe/base/log.h"
#include "lithe/base/wording.h"
#include "lithe/ops/torch.h"

namespace lithe {

void set_talk(Talk talk) { set_log_level(talk == Talk::everything ? LogLevel::normal : LogLevel::quiet); }

namespace api {

void set_up() { ops::initialize(); }

void check_threads(int threads) {
    if (threads < 0 || threads > 1024)
        fail_usage("threads are 0 to 1024, got " + std::to_string(threads), option("threads"));
}

void use_threads(int threads) {
    if (at::get_num_threads() != threads) at::set_num_threads(threads);
}

}  // namespace api
}  // namespace lithe
