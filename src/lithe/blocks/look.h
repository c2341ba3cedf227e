// For those who look inside a model while it runs (inspect/): what blocks show that mix positions. A pass has a Looker
// as an entry, or none, and then nothing is shown.
#pragma once

#include "lithe/blocks/pass.h"

namespace lithe {

// A mixture over positions, head by head: `mixed` is linear in values, given everything else. So the gradient of
// mixed[t] by the value at s is the weight with which t reads s, whatever computes it: softmax, kernels, a state.
struct Mixing {
    Tensor values_SBX;  // where the values stand: of all heads side by side, from `first` on
    int64_t first = 0;
    Tensor mixed_TBP;  // all heads side by side
    int64_t heads = 1;
};

class Looker {
 public:
    virtual ~Looker() = default;
    // `place`: of the block's application.
    virtual void see(const Place& place, const Mixing& mixing) = 0;
};

// The pass's entry. The looker must outlive the call.
struct Look {
    Looker* looker = nullptr;
};
inline Looker* looker_of(const Pass& pass) {
    const auto look = pass.entries.find<Look>();
    return look ? look->looker : nullptr;
}
inline void show(const Call& call, const Mixing& mixing) {
    if (Looker* looker = looker_of(call.pass)) looker->see(call.place, mixing);
}

}  // namespace lithe
