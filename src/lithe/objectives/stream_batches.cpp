#include "lithe/objectives/stream_batches.h"

#include <algorithm>

#include "lithe/base/error.h"

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

// One segment of every stream after another. Targets outside a stream's scored range are -1.
class StreamBatches : public ScoredBatches {
 public:
    StreamBatches(const ScoredText& text, const EvaluationProtocol& protocol, const StreamScoring& scoring)
        : tokens_(text.tokens()),
          protocol_(protocol),
          scoring_(scoring),
          buffer_(size_t(protocol.length) + 1) {
        const uint64_t count = protocol.bytes > 0 ? text.tokens_within(protocol.bytes) : tokens_.size();
        if (count < 2) fail_file("split '" + protocol.split + "' has too few tokens to be scored", "data");
        const uint64_t lead = scoring.carries_state ? uint64_t(protocol.lead) : 0;
        // streams shorter than the lead would spend most of the time unscored
        const uint64_t batch = std::clamp<uint64_t>(
            count / std::max<uint64_t>(1, scoring.whole_rows ? uint64_t(protocol.length) : 2 * lead), 1,
            uint64_t(protocol.batch));
        const auto before = uint64_t(scoring.tokens_before);
        streams_ = make_streams(count, batch, lead, before);
        for (const Stream& stream : streams_) steps_ = std::max(steps_, stream.end - before - stream.start);
        batch_.length = protocol.length;
        batch_.rows = int64_t(batch);
        const auto positions = size_t(batch_.length * batch_.rows);
        batch_.inputs.resize(positions);
        batch_.targets.resize(positions);
    }

    const Batch* next() override {
        if (at_ >= steps_) return nullptr;
        const bool marks = protocol_.documents;
        batch_.flags.assign(marks ? batch_.inputs.size() : 0, 0);
        std::vector<ScoredRow> rows;
        for (int64_t row = 0; row < batch_.rows; ++row) {
            const Stream& stream = streams_[size_t(row)];
            const uint64_t first = stream.start + at_;
            rows.push_back({first, stream.begin, stream.end});
            const uint64_t available = read_row(row, rows.back());
            if (marks) mark_documents(row, first);
            if (!scoring_.carries_state) hide_padding(row, int64_t(available));
        }
        if (scoring_.prepare) scoring_.prepare(batch_, rows);
        at_ += uint64_t(protocol_.length);
        return &batch_;
    }
    double progress() const override { return double(std::min(at_, steps_)) / double(std::max<uint64_t>(1, steps_)); }
    int64_t rows() const override { return batch_.rows; }

 private:
    // Returns how many tokens of the text there were.
    uint64_t read_row(int64_t row, const ScoredRow& scored) {
        const uint64_t wanted = uint64_t(protocol_.length) + 1;
        const uint64_t available = scored.first < tokens_.size() ? std::min(wanted, tokens_.size() - scored.first) : 0;
        std::fill(buffer_.begin(), buffer_.end(), 0);
        if (available > 0) tokens_.read(scored.first, available, buffer_.data());
        for (int64_t t = 0; t < batch_.length; ++t) {
            const uint64_t target = scored.first + uint64_t(t) + 1;
            const auto place = size_t(t * batch_.rows + row);
            batch_.inputs[place] = buffer_[size_t(t)];
            batch_.targets[place] = target >= scored.begin && target < scored.end ? buffer_[size_t(t) + 1] : -1;
        }
        return available;
    }
    // What lies behind the text's end is seen by earlier positions where these see both sides.
    void hide_padding(int64_t row, int64_t available) {
        if (available >= batch_.length) return;
        if (batch_.flags.empty()) batch_.flags.assign(batch_.inputs.size(), 0);
        for (int64_t t = available; t < batch_.length; ++t) batch_.flags[size_t(t * batch_.rows + row)] = kPadding;
    }
    // A begin stands on the end token before a document, which then predicts its first token; without end tokens on the
    // first token itself, which nothing predicts.
    void mark_documents(int64_t row, uint64_t first) {
        const auto place = [&](int64_t t) { return size_t(t * batch_.rows + row); };
        for (uint64_t d = document_from(tokens_, first); d < tokens_.documents(); ++d) {
            const uint64_t begin = tokens_.document_begin(d);
            if (begin > first + uint64_t(batch_.length)) break;
            const auto t = int64_t(begin - first);
            int64_t before = -1;
            if (begin > 0) tokens_.read(begin - 1, 1, &before);
            const bool end_token = protocol_.document_end && before == *protocol_.document_end;
            if (end_token) {
                // else it stands in the segment before
                if (t > 0) batch_.flags[place(t - 1)] = kDocumentBegins;
                continue;
            }
            if (t < batch_.length) batch_.flags[place(t)] = kDocumentBegins;
            if (t > 0 && scoring_.tokens_before > 0) batch_.targets[place(t - 1)] = -1;
        }
    }

    Batch batch_;
    const TokenView& tokens_;
    const EvaluationProtocol& protocol_;
    StreamScoring scoring_;
    std::vector<Stream> streams_;
    uint64_t steps_ = 0, at_ = 0;  // tokens of each stream: in all, and read
    std::vector<int64_t> buffer_;
};

}  // namespace

std::unique_ptr<ScoredBatches> make_stream_batches(const ScoredText& text, const EvaluationProtocol& protocol,
                                                   const StreamScoring& scoring) {
    return std::make_unique<StreamBatches>(text, protocol, scoring);
}

}  // namespace lithe
