// JSON of other people.

#include "src/ai/json.h"

#include <gtest/gtest.h>

#include "taut/base/error.h"

namespace taut::ai::testing {
namespace {

std::string nested(size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(AiJson, KeepsToItsLimits) {
  EXPECT_TRUE(parse_json(nested(128)).has_value());
  EXPECT_FALSE(parse_json(nested(129)).has_value());
  EXPECT_FALSE(parse_json(nested(200'000)).has_value());
  EXPECT_FALSE(parse_json(std::string(200'000, '[')).has_value());
  // Brackets in strings are no depth.
  EXPECT_TRUE(parse_json("\"" + std::string(500, '[') + "\\\"[[\"").has_value());
  SizeLimits limits;
  limits.json = 10;
  EXPECT_TRUE(parse_json("[1,2,3,45]", limits).has_value());
  EXPECT_FALSE(parse_json("[1,2,3,456]", limits).has_value());
}

TEST(AiJson, RefusesWhatIsNoJson) {
  for (const std::string text :
       {"", "NaN", "Infinity", "1e400", "{\"a\":1,}", "\"\xFF\"", "\"\xC0\xAF\"", "\"\xE2\x82\"",
        "'a'", "{a:1}", "[1]]", "// x\n1"}) {
    EXPECT_FALSE(parse_json(text).has_value()) << text;
  }
}

TEST(AiJson, RepairsLoneSurrogates) {
  const std::string replacement = "\xEF\xBF\xBD";
  EXPECT_EQ(parse_json(R"("\ud800")")->get<std::string>(), replacement);
  EXPECT_EQ(parse_json(R"("a\uDC00b")")->get<std::string>(), "a" + replacement + "b");
  EXPECT_EQ(parse_json(R"("\ud83c\ud83c\udf0d")")->get<std::string>(),
            replacement + "\xF0\x9F\x8C\x8D");
  EXPECT_EQ(parse_json(R"("\\ud800\ud800")")->get<std::string>(), "\\ud800" + replacement);
}

TEST(AiJson, ReadsMembersOfTheRightTypeAlone) {
  const Json json = *parse_json(
      R"({"text":"a","whole":3.0,"part":3.5,"big":18446744073709551615,"far":1e19,"list":[1],"no":null,"in":{"x":-2}})");
  EXPECT_EQ(get<std::string>(json, "text"), "a");
  EXPECT_EQ(get<std::string>(json, "whole"), std::nullopt);
  EXPECT_EQ(get<int64_t>(json, "whole"), 3);
  EXPECT_EQ(get<int64_t>(json, "part"), std::nullopt);
  EXPECT_EQ(get<int64_t>(json, "big"), std::nullopt);
  EXPECT_EQ(get<int64_t>(json, "far"), std::nullopt);
  EXPECT_EQ(get<int64_t>(json, "no"), std::nullopt);
  EXPECT_EQ(get<int64_t>(json, "in", "x"), -2);
  EXPECT_EQ(get<int64_t>(json, "in", "y"), std::nullopt);
  EXPECT_EQ(get<int64_t>(json, "list", "x"), std::nullopt);
  EXPECT_EQ(get<bool>(json, "text"), std::nullopt);
  EXPECT_EQ(get<double>(json, "part"), 3.5);
  EXPECT_TRUE(elements(json, "text").empty());
  EXPECT_EQ(elements(json, "list").size(), 1u);
  EXPECT_TRUE(member(Json(), "x").is_null());
}

TEST(AiJson, LastOfTwoMembersWins) {
  EXPECT_EQ(get<int64_t>(*parse_json(R"({"a":1,"a":2})"), "a"), 2);
}

TEST(AiJson, WritesAnyBytes) {
  EXPECT_EQ(to_text(Json("a\xFF"
                         "b")),
            "\"a\xEF\xBF\xBD"
            "b\"");
  EXPECT_EQ(to_text(RequestJson(0.1)), "0.1");
}

TEST(AiJson, OfTheCallerKeepsItsOrder) {
  EXPECT_EQ(to_text(parse_user_object(R"({"z":1,"a":{"y":2,"b":3}})", "extra")),
            R"({"z":1,"a":{"y":2,"b":3}})");
  EXPECT_EQ(to_text(parse_user_object("", "extra")), "{}");
  EXPECT_THROW(parse_user_object("[1]", "extra"), ValueError);
  EXPECT_THROW(parse_user_object("{", "extra"), ValueError);
  EXPECT_THROW(parse_user_json(nested(129), "extra"), ValueError);
  std::string wide = "{\"a\":0";
  for (int i = 0; i < 10'001; ++i) wide += ",\"k" + std::to_string(i) + "\":0";
  EXPECT_THROW(parse_user_json(wide + "}", "extra"), ValueError);
}

}  // namespace
}  // namespace taut::ai::testing
