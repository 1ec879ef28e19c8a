#include "taut/ai/call_log.h"

#include <nlohmann/json.hpp>
#include <thread>

#include "tests/ai/scripted_backend.h"
#include "tests/ai/temporary_folder.h"

namespace taut::ai {
namespace {

using testing::answer;
using testing::failure;
using testing::question;
using testing::ScriptedBackend;

class MeteredTest : public testing::TemporaryFolderTest {
 protected:
  std::shared_ptr<Backend> make(bool include_texts = false) {
    options.log = CallLog::open(path("log.jsonl"), include_texts);
    return metered(inner, options);
  }
  std::vector<nlohmann::json> log() const {
    std::vector<nlohmann::json> all;
    for (const std::string& line : lines("log.jsonl")) all.push_back(nlohmann::json::parse(line));
    return all;
  }
  void with_prices() {
    options.prices = std::make_shared<PriceTable>(PriceTable::from_json(
        R"({"date": "d", "prices": [{"provider": "p", "model": "m", "input": 1, "output": 2}]})"));
  }

  std::shared_ptr<ScriptedBackend> inner = std::make_shared<ScriptedBackend>("p");
  MeterOptions options;
};

TEST_F(MeteredTest, CallsAreWrittenDownWithTheirCost) {
  with_prices();
  inner->gives(answer("hello", 100, 10));
  const auto backend = make();
  ChatRequest request = question();
  request.task = "labels";
  const ChatResponse response = backend->chat(request).get();
  EXPECT_NEAR(*response.cost, 120e-6, 1e-12);
  const auto lines = log();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["status"], "ok");
  EXPECT_EQ(lines[0]["task"], "labels");
  EXPECT_EQ(lines[0]["model"], "m");
  EXPECT_EQ(lines[0]["call"], "chat");
  EXPECT_EQ(lines[0]["usage"]["input_total"], 100);
  EXPECT_NEAR(lines[0]["cost"].get<double>(), 120e-6, 1e-12);
  EXPECT_EQ(lines[0]["time"].get<std::string>().size(), 24u);
}

TEST_F(MeteredTest, TextsAreWrittenOnlyWhereTheyAreAskedFor) {
  inner->gives("the answer");
  make()->chat(question("the prompt")).get();
  EXPECT_EQ(read("log.jsonl").find("the prompt"), std::string::npos);
  EXPECT_EQ(read("log.jsonl").find("the answer"), std::string::npos);
  make(true)->chat(question("the prompt")).get();
  EXPECT_NE(read("log.jsonl").find("the prompt"), std::string::npos);
  EXPECT_NE(read("log.jsonl").find("the answer"), std::string::npos);
  EXPECT_EQ(log().size(), 2u) << "a log is added to";
}

TEST_F(MeteredTest, FailuresAreWrittenDown) {
  inner->fails(failure(ErrorKind::overloaded));
  const auto backend = make();
  EXPECT_THROW(backend->chat(question()).get(), ProviderError);
  const ChatStream stream = backend->stream(question());
  EXPECT_THROW(stream.next(), ProviderError);
  ASSERT_EQ(log().size(), 2u);
  EXPECT_EQ(log()[0]["status"], "overloaded");
  EXPECT_EQ(log()[1]["call"], "stream");
}

TEST_F(MeteredTest, StreamsAreSettledAtTheirEnd) {
  with_prices();
  options.budget = Budget::create({});
  inner->gives(answer("abc", 100, 10));
  const auto backend = make();
  const ChatStream stream = backend->stream(question());
  EXPECT_GT(options.budget->spent().tokens + options.budget->spent().reserved_tokens, 0);
  while (stream.next()) {
  }
  EXPECT_NEAR(*stream.response().cost, 120e-6, 1e-12);
  EXPECT_EQ(options.budget->spent().tokens, 110);
  EXPECT_EQ(log()[0]["call"], "stream");
}

TEST_F(MeteredTest, TheBudgetRefusesBeforeAnythingIsSent) {
  options.budget =
      Budget::create({.run = {.dollars = {}, .tokens = 5}, .providers = {}, .tasks = {}});
  const auto backend = make();
  try {
    backend->chat(question()).get();
    FAIL();
  } catch (const ProviderError& error) {
    EXPECT_EQ(error.kind(), ErrorKind::budget_exceeded);
  }
  EXPECT_THROW(backend->stream(question()).next(), ProviderError);
  EXPECT_EQ(inner->calls(), 0);
}

TEST_F(MeteredTest, PartialUsageIsNeverBilledBelowTheEstimate) {
  options.budget = Budget::create({});
  ChatResponse partial = answer("x", 10, 1);
  partial.usage.partial = true;
  inner->gives(partial);
  ChatRequest request = question();
  request.max_output_tokens = 500;
  make()->chat(request).get();
  EXPECT_GE(options.budget->spent().tokens, 500);
}

TEST_F(MeteredTest, EmbeddingsHaveACost) {
  with_prices();
  EmbeddingRequest request;
  request.model = "m";
  request.inputs = {"x"};
  EXPECT_NEAR(*make()->embed(request).get().cost, 3e-6, 1e-12);
  EXPECT_EQ(log()[0]["call"], "embed");
}

TEST_F(MeteredTest, LinesOfManyThreadsStayWhole) {
  inner->gives("x");
  const auto backend = make();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) backend->chat(question()).get();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(log().size(), 400u);
}

}  // namespace
}  // namespace taut::ai
