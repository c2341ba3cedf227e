#include "lithe/blocks/attention_memory.h"

#include "lithe/blocks/prefix_reading.h"

namespace lithe {

MaskAndHidden make_mask(const State& before, int64_t memory, int64_t steps, int64_t batch, const Pass& pass) {
    MaskAndHidden result;
    result.mask.causal = pass.causal;
    result.mask.window = pass.causal ? pass.window : -1;
    const Tensor old = before.get("hidden");
    if (!pass.marks && !old.defined()) return result;
    const at::NoGradGuard no_grad;
    const auto options = at::TensorOptions(at::kByte).device(old.defined() ? old.device() : pass.flags_TB().device());
    const Tensor earlier = old.defined() ? old : at::zeros({batch, memory}, options);
    const Tensor now = pass.marks ? pass.marks->padding_BT : at::zeros({batch, steps}, options);
    result.mask.hidden_BS = at::cat({earlier, now}, 1);
    result.hidden_BS = result.mask.hidden_BS;
    if (!pass.marks) return result;
    const Tensor& begin_BT = pass.marks->begin_BT;
    result.mask.first_BT = at::where(begin_BT.lt(0), at::zeros_like(begin_BT), begin_BT + memory);
    // the next segment goes on in the document that is open at this one's end
    const Tensor open_B1 = result.mask.first_BT.narrow(1, steps - 1, 1);
    const Tensor places_S = at::arange(memory + steps, open_B1.options());
    result.hidden_BS = result.hidden_BS.bitwise_or(places_S.lt(open_B1).to(at::kByte));
    return result;
}

Tensor keep_last(const Tensor& old, const Tensor& now, int axis, int64_t count) {
    const int64_t fresh = now.size(axis);
    if (!old.defined() || fresh >= count) return fresh > count ? now.narrow(axis, fresh - count, count) : now;
    const int64_t from_old = std::min(count - fresh, old.size(axis));
    return at::cat({old.narrow(axis, old.size(axis) - from_old, from_old), now}, axis);
}

// One of "memory" and "projections", grown by this segment.
static void keep(const char* name, const State& before, const Tensor& now, const MaskAndHidden& mask, const Pass& pass,
                 State& after) {
    const bool prefix = pass.entries.find<PrefixReading>() != nullptr;
    if (pass.memory == 0 || (!pass.causal && !prefix)) return;
    after.put(name, keep_last(before.get(name), prefix ? now : now.detach(), 0, pass.memory), 1, 0);
    if (mask.hidden_BS.defined()) after.put("hidden", keep_last({}, mask.hidden_BS, 1, pass.memory), 0, 1);
}

Recalled recall(const State& before, const Tensor& x_TBD, const Call& call,
                const std::function<Tensor(const Tensor&)>& project) {
    Recalled recalled;
    if (call.pass.keep_projections) recalled.memory_MBX = before.get("projections");
    else if (const Tensor memory = before.get("memory"); memory.defined()) recalled.memory_MBX = project(memory);
    recalled.mask = make_mask(before, recalled.length(), x_TBD.size(0), x_TBD.size(1), call.pass);
    return recalled;
}

void remember(const State& before, const Recalled& recalled, const Tensor& x_TBD, const Tensor& kv_TBX,
              const Call& call, State& after) {
    if (call.pass.keep_projections) keep("projections", before, kv_TBX, recalled.mask, call.pass, after);
    else keep("memory", before, x_TBD, recalled.mask, call.pass, after);
}

double kept_scores(const CostShape& shape, int64_t heads, double dropout, int matrices) {
    const int64_t keys = (shape.causal ? shape.memory : 0) + shape.length;
    const double row = double(heads) * double(keys);
    if (dropout > 0) return matrices * row;
    return ops::keeps_probabilities(shape.length, keys, shape.element_size) ? row : 0;
}

State skipped_attention(const Tensor& x_TBD, const State& before, const Call& call,
                        const std::function<Tensor(const Tensor&)>& project) {
    const bool projected = call.pass.keep_projections && project;
    const char* name = projected ? "projections" : "memory";
    const Tensor memory = before.get(name);
    const MaskAndHidden mask =
        make_mask(before, memory.defined() ? memory.size(0) : 0, x_TBD.size(0), x_TBD.size(1), call.pass);
    State after;
    const Tensor entering = call.entering(x_TBD);
    if (call.pass.memory > 0)
        keep(name, before, projected ? project(call.normed(entering)) : entering, mask, call.pass, after);
    return after;
}

}  // namespace lithe
