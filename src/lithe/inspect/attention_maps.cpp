#include "lithe/inspect/attention_maps.h"

#include <torch/csrc/autograd/autograd.h>

#include <map>

#include "lithe/blocks/look.h"

namespace lithe {
namespace {

// The text stands in as many rows as it has tokens, and row b is asked for query b: one backward pass of a head gives
// the weights of all queries.
class MapMaker : public Looker {
 public:
    void see(const Place& place, const Mixing& mixing) override {
        if (!mixing.mixed_TBP.requires_grad()) return;
        const int64_t queries = mixing.mixed_TBP.size(0), keys = mixing.values_SBX.size(0);
        const Tensor weights = at::zeros({mixing.heads, queries, keys}, at::kFloat);
        for (int64_t head = 0; head < mixing.heads; ++head) weights[head].copy_(weights_of(mixing, head));
        const auto key = std::pair(place.path, int64_t(place.occurrence));
        const auto [found, added] = number_.emplace(key, maps_.size());
        if (added) {
            maps_.push_back({.name = {}, .heads = mixing.heads, .queries = queries, .keys = keys, .weights = {}});
            sums_.push_back(weights);
            places_.push_back(key);
        } else {
            sums_[found->second].add_(weights);  // a block that reads by several products
        }
    }

    std::vector<AttentionMap> take(const std::map<uint64_t, std::string>& names) {
        for (size_t i = 0; i < maps_.size(); ++i) {
            if (const auto name = names.find(places_[i].first); name != names.end()) maps_[i].name = name->second;
            const float* numbers = sums_[i].const_data_ptr<float>();
            maps_[i].weights.assign(numbers, numbers + sums_[i].numel());
        }
        return std::move(maps_);
    }

 private:
    // [queries][keys] of one head. Any of its numbers will do: a head mixes all of a value's numbers alike.
    static Tensor weights_of(const Mixing& mixing, int64_t head) {
        const Tensor& mixed = mixing.mixed_TBP;
        const int64_t queries = mixed.size(0), size = mixed.size(2) / mixing.heads;
        Tensor asked = at::zeros_like(mixed);
        asked.select(2, head * size).diagonal().fill_(1);
        const auto gradients = torch::autograd::grad({mixed}, {mixing.values_SBX}, {asked}, true, false, true);
        if (!gradients[0].defined()) return at::zeros({queries, mixing.values_SBX.size(0)});
        return gradients[0].flatten(2).select(2, mixing.first + head * size).t().to(at::kFloat);
    }

    std::vector<AttentionMap> maps_;
    std::vector<Tensor> sums_;
    std::vector<std::pair<uint64_t, int64_t>> places_;
    std::map<std::pair<uint64_t, int64_t>, size_t> number_;
};

}  // namespace

std::vector<AttentionMap> attention_maps(const LanguageModel& model, const std::vector<int64_t>& ids) {
    const auto count = int64_t(ids.size());
    const Tensor ids_TB = at::tensor(ids, at::kLong).unsqueeze(1).expand({count, count}).contiguous();
    std::map<uint64_t, std::string> names;
    for (const AppliedBlock& block : model.stack().blocks) names[combine_key(0, block.place)] = block.place;
    MapMaker maker;
    const at::AutoGradMode with_gradients(true);
    Pass pass = model.pass(false);
    pass.memory = 0;
    pass.entries.put(Look{&maker});
    model.hidden(ids_TB, {}, pass);
    return maker.take(names);
}

}  // namespace lithe
