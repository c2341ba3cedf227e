#include "lithe/report/curves.h"

#include <gtest/gtest.h>

#include <cmath>

#include "lithe/base/rng.h"

namespace lithe {
namespace {

std::vector<CurvePoint> falling(size_t count, double noise) {
    std::vector<CurvePoint> points;
    for (size_t i = 0; i < count; ++i)
        points.push_back({100.0 * double(i + 1),
                          2 + 6 / (1 + 0.3 * double(i)) + noise * (random_unit(uint64_t(3), uint64_t(i)) - 0.5)});
    return points;
}

// An exponential average from the first loss on drew 2.85 where 2.21 was logged.
TEST(Smoothing, AgreesWithWhatIsLogged) {
    for (size_t count : {1, 2, 5, 40, 300, 2000}) {
        const auto points = falling(count, 0), smooth = smoothed(points);
        ASSERT_EQ(smooth.size(), count);
        for (size_t i = 0; i < count; ++i) EXPECT_NEAR(smooth[i].y / points[i].y, 1, 0.005) << i << " of " << count;
    }
}

TEST(Smoothing, IsExactOnLinesAndTakesNoiseAway) {
    std::vector<CurvePoint> line;
    for (int i = 0; i < 200; ++i) line.push_back({double(i), 5 - 0.01 * i});
    for (const CurvePoint& point : smoothed(line)) EXPECT_NEAR(point.y, 5 - 0.01 * point.x, 1e-9);
    const auto exact = falling(2000, 0), smooth = smoothed(falling(2000, 0.4));
    double squares = 0;
    for (size_t i = 200; i < 2000; ++i) squares += std::pow(smooth[i].y - exact[i].y, 2) / 1800;
    EXPECT_LT(std::sqrt(squares), 0.02) << "of a deviation of 0.115";
    EXPECT_NEAR(smooth.back().y, exact.back().y, 0.06) << "the last point does not lag";
}

TEST(Smoothing, LeavesOutWhatIsNotFinite) {
    auto points = falling(20, 0);
    points[3].y = NAN;
    points[4].y = INFINITY;
    const auto smooth = smoothed(points);
    ASSERT_EQ(smooth.size(), 18u);
    for (const CurvePoint& point : smooth) EXPECT_TRUE(std::isfinite(point.y));
    EXPECT_TRUE(smoothed({}).empty());
}

TEST(Thinning, KeepsTheEndsAndTheEarlyPart) {
    const auto points = falling(5000, 0), thin = thinned(points, 100);
    EXPECT_LE(thin.size(), 102u);
    EXPECT_EQ(thin.front().x, points.front().x);
    EXPECT_EQ(thin.back().x, points.back().x);
    EXPECT_EQ(thin[1].x, points[1].x);
    EXPECT_EQ(thinned(points, 5000).size(), 5000u);
}

TEST(TrainingChart, ShowsTheInterestingPartAndSaysWhatIsCutOff) {
    const Chart chart = training_chart("t", "tokens", {{"training", falling(1000, 0), true, 0}});
    EXPECT_DOUBLE_EQ(chart.x_from, 2000);
    EXPECT_LT(chart.y_to, 2.5) << "the last 96 % lie between 2.02 and 2.47";
    EXPECT_GT(chart.y_to, 2.3);
    const std::string html = chart_html(chart);
    EXPECT_NE(html.find("Not shown: what was before 2000 tokens, and values above 2.3"), std::string::npos) << html;
    EXPECT_NE(html.find("tokens, logarithmic"), std::string::npos);
    // nothing is cut off from curves that are flat
    std::vector<CurvePoint> flat;
    for (int i = 10; i < 100; ++i) flat.push_back({double(i), 2 - 0.001 * i});
    EXPECT_EQ(chart_html(training_chart("t", "tokens", {{"", flat}})).find("Not shown"), std::string::npos);
    EXPECT_EQ(chart_html(training_chart("t", "tokens", {})), "");
    EXPECT_EQ(chart_html(training_chart("t", "tokens", {{"", {{0, 1}, {NAN, 2}}}})), "");
    // numbers whose differences are no numbers
    for (const double large : {1e18, 1e299, 1e305})
        for (const double other : {large, -large}) {
            const Chart chart{"t", "x", {{.label = "", .points = {{large, large, "a"}, {other, other, "b"}}}}};
            EXPECT_EQ(chart_html(chart).find("nan"), std::string::npos) << large << " and " << other;
        }
}

// A run that is a tenth as long decides what the axis begins with, and its own late part is seen.
TEST(TrainingChart, ShortRunsBesideLongOnesAreSeen) {
    const auto whole = falling(2000, 0);
    const Chart chart =
        training_chart("t", "tokens", {{"long", whole}, {"short", {whole.begin(), whole.begin() + 200}, true, 1}});
    EXPECT_DOUBLE_EQ(chart.x_from, 400);
    EXPECT_GT(chart.y_to, whole[15].y);
}

double attribute(const std::string& html, const std::string& name, size_t from) {
    return std::atof(html.c_str() + html.find(name + "=\"", from) + name.size() + 2);
}

// Values that differ by their last bit, or by nothing: a step below a bit never gets further.
TEST(ChartHtml, NextToNoSpanHasFewTicks) {
    const double value = 2.7582977097, next = std::nextafter(value, 3);
    for (const double other : {value, next, value + 1e-15}) {
        Chart chart{"t", "x", {{"", {{1, value}, {2, other}}}}};
        chart.y_to = next;
        EXPECT_LT(chart_html(chart).size(), 20'000u) << other - value;
    }
}

TEST(ChartHtml, NoTickReachesOverTheEdges) {
    for (double end : {7.0, 999.0, 12'345.0, 100'000.0, 1e6, 2.5e6, 98.7e6, 1e9, 3e12})
        for (bool log : {false, true}) {
            const std::string html = chart_html({"t", "x", {{"", {{end / 1000, 1}, {end, 2e-5}}}}, log});
            int ticks = 0;
            for (size_t at = 0; (at = html.find("<text class=\"tick\" text-anchor=\"", at)) != std::string::npos;
                 ++at) {
                const size_t anchor = html.find("text-anchor=\"", at) + 13, text = html.find('>', at) + 1;
                const double x = attribute(html, "x", at);
                const double width = 11.0 * double(html.find('<', text) - text);
                const bool ends = html.compare(anchor, 3, "end") == 0;
                EXPECT_GE(ends ? x - width : x - width / 2, 0) << html.substr(at, 90);
                EXPECT_LE(ends ? x : x + width / 2, 640) << html.substr(at, 90);
                ++ticks;
            }
            EXPECT_GE(ticks, 6) << end;
            EXPECT_LE(ticks, 20) << end;
        }
}

TEST(ChartHtml, LongNamesStayInside) {
    const std::string name(80, 'n');
    for (double x : {0.0, 5.0, 10.0}) {
        const std::string html =
            chart_html({"t", "x", {{"", {{0, 0}, {10, 1}}, false}, {"", {{x, 0.5, name}}, false}}});
        const size_t at = html.find("class=\"name"), text = html.find('>', at) + 1, end = html.find("…", text);
        ASSERT_NE(end, std::string::npos);
        const double place = attribute(html, "x", at), width = 11.0 * double(end - text + 1);
        EXPECT_GE(html.find("text-anchor=\"end\"", at) < text ? place - width : place, 0);
        EXPECT_LE(html.find("text-anchor=\"end\"", at) < text ? place : place + width, 640);
        EXPECT_NE(html.find("<title>" + name), std::string::npos);
    }
}

TEST(TableHtml, CellsKnowTheirHead) {
    const std::string html =
        table_html({{"run", "bits/byte"}, {"a", "1.5"}, {"b", "a cell so long that it may wrap in the table"}});
    EXPECT_NE(html.find("<td data-head=\"bits/byte\">1.5</td>"), std::string::npos) << html;
    EXPECT_NE(html.find("<td class=\"long\" data-head=\"bits/byte\">"), std::string::npos) << html;
}

}  // namespace
}  // namespace lithe
