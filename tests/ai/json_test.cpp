// JSON of other people.

#include "src/ai/json.h"

#include <gtest/gtest.h>

#include "src/ai/request_json.h"
#include "taut/base/error.h"

namespace taut::ai::testing {
namespace {

std::string nested(size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

bool is_json(const std::string& text, const SizeLimits& limits = {}) {
  return parse_json(text, limits).has_value();
}

/// The string that a text stands for.
std::string string_of(const std::string& text) {
  const std::optional<JsonDocument> json = parse_json(text);
  return json ? as<std::string>(json->root()).value_or("no string") : "no JSON";
}

TEST(AiJson, KeepsToItsLimits) {
  EXPECT_TRUE(is_json(nested(128)));
  EXPECT_FALSE(is_json(nested(129)));
  EXPECT_FALSE(is_json(nested(200'000)));
  EXPECT_FALSE(is_json(std::string(200'000, '[')));
  // Brackets in strings are no depth.
  const std::string brackets(500, '[');
  EXPECT_TRUE(is_json('"' + brackets + R"(\"[[")"));
  SizeLimits limits;
  limits.json = 10;
  EXPECT_TRUE(is_json("[1,2,3,45]", limits));
  EXPECT_FALSE(is_json("[1,2,3,456]", limits));
  limits = {};
  limits.depth = 200'000;
  EXPECT_TRUE(is_json(nested(200'000), limits));
}

TEST(AiJson, RefusesWhatIsNoJson) {
  for (const std::string text : {"",
                                 " ",
                                 "NaN",
                                 "Infinity",
                                 "1e400",
                                 "-1e400",
                                 "{\"a\":1,}",
                                 "\"\xFF\"",
                                 "\"\xC0\xAF\"",
                                 "\"\xE2\x82\"",
                                 "'a'",
                                 "{a:1}",
                                 "[1]]",
                                 "// x\n1",
                                 "01",
                                 "-",
                                 "-a",
                                 "+1",
                                 "1.",
                                 ".5",
                                 "1e",
                                 "1e+",
                                 "0x1",
                                 "tru",
                                 "truE",
                                 "nul",
                                 "nullx",
                                 "\"",
                                 "\"a",
                                 "\"\\",
                                 "\"\\x\"",
                                 "\"\\u12\"",
                                 "\"\\u12G4\"",
                                 "\"\n\"",
                                 "\"\t\"",
                                 "[",
                                 "[1",
                                 "[1,",
                                 "[,1]",
                                 "[1 2]",
                                 "{",
                                 "{\"a\"",
                                 "{\"a\":",
                                 "{\"a\":1",
                                 "{\"a\" 1}",
                                 "{1:1}",
                                 "{,}",
                                 "{\"a\":1 \"b\":2}",
                                 "}",
                                 "]",
                                 "[}",
                                 "{]",
                                 "1 1",
                                 "\"\xED\xA0\x80\"",
                                 "\"\xF4\x90\x80\x80\"",
                                 "\"\xE0\x9F\xBF\"",
                                 "\"\x80\"",
                                 "\"\\ud800\\uX\"",
                                 "\xEF\xBB"}) {
    EXPECT_FALSE(is_json(text)) << text;
  }
  EXPECT_FALSE(is_json(std::string("1\0", 2)));
  EXPECT_FALSE(is_json(std::string("\"\0\"", 3)));
}

TEST(AiJson, ReadsWhatIsJson) {
  for (const std::string text :
       {"0", "-0", "1.5e-3", "1E+2", " [ ] ", "\n{\r\t}\n", "{\"\":{}}", "[[],{},\"\",null,true]",
        "\xEF\xBB\xBF[]", "\"\x7F\"", "1e-400", "123456789012345678901234567890"}) {
    EXPECT_TRUE(is_json(text)) << text;
  }
}

TEST(AiJson, ReadsEscapes) {
  EXPECT_EQ(string_of(R"("\"\\\/\b\f\n\r\t")"), "\"\\/\b\f\n\r\t");
  EXPECT_EQ(string_of(R"("a\u0041\u00e9\u20AC\ud83c\udf0d b")"),
            "aA\xC3\xA9\xE2\x82\xAC\xF0\x9F\x8C\x8D b");
  EXPECT_EQ(string_of(R"("\u0000")"), std::string(1, '\0'));
  // The first string with an escape makes room for all that follow.
  std::string many = "[\"plain\"";
  for (int i = 0; i < 1000; ++i) many += R"(,"\n\ud800\u00e9x")";
  many += "]";
  const std::optional<JsonDocument> json = parse_json(many);
  ASSERT_TRUE(json.has_value());
  ASSERT_EQ(json->root().size(), 1001u);
  for (const Json& text : json->root()) {
    EXPECT_TRUE(text.string() == "plain" || text.string() == "\n\xEF\xBF\xBD\xC3\xA9x");
  }
}

TEST(AiJson, RepairsLoneSurrogates) {
  const std::string replacement = "\xEF\xBF\xBD";
  EXPECT_EQ(string_of(R"("\ud800")"), replacement);
  EXPECT_EQ(string_of(R"("a\uDC00b")"), "a" + replacement + "b");
  EXPECT_EQ(string_of(R"("\ud83c\ud83c\udf0d")"), replacement + "\xF0\x9F\x8C\x8D");
  EXPECT_EQ(string_of(R"("\\ud800\ud800")"), "\\ud800" + replacement);
  EXPECT_EQ(string_of(R"("\ud800\n\ud800\u0041")"), replacement + "\n" + replacement + "A");
}

TEST(AiJson, ReadsMembersOfTheRightTypeAlone) {
  const JsonDocument document = *parse_json(
      R"({"text":"a","whole":3.0,"part":3.5,"big":18446744073709551615,"far":1e19,"list":[1],"no":null,"in":{"x":-2}})");
  const Json& json = document.root();
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
  const JsonDocument document = *parse_json(R"({"a":1,"a":{"b":[3]},"a":2,"b":4})");
  EXPECT_EQ(get<int64_t>(document.root(), "a"), 2);
  EXPECT_EQ(document.root().size(), 4u);
  EXPECT_EQ(to_text(document.root()), R"({"a":2,"b":4})");
}

TEST(AiJson, FindsMembersAmongMany) {
  std::string text = "{";
  for (char name = 'A'; name <= 'z'; name += 2) {  // letters and signs, none that needs an escape
    text += (text.size() > 1 ? ",\"" : "\"") + std::string(1, name) + "\":" + std::to_string(name);
  }
  text += R"(,"":0,"\u0041":1})";  // "A" comes a second time
  const JsonDocument document = *parse_json(text);
  for (int name = 'A'; name <= 'z'; ++name) {
    const std::string key(1, static_cast<char>(name));
    const bool is_there = (name - 'A') % 2 == 0;
    ASSERT_EQ(document.root().contains(key), is_there) << key;
    if (is_there) {
      EXPECT_EQ(get<int64_t>(document.root(), key), name == 'A' ? 1 : name);
    }
    EXPECT_FALSE(document.root().contains(key + key)) << key;
  }
  EXPECT_EQ(get<int64_t>(document.root(), ""), 0);
}

TEST(AiJson, GoesOverWhatContainersHold) {
  const JsonDocument document =
      *parse_json(R"({"a":[1,[2,[3]],{"x":[4,5]},6],"b":[],"c":{},"a b":7})");
  std::string names;
  for (const auto& [name, value] : document.root().members()) names += std::string(name) + ";";
  EXPECT_EQ(names, "a;b;c;a b;");
  const Json& list = elements(document.root(), "a");
  EXPECT_EQ(list.size(), 4u);
  EXPECT_EQ(std::distance(list.begin(), list.end()), 4);
  EXPECT_EQ(as<int64_t>(list.front()), 1);
  for (const Json& none : member(document.root(), "b")) ADD_FAILURE() << to_text(none);
  for (const Json& none : member(document.root(), "c")) ADD_FAILURE() << to_text(none);
  for (const Json& none : member(document.root(), "a b")) ADD_FAILURE() << to_text(none);
  EXPECT_EQ(to_text(document.root()), R"({"a":[1,[2,[3]],{"x":[4,5]},6],"a b":7,"b":[],"c":{}})");
}

TEST(AiJson, OfOneTextLeavesNothingForTheNext) {
  JsonDocument document;
  EXPECT_TRUE(document.root().is_null());
  const std::string first = R"({"a":["\n\n",1,2,3]})", second = R"({"b":"\t"})", wrong = "[1,2";
  ASSERT_TRUE(document.parse(first));
  ASSERT_TRUE(document.parse(second));
  EXPECT_EQ(to_text(document.root()), R"({"b":"\t"})");
  EXPECT_FALSE(document.parse(wrong));
  EXPECT_TRUE(document.root().is_null());
  ASSERT_TRUE(document.parse(first));
  const JsonDocument moved = std::move(document);
  EXPECT_EQ(to_text(moved.root()), first);
}

TEST(AiJson, NumbersAreThoseOfTheText) {
  const std::string text =
      "[9223372036854775807,-9223372036854775808,9223372036854775808,18446744073709551615,"
      "18446744073709551616,-9223372036854775809,0.1,1e-400,-0.0,5e-324,1.7976931348623157e308]";
  const JsonDocument document = *parse_json(text);
  EXPECT_EQ(to_text(document.root()), to_text(SortedJson::parse(text)));
}

TEST(AiJson, WritesAnyBytes) {
  EXPECT_EQ(to_text(RequestJson("a\xFF"
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
