#include "lithe/base/json.h"

#include "support/errors.h"

namespace lithe {
namespace {

using Ordered = nlohmann::ordered_json;

std::string nested(size_t depth, const std::string& open, const std::string& close, const std::string& inside) {
    std::string text;
    for (size_t i = 0; i < depth; ++i) text += open;
    text += inside;
    for (size_t i = 0; i < depth; ++i) text += close;
    return text;
}

TEST(Json, ReadsWhatTheLibraryReads) {
    for (const std::string text :
         {"1", "-3", "2.5e3", "\"a\\u00e9\"", "null", "true", "[]", "{}", R"({"a":[1,{"b":null}],"c":"x","d":[[],{}]})",
          R"({"z":1,"a":2,"m":{"q":[1,2,3]}})", R"([1,[2,[3,[4]]],{"a":{"b":{"c":[5]}}}])"}) {
        EXPECT_EQ(parse_json<nlohmann::json>(text, "test"), nlohmann::json::parse(text)) << text;
        EXPECT_EQ(parse_json<Ordered>(text, "test").dump(), Ordered::parse(text).dump()) << text;
    }
}

// A value of a large object is found again after the object has grown, and the last of two equal names counts.
TEST(Json, LargeObjectsKeepOrderAndTheLastOfEqualNames) {
    std::string text = "{";
    for (int i = 0; i < 300; ++i) text += "\"n" + std::to_string(i) + "\":" + std::to_string(i) + ",";
    text += "\"n7\":{\"x\":1},\"n250\":\"y\"}";
    EXPECT_EQ(parse_json<Ordered>(text, "test").dump(), Ordered::parse(text).dump());
    EXPECT_EQ(parse_json<nlohmann::json>(text, "test"), nlohmann::json::parse(text));
}

TEST(Json, RefusesWhatIsNestedTooDeeply) {
    for (const size_t depth : {257ul, 100'000ul, 1'000'000ul}) {
        EXPECT_ERROR(parse_json(nested(depth, "[", "]", ""), "x.json"), ErrorKind::bad_file, "nested deeper than 256");
        EXPECT_ERROR(parse_json(nested(depth, "{\"a\":", "}", "1"), "x.json"), ErrorKind::bad_file, "x.json");
        EXPECT_FALSE(try_parse_json<nlohmann::json>(nested(depth, "[{\"a\":", "}]", "1")));
    }
    EXPECT_EQ(parse_json(nested(256, "[", "]", ""), "test").size(), 1u);
    EXPECT_FALSE(try_parse_json("[[[]]]", nullptr, {.depth = 2}));
}

TEST(Json, SaysWhereAndWhy) {
    EXPECT_ERROR(parse_json("{\"a\": 1,}", "x.json"), ErrorKind::bad_file, "not valid JSON at byte 9");
    EXPECT_ERROR(parse_json("", "x.json"), ErrorKind::bad_file, "x.json");
    EXPECT_ERROR(parse_json("[1e999]", "x.json"), ErrorKind::bad_file, "a number is too large at byte 6");
    EXPECT_ERROR(parse_json("[1] [2]", "x.json"), ErrorKind::bad_file, "not valid JSON");
    EXPECT_ERROR(parse_json("[\"\xff\"]", "x.json"), ErrorKind::bad_file, "not valid JSON");
    const JsonLimits strict{.unique_names = true};
    EXPECT_ERROR(parse_json(R"({"a":1,"b":{"a":2},"a":3})", "x.json", strict), ErrorKind::bad_file, "'a' stands twice");
    EXPECT_TRUE(try_parse_json(R"({"a":1,"b":{"a":2}})", nullptr, strict));
}

TEST(Json, WholeNumbersFitOrAreRefused) {
    const auto json = parse_json<nlohmann::json>(
        R"({"byte":255,"low":-128,"large":18446744073709551615,"float":1.5,"huge":2.57e31,"text":"1","true":true})",
        "x");
    const auto as = [&]<class T>(const char* name, T) -> T { return whole(json.at(name)); };
    EXPECT_EQ(as("byte", uint8_t()), 255);
    EXPECT_EQ(as("low", int8_t()), -128);
    EXPECT_EQ(as("large", uint64_t()), ~uint64_t(0));
    EXPECT_THROW(as("byte", int8_t()), nlohmann::json::type_error);
    EXPECT_THROW(as("low", uint64_t()), nlohmann::json::type_error);
    EXPECT_THROW(as("large", int64_t()), nlohmann::json::type_error);
    for (const char* name : {"float", "huge", "text", "true"})
        EXPECT_THROW(as(name, int64_t()), nlohmann::json::type_error) << name;
    EXPECT_EQ(whole_numbers<int32_t>(nlohmann::json({1, -2})), (std::vector<int32_t>{1, -2}));
    EXPECT_THROW(whole_numbers<int32_t>(nlohmann::json({1, 1.0})), nlohmann::json::type_error);
    EXPECT_THROW(whole_numbers<int32_t>(json), nlohmann::json::type_error);
}

}  // namespace
}  // namespace lithe
