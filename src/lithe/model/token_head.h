// From a stack's output to one score per token, as ELECTRA's discriminator has it (Clark et al. 2020, and its code):
//
//   y_TB = w . gelu(W h + b) + c
#pragma once

#include "lithe/model/language_model.h"

namespace lithe {

class TokenHead {
 public:
    // Records its parameters in the model's store under `name`; the store is not materialized.
    TokenHead(LanguageModel& model, const std::string& name);
    Tensor operator()(const Tensor& h_TBD) const;  // [T][B], at least fp32
    double flops_per_token() const { return 2 * double(width_) * double(width_ + 1); }

 private:
    int64_t width_;
    Parameter weight_, bias_, output_, output_bias_;
};

}  // namespace lithe
