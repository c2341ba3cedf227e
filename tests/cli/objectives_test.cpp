// What any text can be trained for, as a user has it: each objective trains, says its score, resumes to the bit.
#include "support/files.h"
#include "support/program.h"
#include "support/run_essence.h"
#include "support/tiny_run.h"

namespace lithe {
namespace {

using testing::run;
using testing::TemporaryFolder;

struct Case {
    const char* name;
    const char* objective;
    const char* unscored;  // in words of an evaluation
    std::vector<std::string> settings;
};

const Case kCases[] = {
    {"next", "next", "the first token", {}},
    {"masked",
     "masked",
     "what is not masked",
     {"model.direction=bidirectional", "model.layout=(sf)x2", "model.memory=0"}},
    {"masked_spans",
     "masked",
     "what is not masked",
     {"model.direction=bidirectional", "model.layout=u", "model.memory=0", "objective.mask_unit=spans"}},
    {"spans",
     "spans",
     "what is in no span",
     {"model.layout=scf", "model.memory=0", "model.encoder.layout=sf", "model.positions=sinusoidal",
      "train.length=16"}},
};

class AnyText : public ::testing::TestWithParam<Case> {
 protected:
    testing::ProgramResult train(const std::string& name, const char* steps) const {
        std::vector<std::string> arguments = {
            "train",       config_, "--run", folder_.file(name),
            "--max-steps", steps,   "--set", std::string("objective.name=") + GetParam().objective};
        for (const std::string& each : GetParam().settings) arguments.insert(arguments.end(), {"--set", each});
        return run(arguments);
    }
    TemporaryFolder folder_;
    std::string config_ = testing::tiny_config(folder_);
};

TEST_P(AnyText, TrainsResumesToTheBitAndIsScored) {
    const auto whole = train("whole", "12");
    ASSERT_EQ(whole.code, 0) << whole.err;
    ASSERT_EQ(train("parts", "5").code, 0);
    ASSERT_EQ(train("parts", "12").code, 0);
    EXPECT_EQ(testing::saved_tensors(folder_.file("whole")), testing::saved_tensors(folder_.file("parts")));
    const auto scored = run({"eval", folder_.file("whole"), "--json"}).json();
    EXPECT_EQ(scored["score"]["name"], "bits_per_byte");
    EXPECT_GT(scored["score"]["value"].get<double>(), 0.5);
    EXPECT_LT(scored["score"]["value"].get<double>(), 30);
    EXPECT_EQ(scored["protocol"]["objective"], GetParam().objective);
    EXPECT_EQ(scored["protocol"]["unscored"], GetParam().unscored);
}

INSTANTIATE_TEST_SUITE_P(Objectives, AnyText, ::testing::ValuesIn(kCases),
                         [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace lithe
