// A client from end to end: whole answers, streams, callbacks, coroutines, lists, batches.

#include "taut/ai/client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <utility>

#include "tests/ai/fake_server.h"
#include "tests/ai/plain_protocol.h"
#include "tests/ai/task.h"

namespace taut::ai::test {
namespace {

std::string header(const ChatResponse& response, const std::string& name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return {};
}

/// A client of the plain protocol and one server.
class ClientTest : public ::testing::Test {
 protected:
  Provider provider(ClientOptions options = {}) {
    client_.emplace(std::move(options), plain_parts());
    return client_->provider(plain_config(server_.url() + "/base/"));
  }

  FakeServer server_;
  std::optional<Client> client_;
};

TEST_F(ClientTest, AWholeAnswer) {
  server_.answer(http(200, "answer: hi\n", "x-request-id: req_1\r\nset-cookie: a=b\r\n"));
  const ChatResponse response = provider().chat(plain_request()).get();
  EXPECT_EQ(response.text(), "hi");
  EXPECT_EQ(response.provider, "plain");
  EXPECT_EQ(response.model, "small");
  EXPECT_EQ(response.request_id, "req_1");
  EXPECT_EQ(response.attempts, 1);
  EXPECT_GT(response.seconds, 0);
  ASSERT_EQ(server_.requests().size(), 1u);
  const Request request = server_.requests().front();
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.target, "/base/chat");
  EXPECT_EQ(request.headers.at("x-api-key"), marker_key());
  EXPECT_EQ(request.headers.at("x-plain"), "1");
  EXPECT_EQ(request.headers.at("content-type"), "application/json");
  EXPECT_TRUE(request.headers.at("user-agent").starts_with("taut/"));
  EXPECT_EQ(request.body, "model: small\ntext: hello\n");
  EXPECT_EQ(header(response, "set-cookie"), "<redacted>");
  EXPECT_EQ(header(response, "x-request-id"), "req_1");
  const ClientStatistics statistics = client_->statistics();
  EXPECT_EQ(statistics.calls, 1);
  EXPECT_EQ(statistics.completed, 1);
  EXPECT_EQ(statistics.active, 0);
  EXPECT_EQ(statistics.attempts, 1);
}

TEST_F(ClientTest, AProviderThatWasMovedFromIsTheSame) {
  server_.answer(http(200, "answer: hi\n"));
  Provider from = provider();
  const Provider to = std::move(from);
  EXPECT_EQ(from.name(), to.name());
  EXPECT_EQ(from.chat(plain_request()).get().text(), "hi");
}

TEST_F(ClientTest, AStream) {
  server_.answer(http_chunked(200, {events({"one "}), events({"two", "[end]"})}));
  const ChatStream stream = provider().stream(plain_request());
  const std::optional<StreamEvent> first = stream.next();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->text, "one ");
  EXPECT_EQ(listen_to(stream).text, "two");
  EXPECT_FALSE(stream.next().has_value()) << "it stays at its end";
  const ChatResponse response = stream.response();
  EXPECT_EQ(response.text(), "one two");
  EXPECT_EQ(response.finish_reason(), FinishReason::stop);
  EXPECT_FALSE(response.usage.partial);
  EXPECT_GT(response.seconds_to_first, 0);
}

TEST_F(ClientTest, CallbacksRunOnThreadsOfTheClient) {
  server_.answer(http(200, "answer: hi\n"));
  const Promise<std::string> told;
  provider().chat(plain_request()).then([told](Outcome<ChatResponse> outcome) {
    const bool is_elsewhere = std::this_thread::get_id() != std::thread::id();
    told.set(outcome.value().text() + (is_elsewhere ? "" : "?"));
  });
  EXPECT_EQ(told.pending().get(), "hi");
}

TEST_F(ClientTest, ACallbackMayWaitForAnotherCall) {
  server_.answer(http(200, "answer: hi\n"));
  const Provider plain = provider();
  const Promise<std::string> told;
  plain.chat(plain_request()).then([told, plain](const Outcome<ChatResponse>&) {
    told.set(plain.chat(plain_request("again")).get().text());
  });
  EXPECT_EQ(told.pending().get(), "hi");
}

Task talk(Provider plain, Promise<std::string> told) {
  const ChatResponse first = co_await plain.chat(plain_request("one"));
  std::string text = first.text();
  const ChatStream stream = plain.stream(plain_request("two"));
  while (const std::optional<StreamEvent> event = co_await stream.next_event()) text += event->text;
  told.set(text);
}

TEST_F(ClientTest, CoroutinesAwaitAnswersAndEvents) {
  server_.answer(http(200, "answer: hi\n"));
  server_.answer(http_chunked(200, {events({" a", " b"}), events({" c", "[end]"})}));
  const Promise<std::string> told;
  talk(provider(), told);
  EXPECT_EQ(told.pending().get(), "hi a b c");
}

TEST_F(ClientTest, OnlyOneEventIsWaitedForAtATime) {
  server_.answer(Script{send(http_open(200)), hold()});
  const ChatStream stream = provider().stream(plain_request());
  const auto waiting = stream.next_event();
  EXPECT_THROW(stream.next_event(), ValueError);
  waiting.cancel();
  EXPECT_EQ(error_of([&] { waiting.get(); }).kind, ErrorKind::cancelled);
}

TEST_F(ClientTest, AStreamAnsweredWhole) {
  server_.answer(http(200, "answer: all at once\n"));
  const ChatStream stream = provider().stream(plain_request());
  EXPECT_EQ(listen_to(stream).text, "all at once");
  EXPECT_EQ(stream.response().text(), "all at once");
}

TEST_F(ClientTest, AStreamAnsweredByAnError) {
  // Some servers answer 200 with the JSON of an error: it is one, and is tried again.
  server_.answer(http(200, "error: the service is not there\n"));
  server_.answer(http_chunked(200, {events({"hi", "[end]"})}));
  client_.emplace(ClientOptions{}, plain_parts(std::make_shared<InstantTime>()));
  const ChatStream stream = client_->provider(plain_config(server_.url())).stream(plain_request());
  EXPECT_EQ(listen_to(stream).text, "hi");
  EXPECT_EQ(stream.response().attempts, 2);
}

TEST_F(ClientTest, ListsArePagedThrough) {
  server_.answer(http(200, "answer: one\nnext: /models?page=2\n"));
  server_.answer(http(200, "answer: two\n"));
  const std::vector<ModelInfo> models = provider().models().get();
  ASSERT_EQ(models.size(), 2u);
  EXPECT_EQ(models[0].id, "one");
  EXPECT_EQ(models[1].id, "two");
  EXPECT_EQ(server_.requests().at(0).method, "GET");
  EXPECT_EQ(server_.requests().at(1).target, "/base/models?page=2");
}

TEST_F(ClientTest, AListThatNeverEnds) {
  server_.answer(http(200, "answer: one\nnext: /models?page=2\n"));
  const ErrorDetails error = error_of([&] { provider().models().get(); });
  EXPECT_EQ(error.kind, ErrorKind::malformed_response);
}

TEST_F(ClientTest, Embeddings) {
  server_.answer(http(200, "answer: 0.5\n"));
  const EmbeddingResponse response =
      provider().embed({.model = "small", .inputs = {"a", "b"}}).get();
  EXPECT_EQ(response.embeddings, (std::vector<std::vector<float>>{{0.5f}, {0.5f}}));
  EXPECT_EQ(response.provider, "plain");
  EXPECT_EQ(response.model, "small");
}

TEST_F(ClientTest, ABatchFromItsUploadToItsResults) {
  const std::string key = marker_key();
  server_.answer(http(200, "answer: file_1\n"));
  server_.answer(http(200, "answer: batch_1\n"));
  server_.answer(http(200, "answer: batch_1\n"));
  server_.answer(http(200, "answer: first\n"));
  server_.answer(http(200, "answer: second\nerror: it used " + key + "\n"));
  const Provider plain = provider();
  BatchRequest request;
  request.items = {{"first", plain_request()}, {"second", plain_request()}};
  EXPECT_EQ(plain.create_batch(request).get().id, "batch_1");
  const BatchStatus status = plain.batch("batch_1").get();
  EXPECT_EQ(status.state, BatchStatus::State::done);
  const std::vector<BatchResult> results = plain.batch_results(status).get();
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0].id, "first");
  ASSERT_TRUE(results[1].error);
  EXPECT_EQ(results[1].error->message, "it used <redacted>");
  const std::vector<Request> requests = server_.requests();
  ASSERT_EQ(requests.size(), 5u);
  EXPECT_EQ(requests[0].headers.at("content-type"), "multipart/form-data; boundary=plain");
  EXPECT_EQ(requests[1].body, "file: file_1\n");
  EXPECT_EQ(requests[3].target, "/base/results/batch_1");
  EXPECT_EQ(requests[4].target, "/base/failures/batch_1");
}

TEST_F(ClientTest, ABatchOfOneRequest) {
  server_.answer(http(200, "answer: batch_2\n"));
  const Provider plain = provider();
  BatchRequest request;
  request.items = {{"first", plain_request()}};
  EXPECT_EQ(plain.create_batch(request).get().id, "batch_2");
  EXPECT_EQ(plain.cancel_batch("batch_2").get().id, "batch_2");
  EXPECT_EQ(server_.requests().at(1).target, "/base/batches/batch_2/cancel");
}

TEST_F(ClientTest, ARefusalTeachesWhatAModelLacks) {
  const Provider plain = provider();
  ChatRequest request = plain_request();
  request.temperature = 0.5;
  server_.answer(http(400, "param: temperature\n"));
  ErrorDetails error = error_of([&] { plain.chat(request).get(); });
  EXPECT_EQ(error.kind, ErrorKind::unsupported_parameter);
  EXPECT_EQ(error.param, "temperature");
  EXPECT_EQ(plain.capabilities("small")[Feature::temperature], Answer::no);
  EXPECT_EQ(plain.capabilities("other")[Feature::temperature], Answer::unknown);
  // From now on it is refused before it is sent.
  error = error_of([&] { plain.chat(request).get(); });
  EXPECT_EQ(error.kind, ErrorKind::unsupported_parameter);
  EXPECT_EQ(error.provider, "plain");
  EXPECT_EQ(server_.requests().size(), 1u);
}

TEST_F(ClientTest, WhatWasRefusedIsDroppedWhereTheCallerAllowsIt) {
  server_.answer(http(400, "param: temperature\n"));
  server_.answer(http(200, "answer: hi\n"));
  const Provider plain = provider();
  ChatRequest request = plain_request();
  request.temperature = 0.5;
  request.features = FeaturePolicy::drop_with_warning;
  const ChatResponse response = plain.chat(request).get();
  EXPECT_EQ(response.text(), "hi");
  EXPECT_EQ(response.attempts, 2);
  EXPECT_EQ(response.warnings.size(), 2u);
  EXPECT_NE(server_.requests().at(0).body.find("temperature"), std::string::npos);
  EXPECT_EQ(server_.requests().at(1).body.find("temperature"), std::string::npos);
}

TEST_F(ClientTest, WhatTheUserSaysOfAModelCounts) {
  client_.emplace(ClientOptions{}, plain_parts());
  ProviderConfig config = plain_config(server_.url());
  Capabilities all, one;
  all[Feature::tools] = Answer::no;
  all[Feature::seed] = Answer::yes;
  one[Feature::tools] = Answer::yes;
  one.context_length = 4096;
  config.capabilities = {{"", all}, {"small", one}};
  const Provider plain = client_->provider(config);
  EXPECT_EQ(plain.capabilities("small")[Feature::tools], Answer::yes);
  EXPECT_EQ(plain.capabilities("small")[Feature::seed], Answer::yes);
  EXPECT_EQ(plain.capabilities("small").context_length, 4096);
  EXPECT_EQ(plain.capabilities("other")[Feature::tools], Answer::no);
}

TEST_F(ClientTest, TheLastOfAHeaderCounts) {
  server_.answer(http(200, "answer: hi\n"));
  client_.emplace(ClientOptions{}, plain_parts());
  ProviderConfig config = plain_config(server_.url());
  config.headers = {{"X-Plain", "config"}, {"x-empty", ""}};
  const Provider plain = client_->provider(config);
  plain.chat(plain_request()).get();
  ChatRequest request = plain_request();
  request.headers = {{"x-plain", "request"}};
  plain.chat(request).get();
  EXPECT_EQ(server_.requests().at(0).headers.at("x-plain"), "config");
  EXPECT_EQ(server_.requests().at(0).headers.at("x-empty"), "");
  EXPECT_EQ(server_.requests().at(1).headers.at("x-plain"), "request");
}

TEST_F(ClientTest, AProviderMayOutliveItsClient) {
  server_.answer(http(200, "answer: hi\n"));
  const Provider plain = provider();
  plain.chat(plain_request()).get();
  client_.reset();
  EXPECT_EQ(error_of([&] { plain.chat(plain_request()).get(); }).kind, ErrorKind::cancelled);
  EXPECT_EQ(listen_to(plain.stream(plain_request())).error->kind, ErrorKind::cancelled);
}

TEST_F(ClientTest, ManyCallsShareFewConnections) {
  server_.answer(http(200, "answer: hi\n"));
  const Provider plain = provider();
  for (int i = 0; i < 500; ++i) ASSERT_EQ(plain.chat(plain_request()).get().text(), "hi");
  EXPECT_LE(server_.connections(), 2);
  EXPECT_EQ(client_->statistics().completed, 500);
}

TEST_F(ClientTest, StreamsToo) {
  server_.answer(http_chunked(200, {events({"hi", "[end]"})}));
  const Provider plain = provider();
  for (int i = 0; i < 200; ++i) ASSERT_EQ(listen_to(plain.stream(plain_request())).text, "hi");
  EXPECT_LE(server_.connections(), 4);
}

TEST_F(ClientTest, ManyCallsAtOnce) {
  server_.answer(Script{wait(0.02), send(http(200, "answer: hi\n"))});
  const Provider plain = provider({.max_connections = 32, .max_connections_per_host = 8});
  std::vector<Pending<ChatResponse>> calls;
  for (int i = 0; i < 100; ++i) calls.push_back(plain.chat(plain_request()));
  for (const auto& call : calls) EXPECT_EQ(call.get().text(), "hi");
  EXPECT_LE(server_.connections(), 8);
}

TEST_F(ClientTest, NoMoreAtOnceThanTheProviderAllows) {
  server_.answer(Script{wait(0.02), send(http(200, "answer: hi\n"))});
  client_.emplace(ClientOptions{}, plain_parts());
  ProviderConfig config = plain_config(server_.url());
  config.max_concurrent = 3;
  const Provider plain = client_->provider(config);
  std::vector<Pending<ChatResponse>> calls;
  for (int i = 0; i < 30; ++i) calls.push_back(plain.chat(plain_request()));
  for (const auto& call : calls) EXPECT_EQ(call.get().text(), "hi");
  EXPECT_LE(server_.connections(), 3);
}

TEST_F(ClientTest, ALargeAnswerIsParsedByAWorker) {
  server_.answer(http(200, "answer: hi\n" + std::string(size_t{4} << 20, '\n')));
  EXPECT_EQ(provider().chat(plain_request()).get().text(), "hi");
}

TEST(Client, OptionsThatMakeNoSense) {
  EXPECT_THROW(Client({.max_retries = -1}), ValueError);
  EXPECT_THROW(Client({.timeouts = {.idle = 0}}), ValueError);
  EXPECT_THROW(Client({.timeouts = {.connect = std::numeric_limits<double>::quiet_NaN()}}),
               ValueError);
  EXPECT_THROW(Client({.limits = {.json = 0}}), ValueError);
  EXPECT_THROW(Client({.max_connections = 0}), ValueError);
  EXPECT_THROW(Client({.callback_threads = -1}), ValueError);
}

TEST(LocalBackend, AnswersFromAFunction) {
  const auto backend = local_backend("mine", [](const ChatRequest& request) {
    ChatResponse response;
    response.candidates.emplace_back();
    response.candidates.front().parts = {TextPart{request.messages.back().text() + "!"}};
    response.candidates.front().finish_reason = FinishReason::stop;
    return response;
  });
  EXPECT_EQ(backend->chat(plain_request()).get().text(), "hello!");
  EXPECT_EQ(backend->chat(plain_request()).get().provider, "mine");
  const ChatStream stream = backend->stream(plain_request());
  EXPECT_EQ(listen_to(stream).text, "hello!");
  EXPECT_EQ(stream.response().text(), "hello!");
  EXPECT_EQ(error_of([&] { backend->embed({.model = "m", .inputs = {"a"}}).get(); }).kind,
            ErrorKind::invalid_request);
}

TEST(LocalBackend, ItsExceptionIsTheError) {
  const auto backend = local_backend("mine", [](const ChatRequest&) -> ChatResponse {
    throw ProviderError({.kind = ErrorKind::overloaded, .provider = "mine"});
  });
  EXPECT_EQ(error_of([&] { backend->chat(plain_request()).get(); }).kind, ErrorKind::overloaded);
  EXPECT_EQ(listen_to(backend->stream(plain_request())).error->kind, ErrorKind::overloaded);
}

TEST(LocalBackend, ACallIsCancelledWhileItsFunctionRuns) {
  const Promise<int> go;
  auto backend = local_backend("mine", [go](const ChatRequest&) {
    go.pending().get();
    return ChatResponse();
  });
  const Pending<ChatResponse> call = backend->chat(plain_request());
  call.cancel();
  EXPECT_EQ(error_of([&] { call.get(); }).kind, ErrorKind::cancelled);
  go.set(1);
  backend.reset();  // waits for the function
}

}  // namespace
}  // namespace taut::ai::test
