#include "lithe/nn/adaptive_vocabulary.h"

#include <sstream>

#include "lithe/base/error.h"
#include "lithe/base/text.h"
#include "lithe/ops/cross_entropy.h"

namespace lithe {

std::vector<int64_t> parse_cutoffs(const std::string& text, int64_t vocabulary) {
    std::vector<int64_t> cutoffs;
    std::istringstream parts(text);
    for (std::string part; std::getline(parts, part, '/');) {
        const auto count = parse_count(part);
        if (!count || *count <= (cutoffs.empty() ? 0 : cutoffs.back()) || *count >= vocabulary)
            fail({.kind = ErrorKind::usage,
                  .what = "model.adaptive.cutoffs is not a rising list within the vocabulary",
                  .where = "model.adaptive.cutoffs",
                  .expected = "as \"20000/40000/200000\", each below " + std::to_string(vocabulary),
                  .got = printable(text)});
        cutoffs.push_back(*count);
    }
    return cutoffs;
}

AdaptiveVocabulary::AdaptiveVocabulary(ParameterStore& store, const AdaptiveOptions& options, int64_t vocabulary,
                                       int64_t width)
    : options_(options),
      width_(width) {
    std::vector<int64_t> ends = options.cutoffs;
    ends.push_back(vocabulary);
    int64_t begin = 0, narrow = width;
    for (size_t b = 0; b < ends.size(); ++b) {
        const std::string name = ".bins." + std::to_string(b);
        if (narrow < 1)
            fail_usage("bin " + std::to_string(b) + " of the vocabulary would have no width: model.width / divisor^" +
                           std::to_string(b) + " is below 1",
                       "model.adaptive.divisor");
        Bin bin{begin, ends[b], narrow, {}, {}, {}};
        bin.table = store.add(
            {"embeddings" + name + ".table", {bin.end - bin.begin, narrow}, Role::embedding, Init::normal(0.02)});
        auto projection = [&](const std::string& end) {
            return store.add({end + name + ".projection", {width, narrow}, Role::matrix, Init::normal(0.01)});
        };
        if (options.divisor > 1) {
            bin.input = projection("embeddings");
            bin.output = b == 0 || !options.tie_tails ? projection("head") : bin.input;
        }
        bins_.push_back(bin);
        begin = ends[b];
        narrow /= options.divisor;
    }
    const auto clusters = int64_t(bins_.size()) - 1;
    if (clusters > 0) {
        clusters_ = store.add({"head.clusters.weight", {clusters, width}, Role::head, Init::normal(0.02)});
        cluster_bias_ = store.add({"head.clusters.bias", {clusters}, Role::bias, Init::constant(0)});
    }
    bias_ = store.add({"head.bias", {vocabulary}, Role::bias, Init::constant(0)});
}

int64_t AdaptiveVocabulary::column_of(size_t bin) const {
    const auto clusters = int64_t(bins_.size()) - 1, place = int64_t(bin);
    return bins_[0].end + (options_.last_column_first ? clusters - place : place - 1);
}

Tensor AdaptiveVocabulary::narrowed(const Tensor& h_ND, const Bin& bin) const {
    return bin.output ? at::matmul(h_ND, bin.output.tensor()) : h_ND;
}

Tensor AdaptiveVocabulary::head_weight() const {
    const Tensor& words = bins_[0].table.tensor();
    return clusters_ ? at::cat({words, clusters_.tensor()}) : words;
}

Tensor AdaptiveVocabulary::bias_of(const Bin& bin) const {
    return bias_.tensor().narrow(0, bin.begin, bin.end - bin.begin);
}

Tensor AdaptiveVocabulary::head_bias() const {
    Tensor words = bias_of(bins_[0]);
    return cluster_bias_ ? at::cat({words, cluster_bias_.tensor()}) : words.contiguous();
}

Tensor AdaptiveVocabulary::embed(const Tensor& ids_TB) const {
    const Tensor ids = ids_TB.flatten();
    Tensor all;
    for (const Bin& bin : bins_) {
        const Tensor places = at::nonzero(ids.ge(bin.begin).logical_and(ids.lt(bin.end))).flatten();
        if (places.numel() == 0) continue;
        Tensor rows = at::embedding(bin.table.tensor(), ids.index_select(0, places) - bin.begin);
        if (bin.input) rows = at::linear(rows, bin.input.tensor());
        if (!all.defined()) all = at::zeros({ids.numel(), width_}, rows.options().requires_grad(false));
        all = all.index_copy(0, places, rows);
    }
    return all.view({ids_TB.size(0), ids_TB.size(1), width_});
}

Tensor AdaptiveVocabulary::loss(const Tensor& h_ND, const Tensor& targets_N) const {
    Tensor head_targets = targets_N.clone(), tails;
    for (size_t b = 1; b < bins_.size(); ++b) {
        const Bin& bin = bins_[b];
        const Tensor inside = targets_N.ge(bin.begin).logical_and(targets_N.lt(bin.end));
        const Tensor places = at::nonzero(inside).flatten();
        if (places.numel() == 0) continue;
        head_targets.masked_fill_(inside, column_of(b));
        Tensor part =
            ops::linear_cross_entropy(narrowed(h_ND.index_select(0, places), bin), bin.table.tensor(),
                                      bias_of(bin).contiguous(), targets_N.index_select(0, places) - bin.begin);
        tails = tails.defined() ? tails + part : part;
    }
    Tensor sum = ops::linear_cross_entropy(narrowed(h_ND, bins_[0]), head_weight(), head_bias(), head_targets);
    return tails.defined() ? sum + tails : sum;
}

Tensor AdaptiveVocabulary::log_probabilities(const Tensor& h_ND) const {
    auto log_softmax = [&](const Tensor& h, const Tensor& weight, const Tensor& bias) {
        return (at::linear(h, weight).to(ops::compute_type(h.scalar_type())) + bias).log_softmax(-1);
    };
    Tensor head = log_softmax(narrowed(h_ND, bins_[0]), head_weight(), head_bias());
    std::vector<Tensor> all = {head.narrow(1, 0, bins_[0].end)};
    for (size_t b = 1; b < bins_.size(); ++b)
        all.push_back(head.narrow(1, column_of(b), 1) +
                      log_softmax(narrowed(h_ND, bins_[b]), bins_[b].table.tensor(), bias_of(bins_[b])));
    return at::cat(all, 1);
}

double AdaptiveVocabulary::flops_per_token() const {
    const Bin& head = bins_[0];
    const double columns = double(head.end + int64_t(bins_.size()) - 1), width = double(head.width);
    return 2 * columns * width + (head.output ? 4 * double(width_) * width : 0);
}

}  // namespace lithe
