#include "lithe/objectives/translator.h"

#include <gtest/gtest.h>

#include "lithe/data/corpus.h"
#include "lithe/infer/beam_search.h"
#include "lithe/objectives/translate.h"
#include "lithe/score/bleu.h"
#include "lithe/spec/config_io.h"
#include "lithe/tokenize/bytes.h"
#include "support/errors.h"
#include "support/files.h"
#include "support/waves.h"

namespace lithe {
namespace {

constexpr int64_t kEnd = 256;

Config config_of(const std::string& more = "") {
    return parse_config(
        "[model]\nwidth = 16\nheads = 2\nlayout = \"(scf)x2\"\npositions = \"learned\"\nmax_positions = 16\n"
        "[model.encoder]\nlayout = \"(sf)x2\"\nmax_positions = 20\n[objective]\nname = \"translate\"\n" +
            more,
        "test");
}

std::unique_ptr<LanguageModel> make_model(const Config& config) {
    auto model = std::make_unique<LanguageModel>(config, 257);
    model->materialize(at::kFloat, at::kFloat, at::kCPU, 5);
    const at::NoGradGuard no_grad;
    for (size_t i = 0; i < model->parameters().size(); ++i)
        if (model->parameters().spec(i).role == Role::head) model->parameters().working(i).mul_(8);
    return model;
}

struct Fixture {
    std::unique_ptr<LanguageModel> model = make_model(config_of());
    tokenize::ByteTokenizer tokenizer;
    Translator translator{*model, tokenizer, kEnd};
    std::vector<Translated> translate(const std::vector<std::string>& lines,
                                      const TranslateOptions& options = {}) const {
        return translator.translate(lines, options, "in.txt");
    }
};

TEST(Translator, ALineIsTranslatedAlikeAloneAndAmongOthers) {
    const Fixture fixture;
    const std::vector<std::string> lines = {"ab", "a longer line here", "xyz", "ab", "q", "hello you"};
    for (const int64_t beam : {1, 4}) {
        const auto all = fixture.translate(lines, {.beam = beam, .most_tokens = 9});
        const auto few = fixture.translate(lines, {.beam = beam, .most_tokens = 9, .rows = 2 * beam});
        ASSERT_EQ(all.size(), lines.size());
        EXPECT_EQ(all[0].text, all[3].text);
        for (size_t i = 0; i < lines.size(); ++i) {
            const auto alone = fixture.translate({lines[i]}, {.beam = beam, .most_tokens = 9})[0];
            EXPECT_EQ(all[i].text, alone.text);
            EXPECT_NEAR(all[i].score, alone.score, 1e-5);
            EXPECT_EQ(few[i].text, alone.text);
            EXPECT_NEAR(few[i].score, alone.score, 1e-5);
        }
    }
}

// The score is the mean log-probability that evaluation gives the translation with its end.
TEST(Translator, ScoresAreThoseOfTeacherForcing) {
    const Fixture fixture;
    const at::NoGradGuard no_grad;
    Aux aux;
    const std::vector<int64_t> source = {'h', 'e', 'y', kEnd};
    const BeamHypothesis best = [&] {
        Session session(*fixture.model, {.most_rows = 3});
        const Bag bag = fixture.model->encode_source(at::tensor(source).unsqueeze(1), {}, false, {}, aux);
        return beam_search(session, {{kEnd}}, {.beam = 3, .end = kEnd, .least_tokens = 1, .most_tokens = 9}, bag)[0][0];
    }();
    std::vector<int64_t> inputs = {kEnd}, targets = best.tokens;
    inputs.insert(inputs.end(), best.tokens.begin(), best.tokens.end());
    targets.push_back(kEnd);
    const Bag bag = fixture.model->encode_source(at::tensor(source).unsqueeze(1), {}, false, {}, aux);
    const double sum = fixture.model
                           ->loss(at::tensor(inputs).unsqueeze(1), at::tensor(targets).unsqueeze(1), {},
                                  fixture.model->pass(false), {}, bag)
                           .sum.item<double>();
    EXPECT_NEAR(best.score, -sum / double(targets.size()), 1e-5);
    EXPECT_NEAR(fixture.translate({"hey"}, {.beam = 3, .most_tokens = 9})[0].score, best.score, 1e-6);
}

TEST(Translator, NamesTheLinesThatItDoesNotTake) {
    const Fixture fixture;
    EXPECT_ERROR(fixture.translate({"ab", "", "c"}), ErrorKind::usage, "the line is empty [in.txt, line 2]");
    EXPECT_ERROR(fixture.translate({"ab", "  \t"}), ErrorKind::usage, "the line is empty [in.txt, line 2]");
    EXPECT_ERROR(fixture.translate({std::string(20, 'x')}), ErrorKind::usage,
                 "the line has 21 tokens with its end, and the encoder reads 20 [in.txt, line 1]");
    const auto kept = fixture.translate({"ab", "", std::string(19, 'x')}, {.beam = 2, .keeps_empty = true});
    ASSERT_EQ(kept.size(), 3u);
    EXPECT_EQ(kept[1].text, "");
    EXPECT_EQ(kept[0].text, fixture.translate({"ab"}, {.beam = 2})[0].text);
    EXPECT_TRUE(fixture.translate({}).empty());
    std::stop_source stop;
    stop.request_stop();
    EXPECT_ERROR(fixture.translate({"ab"}, {.stop = stop.get_token()}), ErrorKind::stopped, "while translating");
    const Config decoder = parse_config("[model]\nwidth = 16\nlayout = \"u\"\n", "test");
    const LanguageModel plain(decoder, 256);
    EXPECT_ERROR(Translator(plain, fixture.tokenizer, 256), ErrorKind::usage, "reads no text to translate");
}

// However long the limit: what the decoder has positions for, and never a line end.
TEST(Translator, TranslationsEndWithTheDecodersPositions) {
    const Fixture fixture;
    for (const auto& each : fixture.translate({"ab", "cd ef"}, {.beam = 2, .most_tokens = 500})) {
        EXPECT_LE(each.text.size(), 15u);
        EXPECT_EQ(each.text.find_first_of("\r\n"), std::string::npos);
    }
}

TEST(Translator, AnObjectiveWritesASplitAndScoresIt) {
    const testing::TemporaryFolder folder;
    for (const char* name : {"train", "valid"}) {
        folder.write(std::string(name) + ".x", "ab\nhello\nfour of them\nlast\n");
        folder.write(std::string(name) + ".y", "ba\nolleh\nmeht fo ruof\ntsal\n");
    }
    const Config config = config_of("[data]\ntrain = \"" + folder.file("train.x") + "\"\nvalid = \"" +
                                    folder.file("valid.x") + "\"\nparallel = \".y\"\n");
    const Corpus corpus = Corpus::open(config.data);
    const auto objective = make_objective(config, corpus.tokenizer());
    const auto model = make_model(config);
    const ScoredText text(corpus.split("valid"), corpus.tokenizer());
    const auto writing = objective->write(Models::of(*model), text, corpus.tokenizer(), {.beam = 2});
    ASSERT_TRUE(writing);
    ASSERT_EQ(writing->texts.size(), 4u);
    std::vector<std::string> written, references;
    const Translator translator(*model, corpus.tokenizer(), kEnd);
    for (const Writing::Text& each : writing->texts) {
        EXPECT_EQ(each.reference, std::string(each.source.rbegin(), each.source.rend()));
        EXPECT_EQ(each.text, translator.translate({each.source}, {.beam = 2}, "in")[0].text);
        written.push_back(each.text);
        references.push_back(each.reference);
    }
    ASSERT_EQ(writing->scores.size(), 2u);
    EXPECT_EQ(writing->scores[0].score.kind.unit, "BLEU");
    EXPECT_EQ(writing->scores[0].score.value, corpus_bleu(written, references, BleuTokens::t13a).score);
    EXPECT_EQ(writing->scores[0].signature, bleu_signature(BleuTokens::t13a));
    EXPECT_EQ(objective->write(Models::of(*model), text, corpus.tokenizer(), {.most = 3})->texts.size(), 3u);
}

}  // namespace
}  // namespace lithe
