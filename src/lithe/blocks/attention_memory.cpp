#include "lithe/blocks/attention_memory.h"

#include "lithe/kernels/sru/sru.h"

namespace lithe {
namespace {

// Marks the row's keys from the flags of this segment; runs on the host, T x B bytes.
void read_flags(const Tensor& flags_TB, int64_t memory, Tensor& hidden_BS, Tensor& first_BT, Tensor& next_hidden_BS) {
    Tensor flags = flags_TB.cpu().contiguous();
    const int64_t steps = flags.size(0), batch = flags.size(1), keys = memory + steps;
    const uint8_t* flag = flags.data_ptr<uint8_t>();
    uint8_t* hidden = hidden_BS.data_ptr<uint8_t>();
    uint8_t* next = next_hidden_BS.data_ptr<uint8_t>();
    int32_t* first = first_BT.data_ptr<int32_t>();
    for (int64_t b = 0; b < batch; ++b) {
        int32_t start = 0;
        for (int64_t t = 0; t < steps; ++t) {
            uint8_t bits = flag[t * batch + b];
            if (bits & kernels::kSruReset) start = int32_t(memory + t);
            if (bits & kernels::kSruPad) hidden[b * keys + memory + t] = 1;
            first[b * steps + t] = start;
        }
        for (int64_t j = 0; j < keys; ++j) next[b * keys + j] = j < start ? 1 : hidden[b * keys + j];
    }
}

}  // namespace

MaskAndHidden make_mask(const State& before, int64_t memory, int64_t steps, int64_t batch, const Context& context) {
    MaskAndHidden result;
    result.mask.causal = context.causal;
    result.mask.window = context.causal ? context.window : -1;
    Tensor old = before.get("hidden");
    if (!context.flags_TB.defined() && !old.defined()) return result;
    auto bytes = at::TensorOptions(at::kByte);
    at::Device device = old.defined() ? old.device() : context.flags_TB.device();
    Tensor hidden = at::zeros({batch, memory + steps}, bytes);
    if (old.defined()) hidden.narrow(1, 0, memory).copy_(old);
    Tensor next = hidden.clone();
    if (context.flags_TB.defined()) {
        Tensor first = at::zeros({batch, steps}, at::TensorOptions(at::kInt));
        read_flags(context.flags_TB, memory, hidden, first, next);
        result.mask.first_BT = first.to(device);
    }
    result.mask.hidden_BS = hidden.to(device);
    result.hidden_BS = next.to(device);
    return result;
}

Tensor keep_last(const Tensor& old, const Tensor& now, int axis, int64_t count) {
    const int64_t fresh = now.size(axis);
    if (!old.defined() || fresh >= count) return fresh > count ? now.narrow(axis, fresh - count, count) : now;
    const int64_t from_old = std::min(count - fresh, old.size(axis));
    return at::cat({old.narrow(axis, old.size(axis) - from_old, from_old), now}, axis);
}

// One of "memory" and "projections", grown by this segment.
static void keep(const char* name, const State& before, const Tensor& now, const MaskAndHidden& mask,
                 const Context& context, State& after) {
    if (context.memory == 0 || !context.causal) return;
    after.put(name, keep_last(before.get(name), now.detach(), 0, context.memory), 1, 0);
    if (mask.hidden_BS.defined()) after.put("hidden", keep_last({}, mask.hidden_BS, 1, context.memory), 0, 1);
}

Recalled recall(const State& before, const Tensor& x_TBD, const Context& context,
                const std::function<Tensor(const Tensor&)>& project) {
    Recalled recalled;
    if (context.keep_projections) recalled.memory_MBX = before.get("projections");
    else if (const Tensor memory = before.get("memory"); memory.defined()) recalled.memory_MBX = project(memory);
    recalled.mask = make_mask(before, recalled.length(), x_TBD.size(0), x_TBD.size(1), context);
    return recalled;
}

void remember(const State& before, const Recalled& recalled, const Tensor& x_TBD, const Tensor& kv_TBX,
              const Context& context, State& after) {
    if (context.keep_projections) keep("projections", before, kv_TBX, recalled.mask, context, after);
    else keep("memory", before, x_TBD, recalled.mask, context, after);
}

State skipped_attention(const Tensor& x_TBD, const State& before, const Context& context) {
    const Tensor memory = before.get("memory");
    const MaskAndHidden mask =
        make_mask(before, memory.defined() ? memory.size(0) : 0, x_TBD.size(0), x_TBD.size(1), context);
    State after;
    keep("memory", before, context.entering(x_TBD), mask, context, after);
    return after;
}

}  // namespace lithe
