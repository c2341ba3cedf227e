#include "lithe/inspect/gradient_norms.h"

#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <map>

#include "lithe/inspect/windows.h"

namespace lithe {
namespace {

struct Sums {
    double gradient = 0, weight = 0, count = 0;
};

}  // namespace

std::vector<BlockGradient> gradient_norms(LanguageModel& model, const TokenView& text, int64_t length, int64_t rows) {
    const Tensor ids_TB = windows(text, length + 1, rows);
    const at::AutoGradMode with_gradients(true);
    Pass pass = model.pass(false);
    pass.memory = 0;
    const auto out =
        model.loss(ids_TB.narrow(0, 0, length).contiguous(), ids_TB.narrow(0, 1, length).contiguous(), {}, pass);
    torch::autograd::backward({out.sum / double(length * rows)}, {});
    ParameterStore& store = model.parameters();
    store.collect_gradients(true);
    std::vector<std::string> order;
    std::map<std::string, Sums> sums;
    const auto block_of = [&](const std::string& name) {
        for (const AppliedBlock& block : model.stack().blocks)
            if (stands_under(name, block.path)) return block.path;
        return name.substr(0, name.find('.'));
    };
    for (size_t i = 0; i < store.size(); ++i) {
        if (!store.flat(i)) continue;
        const std::string path = block_of(store.spec(i).name);
        if (!sums.contains(path)) order.push_back(path);
        Sums& of = sums[path];
        of.gradient += store.gradient(i).square().sum().item<double>();
        of.weight += store.master(i).square().sum().item<double>();
        of.count += double(store.spec(i).count());
    }
    std::vector<BlockGradient> list;
    for (const std::string& path : order) {
        const Sums& of = sums[path];
        list.push_back({path, std::sqrt(of.gradient / of.count), std::sqrt(of.weight / of.count)});
    }
    return list;
}

}  // namespace lithe
