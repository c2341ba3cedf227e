#include "lithe/train/evaluate.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "lithe/base/log.h"
#include "lithe/base/stop.h"
#include "lithe/base/timer.h"

namespace lithe {
namespace {

struct Stream {
    uint64_t start = 0, begin = 0, end = 0;  // first token read; scored targets [begin, end)
};

std::vector<Stream> make_streams(uint64_t count, uint64_t batch, uint64_t lead) {
    lead = std::min(lead, count);
    std::vector<Stream> streams;
    for (uint64_t b = 0; b < batch; ++b) {
        uint64_t begin = b == 0 ? 1 : lead + (count - lead) * b / batch, end = lead + (count - lead) * (b + 1) / batch;
        streams.push_back({b == 0 ? 0 : begin - std::min(begin, lead + 1), begin, end});
    }
    return streams;
}

// Fills one segment; targets outside a stream's scored range are -1.
void fill(const TokenView& tokens, const std::vector<Stream>& streams, uint64_t at, int64_t length, Tensor& ids,
          Tensor& targets, std::vector<int64_t>& buffer) {
    const auto batch = int64_t(streams.size());
    int64_t *in = ids.data_ptr<int64_t>(), *out = targets.data_ptr<int64_t>();
    for (int64_t b = 0; b < batch; ++b) {
        const Stream& stream = streams[size_t(b)];
        uint64_t first = stream.start + at,
                 available =
                     first < tokens.size() ? std::min<uint64_t>(uint64_t(length) + 1, tokens.size() - first) : 0;
        std::fill(buffer.begin(), buffer.end(), 0);
        if (available > 0) tokens.read(first, available, buffer.data());
        for (int64_t t = 0; t < length; ++t) {
            uint64_t place = first + uint64_t(t) + 1;
            in[t * batch + b] = buffer[size_t(t)];
            out[t * batch + b] = place >= stream.begin && place < stream.end ? buffer[size_t(t) + 1] : -1;
        }
    }
}

}  // namespace

EvaluationProtocol protocol_of(const Config& config) {
    const EvaluationConfig& e = config.evaluation;
    EvaluationProtocol protocol;
    protocol.tokens = uint64_t(e.tokens);
    protocol.batch = e.batch > 0 ? e.batch : config.train.batch;
    protocol.length = e.length > 0 ? e.length : config.train.length;
    protocol.memory = e.memory >= 0 ? e.memory : config.model.memory;
    protocol.lead = e.lead;
    protocol.same_length = e.mask == "same_length";
    protocol.precision = config.train.precision;
    return protocol;
}

std::optional<EvaluationResult> evaluate(const LanguageModel& model, const TokenView& tokens,
                                         const EvaluationProtocol& protocol) {
    at::NoGradGuard no_grad;
    Timer timer;
    const uint64_t count = protocol.tokens > 0 ? std::min(protocol.tokens, tokens.size()) : tokens.size();
    if (count < 2) fail_file("split '" + protocol.split + "' has too few tokens to be scored", "data");
    // streams shorter than the lead would spend most of the time unscored
    const uint64_t batch =
        std::clamp<uint64_t>(count / std::max<uint64_t>(1, 2 * uint64_t(protocol.lead)), 1, uint64_t(protocol.batch));
    auto streams = make_streams(count, batch, uint64_t(protocol.lead));
    uint64_t steps = 0;
    for (const Stream& stream : streams) steps = std::max(steps, stream.end - 1 - stream.start);

    Context context = model.context(false);
    context.memory = protocol.memory;
    context.keep_projections = true;
    if (protocol.same_length) context.window = protocol.memory;
    EvaluationResult result;
    result.protocol = protocol;
    result.protocol.batch = int64_t(batch);
    Tensor ids = at::zeros({protocol.length, int64_t(batch)}, at::kLong), targets = at::zeros_like(ids);
    std::vector<int64_t> buffer(size_t(protocol.length) + 1);
    State state;
    double sum = 0;
    for (uint64_t at = 0; at < steps; at += uint64_t(protocol.length)) {
        if (stop_requested()) return std::nullopt;
        fill(tokens, streams, at, protocol.length, ids, targets, buffer);
        auto out = model.loss(ids.to(model.device()), targets.to(model.device()), state, context);
        sum += out.sum.item<double>();
        result.tokens += uint64_t(targets.ge(0).sum().item<int64_t>());
        state = std::move(out.state);
        if (at / uint64_t(protocol.length) % 16 == 0)
            log_progress("evaluating " + std::to_string(100 * at / steps) + " %");
    }
    log_progress("");
    result.bytes = uint64_t(std::llround(double(tokens.bytes()) * double(result.tokens) / double(tokens.size())));
    result.loss = sum / double(result.tokens);
    result.bits_per_byte = sum / std::numbers::ln2 / double(result.bytes);
    result.perplexity = std::exp(result.loss);
    result.seconds = timer.seconds();
    return result;
}

nlohmann::ordered_json to_json(const EvaluationResult& result, bool with_protocol) {
    nlohmann::ordered_json json = {
        {"bits_per_byte", result.bits_per_byte}, {"loss", result.loss}, {"perplexity", result.perplexity}};
    if (!with_protocol) return json;
    json["tokens"] = result.tokens;
    json["bytes"] = result.bytes;
    json["seconds"] = result.seconds;
    const EvaluationProtocol& p = result.protocol;
    json["protocol"] = {{"split", p.split},
                        {"first_tokens", p.tokens},
                        {"batch", p.batch},
                        {"length", p.length},
                        {"memory", p.memory},
                        {"lead", p.lead},
                        {"mask", p.same_length ? "same_length" : "causal"},
                        {"precision", p.precision},
                        {"state", "carried"},
                        {"unscored", "the first token"}};
    return json;
}

}  // namespace lithe
