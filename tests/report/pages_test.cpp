// All pages as a phone shows them.
#include <gtest/gtest.h>

#include "lithe/base/file.h"
#include "lithe/report/comparison.h"
#include "lithe/report/report.h"
#include "lithe/report/search_page.h"
#include "support/browser.h"

namespace lithe {
namespace {

// Names and layouts that offer no place to break a line at.
TEST(PagesOfEveryCommand, FitOnAPhone) {
    if (testing::find_browser().empty()) GTEST_SKIP() << "no browser on this machine";
    testing::TemporaryFolder folder;
    const std::string layout(60, 'u'), name(70, 'n');
    for (const char* run : {"a", "b"}) {
        folder.write(name + run + "/config.toml", "[model]\nwidth = " + std::string(run[0] == 'a' ? "64" : "128") +
                                                      "\nlayout = \"" + layout + run[0] + "\"\n");
        std::string lines;
        for (int step = 1; step <= 40; ++step)
            lines += R"({"step":)" + std::to_string(step) + R"(,"tokens":)" + std::to_string(step * 25'000) +
                     R"(,"seconds":)" + std::to_string(step) +
                     R"(,"loss":2.5,"learning_rate":1e-5,"peak_rss_bytes":1e9})" + "\n";
        folder.write(name + run + "/metrics.jsonl",
                     lines + R"({"step":40,"tokens":1000000,"seconds":40.0,"valid":{"bits_per_byte":1.2,)" +
                         R"("bytes":800,"tokens":400,"unspoken_share":0.25,"protocol":{"split":"valid"}}})" + "\n");
        write_report(folder.file(name + run));
    }
    std::vector<RunRecord> runs = {read_run_record(folder.file(name + "a")), read_run_record(folder.file(name + "b"))};
    for (RunRecord& run : runs) {
        run.parameters = 1'000'000;
        run.training_flops_per_token = 6e6;
    }
    folder.write("compare.html", comparison_page(compare_runs(runs, {2, 65, 300})));
    folder.write("search/search.json", R"({"method":"gumbel","searched":")" + layout + R"(","layout":")" + layout +
                                           R"(","notes":[")" + layout + layout + R"("]})");
    std::string trials;
    for (int i = 0; i < 3; ++i)
        trials += R"({"number":)" + std::to_string(i) + R"(,"origin":"random","layout":")" + layout +
                  R"(","tokens":4000000,"bits_per_byte":1.5,"parameters":)" + std::to_string(1'000'000 + 10'000 * i) +
                  "}\n";
    folder.write("search/trials.jsonl", trials);
    folder.write("search/found.toml", "layout = \"" + layout + layout + "\"\n");
    write_search_page(folder.file("search"));
    for (const std::string& page :
         {folder.file("compare.html"), folder.file(name + "a/report.html"), folder.file("search/search.html")}) {
        const auto opened = testing::open_page(folder, page);
        EXPECT_EQ(opened.console, "") << page;
        EXPECT_GT(opened.width, 0) << page;
        EXPECT_LE(opened.width, 360) << page;
    }
}

}  // namespace
}  // namespace lithe
