#include "lithe/objectives/evaluate.h"

#include <gtest/gtest.h>

#include <cmath>

#include "lithe/objectives/masked.h"
#include "lithe/objectives/next.h"
#include "lithe/spec/config_io.h"
#include "lithe/tokenize/characters.h"

namespace lithe {
namespace {

class Documents : public TokenView {
 public:
    explicit Documents(std::vector<std::vector<int64_t>> documents) {
        for (const auto& document : documents) {
            starts_.push_back(tokens_.size());
            tokens_.insert(tokens_.end(), document.begin(), document.end());
        }
    }
    uint64_t size() const override { return tokens_.size(); }
    uint64_t bytes() const override { return 2 * tokens_.size(); }
    void read(uint64_t begin, uint64_t count, int64_t* out) const override {
        std::copy_n(tokens_.begin() + int64_t(begin), count, out);
    }
    uint64_t documents() const override { return starts_.size(); }
    uint64_t document_begin(uint64_t number) const override { return starts_[number]; }

 private:
    std::vector<int64_t> tokens_;
    std::vector<uint64_t> starts_;
};

std::unique_ptr<LanguageModel> tiny_model() {
    Config config;
    config.model.width = 16;
    config.model.layout = "us";
    config.model.heads = 2;
    config.model.memory = 12;
    config.train.length = 8;
    auto model = std::make_unique<LanguageModel>(config, 20);
    model->materialize(at::kDouble, at::kDouble, at::kCPU, 3);
    return model;
}

// Nats of tokens 1... of a text that starts from nothing.
double alone(const LanguageModel& model, const std::vector<int64_t>& text, int64_t& scored) {
    at::NoGradGuard guard;
    Tensor all = at::tensor(text, at::kLong).unsqueeze(1);
    const int64_t steps = all.size(0) - 1;
    scored += steps;
    return model.loss(all.narrow(0, 0, steps), all.narrow(0, 1, steps), {}, model.pass(false)).sum.item<double>();
}

// With documents, a text scores what its documents score one by one, in any number of streams and segments.
TEST(Evaluate, DocumentsStandAlone) {
    const auto model = tiny_model();
    for (bool end_token : {true, false}) {
        std::vector<std::vector<int64_t>> documents;
        for (int64_t d = 0; d < 12; ++d) {
            std::vector<int64_t> document;
            for (int64_t i = 0; i < 1 + d * 5 % 11; ++i) document.push_back((d * 3 + i * i) % 19);
            if (end_token) document.push_back(19);
            documents.push_back(document);
        }
        double expected = 0;
        int64_t scored = 0;
        for (size_t d = 0; d < documents.size(); ++d) {
            std::vector<int64_t> text = documents[d];
            if (end_token && d > 0) text.insert(text.begin(), 19);  // nothing stands before the first document
            if (text.size() > 1) expected += alone(*model, text, scored);
        }
        for (int64_t batch : {1, 3}) {
            EvaluationProtocol protocol{.batch = batch, .length = 4, .memory = 12, .lead = 12, .documents = true};
            if (end_token) protocol.document_end = 19;
            const auto result = evaluate(NextObjective(20), Models::of(*model), Documents(documents), protocol);
            ASSERT_TRUE(result);
            EXPECT_EQ(int64_t(result->tokens), scored);
            EXPECT_NEAR(result->loss * double(result->tokens), expected, 1e-6) << end_token << " " << batch;
        }
    }
}

// An encoder's segments stand alone, the last one is as short as the text leaves it, and every token is scored once.
TEST(Evaluate, EncodersSeeNothingBehindTheText) {
    const Config config = parse_config(
        "[model]\nwidth = 16\nheads = 2\nlayout = \"s<sru>f\"\ndirection = \"bidirectional\"\n[blocks.sru]\n"
        "bidirectional = true\n[objective]\nname = \"masked\"\n",
        "test");
    LanguageModel model(config, 20);
    model.materialize(at::kDouble, at::kDouble, at::kCPU, 3);
    std::vector<int64_t> text;
    for (int64_t i = 0; i < 29; ++i) text.push_back(i * i % 19);
    at::NoGradGuard guard;
    const Tensor all = at::tensor(text, at::kLong).unsqueeze(1);
    // every token is to be predicted and none is replaced
    const MaskedObjective objective({.rate = 1, .mask_share = 0, .random_share = 0, .mask_id = 19, .vocabulary = 19},
                                    20);
    auto nats = [&](int64_t begin, int64_t end, int64_t length) {
        double sum = 0;
        for (int64_t at = begin; at < end; at += length) {
            // a segment of an inner stream sees on into the next one's text
            const Tensor ids = all.narrow(0, at, std::min(length, all.size(0) - at)), targets = ids.clone();
            if (end - at < ids.size(0)) targets.narrow(0, end - at, ids.size(0) - (end - at)).fill_(-1);
            sum += model.loss(ids, targets, {}, model.pass(false)).sum.item<double>();
        }
        return sum;
    };
    const std::vector<std::pair<int64_t, double>> cases = {{1, nats(0, 29, 8)}, {2, nats(0, 14, 8) + nats(14, 29, 8)}};
    for (const auto& [batch, expected] : cases) {
        const EvaluationProtocol protocol{.batch = batch, .length = 8, .lead = 0};
        const auto result = evaluate(objective, Models::of(model), Documents({text}), protocol);
        ASSERT_TRUE(result);
        EXPECT_EQ(result->tokens, 29u);
        EXPECT_NEAR(result->loss * 29, expected, 1e-9) << batch;
    }
}

// Tokens of one byte, then of three: bits per byte are of what was scored, not of the split's average.
TEST(Evaluate, BytesAreThoseOfTheScoredTokens) {
    const auto model = tiny_model();
    std::vector<uint32_t> alphabet;
    for (uint32_t i = 0; i < 20; ++i) alphabet.push_back(i < 10 ? 'a' + i : 0x4E00 + i);
    const auto characters = tokenize::make_characters(alphabet, false);
    std::vector<int64_t> ids;
    for (int64_t i = 0; i < 120; ++i) ids.push_back(i < 60 ? i * i % 10 : 10 + i * i % 10);
    const Documents view({ids});  // of 60 + 180 bytes, as it says
    const ScoredText text(view, *characters);
    const EvaluationProtocol whole{.batch = 1, .length = 8, .lead = 0};
    auto result = evaluate(NextObjective(20), Models::of(*model), text, whole);
    EXPECT_EQ(result->bytes, 59u + 180u);
    EXPECT_NEAR(result->bits_per_byte, result->loss * 119 / std::log(2.0) / 239, 1e-12);
    EvaluationProtocol first = whole;
    for (const auto& [limit, tokens, bytes] : {std::tuple(60u, 59u, 59u), {120u, 79u, 119u}, {121u, 79u, 119u}}) {
        first.bytes = limit;
        result = evaluate(NextObjective(20), Models::of(*model), text, first);
        EXPECT_EQ(result->tokens, tokens);
        EXPECT_EQ(result->bytes, bytes);
    }
}

}  // namespace
}  // namespace lithe
