// JSON texts of which most are like one before.

#include "src/ai/json_series.h"

#include <gtest/gtest.h>

#include "src/ai/request_json.h"

namespace taut::ai::testing {
namespace {

/// What a series makes of a text after others, beside what the parser makes of it alone.
class AiJsonSeries : public ::testing::Test {
 protected:
  void expect_same(const std::string& text) {
    const std::optional<JsonDocument> alone = parse_json(text);
    EXPECT_EQ(to_text(series_.parse(text)), alone ? to_text(alone->root()) : "null") << text;
  }

  JsonSeries series_;
};

TEST_F(AiJsonSeries, ReadsValuesThatChange) {
  for (const std::string text : {
           R"({"id":"a-1","n":1,"list":[{"text":" word","end":null}],"last":true})",
           R"({"id":"a-1","n":1,"list":[{"text":" word","end":null}],"last":true})",
           R"({"id":"a-1","n":1,"list":[{"text":" other word","end":null}],"last":true})",
           R"({"id":"b-22","n":12,"list":[{"text":"","end":null}],"last":true})",
           R"({"id":"b-22","n":1.5,"list":[{"text":"\n\"\u00e9\"","end":null}],"last":true})",
           R"({"id":"\t","n":-1e3,"list":[{"text":"\\","end":null}],"last":true})",
           R"({"id":"","n":12345678901234567890,"list":[{"text":"ä€😀","end":null}],"last":true})",
           R"({"id":"a-1","n":1,"list":[{"text":" word","end":null}],"last":true})",
       }) {
    expect_same(text);
  }
}

TEST_F(AiJsonSeries, ReadsWhatDiffersInMore) {
  for (const std::string text : {
           R"({"a":"x","b":[1,2]})",
           R"({"a":null,"b":[1,2]})",
           R"({"a":"x","b":[1,2,3]})",
           R"({"a":"x","b":[12,"2"]})",
           R"({"a":"x","c":[1,2]})",
           R"({"a":{},"b":[1,2]})",
           R"({"a":"x","b":[1,2],"c":0})",
           R"({"a":"x","b":[1]})",
           R"( {"a":"x","b":[1,2]})",
           R"({"a":"x","b":[1,2]} )",
           R"({"a":"x" , "b":[1,2]})",
           "\xEF\xBB\xBF{\"a\":\"x\"}",
           R"({"a":1,"b":[1,2]})",
           R"({"a":"x","b":[true,2]})",
           "1",
           "12",
           "1",
           "1 ",
           "\"\"",
           "\"1\"",
           "[]",
       }) {
    expect_same(text);
  }
}

TEST_F(AiJsonSeries, RefusesWhatIsNoJson) {
  const std::string sound = R"({"a":"x","b":[1,2]})";
  for (const std::string text : {
           R"({"a":"x)",
           R"({"a":"x\"})",
           R"({"a":"x\q","b":[1,2]})",
           "{\"a\":\"\n\",\"b\":[1,2]}",
           "{\"a\":\"\xFF\",\"b\":[1,2]}",
           R"({"a":"x","b":[01,2]})",
           R"({"a":"x","b":[1.,2]})",
           R"({"a":"x","b":[1e400,2]})",
           R"({"a":"x","b":[-,2]})",
           R"({"a":"x","b":[1,2]}})",
           R"({"a":"x","b":[1,2])",
           R"({"a":,"b":[1,2]})",
           "",
           "{",
       }) {
    expect_same(sound);
    EXPECT_FALSE(parse_json(text).has_value()) << text;
    EXPECT_TRUE(series_.parse(text).is_null()) << text;
  }
  expect_same(sound);
}

TEST_F(AiJsonSeries, KeepsMoreKindsOfTextApart) {
  for (int round = 0; round < 3; ++round) {
    for (int kind = 0; kind < 7; ++kind) {
      const std::string name(static_cast<size_t>(kind + 1), 'a');
      expect_same(R"({")" + name + R"(":)" + std::to_string(round) + R"(,"x":"\n"})");
    }
  }
}

TEST_F(AiJsonSeries, KeepsToItsLimits) {
  SizeLimits limits;
  limits.json = 10;
  limits.depth = 2;
  JsonSeries series(limits);
  EXPECT_EQ(to_text(series.parse("[1,2,3,45]")), "[1,2,3,45]");
  EXPECT_TRUE(series.parse("[1,2,3,456]").is_null());
  EXPECT_EQ(to_text(series.parse("[[1]]")), "[[1]]");
  EXPECT_TRUE(series.parse("[[[1]]]").is_null());
}

TEST_F(AiJsonSeries, ReadsLargeTexts) {
  for (const size_t size : {4000u, 4096u, 5000u, 100'000u}) {
    expect_same(R"({"a":")" + std::string(size, 'x') + R"("})");
    expect_same(R"({"a":")" + std::string(size, 'y') + R"(\n"})");
  }
}

}  // namespace
}  // namespace taut::ai::testing
