#include "lithe/report/search_rank.h"

#include <gtest/gtest.h>

#include "lithe/report/search_page.h"
#include "support/files.h"

namespace lithe {
namespace {

TEST(SearchRank, AResultThatIsFourthOfFiveSaysSo) {
    const auto rank = rank_of_result({{"found", "sf", 1.5},
                                      {"baseline", "ss", 1.2},
                                      {"baseline", "ff", 1.7},
                                      {"random", "us", 1.3},
                                      {"random", "su", 1.4}},
                                     ScoreKind());
    ASSERT_TRUE(rank);
    EXPECT_EQ(rank->place, 4u);
    EXPECT_EQ(rank->of, 5u);
    EXPECT_EQ(rank->sentence,
              "The result is only fourth of five layouts trained equally long, with 1.5000 bits per byte; the best is "
              "baseline ss with 1.2000. Each was trained with one seed.");
}

TEST(SearchRank, TheBestIsTheBest) {
    const auto rank =
        rank_of_result({{"found", "sf", 1.2}, {"baseline", "ss", 1.2}, {"random", "us", 1.3}}, ScoreKind());
    ASSERT_TRUE(rank);
    EXPECT_EQ(rank->place, 1u);
    EXPECT_NE(rank->sentence.find("is first of three"), std::string::npos) << rank->sentence;
    EXPECT_NE(rank->sentence.find("the next is baseline ss with 1.2000"), std::string::npos) << rank->sentence;
    const auto dear =
        rank_of_result({{"found", "u", 1.5, 2}, {"baseline", "sf", 1.2, 9}, {"random", "s", 1.6, 2}}, ScoreKind());
    EXPECT_NE(dear->sentence.find("only second of three"), std::string::npos);
    EXPECT_NE(dear->sentence.find("baseline sf with 1.2000 at 4.5 times the cost."), std::string::npos);
    EXPECT_FALSE(rank_of_result({{"found", "sf", 1.2}}, ScoreKind()));
    EXPECT_FALSE(rank_of_result({}, ScoreKind()));
}

TEST(SearchRank, KnowsWhatIsBetter) {
    const ScoreKind accuracy{"accuracy", "of 1 right", false};
    const auto rank = rank_of_result({{"found", "sf", 0.9}, {"baseline", "ss", 0.8}, {"random", "us", 0.7}}, accuracy);
    ASSERT_TRUE(rank);
    EXPECT_EQ(rank->place, 1u);
    EXPECT_NE(rank->sentence.find("0.9000 of 1 right; the next is baseline ss with 0.8000"), std::string::npos)
        << rank->sentence;
}

TEST(SearchPage, ShowsTheRankTheNotesAndBothConfigurations) {
    testing::TemporaryFolder folder;
    folder.write("search.json",
                 R"({"method":"gumbel","layout":"sf","rank":{"place":4,"of":5,"sentence":"only fourth of five"},)"
                 R"("notes":["two were <left> out"]})");
    folder.write("found.toml", "width = 16  # search.toml line 2\n");
    folder.write("config.toml", "period = 4  # --set\n");
    write_search_page(folder.path());
    const std::string page = testing::read_all(folder.file("search.html"));
    for (const char* words : {"only fourth of five", "two were &lt;left&gt; out", "width = 16  # search.toml line 2",
                              "Settings of the search", "period = 4  # --set"})
        EXPECT_NE(page.find(words), std::string::npos) << words;
}

}  // namespace
}  // namespace lithe
