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

Tensor positions_of(const Pass& pass, int64_t steps, int64_t rows, at::Device device) {
    const auto options = at::TensorOptions(at::kLong).device(device);
    const Tensor start_B = pass.position_B.defined() ? pass.position_B : at::zeros({rows}, options);
    const Tensor steps_T1 = at::arange(steps, options).unsqueeze(1);
    const Tensor positions_TB = steps_T1 + start_B.unsqueeze(0);
    if (!pass.marks) return positions_TB;
    const Tensor begin_TB = pass.marks->begin_BT.transpose(0, 1).to(at::kLong);
    return at::where(begin_TB.lt(0), positions_TB, steps_T1 - begin_TB);
}

}  // namespace lithe
