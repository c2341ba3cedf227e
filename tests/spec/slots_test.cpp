#include "lithe/spec/slots.h"

#include "support/errors.h"

namespace lithe {
namespace {

LayoutNode searched(const std::string& text) { return with_candidates(parse_layout(text), "s f -"); }

std::string chosen(const std::string& text, const std::vector<int64_t>& indices) {
    return to_string(choose_layout(searched(text), indices));
}

TEST(Slots, EachRepetitionIsAPlaceOfItsOwn) {
    EXPECT_EQ(slot_places(searched("?x3")).size(), 3u);
    EXPECT_EQ(slot_places(searched("(s?f)x4 ?")).size(), 5u);
    const auto places = slot_places(searched("s ?{u s} ?"));
    ASSERT_EQ(places.size(), 2u);
    EXPECT_EQ(places[0].candidates, (std::vector<std::string>{"u", "s"}));
    EXPECT_EQ(places[1].candidates, (std::vector<std::string>{"s", "f", "-"}));
    EXPECT_EQ(places[0].column, 3);
}

TEST(Slots, SharedGroupsAreOnePlace) {
    EXPECT_EQ(slot_places(searched("[?f]x3")).size(), 1u);
    EXPECT_EQ(slot_places(searched("([?f]x2)x3 ?")).size(), 2u);
    EXPECT_EQ(slot_places(searched("[(?f)x2 ?]x2")).size(), 2u);
}

TEST(Slots, ChoicesMakeALayout) {
    EXPECT_EQ(chosen("?x3", {0, 1, 2}), to_string(parse_layout("s f -")));
    EXPECT_EQ(chosen("(s?)x2 f", {1, 0}), to_string(parse_layout("(sf)(ss)f")));
    EXPECT_EQ(chosen("[?f]x3 ?", {0, 1}), to_string(parse_layout("[sf]x3 f")));
    EXPECT_EQ(chosen("([?f]x2)x3", {2}), to_string(parse_layout("([-f]x2)x3")));
    EXPECT_EQ(chosen("ux3", {}), to_string(parse_layout("ux3")));
    EXPECT_EQ(chosen("?{<big> s}", {0}), "<big>");
    EXPECT_EQ(to_string(without_slots(searched("s?x2(f?)x2"))), to_string(parse_layout("s-x2(f-)x2")));
}

TEST(Slots, WrongChoicesAndCandidatesAreTold) {
    EXPECT_ERROR(chosen("?x2", {0}), ErrorKind::usage, "more searched places than choices");
    EXPECT_ERROR(chosen("?", {3}), ErrorKind::usage, "no candidate number 4");
    EXPECT_ERROR(with_candidates(parse_layout("?"), "s"), ErrorKind::usage, "at least two");
    EXPECT_ERROR(searched("([sf]x2?)x3"), ErrorKind::usage, "column 1: the repetitions differ");
    EXPECT_EQ(slot_places(searched("[sf]x2 (?f)x3")).size(), 3u);
    EXPECT_ERROR(with_candidates(parse_layout("?"), "s}f{"), ErrorKind::usage, "");
}

}  // namespace
}  // namespace lithe
