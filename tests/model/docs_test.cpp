// What the documents say is what the tables hold.
#include <gtest/gtest.h>

#include "lithe/blocks/block.h"
#include "lithe/kernels/catalog.h"
#include "lithe/spec/config_io.h"
#include "support/files.h"

namespace lithe {
namespace {

std::string document(const std::string& name) { return testing::read_all(LITHE_SOURCE_FOLDER "/" + name); }

TEST(Docs, BlocksTableEqualsTheRegistry) {
    std::istringstream lines(document("docs/blocks.md"));
    std::map<std::string, std::string> rows;
    for (std::string line; std::getline(lines, line);)
        if (line.rfind("| `", 0) == 0) rows[line.substr(3, line.find('`', 3) - 3)] = line;
    EXPECT_EQ(rows.size(), block_kinds().size());
    for (const BlockKind& kind : block_kinds()) {
        ASSERT_TRUE(rows.count(kind.name)) << kind.name << " is missing in docs/blocks.md";
        const std::string& row = rows[kind.name];
        if (kind.letter) { EXPECT_NE(row.find(std::string("`") + kind.letter + "`"), std::string::npos) << row; }
        EXPECT_NE(row.find(kind.traits.own_residual ? "| own |" : "| shell |"), std::string::npos) << row;
        for (const FieldDoc& field : list_fields([&](FieldVisitor& v) { kind.make_options(ModelConfig())->visit(v); }))
            EXPECT_NE(row.find("`" + field.path + "`"), std::string::npos) << kind.name << " option " << field.path;
    }
}

TEST(Docs, KernelsTableEqualsTheCatalog) {
    std::string text = document("docs/kernels.md");
    for (const auto& row : kernels::catalog())
        EXPECT_NE(text.find(std::string("| `") + row.name + "` |"), std::string::npos) << row.name;
}

TEST(Docs, ReadmeNamesFilesThatExist) {
    std::string text = document("README.md");
    for (size_t at = 0; (at = text.find("](", at)) != std::string::npos; ++at) {
        std::string target = text.substr(at + 2, text.find(')', at) - at - 2);
        EXPECT_TRUE(std::filesystem::exists(LITHE_SOURCE_FOLDER "/" + target)) << target;
    }
    for (size_t at = 0; (at = text.find("configs/", at)) != std::string::npos; ++at) {
        std::string target = text.substr(at, text.find_first_of(" `", at) - at);
        EXPECT_TRUE(std::filesystem::exists(LITHE_SOURCE_FOLDER "/" + target)) << target;
    }
}

}  // namespace
}  // namespace lithe
