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

// The curve began at the first loss and came down late: 2.85 was drawn where 2.21 was logged.
TEST(Report, CurvesAgreeWithWhatIsLogged) {
    testing::TemporaryFolder folder;
    folder.write("config.toml", "[model]\nwidth = 8\nlayout = \"u\"\n");
    std::string lines;
    for (int step = 1; step <= 40; ++step)
        lines += R"({"step":)" + std::to_string(step) + R"(,"tokens":)" + std::to_string(step * 1000) +
                 R"(,"seconds":)" + std::to_string(step) + R"(,"loss":)" + std::to_string(1.5 + 4.0 / (step * step)) +
                 R"(,"learning_rate":0.1})" + "\n";
    folder.write("metrics.jsonl", lines);
    write_report(folder.path());
    const std::string page = testing::read_all(folder.file("report.html"));
    for (const char* words : {"as logged", "training, smoothed", "Not shown: values above 2.8"})
        EXPECT_NE(page.find(words), std::string::npos) << words;
    // the second half lies within 1 % of its end; so it does in the picture, near its lower edge
    const size_t at = page.find("<polyline"), end = page.find("\"/>", at);
    const std::string points = page.substr(at, end - at);
    const size_t middle = points.rfind(' ', points.size() * 3 / 4);
    EXPECT_GT(std::atof(points.c_str() + points.find(',', middle) + 1), 240) << points;
}

TEST(Report, StatesTheUnspokenShare) {
    testing::TemporaryFolder folder;
    folder.write("config.toml", "[model]\nwidth = 8\nlayout = \"u\"\n");
    const std::string line = R"({"step":2,"tokens":200,"seconds":2.0,"valid":{"bits_per_byte":0.335,"bytes":50)";
    folder.write("metrics.jsonl", line + R"(,"unspoken_share":0.625}})" + "\n");
    write_report(folder.path());
    EXPECT_NE(testing::read_all(folder.file("report.html")).find("62.5 % of the scored bytes"), std::string::npos);
    folder.write("metrics.jsonl", line + "}}\n");
    write_report(folder.path());
    EXPECT_EQ(testing::read_all(folder.file("report.html")).find("unspoken"), std::string::npos);
}

TEST(Report, EmptyRunStillMakesAPage) {
    testing::TemporaryFolder folder;
    folder.write("config.toml", "[model]\nwidth = 8\nlayout = \"u\"\n");
    write_report(folder.path());
    EXPECT_NE(testing::read_all(folder.file("report.html")).find("</html>"), std::string::npos);
}

}  // namespace
}  // namespace lithe
