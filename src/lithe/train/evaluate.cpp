#include "lithe/train/evaluate.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "lithe/base/log.h"
#include "lithe/base/stop.h"
#include "lithe/base/timer.h"
#include "lithe/kernels/sru/sru.h"
#include "lithe/ops/side_by_side.h"
#include "lithe/train/parts.h"

namespace lithe {
namespace {

struct Stream {
    uint64_t start = 0, begin = 0, end = 0;  // first token read; scored targets [begin, end)
};

// `before`: tokens that a target needs before it, 1 where the next token is predicted.
std::vector<Stream> make_streams(uint64_t count, uint64_t batch, uint64_t lead, uint64_t before) {
    lead = std::min(lead, count);
    std::vector<Stream> streams;
    for (uint64_t b = 0; b < batch; ++b) {
        uint64_t begin = b == 0 ? before : lead + (count - lead) * b / batch,
                 end = lead + (count - lead) * (b + 1) / batch;
        streams.push_back({b == 0 ? 0 : begin - std::min(begin, lead + before), begin, end});
    }
    return streams;
}

// The first document of a view that begins at or behind a place; the number of documents when none does.
uint64_t document_from(const TokenView& tokens, uint64_t place) {
    uint64_t low = 0, high = tokens.documents();
    while (low < high) {
        const uint64_t middle = (low + high) / 2;
        if (tokens.document_begin(middle) < place) low = middle + 1;
        else high = middle;
    }
    return low;
}

// One segment of every stream. Targets outside a stream's scored range are -1.
class SegmentReader {
 public:
    Tensor ids, targets;  // [T][B]
    // Of documents, or of what lies behind the text's end where later tokens are seen; undefined: none.
    Tensor flags() const { return protocol_.masking && !padded_ ? Tensor() : flags_; }

    SegmentReader(const TokenView& tokens, const std::vector<Stream>& streams, const EvaluationProtocol& protocol)
        : ids(at::zeros({protocol.length, int64_t(streams.size())}, at::kLong)),
          targets(at::zeros_like(ids)),
          tokens_(tokens),
          streams_(streams),
          protocol_(protocol),
          buffer_(size_t(protocol.length) + 1) {
        if (protocol.documents || protocol.masking) flags_ = at::zeros(ids.sizes(), at::kByte);
    }
    void read(uint64_t at) {
        const auto batch = int64_t(streams_.size());
        int64_t *in = ids.data_ptr<int64_t>(), *out = targets.data_ptr<int64_t>();
        padded_ = false;
        for (int64_t b = 0; b < batch; ++b) {
            const Stream& stream = streams_[size_t(b)];
            const uint64_t first = stream.start + at, wanted = uint64_t(protocol_.length) + 1,
                           available = first < tokens_.size() ? std::min(wanted, tokens_.size() - first) : 0;
            std::fill(buffer_.begin(), buffer_.end(), 0);
            if (available > 0) tokens_.read(first, available, buffer_.data());
            for (int64_t t = 0; t < protocol_.length; ++t) {
                const uint64_t place = first + uint64_t(t) + 1;
                in[t * batch + b] = buffer_[size_t(t)];
                out[t * batch + b] = place >= stream.begin && place < stream.end ? buffer_[size_t(t) + 1] : -1;
            }
            if (protocol_.masking) mask(b, stream, first), hide_padding(b, int64_t(available));
            else if (protocol_.documents) mark_documents(b, first);
        }
    }

 private:
    void mask(int64_t b, const Stream& stream, uint64_t first) {
        const int64_t batch = ids.size(1);
        int64_t *in = ids.data_ptr<int64_t>() + b, *out = targets.data_ptr<int64_t>() + b;
        for (int64_t t = 0; t < protocol_.length; ++t) {
            const uint64_t place = first + uint64_t(t);
            const Masking::Choice choice = protocol_.masking->choose(in[t * batch], protocol_.masking->seed, place);
            out[t * batch] = choice.scored && place >= stream.begin && place < stream.end ? in[t * batch] : -1;
            in[t * batch] = choice.input;
        }
    }
    void hide_padding(int64_t b, int64_t available) {
        const int64_t batch = flags_.size(1), length = flags_.size(0);
        uint8_t* flag = flags_.data_ptr<uint8_t>() + b;
        for (int64_t t = 0; t < length; ++t) flag[t * batch] = t < available ? 0 : kernels::kSruPad;
        padded_ = padded_ || available < length;
    }
    // A reset stands on the end token before a document, which then predicts its first token; without end tokens on the
    // first token itself, which nothing predicts.
    void mark_documents(int64_t b, uint64_t first) {
        const int64_t batch = ids.size(1), length = ids.size(0);
        uint8_t* flag = flags_.data_ptr<uint8_t>() + b;
        int64_t* out = targets.data_ptr<int64_t>() + b;
        for (int64_t t = 0; t < length; ++t) flag[t * batch] = 0;
        for (uint64_t d = document_from(tokens_, first); d < tokens_.documents(); ++d) {
            const uint64_t begin = tokens_.document_begin(d);
            if (begin > first + uint64_t(length)) break;
            const auto t = int64_t(begin - first);
            int64_t before = -1;
            if (begin > 0) tokens_.read(begin - 1, 1, &before);
            const bool end_token = protocol_.document_end && before == *protocol_.document_end;
            if (end_token) {
                if (t > 0) flag[(t - 1) * batch] = kernels::kSruReset;  // else it stands in the segment before
                continue;
            }
            if (t < length) flag[t * batch] = kernels::kSruReset;
            if (t > 0) out[(t - 1) * batch] = -1;
        }
    }
    Tensor flags_;  // [T][B]
    bool padded_ = false;
    const TokenView& tokens_;
    const std::vector<Stream>& streams_;
    const EvaluationProtocol& protocol_;
    std::vector<int64_t> buffer_;
};

// What the scored tokens are and stand for.
struct TextSums {
    explicit TextSums(const ScoredText& scored) : text(scored) {}
    void add(const Tensor& targets_TB) {
        const int64_t* id = targets_TB.data_ptr<int64_t>();
        for (int64_t i = 0; i < targets_TB.numel(); ++i) {
            if (id[i] < 0) continue;
            ++tokens;
            bytes += text.bytes_of(id[i]);
            unspoken += text.unspoken_of(id[i]);
        }
    }
    const ScoredText& text;
    uint64_t tokens = 0;
    double bytes = 0, unspoken = 0;
};

}  // namespace

EvaluationProtocol protocol_of(const Config& config, const Tokenizer& tokenizer) {
    const EvaluationConfig& e = config.evaluation;
    EvaluationProtocol protocol;
    protocol.bytes = uint64_t(e.bytes);
    protocol.batch = e.batch > 0 ? e.batch : config.train.batch;
    protocol.length = e.length > 0 ? e.length : config.train.length;
    protocol.memory = e.memory >= 0 ? e.memory : config.model.memory;
    protocol.lead = e.lead;
    protocol.mask = e.mask;
    protocol.clamp_length = e.clamp_length;
    protocol.documents = config.data.order == "documents";
    if (config.data.document_end == "auto") protocol.document_end = tokenizer.document_end();
    protocol.precision = config.train.precision;
    protocol.masking = masking_of(config, tokenizer);
    if (protocol.masking) protocol.lead = 0, protocol.masking->seed = combine_key(0, "evaluation");
    return protocol;
}

std::optional<EvaluationResult> evaluate(const LanguageModel& model, const ScoredText& text,
                                         const EvaluationProtocol& protocol) {
    Timer timer;
    const TokenView& tokens = text.tokens();
    const uint64_t count = protocol.bytes > 0 ? text.tokens_within(protocol.bytes) : tokens.size();
    if (count < 2) fail_file("split '" + protocol.split + "' has too few tokens to be scored", "data");
    // streams shorter than the lead would spend most of the time unscored
    const uint64_t batch =
        std::clamp<uint64_t>(count / std::max<uint64_t>(1, 2 * uint64_t(protocol.lead)), 1, uint64_t(protocol.batch));
    const uint64_t before = protocol.masking ? 0 : 1;
    auto streams = make_streams(count, batch, uint64_t(protocol.lead), before);
    uint64_t steps = 0;
    for (const Stream& stream : streams) steps = std::max(steps, stream.end - before - stream.start);

    Context context = model.context(false);
    context.memory = protocol.memory;
    context.keep_projections = true;
    if (protocol.mask == "same_length") context.window = protocol.memory;
    if (protocol.mask == "same_length_original") context.window = std::max<int64_t>(0, protocol.memory - 1);
    context.clamp_length = protocol.clamp_length;
    EvaluationResult result;
    result.protocol = protocol;
    result.protocol.batch = int64_t(batch);
    SegmentReader segment(tokens, streams, protocol);
    const int64_t parts = natural_parts(int64_t(batch), at::get_num_threads(), model.device());
    std::vector<State> states(static_cast<size_t>(parts));
    std::vector<double> sums(states.size());
    TextSums sums_of_text(text);
    for (uint64_t at = 0; at < steps; at += uint64_t(protocol.length)) {
        if (stop_requested()) return std::nullopt;
        segment.read(at);
        ops::side_by_side(parts, [&](int64_t part) {
            const at::NoGradGuard no_grad;  // is the thread's
            Context here = context;
            auto rows = [&](const Tensor& numbers) { return rows_of(numbers, part, parts).to(model.device()); };
            if (const Tensor flags = segment.flags(); flags.defined()) here.flags_TB = rows(flags);
            State& state = states[size_t(part)];
            auto out = model.loss(rows(segment.ids), rows(segment.targets), state, here);
            sums[size_t(part)] += out.sum.item<double>();
            state = std::move(out.state);
        });
        sums_of_text.add(segment.targets);
        if (at / uint64_t(protocol.length) % 16 == 0)
            log_progress("evaluating " + std::to_string(100 * at / steps) + " %");
    }
    log_progress("");
    result.tokens = sums_of_text.tokens;
    if (result.tokens == 0) fail_file("no token of split '" + protocol.split + "' was scored", "data");
    if (!(sums_of_text.bytes > 0))
        fail_file("the scored tokens of split '" + protocol.split + "' stand for no text", "data");
    result.bytes = uint64_t(std::llround(sums_of_text.bytes));
    result.unspoken_share = sums_of_text.unspoken / sums_of_text.bytes;
    const double sum = std::accumulate(sums.begin(), sums.end(), 0.0);
    result.loss = sum / double(result.tokens);
    result.bits_per_byte = sum / std::numbers::ln2 / sums_of_text.bytes;
    result.perplexity = std::exp(result.loss);
    result.seconds = timer.seconds();
    return result;
}

std::string unspoken_text(const EvaluationResult& result) {
    if (result.unspoken_share <= 0) return "";
    char share[16];
    std::snprintf(share, sizeof share, "%.2g", 100 * result.unspoken_share);
    return std::string(", ") + share +
           " % of the text has no token of its own and costs next to nothing: not comparable with other tokenizers";
}

nlohmann::ordered_json to_json(const EvaluationResult& result, bool with_protocol) {
    nlohmann::ordered_json json = {
        {"bits_per_byte", result.bits_per_byte}, {"loss", result.loss}, {"perplexity", result.perplexity}};
    if (!with_protocol) return json;
    json["tokens"] = result.tokens;
    json["bytes"] = result.bytes;
    json["unspoken_share"] = result.unspoken_share;
    json["seconds"] = result.seconds;
    const EvaluationProtocol& p = result.protocol;
    json["protocol"] = {{"split", p.split},
                        {"first_bytes", p.bytes},
                        {"batch", p.batch},
                        {"length", p.length},
                        {"memory", p.memory},
                        {"lead", p.lead},
                        {"mask", p.mask},
                        {"clamp_length", p.clamp_length},
                        {"precision", p.precision},
                        {"state", p.masking     ? "none"
                                  : p.documents ? "anew with each document"
                                                : "carried"},
                        {"objective", p.masking ? "masked" : "next"},
                        {"unscored", p.masking                        ? "what is not masked"
                                     : p.documents && !p.document_end ? "the first token of each document"
                                                                      : "the first token"}};
    return json;
}

}  // namespace lithe
