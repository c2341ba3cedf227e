#include "lithe/inspect/windows.h"

#include "lithe/base/error.h"
#include "lithe/base/wording.h"

namespace lithe {

Tensor windows(const TokenView& text, int64_t length, int64_t count) {
    if (int64_t(text.size()) < length)
        fail_file("the text has " + std::to_string(text.size()) + " tokens, and " + std::to_string(length) +
                      " are looked at in one piece",
                  "data", "a shorter context: " + option("context"));
    const Tensor all = at::empty({count, length}, at::kLong);
    const uint64_t last = text.size() - uint64_t(length);
    for (int64_t i = 0; i < count; ++i) {
        const uint64_t begin = count > 1 ? uint64_t(double(last) * double(i) / double(count - 1)) : 0;
        text.read(begin, uint64_t(length), all.data_ptr<int64_t>() + i * length);
    }
    return all.t().contiguous();
}

}  // namespace lithe
