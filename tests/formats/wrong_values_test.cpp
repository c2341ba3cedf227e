// Every value of every JSON text that people hand to us or that lies in a folder of ours, of a kind that it must not
// be.
#include <filesystem>

#include "lithe/base/file.h"
#include "lithe/formats/token_set.h"
#include "lithe/report/report.h"
#include "lithe/report/search_page.h"
#include "lithe/spec/config_io.h"
#include "lithe/tokenize/tokenizer.h"
#include "support/files.h"
#include "support/wrong_values.h"

namespace lithe {
namespace {

using testing::with_each_wrong_value;

TEST(WrongValues, InTokenizersAreRefusedOrRead) {
    int tried = 0;
    for (const auto& each : std::filesystem::directory_iterator(LITHE_SOURCE_FOLDER "/tests/fuzz/corpus/tokenizer")) {
        SCOPED_TRACE(each.path().filename());
        const std::string text = read_file(each.path());
        tried += with_each_wrong_value(text.substr(0, text.find('\n')), [](const std::string& json) {
            const TokenizerPtr tokenizer = tokenizer_from_json(json, "wrong.json");
            tokenizer->decode(tokenizer->encode("aab a"));
        });
    }
    EXPECT_GT(tried, 3000);
}

TEST(WrongValues, InTokenSetsAreRefusedOrRead) {
    TokenSetInfo info;
    info.splits.push_back({"train", 10, 20, 1, {{"train-00000.tokens", 10, 20, 1, "root"}}});
    EXPECT_GT(with_each_wrong_value(to_json(info), [](const auto& json) { token_set_from_json(json, "index.json"); }),
              200);
}

TEST(WrongValues, InConfigurationsAreRefusedOrRead) {
    EXPECT_GT(with_each_wrong_value(to_json(Config()), [](const auto& json) { config_from_json(json, "config.json"); }),
              1000);
}

// A page is a view of what is there: what cannot be read is left out.
TEST(WrongValues, InARunsRecordLeaveItsPage) {
    testing::TemporaryFolder folder;
    folder.write("run/config.toml", "[model]\nwidth = 64\n");
    const std::string line = R"({"step":40,"tokens":1000,"seconds":4.0,"loss":2.5,"learning_rate":1e-5,"joules":1.0})";
    const std::string valid =
        R"({"step":40,"tokens":9,"seconds":4.0,"valid":{"bits_per_byte":1.2,"bytes":8,"tokens":4,)"
        R"("scores":[{"name":"BLEU","value":3.0,"unit":"","higher_is_better":true}],"protocol":{"split":"valid"}}})";
    const std::string record = R"({"schema":"lithe.run/1","starts":[{"time":"a","machine":{"cpu":"b","cores":2}}]})";
    auto show = [&](const std::string& metrics, const std::string& run) {
        folder.write("run/metrics.jsonl", metrics + "\n");
        folder.write("run/run.json", run);
        write_report(folder.file("run"));
    };
    with_each_wrong_value(line, [&](const auto& json) { show(json, record); });
    with_each_wrong_value(valid, [&](const auto& json) { show(line + "\n" + json, record); });
    with_each_wrong_value(record, [&](const auto& json) { show(line + "\n" + valid, json); });
}

TEST(WrongValues, InASearchLeaveItsPage) {
    testing::TemporaryFolder folder;
    const std::string costs =
        R"({"cost":"latency","base":1.0,"candidates":[["a","b"],["a","b"]],"slots":[[1.0,2.0],[1.0,2.0]]})";
    const std::string choice = R"({"progress":0.5,"expected_cost":2.0,"probabilities":[[0.5,0.5],[0.5,0.5]]})";
    const std::string trial = R"({"number":0,"origin":"random","layout":"ab","tokens":9,"bits_per_byte":1.5,)"
                              R"("parameters":10,"seconds":1.0,"cost":1.0})";
    const std::string result = R"({"method":"gumbel","searched":"??","layout":"ab","cost_of":"latency","cost":1.0,)"
                               R"("budget":2.0,"bits_per_byte":1.0,"rank":{"sentence":"s"},"notes":["n"]})";
    auto show = [&](const std::string& c, const std::string& p, const std::string& t, const std::string& r) {
        folder.write("costs.json", c);
        folder.write("supernet/choices.jsonl", p + "\n");
        folder.write("trials.jsonl", t + "\n");
        folder.write("search.json", r);
        write_search_page(folder.path());
    };
    with_each_wrong_value(costs, [&](const auto& json) { show(json, choice, trial, result); });
    with_each_wrong_value(choice, [&](const auto& json) { show(costs, json, trial, result); });
    with_each_wrong_value(trial, [&](const auto& json) { show(costs, choice, json, result); });
    with_each_wrong_value(result, [&](const auto& json) { show(costs, choice, trial, json); });
}

}  // namespace
}  // namespace lithe
