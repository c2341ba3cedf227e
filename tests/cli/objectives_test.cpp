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
    const char* score = "bits_per_byte";
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
    {"middle", "middle", "what is in no middle", {"model.memory=0", "train.length=16"}},
    {"prefix", "prefix", "the first half of each row", {"model.layout=(sf)x2", "model.memory=0"}},
    {"mixed", "mixed", "the first token", {"model.layout=(sf)x2", "model.memory=0"}},
    {"replaced",
     "replaced",
     "nothing",
     {"model.direction=bidirectional", "model.layout=u(sf)", "model.memory=0", "model.head=none"},
     "replaced_bits"},
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
    EXPECT_EQ(scored["score"]["name"], GetParam().score);
    EXPECT_GT(scored["score"]["value"].get<double>(), 0.1);
    EXPECT_LT(scored["score"]["value"].get<double>(), 30);
    EXPECT_EQ(scored["protocol"]["objective"], GetParam().objective);
    EXPECT_EQ(scored["protocol"]["unscored"], GetParam().unscored);
}

// What is fine-tuned of ELECTRA is its discriminator.
TEST(ReplacedTokens, AFineTunedModelHasNoGenerator) {
    const TemporaryFolder folder;
    const auto trained = run({"train", testing::tiny_config(folder), "--run", folder.file("base"), "--max-steps", "3",
                              "--set", "objective.name=replaced", "--set", "model.direction=bidirectional", "--set",
                              "model.layout=(sf)x2", "--set", "model.memory=0", "--set", "model.head=none"});
    ASSERT_EQ(trained.code, 0) << trained.err;
    const auto words = run({"eval", folder.file("base")});
    EXPECT_NE(words.out.find(" bits per token, accuracy "), std::string::npos) << words.out;
    std::string table = "text\tlabel\n";
    for (int i = 0; i < 40; ++i) table += "text number " + std::to_string(i) + (i % 2 ? "\todd\n" : "\teven\n");
    const auto tuned = run({"finetune", folder.file("base"), folder.write("task.tsv", table), "--run",
                            folder.file("tuned"), "--epochs", "1", "--batch", "16", "--threads", "1"});
    ASSERT_EQ(tuned.code, 0) << tuned.err;
    const std::string before = testing::saved_tensors(folder.file("base"));
    const std::string after = testing::saved_tensors(folder.file("tuned"));
    EXPECT_NE(before.find("generator.stack.layers.0."), std::string::npos);
    for (const char* none : {"generator", "replaced_head"}) EXPECT_EQ(after.find(none), std::string::npos) << none;
    EXPECT_NE(after.find("decoder.layers.0."), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Objectives, AnyText, ::testing::ValuesIn(kCases),
                         [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace lithe
