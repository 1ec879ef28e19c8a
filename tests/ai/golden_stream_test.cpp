// Every golden stream: what it says, however its bytes are split and its lines end, and that no
// part of it passes for the whole.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "taut/ai/error.h"
#include "tests/ai/golden.h"
#include "tests/ai/response_summary.h"

namespace taut::ai::testing {
namespace {

bool reports_error(const std::string& file) {
  return file.find("_error.sse") != std::string::npos ||
         file.find("_failed.sse") != std::string::npos;
}

std::vector<std::string> good_streams() {
  std::vector<std::string> files = golden_files(".sse");
  std::erase_if(files, reports_error);
  return files;
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

/// With line feeds alone.
std::string plain_lines(const std::string& text) { return replaced(text, "\r\n", "\n"); }

/// Where the line ends that makes a stream whole.
size_t end_of_last_word(const std::string& text) {
  size_t last = 0;
  for (const std::string_view mark :
       {"\"finish_reason\":\"", "\"finishReason\": \"", "\"blockReason\"",
        "data: {\"type\":\"message_stop\"", "data: {\"type\":\"response.completed\"",
        "data: {\"type\":\"response.incomplete\""}) {
    const size_t at = text.rfind(mark);
    if (at != std::string::npos) last = std::max(last, at);
  }
  return text.find_last_of('}', std::min(text.find('\n', last), text.size())) + 1;
}

class GoldenStream : public ::testing::TestWithParam<std::string> {
 protected:
  const std::string text_ = read_golden(GetParam());
  const ProviderConfig config_ = config_of(folder_of(GetParam()));
};

TEST_P(GoldenStream, SaysWhatWasRecorded) {
  const StreamRun run = run_stream(config_, text_);
  EXPECT_TRUE(run.is_whole);
  const auto expected = nlohmann::ordered_json::parse(read_golden(GetParam() + ".expected.json"));
  EXPECT_EQ(summary_of(run.assembler->response()).dump(1), expected.dump(1));
}

TEST_P(GoldenStream, MayBeSplitAnywhere) {
  const std::string whole = told_by(run_stream(config_, text_));
  const std::string_view text = text_;
  for (size_t at = 1; at < text.size(); ++at) {
    const StreamRun run = run_stream(config_, Pieces{text.substr(0, at), text.substr(at)});
    ASSERT_EQ(told_by(run), whole) << "split at byte " << at;
  }
}

TEST_P(GoldenStream, MayComeByteByByte) {
  Pieces pieces;
  for (size_t at = 0; at < text_.size(); ++at)
    pieces.push_back(std::string_view(text_).substr(at, 1));
  EXPECT_EQ(told_by(run_stream(config_, pieces)), told_by(run_stream(config_, text_)));
}

TEST_P(GoldenStream, MayHaveAnyLineEnds) {
  const std::string whole = told_by(run_stream(config_, text_));
  const std::string plain = plain_lines(text_);
  for (const std::string_view end : {"\n", "\r", "\r\n"}) {
    const std::string text = "\xEF\xBB\xBF" + replaced(plain, "\n", end);
    EXPECT_EQ(told_by(run_stream(config_, text)), whole);
    Pieces pieces;
    for (size_t at = 0; at < text.size(); ++at)
      pieces.push_back(std::string_view(text).substr(at, 1));
    EXPECT_EQ(told_by(run_stream(config_, pieces)), whole);
  }
}

TEST_P(GoldenStream, MayHaveCommentsAndOtherFields) {
  const std::string whole = told_by(run_stream(config_, text_));
  const std::string text =
      replaced(plain_lines(text_), "\n\n", "\nid: 7\nretry: 10\nother: x\n\n: keep-alive\n\n");
  EXPECT_EQ(told_by(run_stream(config_, text)), whole);
}

TEST_P(GoldenStream, NoPartPassesForTheWhole) {
  const size_t enough = end_of_last_word(text_);
  ASSERT_GT(enough, 1u);
  for (size_t length = 0; length < enough; ++length) {
    try {
      const StreamRun run = run_stream(config_, std::string_view(text_).substr(0, length));
      ASSERT_FALSE(run.is_whole) << "after " << length << " bytes of " << text_.size();
      ASSERT_TRUE(run.assembler->response().usage.partial);
    } catch (const ProviderError& error) {
      ASSERT_EQ(error.kind(), ErrorKind::truncated_stream) << error.what();
    }
  }
  const StreamRun run = run_stream(config_, std::string_view(text_).substr(0, enough));
  EXPECT_TRUE(run.is_whole);
  EXPECT_FALSE(run.assembler->response().usage.partial);
}

std::string test_name(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param.substr(0, info.param.rfind('.'));
  std::replace(name.begin(), name.end(), '/', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, GoldenStream, ::testing::ValuesIn(good_streams()), test_name);

/// What ends a stream that reports an error.
ErrorDetails error_of(const std::string& file) {
  try {
    run_stream(config_of(folder_of(file)), read_golden(file));
  } catch (const ProviderError& error) {
    return error.details();
  }
  ADD_FAILURE() << file << " reported no error";
  return {};
}

TEST(GoldenStreamErrors, AfterOutputAreErrorsOfTheStream) {
  const ErrorDetails vllm = error_of("vllm/chat_error.sse");
  EXPECT_EQ(vllm.kind, ErrorKind::stream_error);
  EXPECT_TRUE(vllm.partial_output);
  EXPECT_EQ(vllm.vendor_code, "500");
  const ErrorDetails anthropic = error_of("anthropic/chat_error.sse");
  EXPECT_EQ(anthropic.kind, ErrorKind::stream_error);
  EXPECT_EQ(anthropic.vendor_type, "overloaded_error");
  EXPECT_EQ(anthropic.request_id, "req_1");
  const ErrorDetails gemini = error_of("gemini/chat_error.sse");
  EXPECT_EQ(gemini.kind, ErrorKind::stream_error);
  EXPECT_EQ(gemini.vendor_type, "UNAVAILABLE");
}

TEST(GoldenStreamErrors, BeforeOutputAreWhatTheyWouldBeWithoutAStream) {
  EXPECT_EQ(error_of("openai_responses/chat_failed.sse").kind, ErrorKind::rate_limited);
  EXPECT_EQ(error_of("openai_responses/chat_error.sse").kind, ErrorKind::quota_exhausted);
}

}  // namespace
}  // namespace taut::ai::testing
