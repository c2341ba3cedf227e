#include "lithe/blocks/pass.h"

#include "lithe/base/position_flags.h"

namespace lithe {

PositionMarks::PositionMarks(const Tensor& flags) : flags_TB(flags) {
    const at::NoGradGuard no_grad;
    const Tensor begins_TB = flags.bitwise_and(int64_t(kDocumentBegins)).ne(0);
    const Tensor places_T1 = at::arange(flags.size(0), flags.options().dtype(at::kInt)).unsqueeze(1);
    const Tensor begin_TB = at::where(begins_TB, places_T1, at::full_like(places_T1, -1));
    begin_BT = std::get<0>(begin_TB.cummax(0)).transpose(0, 1).contiguous();
    padding_BT = flags.bitwise_and(int64_t(kPadding)).ne(0).to(at::kByte).transpose(0, 1).contiguous();
}

}  // namespace lithe
