#include "lithe/infer/decode.h"

#include "infer/models.h"
#include "lithe/tokenize/bytes.h"
#include "support/errors.h"

namespace lithe {
namespace {

using testing::make_model;
using Ids = std::vector<int64_t>;

// Of bytes, so that tokens are text.
std::unique_ptr<LanguageModel> byte_model(const char* text = "width = 16\nlayout = \"ux2\"\nmemory = 8") {
    return make_model(text, at::kFloat, 256);
}

Ids text_ids(const std::string& text) { return {text.begin(), text.end()}; }

std::vector<Decoded> decode_rows(const LanguageModel& model, int64_t rows, const std::vector<DecodeRequest>& requests,
                                 const DecodeOptions& options, Session::Path path = Session::Path::automatic) {
    Session session(model, {.most_rows = rows, .memory = 8, .segment = 7, .path = path});
    return decode(session, rows, requests, options, nullptr);
}

TEST(Decode, TheSameTokensAloneAndAmong64) {
    for (const char* text : {testing::kStepModels[0], testing::kStepModels[2], testing::kStepModels[6]}) {
        const auto model = make_model(text);
        std::vector<DecodeRequest> requests;
        for (int64_t i = 0; i < 64; ++i) requests.push_back({Ids(size_t(1 + i % 11), i % 5), i / 55});
        const DecodeOptions options{.sampling = {.top_k = 20, .seed = 11}, .until = {.tokens = 25}, .alternatives = 2};
        for (const Session::Path path : {Session::Path::forward, Session::Path::steps}) {
            const auto together = decode_rows(*model, 64, requests, options, path);
            const auto few = decode_rows(*model, 3, requests, options, path);
            for (size_t i = 0; i < requests.size(); i += 9) {
                const Decoded alone = decode_rows(*model, 1, {requests[i]}, options, Session::Path::forward)[0];
                for (const Decoded* other : {&together[i], &few[i]}) {
                    EXPECT_EQ(other->tokens, alone.tokens) << text << ", text " << i;
                    ASSERT_EQ(other->log_p.size(), alone.log_p.size());
                    for (size_t t = 0; t < alone.log_p.size(); ++t) {
                        EXPECT_NEAR(other->log_p[t], alone.log_p[t], 1e-5);
                        EXPECT_NEAR(other->alternatives[t][1].log_p, alone.alternatives[t][1].log_p, 1e-5);
                    }
                }
            }
        }
    }
}

TEST(Decode, ChosenTokensHaveTheModelsProbabilities) {
    const auto model = make_model(testing::kStepModels[0]);
    const DecodeOptions options{.sampling = {.temperature = 0.5}, .until = {.tokens = 6}, .alternatives = 3};
    const Decoded made = decode_rows(*model, 1, {{{1, 2, 3}, 0}}, options)[0];
    const at::NoGradGuard no_grad;
    Pass pass = model->pass(false);
    pass.memory = 8;
    Ids all = {1, 2, 3};
    all.insert(all.end(), made.tokens.begin(), made.tokens.end());
    const Tensor logits =
        model->forward(at::tensor(all).unsqueeze(1), {}, pass).logits_TBV.select(1, 0).to(at::kDouble).log_softmax(1);
    for (size_t t = 0; t < made.tokens.size(); ++t) {
        const Tensor row = logits[int64_t(t) + 2];
        EXPECT_NEAR(made.log_p[t], row[made.tokens[t]].item<double>(), 1e-5);
        ASSERT_EQ(made.alternatives[t].size(), 3u);
        const auto best = row.topk(3);
        for (int64_t i = 0; i < 3; ++i) {
            EXPECT_EQ(made.alternatives[t][size_t(i)].token, std::get<1>(best)[i].item<int64_t>());
            EXPECT_NEAR(made.alternatives[t][size_t(i)].log_p, std::get<0>(best)[i].item<double>(), 1e-5);
        }
    }
}

// With projections of the memory kept and not, prompts read in pieces: what one forward pass over everything gives.
TEST(Decode, GenerationEqualsTheFullForwardPass) {
    const at::NoGradGuard no_grad;
    for (const char* text : testing::kStepModels) {
        const auto model = make_model(text);
        const DecodeOptions options{.sampling = {.temperature = 0}, .until = {.tokens = 12}};
        for (const bool keep : {true, false}) {
            Ids seen = {1, 2, 3, 4, 5};
            for (const int64_t token :
                 generate(*model, seen, options, {.memory = 64, .segment = 3, .keep_projections = keep})) {
                const Tensor ids = at::tensor(seen).unsqueeze(1);
                const Tensor logits = model->forward(ids, {}, model->pass(false)).logits_TBV;
                EXPECT_EQ(token, logits[-1][0].argmax().item<int64_t>())
                    << text << " after " << seen.size() << (keep ? " kept" : "");
                seen.push_back(token);
            }
        }
    }
}

TEST(Decode, ATextEndsAtItsEndToken) {
    const auto model = byte_model();
    const Ids all = generate(*model, {1, 2, 3}, {.sampling = {.seed = 5}, .until = {.tokens = 40}}, {});
    ASSERT_EQ(all.size(), 40u);
    DecodeOptions options{.sampling = {.seed = 5}, .until = {.tokens = 40, .end = all[10]}};
    Ids seen;
    const Ids made =
        generate(*model, {1, 2, 3}, options, {}, [&](int64_t token) { return seen.push_back(token), true; });
    const auto first = std::find(all.begin(), all.end(), all[10]);
    EXPECT_EQ(made, Ids(all.begin(), first));
    EXPECT_EQ(seen, made);
    options.until.end.reset();
    EXPECT_EQ(generate(*model, {1, 2, 3}, options, {}, [&](int64_t token) { return token != all[4]; }),
              Ids(all.begin(), std::find(all.begin(), all.end(), all[4]) + 1))
        << "the caller wants no more";
    options.until.tokens = 0;
    EXPECT_TRUE(generate(*model, {1, 2, 3}, options, {}).empty());
}

// Text that may belong to a stop string is held back; the string itself and what follows is never told.
TEST(Decode, StopStringsEndATextAndAreNotTold) {
    const auto model = byte_model();
    const tokenize::ByteTokenizer tokenizer;
    const DecodeOptions plain{.sampling = {.temperature = 0.7, .seed = 3}, .until = {.tokens = 60}};
    Session session(*model, {.memory = 8});
    const DecodeRequest request{text_ids("the "), 0};
    const std::string whole = decode(session, 1, {request}, plain, &tokenizer)[0].text;
    ASSERT_EQ(whole.size(), 60u);
    DecodeOptions options = plain;
    options.until.strings = {whole.substr(30, 4) + "?", whole.substr(20, 5), whole.substr(24, 2)};
    const size_t stop = std::min(whole.find(options.until.strings[1]), whole.find(options.until.strings[2]));
    std::string told;
    const UseToken use = [&](size_t, int64_t, const std::string& text) {
        told += text;
        EXPECT_EQ(whole.compare(0, told.size(), told), 0);
        EXPECT_LE(told.size(), stop);
        return true;
    };
    const Decoded made = decode(session, 1, {request}, options, &tokenizer, use)[0];
    EXPECT_EQ(made.ending, "stop");
    EXPECT_EQ(made.text, whole.substr(0, stop));
    EXPECT_EQ(told, made.text);
    options.until.strings = {whole.substr(55) + "more"};  // only begins
    told.clear();
    const Decoded other = decode(session, 1, {request}, options, &tokenizer,
                                 [&](size_t, int64_t, const std::string& text) { return told += text, true; })[0];
    EXPECT_EQ(other.ending, "tokens");
    EXPECT_EQ(other.text, whole);
    EXPECT_EQ(told, whole) << "what was held back comes at the end";
    EXPECT_ERROR(decode(session, 1, {request}, options, nullptr), ErrorKind::usage, "need the model's tokenizer");
    options.until.strings = {""};
    EXPECT_ERROR(decode(session, 1, {request}, options, &tokenizer), ErrorKind::usage, "a stop string is empty");
}

TEST(Decode, AStopEndsAllTexts) {
    const auto model = byte_model();
    std::stop_source source;
    int tokens = 0;
    const UseToken use = [&](size_t, int64_t, const std::string&) {
        if (++tokens == 10) source.request_stop();
        return true;
    };
    Session session(*model, {.most_rows = 2, .memory = 8});
    const DecodeOptions options{.until = {.tokens = 50}, .stop = source.get_token()};
    const auto made = decode(session, 2, {{{1}, 0}, {{2}, 0}, {{3}, 0}}, options, nullptr, use);
    for (const Decoded& each : made) EXPECT_EQ(each.ending, "stopped");
    EXPECT_EQ(made[0].tokens.size(), 5u);
    EXPECT_EQ(made[1].tokens.size(), 5u);
    EXPECT_TRUE(made[2].tokens.empty());
    EXPECT_EQ(session.rows(), 0);
}

TEST(Decode, TextsGoOnBehindAbsolutePositions) {
    const auto model =
        make_model("width = 16\nlayout = \"sf\"\nheads = 2\npositions = \"learned\"\nmax_positions = 10");
    const DecodeOptions options{.sampling = {.seed = 2}, .until = {.tokens = 40}};
    EXPECT_EQ(generate(*model, {1, 2, 3}, options, {}).size(), 40u);
    EXPECT_EQ(generate(*model, Ids(25, 1), options, {}).size(), 40u);
    const std::vector<DecodeRequest> requests = {{{1, 2, 3}, 0}, {{4}, 0}, {Ids(9, 2), 0}, {Ids(25, 1), 0}};
    const auto together = decode_rows(*model, 3, requests, options);
    for (size_t i = 0; i < requests.size(); ++i)
        EXPECT_EQ(together[i].tokens, decode_rows(*model, 1, {requests[i]}, options)[0].tokens) << i;
}

}  // namespace
}  // namespace lithe
