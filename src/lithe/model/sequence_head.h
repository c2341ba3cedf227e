// From a stack's output to what a whole sequence is given: a score for each class, or a number.
//
//   v_B = first: h of the first position; last: of the last that is no padding; mean: of all that are none
//   y_BC = dropout(v) W^T + b        v = tanh(W_p v + b_p) before, where the model has BERT's pooler
//   of pairs: dropout([v_1; v_2; |v_1 - v_2|; v_1 v_2]) W^T + b, texts 1 and 2 each by the same stack
//
// source: Devlin et al. 2019, section 4.1 (first); Radford et al. 2018, section 3.2 (last); Conneau et al. 2017,
// "Supervised Learning of Universal Sentence Representations", figure 1 (pairs).
#pragma once

#include "lithe/model/language_model.h"

namespace lithe {

enum class Pooling { automatic, first, mean, last };
constexpr auto names_of(Pooling) {
    using enum Pooling;
    return std::to_array<Named<Pooling>>({{automatic, "auto"}, {first, "first"}, {mean, "mean"}, {last, "last"}});
}

struct SequenceHeadOptions {
    int64_t outputs = 1;
    Pooling pooling = Pooling::mean;  // not automatic
    double dropout = 0;
    bool of_pairs = false;  // of two sequences
};

class SequenceHead {
 public:
    static constexpr const char* kName = "label_head";  // under which its parameters stand
    // Records its parameters in the model's store, which is not materialized.
    SequenceHead(LanguageModel& model, const SequenceHeadOptions& options);
    // v [B][D] of the model's hidden vectors h [T][B][D].
    Tensor pooled(const LanguageModel& model, const Tensor& h_TBD, const Pass& pass) const;
    // y [B][outputs], at least fp32.
    Tensor operator()(const Tensor& v_BD, const Pass& pass) const;
    Tensor operator()(const Tensor& first_BD, const Tensor& second_BD, const Pass& pass) const;

 private:
    Tensor chosen(const Tensor& h_TBD, const Pass& pass) const;
    SequenceHeadOptions options_;
    Parameter weight_, bias_;
};

}  // namespace lithe
