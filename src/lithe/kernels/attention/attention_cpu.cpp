// Compiled once per instruction set. A task is one head of one batch row: all of it at once, or, where the mask has
// spans, a block of queries after the other with the keys of its spans.
#include "lithe/kernels/attention/attention_head.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

int64_t keys_of(const KeySpans& spans, const QueryBlock& block) {
    int64_t count = 0;
    for (int64_t n = block.first; n < block.last; ++n) count += spans.spans[n].end - spans.spans[n].begin;
    return count;
}

// What the largest block needs.
template <class S> struct Largest {
    int64_t queries = 0, keys = 0, bytes = 0;
    Largest(const AttentionForward<S>& args, bool backward) {
        const SoftmaxMask& mask = args.mask;
        const int64_t lists = (mask.spans.by_row ? mask.batch : 1) * (mask.spans.by_head ? mask.heads : 1);
        for (int64_t n = 0; n < mask.spans.lists[lists]; ++n) {
            const QueryBlock& block = mask.spans.blocks[n];
            const int64_t own_queries = block.end - block.begin, own_keys = keys_of(mask.spans, block);
            queries = higher(queries, own_queries);
            keys = higher(keys, own_keys);
            const Sizes<S> sizes(own_queries, own_keys, args.size);
            bytes = higher(bytes, Memory<S>(args, sizes, backward, nullptr).bytes);
        }
    }
};

// The blocks of queries of a task, one after the other.
template <class S> class Blocks {
 public:
    using C = Compute<S>;
    int64_t bytes;

    Blocks(const AttentionForward<S>& args, int64_t task, bool backward, char* scratch)
        : a_(args),
          task_(task),
          b_(task / args.mask.heads),
          h_(task % args.mask.heads) {
        const Largest<S> largest(args, backward);
        Arena arena(scratch);
        index_ = arena.take<int32_t>(largest.keys);
        seen_ = arena.take<KeyRange>(largest.queries);
        hidden_ = arena.take<uint8_t>(largest.keys);
        sums_ = args.mask.keys * round_up(args.size, kPanel);
        if (backward) {
            dk_ = arena.take<C>(sums_);
            dv_ = args.v.data ? arena.take<C>(sums_) : dk_;
        }
        part_scratch_ = arena.take<char>(largest.bytes);
        bytes = arena.used();
    }

    int64_t forward() {
        int64_t computed = 0;
        for_each_part([&](const HeadPart& part) {
            Head<S> head(a_, part, task_, part_scratch_, false);
            head.forward();
            computed += head.computed();
        });
        return computed;
    }

    void backward(const AttentionBackward<S>& args) {
        __builtin_memset(dk_, 0, size_t(sums_) * sizeof(C));
        __builtin_memset(dv_, 0, size_t(sums_) * sizeof(C));
        for_each_part([&](const HeadPart& part) {
            Head<S> head(a_, part, task_, part_scratch_, true);
            head.backward(args);
            head.add_key_gradients(dk_, dv_);
        });
        const int64_t wanted = args.memory_dk.data ? 0 : a_.memory, from = wanted * round_up(a_.size, kPanel);
        write_key_gradients(args, b_, h_, wanted, dk_ + from, dv_ + from);
    }

 private:
    template <class Work> void for_each_part(const Work& work) {
        const KeyRange blocks = blocks_of(a_.mask, b_, h_);
        for (int64_t n = blocks.begin; n < blocks.end; ++n) work(part_of(a_.mask.spans.blocks[n]));
    }

    HeadPart part_of(const QueryBlock& block) {
        int64_t keys = 0;
        for (int64_t n = block.first; n < block.last; ++n)
            for (int32_t j = a_.mask.spans.spans[n].begin; j < a_.mask.spans.spans[n].end; ++j) index_[keys++] = j;
        for (int64_t i = block.begin; i < block.end; ++i) {
            const KeyRange range = visible_keys(a_.mask, b_, i);
            seen_[i - block.begin] = {place_of(range.begin, keys), place_of(range.end, keys)};
        }
        const uint8_t* hidden = a_.mask.hidden ? a_.mask.hidden + b_ * a_.mask.keys : nullptr;
        for (int64_t j = 0; hidden && j < keys; ++j) hidden_[j] = hidden[index_[j]];
        return {block.begin, block.end - block.begin, keys, index_, seen_, hidden ? hidden_ : nullptr};
    }

    // How many of the block's keys lie before `key`.
    int64_t place_of(int64_t key, int64_t keys) const {
        int64_t low = 0, high = keys;
        while (low < high) {
            const int64_t middle = (low + high) / 2;
            if (index_[middle] < key) low = middle + 1;
            else high = middle;
        }
        return low;
    }

    const AttentionForward<S>& a_;
    int64_t task_, b_, h_;
    int64_t sums_;
    int32_t* index_;
    KeyRange* seen_;
    uint8_t* hidden_;
    C *dk_ = nullptr, *dv_ = nullptr;
    char* part_scratch_;
};

template <class S> HeadPart whole(const AttentionForward<S>& args, int64_t task) {
    const uint8_t* hidden = args.mask.hidden;
    return {.queries = args.mask.queries,
            .keys = args.mask.keys,
            .hidden = hidden ? hidden + task / args.mask.heads * args.mask.keys : nullptr};
}

}  // namespace

template <class S> int64_t attention_scratch(const AttentionForward<S>& args, bool backward) {
    if (args.mask.spans.lists) return Blocks<S>(args, 0, backward, nullptr).bytes;
    return Memory<S>(args, Sizes<S>(args.mask.queries, args.mask.keys, args.size), backward, nullptr).bytes;
}

template <class S>
void attention_forward_heads(const AttentionForward<S>& args, int64_t begin, int64_t end, char* scratch) {
    for (int64_t task = begin; task < end; ++task) {
        int64_t computed = 0;
        if (args.mask.spans.lists) {
            computed = Blocks<S>(args, task, false, scratch).forward();
        } else {
            Head<S> head(args, whole(args, task), task, scratch, false);
            head.forward();
            computed = head.computed();
        }
        if (args.computed) args.computed[task] = computed;
    }
}

template <class C> static void clear(C* sums, int64_t begin, int64_t count) {
    if (sums) __builtin_memset(sums + begin, 0, size_t(count) * sizeof(C));
}

template <class S>
void attention_backward_heads(const AttentionBackward<S>& args, int64_t begin, int64_t end, char* scratch) {
    const int64_t keys = args.forward.mask.keys;
    for (int64_t task = begin; task < end; ++task) {
        clear(args.d_key_bias, task * keys, keys);
        clear(args.d_distance_bias, task * keys, keys);
        clear(args.distance_dr, task * keys * args.forward.size, keys * args.forward.size);
        if (args.forward.mask.spans.lists) {
            Blocks<S>(args.forward, task, true, scratch).backward(args);
            continue;
        }
        Head<S> head(args.forward, whole(args.forward, task), task, scratch, true);
        head.backward(args);
        head.write_key_gradients(args);
    }
}

#define LITHE_INSTANTIATE(S)                                                                       \
    template int64_t attention_scratch<S>(const AttentionForward<S>&, bool);                       \
    template void attention_forward_heads<S>(const AttentionForward<S>&, int64_t, int64_t, char*); \
    template void attention_backward_heads<S>(const AttentionBackward<S>&, int64_t, int64_t, char*);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels::LITHE_ISA
