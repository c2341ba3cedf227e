// BLEU and chrF equal sacreBLEU's. The numbers are those of tests/golden/make_translation_scores.py, which asks it.
#include <gtest/gtest.h>

#include "lithe/score/bleu.h"
#include "lithe/score/chrf.h"
#include "support/errors.h"

namespace lithe {
namespace {

using Texts = std::vector<std::string>;

const Texts kHypotheses = {"the cat sat on the mat .", "A man, in a blue shirt; walks 3.5 km!", "hello world",
                           "das ist gut"};
const Texts kReferences = {"the cat is on the mat .", "A man in a blue shirt walks 3.5 km.", "hello there world",
                           "das ist sehr gut"};

TEST(Bleu, OfFourPairs) {
    const Bleu bleu = corpus_bleu(kHypotheses, kReferences, BleuTokens::t13a);
    EXPECT_NEAR(bleu.score, 38.528271632508865, 1e-10);
    const double precisions[] = {83.333333333333329, 55.0, 31.25, 15.384615384615385};
    for (size_t n = 0; n < kBleuOrder; ++n) EXPECT_NEAR(bleu.precisions[n], precisions[n], 1e-10);
    EXPECT_EQ(bleu.brevity_penalty, 1);
    EXPECT_EQ(bleu.hypothesis_tokens, 24);
    EXPECT_EQ(bleu.reference_tokens, 24);
    const Bleu as_it_stands = corpus_bleu(kHypotheses, kReferences, BleuTokens::none);
    EXPECT_NEAR(as_it_stands.score, 27.838816569749692, 1e-10);
    EXPECT_NEAR(as_it_stands.brevity_penalty, 0.909156442876713, 1e-12);
    EXPECT_EQ(bleu_signature(BleuTokens::none), "nrefs:1|case:mixed|eff:no|tok:none|smooth:exp|version:2.6.0");
}

TEST(Chrf, OfFourPairs) {
    EXPECT_NEAR(corpus_chrf(kHypotheses, kReferences), 61.094583042141224, 1e-10);
    EXPECT_EQ(chrf_signature(), "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.6.0");
}

TEST(Bleu, TokensOfMteval) {
    EXPECT_EQ(tokenize_13a("don't (stop) 1,000.50-2 &quot;x&quot; a-b U.S. 5-year <skipped>"),
              "don't ( stop ) 1,000.50 - 2 \" x \" a-b U . S . 5 - year");
    EXPECT_EQ(tokenize_13a("a,.b \xC3\xA9. x-\ny"), "a , . b \xC3\xA9 . xy");
    EXPECT_EQ(tokenize_13a(" \xC2\xA0 "), "");
}

struct Odd {
    Texts hypotheses, references;
    double bleu_13a, bleu_none, chrf;
};

TEST(TranslationScores, OfOddTexts) {
    const Odd all[] = {
        {{"a b c"}, {"x y z"}, 0, 0, 0},
        {{""}, {"a b"}, 0, 0, 0},
        {{"a"}, {""}, 0, 0, 0},
        {{"a b c d e f", "\xC3\xA9t\xC3\xA9\xC2\xA0\xC3\xA0 la plage."},
         {"a b c d e g", "\xC3\xA9t\xC3\xA9 \xC3\xA0 la plage ."},
         86.277886408904116,
         60.510125089144566,
         91.703042328042344},
        {{"the the the the", "x"}, {"the cat", "y"}, 15.106876986783844, 15.106876986783844, 16.763302214593715},
        {{"ab"}, {"ab"}, 0, 0, 100},
        {{" a  b "}, {"a b"}, 0, 0, 100},
        {{"1,000.5-2 a-b U.S. &quot;x&quot; <skipped>q"},
         {"1,000.5 - 2 a-b U.S. \"x\" q"},
         100,
         14.320952289897704,
         64.581406240412872},
    };
    for (const Odd& each : all) {
        const auto bleu = [&](BleuTokens tokens) {
            return corpus_bleu(each.hypotheses, each.references, tokens).score;
        };
        EXPECT_NEAR(bleu(BleuTokens::t13a), each.bleu_13a, 1e-10) << each.hypotheses[0];
        EXPECT_NEAR(bleu(BleuTokens::none), each.bleu_none, 1e-10) << each.hypotheses[0];
        EXPECT_NEAR(corpus_chrf(each.hypotheses, each.references), each.chrf, 1e-10) << each.hypotheses[0];
    }
    EXPECT_EQ(corpus_bleu({}, {}, BleuTokens::none).score, 0);
    EXPECT_EQ(corpus_chrf({}, {}), 0);
    EXPECT_ERROR(corpus_bleu({"a"}, {}, BleuTokens::none), ErrorKind::failed, "1 hypotheses for 0 references");
    EXPECT_ERROR(corpus_chrf({"a"}, {}), ErrorKind::failed, "1 hypotheses for 0 references");
}

}  // namespace
}  // namespace lithe
