// What is sent to each provider for the same calls.

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/ai/golden.h"
#include "tests/ai/sample_requests.h"

namespace taut::ai::testing {
namespace {

class GoldenRequest : public ::testing::TestWithParam<SampleRequest> {};

TEST_P(GoldenRequest, IsWhatWasRecorded) {
  const auto expected =
      nlohmann::ordered_json::parse(read_golden("requests/" + GetParam().name + ".json"));
  EXPECT_EQ(sent_for(GetParam()).dump(1), expected.dump(1));
}

TEST_P(GoldenRequest, SaysWhetherItStreams) {
  const BuiltRequest built = build(GetParam());
  EXPECT_EQ(built.http.is_stream, GetParam().is_stream);
  EXPECT_EQ(built.http.content_type, "application/json");
}

std::string test_name(const ::testing::TestParamInfo<SampleRequest>& info) {
  std::string name = info.param.name;
  std::replace_if(name.begin(), name.end(), [](char c) { return c == '.' || c == '-'; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, GoldenRequest, ::testing::ValuesIn(sample_requests()), test_name);

}  // namespace
}  // namespace taut::ai::testing
