// Compiled once per instruction set. A chunk's operands, its scores and the state stay in the near caches.
#include "lithe/kernels/matrix_state/normalised_chunk.h"
#include "lithe/kernels/simd/subnormals.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

template <class S, bool kChannel> class Forward : Chunk<S, kChannel> {
    using Base = Chunk<S, kChannel>;
    using Base::m_;

 public:
    Forward(const MatrixStateForward<S>& args, int64_t task, char* scratch) : Base(args, task, scratch, false) {}

    void run() {
        this->walk([this](Compute<S>* state) {
            this->weigh(m_.writes);
            this->pack_value_sums();
            this->pack_and_decay(state);
            this->read_state(m_.queries, m_.out);
            this->read_chunk(m_.writes.weights, m_.writes.value_sums, m_.out);
            this->advance(m_.writes, state);
        });
    }
};

// Of the walk itself; behind it lies what a normaliser needs.
template <class S> int64_t bytes_of_walk(const MatrixStateShape& shape, bool backward) {
    return Memory<S>(Sizes<S>(shape), shape.decay == StateDecay::channel, backward, nullptr).bytes;
}

}  // namespace

template <class S> int64_t matrix_state_scratch(const MatrixStateShape& shape, bool backward) {
    const int64_t bytes = bytes_of_walk<S>(shape, backward);
    return shape.normalised ? bytes + NormalisedMemory<S>(Sizes<S>(shape), backward, nullptr).bytes : bytes;
}

template <class S>
void matrix_state_forward_heads(const MatrixStateForward<S>& args, int64_t begin, int64_t end, char* scratch) {
    const NoSubnormals none;
    char* more = scratch + bytes_of_walk<S>(args.shape, false);
    for (int64_t task = begin; task < end; ++task) {
        if (args.shape.normalised) NormalisedForward<S>(args, task, scratch, more).run();
        else if (args.shape.decay == StateDecay::channel) Forward<S, true>(args, task, scratch).run();
        else Forward<S, false>(args, task, scratch).run();
    }
}

template <class S>
void matrix_state_backward_heads(const MatrixStateBackward<S>& args, int64_t begin, int64_t end, char* scratch) {
    const NoSubnormals none;
    char* more = scratch + bytes_of_walk<S>(args.forward.shape, true);
    for (int64_t task = begin; task < end; ++task) {
        if (args.forward.shape.normalised) NormalisedBackward<S>(args, task, scratch, more).run();
        else if (args.forward.shape.decay == StateDecay::channel) Backward<S, true>(args, task, scratch).run();
        else Backward<S, false>(args, task, scratch).run();
    }
}

#define LITHE_INSTANTIATE(S)                                                                            \
    template int64_t matrix_state_scratch<S>(const MatrixStateShape&, bool);                            \
    template void matrix_state_forward_heads<S>(const MatrixStateForward<S>&, int64_t, int64_t, char*); \
    template void matrix_state_backward_heads<S>(const MatrixStateBackward<S>&, int64_t, int64_t, char*);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels::LITHE_ISA
