#include "lithe/base/wording.h"

#include <gtest/gtest.h>

namespace lithe {
namespace {

std::string all_of_it() {
    return option("run") + "; " + option("out", "DIR") + "; " + setting("train.max_seconds=60") + "; " + any_setting() +
           "; " + budget("steps") + "; " + budget("time") + "; " + command("train TEXT", {}) + "; " +
           command("eval RUN", {option("data", "TEXT"), setting("data.field=body")});
}

// A library's user has members and settings, who runs a program has flags.
TEST(Wording, IsOfTheLibraryUntilAProgramHasItsOwn) {
    const std::string bare =
        "run; out DIR; train.max_seconds=60; a given setting; train.max_steps; train.max_seconds; lithe train TEXT; "
        "lithe eval RUN with data TEXT, data.field=body";
    EXPECT_EQ(all_of_it(), bare);
    static constexpr Wording kOfAProgram = {.option = "/",
                                            .setting = "/s ",
                                            .any_setting = "/s",
                                            .budget_options = true,
                                            .first_choice = " ",
                                            .next_choice = " "};
    set_wording(kOfAProgram);
    EXPECT_EQ(all_of_it(),
              "/run; /out DIR; /s train.max_seconds=60; /s; /max-steps; /max-time; lithe train TEXT; "
              "lithe eval RUN /data TEXT /s data.field=body");
    static constexpr Wording kOfTheLibrary;
    set_wording(kOfTheLibrary);
    EXPECT_EQ(all_of_it(), bare);
}

}  // namespace
}  // namespace lithe
