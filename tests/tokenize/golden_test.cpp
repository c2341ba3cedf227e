// Ids and texts that the `tokenizers` library made (tools/tokenizer_peers.py --golden), for sixteen makes of
// tokenizer.json.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "lithe/tokenize/tokenizer.h"
#include "lithe/tokenize/unicode.h"
#include "support/files.h"

namespace lithe {
namespace {

TEST(TokenizerJson, EqualsThePeerOnGoldenTexts) {
    int files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(LITHE_SOURCE_FOLDER "/tests/tokenize/golden")) {
        const std::string name = entry.path().filename().string();
        const auto golden = nlohmann::ordered_json::parse(testing::read_all(entry.path().string()));
        const auto tokenizer = tokenizer_from_json(golden["tokenizer"].dump(), name);
        for (const auto& each : golden["cases"]) {
            const auto text = each["text"].get<std::string>();
            const auto ids = each["ids"].get<std::vector<int64_t>>();
            EXPECT_EQ(tokenizer->encode(text), ids) << name << ": " << text;
            EXPECT_EQ(tokenize::replace_bad_bytes(tokenizer->decode(ids)), each["back"].get<std::string>())
                << name << ": " << text;
            EXPECT_TRUE(!tokenizer->lossless() || tokenizer->decode(ids) == text) << name;
        }
        // what is written reads back as the same tokenizer
        const auto again = tokenizer_from_json(tokenizer->to_json(), name);
        EXPECT_EQ(again->hash(), tokenizer->hash()) << name;
        ++files;
    }
    EXPECT_GE(files, 16);
}

}  // namespace
}  // namespace lithe
