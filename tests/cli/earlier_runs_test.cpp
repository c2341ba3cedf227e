// Runs that earlier versions of the program left are evaluated, generated from, and go on.
#include <gtest/gtest.h>

#include "support/earlier_run.h"
#include "support/program.h"

namespace lithe {
namespace {

using testing::EarlierRuns;
using testing::run;

double valid_loss(const testing::ProgramResult& result) {
    const auto json = result.json();
    return json.is_object() && json.contains("valid") ? json["valid"]["loss"].get<double>() : NAN;
}

// At the step where the earlier program stopped, the loss is the one that it measured; training on lowers it as it did
// then, with its moments, carried states and place in the text.
TEST(EarlierRuns, OfSchema1GoOn) {
    const EarlierRuns runs("schema1");
    for (const auto& [name, expected] : runs.expected().items()) {
        const auto there = run({"train", runs.folder(name), "--json"});
        ASSERT_EQ(there.code, 0) << name << ": " << there.err;
        EXPECT_NEAR(valid_loss(there), expected["loss"].get<double>(), 1e-5) << name;
        const auto on = run({"train", runs.folder(name), "--max-steps", "90", "--json"});
        ASSERT_EQ(on.code, 0) << name << ": " << on.err;
        EXPECT_NE(on.err.find("an earlier version of lithe saved it (checkpoint schema 1)"), std::string::npos)
            << name << ": " << on.err;
        EXPECT_NE(on.err.find("from step 31 on the bits differ"), std::string::npos) << name << ": " << on.err;
        EXPECT_EQ(on.json()["steps"], 90);
        EXPECT_LT(valid_loss(on), expected["loss"].get<double>() - 0.05) << name;
        if (name != "supernet") {  // which draws what it trains
            EXPECT_NEAR(valid_loss(on), expected["loss_at_90"].get<double>(), 1e-3) << name;
        }
        const auto once_more = run({"train", runs.folder(name), "--max-steps", "95", "--json"});
        EXPECT_EQ(once_more.code, 0) << name << ": " << once_more.err;
        EXPECT_EQ(once_more.err.find("earlier version"), std::string::npos) << "said once: " << once_more.err;
    }
}

TEST(EarlierRuns, OfSchema1AreEvaluatedAndGeneratedFrom) {
    const EarlierRuns runs("schema1");
    for (const auto& [name, expected] : runs.expected().items()) {
        if (name == "supernet") continue;  // a network of a search is no model
        const auto evaluated = run({"eval", runs.folder(name), "--json"});
        ASSERT_EQ(evaluated.code, 0) << name << ": " << evaluated.err;
        EXPECT_NEAR(evaluated.json()["loss"].get<double>(), expected["loss"].get<double>(), 1e-5) << name;
        const std::string weights = runs.checkpoint(name) + "/model.safetensors";
        const auto spoken = run({"generate", weights, "--prompt", "an ", "--tokens", "5", "--json"});
        EXPECT_EQ(spoken.code, 0) << name << ": " << spoken.err;
    }
}

}  // namespace
}  // namespace lithe
