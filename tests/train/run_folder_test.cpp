#include "lithe/train/run_folder.h"

#include "support/errors.h"
#include "support/files.h"

namespace lithe {
namespace {

// What a killed run left goes, what is not a run's stays, whatever its name is like.
TEST(RunFolder, CleansOnlyWhatIsItsOwn) {
    testing::TemporaryFolder folder;
    const std::string ours[] = {"run.json.tmp-12", "latest.tmp-7",
                                "checkpoints/.tmp-step-000000012-34/model.safetensors",
                                "checkpoints/.del-step-000000003/manifest.json"};
    const std::string others[] = {"thesis.tmp-1",
                                  "thesis.txt",
                                  "run.json.tmp-old",
                                  "folder.tmp-1/precious",
                                  "checkpoints/.tmp-mine/precious",
                                  "checkpoints/.old-photos/precious",
                                  "checkpoints/.del-step-000000003/notes.txt"};
    for (const std::string& name : ours) folder.write(name, "left");
    for (const std::string& name : others) folder.write(name, "mine");
    folder.write("checkpoints/.old-step-000000008-34/manifest.json", "the only one");
    RunFolder(folder.path()).clean();
    for (const std::string& name : ours) EXPECT_FALSE(std::filesystem::exists(folder.file(name))) << name;
    for (const std::string& name : others) EXPECT_EQ(testing::read_all(folder.file(name)), "mine") << name;
    EXPECT_FALSE(std::filesystem::exists(folder.file("checkpoints/.tmp-step-000000012-34")));
    EXPECT_EQ(testing::read_all(folder.file("checkpoints/step-000000008/manifest.json")), "the only one");
}

}  // namespace
}  // namespace lithe
