// Makes one block of a kind with its parameters, for golden and contract tests.
#pragma once

#include "lithe/blocks/block.h"
#include "lithe/spec/config_io.h"
#include "support/waves.h"

namespace lithe::testing {

struct MadeBlock {
    ModelConfig model;
    std::string name;
    ParameterStore store;
    std::unique_ptr<BlockOptions> options;
    std::unique_ptr<Block> block;

    MadeBlock(const BlockKind& kind, ModelConfig config, const std::vector<RawValue>& values = {},
              at::ScalarType type = at::kDouble, uint64_t seed = 1, at::Device device = at::kCPU,
              const std::string& prefix = "b")
        : model(std::move(config)),
          name(prefix) {
        options = kind.make_options(model);
        Problems problems;
        read_options(
            values, [&](FieldVisitor& v) { options->visit(v); }, kind.name, problems);
        options->check(model, kind.name, problems);
        problems.throw_if_any(kind.name);
        block = kind.make(*options, BlockSite{store, name, model});
        store.materialize(type == at::kBFloat16 ? at::kFloat : type, type, device, seed);
    }
    Tensor parameter(const std::string& of) const {
        for (size_t i = 0; i < store.size(); ++i)
            if (store.spec(i).name == name + "." + of) return store.working(i);
        throw std::runtime_error("no parameter " + of);
    }
    void set(const std::string& of, const Tensor& value) {
        at::NoGradGuard guard;
        parameter(of).copy_(value.view(parameter(of).sizes()));
    }
};

// A branch with what the kind reads beside x, the same source for every row, so that any rows can be taken out. A state
// that is carried holds it already.
inline BranchOutput branch_of(const BlockKind& kind, const Block& block, const Tensor& x_TBD, const State& state,
                              const Call& call) {
    Bag bag = call.bag;
    const bool carried = !state.empty() && !call.pass.training;
    if (!kind.traits.reads.empty() && !carried && bag.empty())
        bag.put(kSource, wave({5, 1, x_TBD.size(2)}, 0.41, 0.2, 1.0)
                             .to(x_TBD.device(), x_TBD.scalar_type())
                             .expand({5, x_TBD.size(1), x_TBD.size(2)}));
    return block.branch(x_TBD, state, Call(call.pass, call.place, bag));
}

}  // namespace lithe::testing
