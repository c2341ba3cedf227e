// Parity and speed of the attention kernel.
#include <memory>

#include "lithe/kernels/attention/attention.h"
#include "lithe/kernels/parity.h"
#include "lithe/kernels/rows.h"

namespace lithe::kernels {
namespace {

template <class S> struct AttentionBuffers {
    using C = Compute<S>;
    SoftmaxMask mask;
    int64_t size, memory, now;
    TestBuffer<S> q, k, v, memory_k, memory_v, out, p, d_out, dq, dk, dv, memory_dk, memory_dv;
    TestBuffer<C> lse;
    bool by_distance = false, shared = false;  // shared: keys are values
    bool capped = false, sloped = false, lse_wanted = false, key_biased = false, distance_biased = false;
    TestBuffer<C> slopes, d_lse;
    TestBuffer<double> key_bias;
    TestBuffer<C> distance_bias, d_key_bias, d_distance_bias;
    TestBuffer<S> distance_q, distance_r, distance_dq;
    TestBuffer<C> distance_dr;

    AttentionBuffers(const SoftmaxMask& m, int64_t head_size, int64_t memory_keys)
        : mask(m),
          size(head_size),
          memory(memory_keys),
          now(m.keys - memory_keys),
          q(m.queries * width(), 0.37, 0.1, 1.0),
          k(now * width(), 0.53, 0.7, 1.0),
          v(now * width(), 0.91, 0.3, 1.0),
          memory_k(memory * width(), 0.43, 0.2, 1.0),
          memory_v(memory * width(), 0.71, 0.5, 1.0),
          out(q.size()),
          p(m.spans.lists ? 0 : m.batch * m.heads * m.queries * attention_row(m.keys)),
          d_out(q.size(), 0.3, 1.57, 1.0),
          dq(q.size()),
          dk(k.size()),
          dv(k.size()),
          memory_dk(memory_k.size()),
          memory_dv(memory_k.size()),
          lse(m.batch * m.heads * m.queries),
          slopes(m.heads, 0.4, 0.5, 0.05),
          d_lse(m.batch * m.heads * m.queries, 0.7, 0.2, 1.0),
          key_bias(m.batch * m.heads * m.keys, 0.8, 0.3, 1.0),
          distance_bias(m.heads * m.keys, 1.3, 0.6, 1.0),
          d_key_bias(key_bias.size()),
          d_distance_bias(key_bias.size()),
          distance_q(q.size(), 0.23, 0.4, 1.0),
          distance_r(m.keys * m.heads * head_size, 0.61, 0.9, 1.0),
          distance_dq(q.size()),
          distance_dr(m.batch * m.keys * m.heads * head_size) {}
    int64_t width() const { return mask.batch * mask.heads * size; }
    template <class T> AttentionRows<T> rows(TestBuffer<S>& buffer) {
        return {buffer.data(), width(), mask.heads * size, size};
    }
    AttentionForward<S> forward(bool keep) {
        AttentionForward<S> args{mask,
                                 size,
                                 memory,
                                 C(0.3),
                                 rows<const S>(q),
                                 rows<const S>(k),
                                 rows<const S>(v),
                                 rows<const S>(memory_k),
                                 rows<const S>(memory_v),
                                 rows<S>(out),
                                 keep ? p.data() : nullptr,
                                 lse.data(),
                                 {},
                                 {}};
        if (capped) args.soft_cap = C(0.8);
        if (sloped) args.slopes = slopes.data();
        if (key_biased) args.key_bias = key_bias.data();
        if (distance_biased) args.distance_bias = distance_bias.data();
        if (shared) args.v = args.memory_v = {};
        if (by_distance) {
            args.distance_q = rows<const S>(distance_q);
            args.distance_r = {distance_r.data(), mask.heads * size, 0, size};
        }
        return args;
    }
    AttentionBackward<S> backward(bool keep, bool memory_gradient) {
        AttentionBackward<S> args{
            forward(keep), rows<const S>(d_out), rows<S>(dq), rows<S>(dk), rows<S>(dv), {}, {}, {}};
        if (by_distance) {
            args.distance_dq = rows<S>(distance_dq);
            args.distance_dr = distance_dr.data();
        }
        if (memory_gradient) {
            args.memory_dk = rows<S>(memory_dk);
            args.memory_dv = rows<S>(memory_dv);
        }
        if (shared) args.dv = args.memory_dv = {};
        if (lse_wanted) args.d_lse = d_lse.data();
        if (key_biased) args.d_key_bias = d_key_bias.data();
        if (distance_biased) args.d_distance_bias = d_distance_bias.data();
        return args;
    }
};

// bent: all that there is beside the others; relative: all by distance
enum class Form { plain, by_distance, shared, capped, sloped, key_biased, relative, bent };

template <class S> void set_form(AttentionBuffers<S>& buffers, Form form) {
    buffers.by_distance = form == Form::by_distance || form == Form::relative;
    buffers.shared = form == Form::shared;
    buffers.capped = form == Form::capped || form == Form::bent;
    buffers.sloped = form == Form::sloped || form == Form::bent;
    buffers.lse_wanted = form == Form::bent || form == Form::relative;
    buffers.key_biased = form == Form::key_biased || (form == Form::bent && buffers.mask.causal);
    buffers.distance_biased = form == Form::relative;
}

template <class S>
void attention_case(ParityResult& result, const SoftmaxMask& mask, int64_t size, int64_t memory, bool keep,
                    const std::string& words, Form form = Form::plain) {
    AttentionBuffers<S> got(mask, size, memory), expected(mask, size, memory);
    set_form(got, form);
    set_form(expected, form);
    const bool gradient = memory > 0 && keep;
    attention_forward(got.forward(keep));
    attention_forward_ref(expected.forward(keep));
    attention_backward(got.backward(keep, gradient));
    attention_backward_ref(expected.backward(keep, gradient));
    const std::string what = std::string("attention ") + storage_name<S>() + " keys " + std::to_string(mask.keys) +
                             " size " + std::to_string(size) + words + (keep ? "" : ", not kept");
    const double tolerance = storage_tolerance<S>();
    compare(result, got.out, expected.out, tolerance, what + " out");
    compare(result, got.lse, expected.lse, tolerance, what + " lse");
    compare(result, got.dq, expected.dq, tolerance, what + " dq", 2);
    compare(result, got.dk, expected.dk, tolerance, what + " dk", 2);
    const bool values = form != Form::shared;
    if (values) compare(result, got.dv, expected.dv, tolerance, what + " dv", 2);
    if (got.key_biased) compare(result, got.d_key_bias, expected.d_key_bias, tolerance, what + " d by key", 2);
    if (got.distance_biased)
        compare(result, got.d_distance_bias, expected.d_distance_bias, tolerance, what + " d by distance", 2);
    if (got.by_distance) {
        compare(result, got.distance_dq, expected.distance_dq, tolerance, what + " dq by distance", 2);
        compare(result, got.distance_dr, expected.distance_dr, tolerance, what + " dr", 2);
    }
    if (!gradient) return;
    compare(result, got.memory_dk, expected.memory_dk, tolerance, what + " memory dk", 2);
    if (values) compare(result, got.memory_dv, expected.memory_dv, tolerance, what + " memory dv", 2);
}

// Lists of spans for every head of every row, or for all alike.
struct TestSpans {
    std::vector<int32_t> lists = {0};
    std::vector<QueryBlock> blocks;
    std::vector<KeySpan> spans;
    bool apart;
    // Some blocks of queries see every third stretch of keys, others all or none.
    TestSpans(const SoftmaxMask& mask, bool apart_) : apart(apart_) {
        for (int64_t list = 0; list < (apart ? mask.batch * mask.heads : 1); ++list) {
            for (int64_t i = 0, length = 3 + list; i < mask.queries; i += length, length = 2 * length + 1) {
                const auto first = int32_t(spans.size());
                const int64_t stretch = 2 + (i + list) % 17;
                for (int64_t j = (i + list) % 5; i % 4 != 3 && j < mask.keys; j += 3 * stretch)
                    spans.push_back({int32_t(j), int32_t(std::min(mask.keys, j + stretch))});
                const auto end = int32_t(std::min(mask.queries, i + length));
                blocks.push_back({int32_t(i), end, first, int32_t(spans.size())});
            }
            lists.push_back(int32_t(blocks.size()));
        }
    }
    KeySpans get() const { return {lists.data(), blocks.data(), spans.data(), apart, apart}; }
};

template <class S> void span_cases(ParityResult& result, SoftmaxMask mask, int64_t memory) {
    for (bool apart : {false, true}) {
        const TestSpans spans(mask, apart);
        mask.spans = spans.get();
        if (apart) {
            attention_case<S>(result, mask, 17, memory, false, " spans by head, bent", Form::bent);
            attention_case<S>(result, mask, 7, memory, false, " spans by head, shared", Form::shared);
        } else {
            attention_case<S>(result, mask, 24, memory, false, " spans");
        }
    }
}

// Blocks of queries, each with what a window shows it.
template <class S> void window_cases(ParityResult& result, SoftmaxMask mask, int64_t memory) {
    TestSpans spans(SoftmaxMask{}, false);
    const int64_t first = mask.keys - mask.queries;
    for (int64_t i = 0, length = 11; i < mask.queries; i += length, length = 2 * length) {
        const int64_t end = std::min(mask.queries, i + length), begin = std::max<int64_t>(0, first + i - mask.window);
        const int64_t seen = first + end + mask.ahead;
        const auto at = int32_t(spans.spans.size());
        if (begin < seen) spans.spans.push_back({int32_t(begin), int32_t(seen)});
        spans.blocks.push_back({int32_t(i), int32_t(end), at, int32_t(spans.spans.size())});
    }
    spans.lists = {0, int32_t(spans.blocks.size())};
    mask.spans = spans.get();
    attention_case<S>(result, mask, 18, memory, false, " relative, window's spans", Form::by_distance);
    attention_case<S>(result, mask, 7, memory, false, " all by distance, window's spans", Form::relative);
    attention_case<S>(result, mask, 24, memory, false, " by key, window's spans", Form::key_biased);
}

ParityResult attention_parity(int64_t size) {
    ParityResult result;
    const int64_t keys = size, queries = std::min<int64_t>((size + 1) / 2, 130);
    std::vector<uint8_t> hidden(size_t(2 * keys));
    for (size_t i = 0; i < hidden.size(); ++i) hidden[i] = i % 5 == 1 || i < size_t(keys) / 2;
    std::vector<int32_t> first(size_t(2 * queries));
    for (size_t i = 0; i < first.size(); ++i) first[i] = int32_t(i % 3);
    for_each_storage([&](auto storage) {
        using S = decltype(storage);
        SoftmaxMask mask{.batch = 2, .heads = 1, .queries = queries, .keys = keys};
        attention_case<S>(result, mask, 24, keys - queries, true, " causal");
        attention_case<S>(result, mask, 7, keys - queries, false, " causal");
        attention_case<S>(result, mask, 24, keys - queries, true, " relative", Form::by_distance);
        attention_case<S>(result, mask, 7, keys - queries, false, " relative", Form::by_distance);
        attention_case<S>(result, mask, 24, keys - queries, true, " shared", Form::shared);
        attention_case<S>(result, mask, 7, keys - queries, false, " shared", Form::shared);
        attention_case<S>(result, mask, 24, keys - queries, false, " capped", Form::capped);
        attention_case<S>(result, mask, 24, keys - queries, true, " sloped", Form::sloped);
        attention_case<S>(result, mask, 24, keys - queries, true, " by key", Form::key_biased);
        attention_case<S>(result, mask, 7, keys - queries, false, " by key", Form::key_biased);
        attention_case<S>(result, mask, 24, keys - queries, false, " all by distance", Form::relative);
        mask.ahead = -1;
        attention_case<S>(result, mask, 24, keys - queries, true, " not itself");
        attention_case<S>(result, mask, 18, keys - queries, true, " all by distance, not itself", Form::relative);
        mask.window = 9;
        window_cases<S>(result, mask, keys - queries);
        mask.window = 9;
        mask.ahead = 4;
        attention_case<S>(result, mask, 24, keys - queries, false, " both sides");
        mask.ahead = 0;
        attention_case<S>(result, mask, 70, 0, false, " window");
        attention_case<S>(result, mask, 18, keys - queries, false, " relative, window", Form::by_distance);
        mask.hidden = hidden.data();
        mask.first = first.data();
        mask.heads = 2;
        attention_case<S>(result, mask, 17, (keys - queries) / 2, true, " hidden");
        attention_case<S>(result, mask, 16, keys - queries, true, " relative, hidden", Form::by_distance);
        attention_case<S>(result, mask, 16, keys - queries, true, " shared, hidden", Form::shared);
        attention_case<S>(result, mask, 16, (keys - queries) / 2, false, " bent, hidden", Form::bent);
        span_cases<S>(result, mask, (keys - queries) / 2);
        mask.window = -1;
        mask.causal = false;
        attention_case<S>(result, mask, 16, keys - queries, false, " hidden, all");
        span_cases<S>(result, mask, keys - queries);
        // keys of another sequence, longer or shorter than this one
        mask.first = nullptr;
        attention_case<S>(result, mask, 16, keys, true, " of another");
        const SoftmaxMask shorter{.batch = 2, .heads = 1, .queries = keys, .keys = queries, .causal = false};
        attention_case<S>(result, shorter, 24, queries, true, " of a shorter one");
    });
    return result;
}

template <class S> void add_attention_benchmarks(std::vector<BenchmarkCase>& list, bool shared) {
    SoftmaxMask mask{.batch = 16, .heads = 1, .queries = 256, .keys = 512};
    auto buffers = std::make_shared<AttentionBuffers<S>>(mask, 128, 256);
    buffers->shared = shared;
    const double moved = double(buffers->q.size()) * sizeof(S), parts = shared ? 2 : 4;  // of keys and values
    const double products = 16.0 * 256 * 384.5 * 128;  // of one multiply-add per visible pair and number
    attention_forward(buffers->forward(true));
    std::string suffix = std::string(shared ? ", keys are values " : " ") + storage_name<S>();
    list.push_back({"attention forward" + suffix, (2 + parts) * moved,
                    [buffers] { attention_forward(buffers->forward(true)); }, 2 * 2 * products});
    list.push_back({"attention backward" + suffix, (4 + 2 * parts) * moved,
                    [buffers] { attention_backward(buffers->backward(true, true)); }, 4 * 2 * products});
}

// A window of 256 keys over 4096, by blocks of 128 queries.
template <class S> void add_span_benchmarks(std::vector<BenchmarkCase>& list) {
    constexpr int64_t kKeys = 4096, kWindow = 256, kBlock = 128;
    SoftmaxMask mask{.batch = 1, .heads = 4, .queries = kKeys, .keys = kKeys, .window = kWindow - 1};
    const auto spans = std::make_shared<TestSpans>(SoftmaxMask{}, false);
    spans->lists = {0, int32_t(kKeys / kBlock)};
    for (int32_t i = 0; i < kKeys; i += kBlock) {
        spans->blocks.push_back(
            {i, i + int32_t(kBlock), int32_t(spans->spans.size()), int32_t(spans->spans.size()) + 1});
        spans->spans.push_back({std::max(0, i - int32_t(kWindow) + 1), i + int32_t(kBlock)});
    }
    mask.spans = spans->get();
    const auto buffers = std::make_shared<AttentionBuffers<S>>(mask, 64, 0);
    const double moved = double(buffers->q.size()) * sizeof(S), products = attention_pairs(mask) * 64;
    attention_forward(buffers->forward(false));
    const std::string suffix = std::string(", key spans ") + storage_name<S>();
    list.push_back({"attention forward" + suffix, 4 * moved,
                    [=, kept = spans] { attention_forward(buffers->forward(false)); }, 2 * 2 * products});
    list.push_back({"attention backward" + suffix, 8 * moved,
                    [=, kept = spans] { attention_backward(buffers->backward(false, false)); }, 4 * 2 * products});
}

std::vector<BenchmarkCase> attention_benchmarks() {
    std::vector<BenchmarkCase> list;
    for (bool shared : {false, true}) {
        add_attention_benchmarks<float>(list, shared);
        add_attention_benchmarks<bfloat16>(list, shared);
    }
    add_span_benchmarks<float>(list);
    add_span_benchmarks<bfloat16>(list);
    return list;
}

}  // namespace

KernelRow attention_row() {
    return {"attention", "o = softmax(scale q k^T) v over visible keys", attention_parity, attention_benchmarks};
}

}  // namespace lithe::kernels
