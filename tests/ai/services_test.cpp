// Every protocol over the wire: the same answers and the same faults from a server that speaks as
// each vendor does.

#include "tests/ai/services.h"

#include <gtest/gtest.h>

#include "taut/ai/client.h"
#include "tests/ai/marker_key.h"
#include "tests/ai/plain_protocol.h"

namespace taut::ai::test {
namespace {

const std::string kKey = marker_key();

class ServiceTest : public ::testing::TestWithParam<Service> {
 protected:
  Provider provider(ClientOptions options = {}) {
    Client::Parts parts;
    parts.time = time_;
    client_.emplace(std::move(options), parts);
    return client_->provider(GetParam().config_at(server_.url(), kKey));
  }
  static ChatRequest request() { return service_request(); }
  static std::string joined(size_t events) { return GetParam().events(events); }
  static std::string whole_stream() { return GetParam().whole_stream(); }

  FakeServer server_;
  std::shared_ptr<InstantTime> time_ = std::make_shared<InstantTime>();
  std::optional<Client> client_;
};

TEST_P(ServiceTest, AWholeAnswer) {
  server_.answer(http(200, GetParam().answer));
  const ChatResponse response = provider().chat(request()).get();
  EXPECT_EQ(response.text(), "Hi there");
  EXPECT_EQ(response.finish_reason(), FinishReason::stop);
  EXPECT_EQ(response.usage.output_total, 2);
  const Request sent = server_.requests().at(0);
  EXPECT_EQ(sent.target, GetParam().path);
  EXPECT_EQ(sent.headers.at(GetParam().key_header), GetParam().key_prefix + kKey);
  EXPECT_EQ(sent.target.find(kKey), std::string::npos);
  EXPECT_EQ(sent.body.find(kKey), std::string::npos);
  EXPECT_EQ(sent.head.find(kKey), sent.head.rfind(kKey)) << "the key goes in one header alone";
}

TEST_P(ServiceTest, AStreamInSmallPieces) {
  server_.answer(Script{send(http_open(200)), send_slowly(whole_stream(), 7, 0), close()});
  const ChatStream stream = provider().stream(request());
  EXPECT_EQ(listen_to(stream).text, "Hi there");
  EXPECT_EQ(stream.response().text(), "Hi there");
  EXPECT_EQ(stream.response().finish_reason(), FinishReason::stop);
  EXPECT_EQ(server_.requests().at(0).target, GetParam().stream_path);
}

TEST_P(ServiceTest, AStreamCutAfterEachOfItsEvents) {
  for (size_t events = 0; events < GetParam().stream.size(); ++events) {
    server_.answer(Script{send(http_open(200) + joined(events)), close()});
    const Provider service = provider({.max_retries = 0});
    const Heard heard = listen_to(service.stream(request()));
    ASSERT_TRUE(heard.error) << events;
    EXPECT_EQ(heard.error->kind, ErrorKind::truncated_stream) << events;
    EXPECT_EQ(heard.error->partial_output, !heard.text.empty());
  }
}

TEST_P(ServiceTest, AStreamResetWithinAnEvent) {
  const std::string all = whole_stream();
  server_.answer(Script{send(http_open(200) + all.substr(0, all.size() / 2)), wait(0.02), reset()});
  const Heard heard = listen_to(provider({.max_retries = 0}).stream(request()));
  ASSERT_TRUE(heard.error);
  EXPECT_EQ(heard.error->kind, ErrorKind::truncated_stream);
}

TEST_P(ServiceTest, LimitsPass) {
  for (const bool is_stream : {false, true}) {
    server_.answer(http(429, R"({"error":{"message":"slow down"}})", "retry-after: 2\r\n"));
    server_.answer(is_stream ? http_open(200) + whole_stream() : http(200, GetParam().answer));
    const size_t before = time_->pauses().size();
    const Provider service = provider();
    if (is_stream) {
      const ChatStream stream = service.stream(request());
      EXPECT_TRUE(stream.next()) << "the head and the first event";
      stream.cancel();
    } else {
      EXPECT_EQ(service.chat(request()).get().attempts, 2);
    }
    ASSERT_EQ(time_->pauses().size(), before + 1);
    EXPECT_EQ(time_->pauses().back(), 2);
  }
}

TEST_P(ServiceTest, AnEmptyPurseDoesNot) {
  server_.answer(http(429, GetParam().quota));
  const Provider service = provider();
  EXPECT_EQ(error_of([&] { service.chat(request()).get(); }).kind, ErrorKind::quota_exhausted);
  EXPECT_EQ(listen_to(service.stream(request())).error->kind, ErrorKind::quota_exhausted);
  EXPECT_EQ(server_.requests().size(), 2u) << "none was repeated";
}

TEST_P(ServiceTest, AProxysPageInsteadOfAnError) {
  server_.answer(http(502, "<html>bad gateway " + kKey + "</html>", {}, "text/html"));
  const ErrorDetails error = error_of([&] { provider().chat(request()).get(); });
  EXPECT_EQ(error.kind, ErrorKind::server_error);
  EXPECT_EQ(error.http_status, 502);
  EXPECT_EQ(error.attempts, 3);
  EXPECT_EQ(std::string(ProviderError(error).what()).find(kKey.substr(0, 8)), std::string::npos);
}

TEST_P(ServiceTest, AnswersThatAreNoJson) {
  for (const std::string body : {"", "{", "null", "[]", "<html>", "{\"choices\":7}"}) {
    server_.answer(http(200, body));
    const ErrorDetails error =
        error_of([&] { provider({.max_retries = 0}).chat(request()).get(); });
    EXPECT_EQ(error.kind, ErrorKind::malformed_response) << body;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ServiceTest, ::testing::ValuesIn(services()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace taut::ai::test
