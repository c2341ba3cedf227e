// Adaptive embeddings and adaptive softmax (Baevski, Auli 2019; Grave et al. 2017; as in Transformer-XL's code): a
// vocabulary sorted by frequency in bins, of which the rarer ones have narrower vectors.
//
//   bin b: ids [c_b, c_{b+1}), width d_b = width / divisor^b, table E_b [n_b][d_b], projection P_b [width][d_b]
//   embed(t) = E_b[t - c_b] P_b^T
//   log p(word of bin 0)  = log_softmax([E_0; C] h P_0 + bias)[word]        C: a row for each of the other bins
//   log p(word of bin b)  = log_softmax(...)[column of b] + log_softmax(E_b h P_b + bias)[word]
//
// Tables serve both ends. A bin has no projection when divisor is 1. P_0 is another matrix at the output than at the
// input (`tie_tails`), or all are.
#pragma once

#include <string>
#include <vector>

#include "lithe/nn/parameters.h"

namespace lithe {

struct AdaptiveOptions {
    std::vector<int64_t> cutoffs;  // first ids of bins 1, 2 ...; rising
    int64_t divisor = 1;
    bool tie_tails = true;
    // Which column of the head is bin b's: bin 1 has the last one (Transformer-XL's PyTorch code), or the first
    // (TensorFlow's, Hugging Face's).
    bool last_column_first = true;
};

// "20000/40000/200000"; empty for an empty text. Throws usage when it is no rising list within the vocabulary.
std::vector<int64_t> parse_cutoffs(const std::string& text, int64_t vocabulary);

class AdaptiveVocabulary {
 public:
    AdaptiveVocabulary() = default;
    AdaptiveVocabulary(ParameterStore& store, const AdaptiveOptions& options, int64_t vocabulary, int64_t width);
    explicit operator bool() const { return !bins_.empty(); }

    Tensor embed(const Tensor& ids_TB) const;  // [T][B][D]
    // sum_n loss_n in nats; -1 is not scored. No matrix of all logits at any time.
    Tensor loss(const Tensor& h_ND, const Tensor& targets_N) const;
    Tensor log_probabilities(const Tensor& h_ND) const;  // [N][V]
    // Of the head and its projection; the tails cost what their words' share is.
    double flops_per_token() const;

 private:
    struct Bin {
        int64_t begin = 0, end = 0, width = 0;
        Parameter table, input, output;  // projections may be empty
    };
    int64_t column_of(size_t bin) const;  // of the head
    Tensor narrowed(const Tensor& h_ND, const Bin& bin) const;
    Tensor head_weight() const;
    Tensor head_bias() const;
    Tensor bias_of(const Bin& bin) const;

    AdaptiveOptions options_;
    int64_t width_ = 0;
    std::vector<Bin> bins_;
    Parameter clusters_, cluster_bias_, bias_;
};

}  // namespace lithe
