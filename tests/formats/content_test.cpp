#include "lithe/formats/content.h"

#include <gtest/gtest.h>

namespace lithe {
namespace {

// A zip archive as far as its first member's name (PKWARE APPNOTE 4.3.7).
std::string zip_of(const std::string& member) {
    std::string head("PK\3\4\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 26);
    head += {char(member.size()), 0, 0, 0};
    return head + member + std::string(60, 'x');
}

TEST(Content, ContainersAreNoCollectionsOfTexts) {
    const std::pair<const char*, const char*> cases[] = {
        {"[Content_Types].xml", "Office document"},
        {"word/document.xml", "Office document"},
        {"mimetype", "e-book or OpenDocument file"},
        {"checkpoint/data.pkl", "PyTorch file"},
        {"weights.npy", "NumPy arrays"},
        {"META-INF/MANIFEST.MF", "Java archive"},
    };
    for (const auto& [member, name] : cases) {
        const Content content = content_of(zip_of(member));
        EXPECT_EQ(content.kind, ContentKind::binary) << member;
        EXPECT_EQ(content.name, name);
    }
    EXPECT_EQ(content_of(zip_of("chapter one.txt")).kind, ContentKind::packed);
    EXPECT_EQ(content_of(std::string("PK\3\4", 4)).kind, ContentKind::packed);
}

TEST(Content, BinaryWithoutZerosIsKnownByItsBeginning) {
    EXPECT_EQ(content_of("\x80\x04\x95" + std::string(40, 'a')).name, "pickled Python objects");
    EXPECT_EQ(content_of("\xD0\xCF\x11\xE0\xA1\xB1" + std::string(40, 'a')).name, "Office document");
    std::string controls;
    for (int i = 0; i < 200; ++i) controls += char(1 + i % 8);
    EXPECT_EQ(content_of(controls).kind, ContentKind::binary);
    EXPECT_EQ(content_of("a\x1B[31mred\x1B[0m text of a terminal\x07\n").kind, ContentKind::text);
    EXPECT_EQ(content_of("Gr\xFC\xDF Gott, in a code page\n").kind, ContentKind::text);
}

}  // namespace
}  // namespace lithe
