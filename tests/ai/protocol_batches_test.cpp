// Batches that differ from OpenAI's: xAI's pages, Perplexity's jobs, Gemini's files.

#include <gtest/gtest.h>

#include "src/ai/json.h"
#include "taut/ai/error.h"
#include "tests/ai/golden.h"

namespace taut::ai::testing {
namespace {

HttpAnswer answer_of(std::string body) {
  HttpAnswer answer;
  answer.status = 200;
  answer.body = std::move(body);
  return answer;
}

HttpAnswer golden_answer(const std::string& file) { return answer_of(read_golden(file)); }

BatchRequest items(const std::string& model, int count) {
  BatchRequest batch;
  for (int i = 0; i < count; ++i) {
    ChatRequest request{.model = model, .messages = {Message::user("Yes?")}};
    batch.items.push_back({std::string(1, static_cast<char>('a' + i)), request});
  }
  return batch;
}

TEST(XaiBatches, AreMadeOfAFile) {
  const ProviderConfig config = config_of("xai");
  const ProtocolHandler& handler = handler_for(config);
  const HttpRequest upload = handler.batch_upload(config, items("grok-3", 2)).value();
  EXPECT_EQ(upload.path, "/files");
  EXPECT_EQ(upload.body.find("purpose"), std::string::npos);
  EXPECT_NE(upload.body.find(R"({"custom_id":"b","method":"POST","url":"/v1/chat/completions")"),
            std::string::npos)
      << upload.body;
  const HttpAnswer uploaded = answer_of(R"({"id":"file_1"})");
  const HttpRequest create = handler.create_batch(config, {}, &uploaded);
  EXPECT_EQ(create.path, "/batches");
  EXPECT_EQ(create.body, R"({"name":"taut","input_file_id":"file_1"})");
  EXPECT_THROW(handler.create_batch(config, {}, nullptr), ProviderError);
  EXPECT_EQ(handler.batch(config, "batch_1").path, "/batches/batch_1");
  EXPECT_EQ(handler.cancel_batch(config, "batch_1").path, "/batches/batch_1:cancel");
}

TEST(XaiBatches, ResultsComeInPages) {
  const ProviderConfig config = config_of("xai");
  const ProtocolHandler& handler = handler_for(config);
  const BatchStatus status = handler.parse_batch(config, golden_answer("xai/batch.json"));
  EXPECT_EQ(status.id, "batch_1");
  EXPECT_EQ(status.state, BatchStatus::State::done);
  EXPECT_EQ(status.total, 3);
  EXPECT_EQ(status.completed, 1);
  EXPECT_EQ(status.failed, 2);
  const HttpRequest first = handler.batch_results(config, status).at(0);
  EXPECT_EQ(first.path, "/batches/batch_1/results?page_size=100");
  const HttpAnswer answer = golden_answer("xai/batch_results.json");
  const HttpRequest second = handler.batch_results_after(config, first, answer).value();
  EXPECT_EQ(second.path, "/batches/batch_1/results?page_size=100&pagination_token=c%2F2");
  const HttpRequest third =
      handler.batch_results_after(config, second, answer_of(R"({"pagination_token":"d"})")).value();
  EXPECT_EQ(third.path, "/batches/batch_1/results?page_size=100&pagination_token=d");
  EXPECT_FALSE(handler.batch_results_after(config, third, answer_of(R"({"results":[]})")));

  const std::vector<BatchResult> results = handler.parse_batch_results(config, answer);
  ASSERT_EQ(results.size(), 3u);
  EXPECT_EQ(results[0].id, "b");
  EXPECT_EQ(results[0].response->text(), "Yes.");
  EXPECT_EQ(results[0].response->usage.cost, 110000e-10);
  EXPECT_EQ(results[1].error->kind, ErrorKind::invalid_request);
  EXPECT_EQ(results[1].error->vendor_code, "3");
  EXPECT_EQ(results[2].error->message, "The model is overloaded");
}

TEST(XaiBatches, TheirStateIsTheirCounts) {
  using State = BatchStatus::State;
  const std::tuple<std::string, std::string, State> rows[] = {
      {R"("num_requests":0,"num_pending":0)", "", State::waiting},
      {R"("num_requests":0,"num_pending":0)", R"(,"cancel_by_xai_message":"bad file")",
       State::failed},
      {R"("num_requests":0,"num_pending":0)", R"(,"cancel_time":"2026-11-01T10:00:00Z")",
       State::cancelled},
      {R"("num_requests":4,"num_pending":1,"num_success":3)", "", State::running},
      {R"("num_requests":4,"num_pending":1,"num_cancelled":3)",
       R"(,"cancel_time":"2026-11-01T10:00:00Z")", State::running},
      {R"("num_requests":4,"num_pending":0,"num_success":4)", "", State::done},
      {R"("num_requests":4,"num_pending":0,"num_error":4)", "", State::done},
      {R"("num_requests":4,"num_pending":0,"num_success":1,"num_cancelled":3)", "", State::done},
      {R"("num_requests":4,"num_pending":0,"num_cancelled":4)", "", State::cancelled}};
  const ProviderConfig config = config_of("xai");
  for (const auto& [counts, more, expected] : rows) {
    const std::string body = R"({"batch_id":"b","state":{)" + counts + "}" + more + "}";
    EXPECT_EQ(handler_for(config).parse_batch(config, answer_of(body)).state, expected) << body;
  }
}

TEST(PerplexityJobs, AreBatchesOfOne) {
  const ProviderConfig config = config_of("perplexity");
  const ProtocolHandler& handler = handler_for(config);
  const BatchRequest one = items("sonar-deep-research", 1);
  EXPECT_FALSE(handler.batch_upload(config, one).has_value());
  const HttpRequest create = handler.create_batch(config, one, nullptr);
  EXPECT_EQ(create.path, "/async/chat/completions");
  const JsonDocument body = parse_json(create.body).value();
  EXPECT_EQ(text_of(body.root(), "request", "model"), "sonar-deep-research");
  EXPECT_THROW(handler.create_batch(config, items("sonar", 2), nullptr), ProviderError);
  EXPECT_THROW(handler.cancel_batch(config, "job_1"), ProviderError);
  EXPECT_EQ(handler.batch(config, "job_1").path, "/async/chat/completions/job_1");
}

TEST(PerplexityJobs, HoldTheirAnswerOrAnError) {
  const ProviderConfig config = config_of("perplexity");
  const ProtocolHandler& handler = handler_for(config);
  const HttpAnswer done = golden_answer("perplexity/job.json");
  const BatchStatus status = handler.parse_batch(config, done);
  EXPECT_EQ(status.state, BatchStatus::State::done);
  EXPECT_EQ(handler.batch_results(config, status).at(0).path, "/async/chat/completions/job_1");
  const BatchResult result = handler.parse_batch_results(config, done).at(0);
  EXPECT_EQ(result.id, "job_1");
  EXPECT_EQ(result.response->text(), "Yes [1].");
  EXPECT_EQ(result.response->usage.cost, 0.008);

  const HttpAnswer failed = golden_answer("perplexity/job_failed.json");
  EXPECT_EQ(handler.parse_batch(config, failed).state, BatchStatus::State::failed);
  EXPECT_EQ(handler.parse_batch_results(config, failed).at(0).error->message,
            "The search took too long");

  const HttpAnswer running = answer_of(R"({"id":"job_3","status":"IN_PROGRESS"})");
  const BatchStatus early = handler.parse_batch(config, running);
  EXPECT_EQ(early.state, BatchStatus::State::running);
  EXPECT_THROW(handler.batch_results(config, early), ProviderError);
  const HttpAnswer created = answer_of(R"({"id":"job_3","status":"CREATED"})");
  EXPECT_EQ(handler.parse_batch(config, created).state, BatchStatus::State::waiting);
}

TEST(GeminiBatches, OfFilesHaveTheirResultsInAFile) {
  const ProviderConfig config = config_of("gemini");
  const ProtocolHandler& handler = handler_for(config);
  const BatchStatus status = handler.parse_batch(config, golden_answer("gemini/batch_file.json"));
  EXPECT_EQ(status.id, "batches/b2");
  EXPECT_EQ(status.output, "files/batch-b2");
  const HttpRequest download = handler.batch_results(config, status).at(0);
  EXPECT_EQ(download.method, "GET");
  EXPECT_EQ(download.path, "/v1/files/batch-b2:download?alt=media");

  const std::string lines = read_golden("gemini/batch_results.jsonl");
  const std::vector<BatchResult> results = handler.parse_batch_results(config, answer_of(lines));
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0].id, "a");
  EXPECT_EQ(results[0].response->text(), "Yes.");
  EXPECT_EQ(results[1].id, "b");
  EXPECT_EQ(results[1].error->kind, ErrorKind::invalid_request);
  // A file of one line is an object, too.
  const std::string first = lines.substr(0, lines.find('\n') + 1);
  EXPECT_EQ(handler.parse_batch_results(config, answer_of(first)).at(0).response->text(), "Yes.");
}

}  // namespace
}  // namespace taut::ai::testing
