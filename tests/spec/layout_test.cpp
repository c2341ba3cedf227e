#include "lithe/spec/layout.h"

#include "support/errors.h"

namespace lithe {
namespace {

TEST(Layout, PrintsWhatItParsed) {
    for (const char* text : {"ux10", "(rrrru)x2", "<sru>x8", "[sf]x12", "(sfff)x6(f)x8", "(lb)x2lsblb",
                             "sf?{sf-}f(?{sf-})x4", "-", "?", "[s(fu)x3]x2", "~(sf)x12", "f~[sf]x6", "(~(sf)x2c)x3",
                             "~(sf)", "@[sf]x12", "f@(sf)x3@[s?]x2", "@(~(sf)x2f@[l]x3)", "@[s]"})
        EXPECT_EQ(to_string(parse_layout(text)), text);
    EXPECT_EQ(to_string(parse_layout(" u x 10 ")), "ux10");
    EXPECT_EQ(to_string(parse_layout("s f ?{ s f - } f")), "sf?{sf-}f");
}

TEST(Layout, CountsApplications) {
    EXPECT_EQ(count_blocks(parse_layout("(rrrru)x2")), 10);
    EXPECT_EQ(count_blocks(parse_layout("(sfff)x6(f)x8")), 32);
    EXPECT_EQ(count_blocks(parse_layout("[s f]x12")), 24);
    EXPECT_TRUE(has_slots(parse_layout("s(f?)x2")));
    EXPECT_FALSE(has_slots(parse_layout("s(ff)x2")));
    EXPECT_EQ(count_blocks(parse_layout("~(sf)x12")), 24);
    EXPECT_TRUE(has_reversible(parse_layout("s(f~(sf))x2")));
    EXPECT_FALSE(has_reversible(parse_layout("s(fsf)x2")));
    EXPECT_EQ(count_blocks(parse_layout("@[sf]x12")), 24);
    EXPECT_TRUE(has_halting(parse_layout("s(f@[sf])x2")));
    EXPECT_FALSE(has_halting(parse_layout("s(f~[sf])x2")));
}

TEST(Layout, KeepsTheTree) {
    LayoutNode root = parse_layout("s(fu)x3[l]x2");
    ASSERT_EQ(root.children.size(), 3u);
    EXPECT_EQ(root.children[1].type, LayoutNode::Type::group);
    EXPECT_EQ(root.children[1].repeat, 3);
    EXPECT_EQ(root.children[1].children.size(), 2u);
    EXPECT_EQ(root.children[2].type, LayoutNode::Type::shared_group);
    EXPECT_EQ(root.children[1].column, 2);
    auto names = block_names(root);
    ASSERT_EQ(names.size(), 4u);
    EXPECT_EQ(names[3].first, "l");
    EXPECT_EQ(names[3].second, 9);
}

struct Bad {
    const char* text;
    const char* words;
};

TEST(Layout, ErrorsPointAtTheColumn) {
    for (const Bad& bad : {Bad{"", "column 1: the layout is empty"},
                           {"ux", "column 2: 'x' must be followed"},
                           {"ux0", "column 3: a repetition is 1"},
                           {"ux99999", "column 3: a repetition is 1"},
                           {"xu", "column 1: 'x' repeats"},
                           {"u@s", "column 2: '@' stands before a group"},
                           {"@(s?)x2", "column 1: steps of a halting run that are searched are alike"},
                           {"~(s@(f))", "column 1: a reversible run holds no halting run"},
                           {"u(s", "column 2: '(' is never closed"},
                           {"u)", "column 2: ')' closes nothing"},
                           {"u()", "column 2: the group is empty"},
                           {"s<sru", "column 2: '<' is never closed"},
                           {"<>", "column 1: the name is empty"},
                           {"<s u>", "column 3: a name holds"},
                           {"s5", "column 2: expected a letter"},
                           {"?{s", "column 1: '{' is never closed"},
                           {"?{s}", "column 1: a searched place needs"},
                           {"?{ss}", "column 4: the candidate stands here twice"},
                           {"ux2x3", "column 4: only one repetition"},
                           {"s(f]", "column 4: ']' closes nothing"},
                           {"?{(s)}", "column 3: a candidate is"}})
        EXPECT_ERROR(parse_layout(bad.text), ErrorKind::usage, bad.words);
}

TEST(Layout, RefusesWhatNobodyCanBuild) {
    EXPECT_ERROR(parse_layout("((ux10000)x10000)x10000"), ErrorKind::usage, "more than 100000 blocks");
    EXPECT_ERROR(parse_layout(std::string(200, '(') + "u" + std::string(200, ')')), ErrorKind::usage, "nested deeper");
    EXPECT_ERROR(parse_layout(std::string(20000, 'u')), ErrorKind::usage, "longer than");
}

}  // namespace
}  // namespace lithe
