#include "lithe/report/report.h"

#include "support/errors.h"
#include "support/files.h"

namespace lithe {
namespace {

TEST(Report, HoldsTheNumbersAndEscapesText) {
    testing::TemporaryFolder folder;
    folder.write("config.toml", "[model]\nwidth = 8\nlayout = \"u\"\n");
    folder.write(
        "metrics.jsonl",
        R"({"step":1,"tokens":100,"seconds":1.0,"loss":2.0,"learning_rate":0.1,"tokens_per_second":100.0,"peak_rss_bytes":1048576})"
        "\n"
        R"({"step":2,"tokens":200,"seconds":2.0,"valid":{"bits_per_byte":1.2345,"perplexity":3.0,"bytes":50,"protocol":{"split":"valid"}}})"
        "\ncut off li");
    folder.write("samples.jsonl", R"({"step":2,"prompt":"<b>","text":"a & b"})"
                                  "\n");
    write_report(folder.path());
    std::string page = testing::read_all(folder.file("report.html"));
    for (const char* words : {"1.2345", "&lt;b&gt;", "a &amp; b", "<svg", "prefers-color-scheme"})
        EXPECT_NE(page.find(words), std::string::npos) << words;
    EXPECT_EQ(page.find("http"), std::string::npos) << "a report needs no network";
}

TEST(Report, EmptyRunStillMakesAPage) {
    testing::TemporaryFolder folder;
    folder.write("config.toml", "[model]\nwidth = 8\nlayout = \"u\"\n");
    write_report(folder.path());
    EXPECT_NE(testing::read_all(folder.file("report.html")).find("</html>"), std::string::npos);
}

}  // namespace
}  // namespace lithe
