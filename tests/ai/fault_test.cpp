// What servers and networks do wrong: each fault has its kind of error, and none takes longer than
// it may.

#include <gtest/gtest.h>

#include "taut/ai/client.h"
#include "taut/base/check.h"
#include "tests/ai/fake_server.h"
#include "tests/ai/plain_protocol.h"

namespace taut::ai::test {
namespace {

class FaultTest : public ::testing::Test {
 protected:
  /// Without retries, so that the first failure is the one that is seen; with short limits.
  static ClientOptions patient() {
    ClientOptions options;
    options.max_retries = 0;
    return options;
  }
  /// Where a time-out is what is waited for.
  static ClientOptions strict() {
    ClientOptions options = patient();
    options.timeouts.first_byte = 0.3;
    options.timeouts.whole_answer = 0.3;
    options.timeouts.idle = 0.3;
    options.timeouts.keep_alive_only = 0.6;
    return options;
  }
  Provider provider(ClientOptions options = patient()) {
    client_.emplace(std::move(options), plain_parts());
    return client_->provider(plain_config(server_.url()));
  }
  ErrorDetails chat_error(Script script, ClientOptions options = patient()) {
    server_.answer(std::move(script));
    const Provider plain = provider(std::move(options));
    const double begin = TimeSource().now();
    ErrorDetails error = error_of([&] { plain.chat(plain_request()).get(); });
    EXPECT_LT(TimeSource().now() - begin, 30);
    return error;
  }
  Heard stream(Script script, ClientOptions options = patient()) {
    server_.answer(std::move(script));
    return listen_to(provider(std::move(options)).stream(plain_request()));
  }
  ErrorKind stream_error(Script script, ClientOptions options = patient()) {
    const Heard heard = stream(std::move(script), std::move(options));
    EXPECT_TRUE(heard.error);
    return heard.error ? heard.error->kind : ErrorKind::cancelled;
  }

  FakeServer server_;
  std::optional<Client> client_;
};

// ---- Connections --------------------------------------------------------------------------------

TEST_F(FaultTest, NobodyListens) {
  std::string url;
  {
    const FakeServer gone;
    url = gone.url();
  }
  Client client(patient(), plain_parts());
  const Provider plain = client.provider(plain_config(url));
  const ErrorDetails error = error_of([&] { plain.chat(plain_request()).get(); });
  EXPECT_EQ(error.kind, ErrorKind::connection);
  EXPECT_EQ(error.http_status, 0);
}

TEST_F(FaultTest, NoSuchHost) {
  Client client(patient(), plain_parts());
  const Provider plain = client.provider(plain_config("https://no-such-host.invalid"));
  EXPECT_EQ(error_of([&] { plain.chat(plain_request()).get(); }).kind, ErrorKind::connection);
}

TEST_F(FaultTest, ClosedAtOnce) { EXPECT_EQ(chat_error({close()}).kind, ErrorKind::connection); }

TEST_F(FaultTest, ResetBeforeAnyByte) {
  EXPECT_EQ(chat_error({reset()}).kind, ErrorKind::connection);
}

TEST_F(FaultTest, WhatIsNotHttp) {
  EXPECT_EQ(chat_error({send("SSH-2.0-OpenSSH_9.2\r\n"), close()}).kind,
            ErrorKind::malformed_response);
}

// ---- Bodies -------------------------------------------------------------------------------------

TEST_F(FaultTest, FewerBytesThanPromised) {
  EXPECT_EQ(
      chat_error({send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nanswer: hi\n"), close()})
          .kind,
      ErrorKind::truncated_stream);
}

TEST_F(FaultTest, MoreBytesThanPromised) {
  server_.answer("HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nanswer: hi\nanswer: ho\n");
  EXPECT_EQ(provider().chat(plain_request()).get().text(), "hi");
}

TEST_F(FaultTest, TwoLengthsOfOneBody) {
  EXPECT_EQ(
      chat_error(
          {send("HTTP/1.1 200 OK\r\ncontent-length: 11\r\ncontent-length: 12\r\n\r\nanswer: hi\n")})
          .kind,
      ErrorKind::malformed_response);
}

TEST_F(FaultTest, ChunksCutByTheEnd) {
  EXPECT_EQ(chat_error({send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" +
                             chunk("answer: hi\n")),
                        close()})
                .kind,
            ErrorKind::truncated_stream);
}

TEST_F(FaultTest, ResetWithinTheBody) {
  const ErrorDetails error = chat_error(
      {send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nanswer: hi\n"), wait(0.05), reset()});
  EXPECT_EQ(error.kind, ErrorKind::truncated_stream);
  EXPECT_EQ(error.bytes_received, 11);
}

TEST_F(FaultTest, ChunksThatAreNone) {
  EXPECT_EQ(
      chat_error({send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nanswer\r\n")})
          .kind,
      ErrorKind::malformed_response);
}

TEST_F(FaultTest, ErrorsWhoseBodiesAreCut) {
  const ErrorDetails error =
      chat_error({send("HTTP/1.1 500 X\r\ncontent-length: 100\r\n\r\nfailed"), close()});
  EXPECT_EQ(error.kind, ErrorKind::server_error);
  EXPECT_EQ(error.message, "failed");
}

TEST_F(FaultTest, ErrorsWithHugeBodies) {
  ClientOptions options = patient();
  options.limits.error_body = 1000;
  const ErrorDetails error =
      chat_error({send(http(500, "begin" + std::string(100'000, 'x')))}, options);
  EXPECT_EQ(error.kind, ErrorKind::server_error);
  EXPECT_EQ(error.http_status, 500);
}

TEST_F(FaultTest, AnswersThatAreTooLarge) {
  ClientOptions options = patient();
  options.limits.json = 1000;
  const ErrorDetails error = chat_error({send(http(200, std::string(5000, 'x')))}, options);
  EXPECT_EQ(error.kind, ErrorKind::malformed_response);
  EXPECT_NE(error.message.find("1000"), std::string::npos) << error.message;
}

TEST_F(FaultTest, AnswersThatNeverEnd) {
  ClientOptions options = patient();
  options.limits.json = 1'000'000;
  EXPECT_EQ(chat_error({send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
                        repeat(chunk(std::string(65536, 'x')), 0)},
                       options)
                .kind,
            ErrorKind::malformed_response);
}

TEST_F(FaultTest, StreamsThatNeverEnd) {
  ClientOptions options = patient();
  options.limits.stream = 1'000'000;
  EXPECT_EQ(
      stream_error({send(http_open(200)), repeat(events({std::string(10'000, 'x')}), 0)}, options),
      ErrorKind::malformed_response);
}

TEST_F(FaultTest, RequestsThatAreTooLarge) {
  ClientOptions options = patient();
  options.limits.request = 100;
  const Provider plain = provider(options);
  const ErrorDetails error =
      error_of([&] { plain.chat(plain_request(std::string(200, 'x'))).get(); });
  EXPECT_EQ(error.kind, ErrorKind::request_too_large);
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(FaultTest, LargeRequestsDoNotWaitForLeave) {
  server_.answer(http(200, "answer: hi\n"));
  ClientOptions options = patient();
  const std::string text(size_t{3} << 20, 'x');
  EXPECT_EQ(provider(options).chat(plain_request(text)).get().text(), "hi");
  const Request request = server_.requests().at(0);
  EXPECT_EQ(request.headers.count("expect"), 0u);
  EXPECT_EQ(request.body, "model: small\ntext: " + text + "\n");
}

// ---- Headers ------------------------------------------------------------------------------------

TEST_F(FaultTest, HeadersThatAreTooLarge) {
  std::string headers;
  for (int i = 0; i < 400; ++i) {
    headers += "x-" + std::to_string(i) + ": " + std::string(1000, 'h') + "\r\n";
  }
  EXPECT_EQ(chat_error({send(http(200, "answer: hi\n", headers))}).kind,
            ErrorKind::malformed_response);
}

TEST_F(FaultTest, OneHeaderOfAMegabyte) {
  EXPECT_EQ(chat_error({send(http(200, "answer: hi\n",
                                  "x-large: " + std::string(size_t{1} << 20, 'h') + "\r\n"))})
                .kind,
            ErrorKind::malformed_response);
}

TEST_F(FaultTest, ANulInAHeader) {
  EXPECT_EQ(chat_error({send(http(200, "answer: hi\n", std::string("x-nul: a\0b\r\n", 12)))}).kind,
            ErrorKind::malformed_response);
}

TEST_F(FaultTest, NoticesBeforeTheAnswer) {
  server_.answer("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + http(200, "answer: hi\n"));
  EXPECT_EQ(provider().chat(plain_request()).get().text(), "hi");
}

// ---- Slowness -----------------------------------------------------------------------------------

TEST_F(FaultTest, NoAnswerBegins) {
  const ErrorDetails error = chat_error({hold()}, strict());
  EXPECT_EQ(error.kind, ErrorKind::timeout_first_byte);
  EXPECT_EQ(stream_error({hold()}, strict()), ErrorKind::timeout_first_byte);
}

TEST_F(FaultTest, HeadersByTheByte) {
  EXPECT_EQ(chat_error({send_slowly(http(200, "answer: hi\n"), 1, 0.05), hold()}, strict()).kind,
            ErrorKind::timeout_first_byte);
}

TEST_F(FaultTest, SilentAfterTheHeaders) {
  EXPECT_EQ(
      chat_error({send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n"), hold()}, strict()).kind,
      ErrorKind::timeout_idle);
  EXPECT_EQ(stream_error({send(http_open(200)), hold()}, strict()), ErrorKind::timeout_idle);
}

TEST_F(FaultTest, ABodyByTheByte) {
  EXPECT_EQ(chat_error({send("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"), repeat("x", 0.05)},
                       strict())
                .kind,
            ErrorKind::timeout_idle);
}

TEST_F(FaultTest, AStreamThatFallsSilent) {
  const Heard heard = stream({send(http_open(200) + events({"one"})), hold()}, strict());
  EXPECT_EQ(heard.text, "one");
  ASSERT_TRUE(heard.error);
  EXPECT_EQ(heard.error->kind, ErrorKind::timeout_idle);
  EXPECT_TRUE(heard.error->partial_output);
}

TEST_F(FaultTest, OnlySignsOfLife) {
  for (const std::string sign : {": keep-alive\n\n", "event: ping\ndata: {}\n\n", "\n"}) {
    const double begin = TimeSource().now();
    EXPECT_EQ(stream_error({send(http_open(200) + events({"one"})), repeat(sign, 0.05)}, strict()),
              ErrorKind::timeout_idle);
    const double seconds = TimeSource().now() - begin;
    EXPECT_GE(seconds, 0.59) << "they extend the time a little";
    EXPECT_LT(seconds, 10) << "but not for ever";
  }
}

TEST_F(FaultTest, SignsOfLifeBetweenEvents) {
  Script script{send(http_open(200))};
  for (int i = 0; i < 4; ++i) {
    script.push_back(repeat(": wait\n\n", 0.1, 4));
    script.push_back(send(events({"x"})));
  }
  script.push_back(send(events({"[end]"})));
  ClientOptions options = strict();
  options.timeouts.keep_alive_only = 30;
  EXPECT_EQ(stream(script, options).text, "xxxx");
}

TEST_F(FaultTest, TheDeadlineOfAWholeCall) {
  ClientOptions options = patient();
  options.timeouts.total = 0.2;
  EXPECT_EQ(chat_error({hold()}, options).kind, ErrorKind::timeout_total);
  server_.answer(Script{send(http_open(200)), repeat(events({"x"}), 0.02)});
  ChatRequest request = plain_request();
  request.deadline = 0.3;
  const Heard heard = listen_to(provider().stream(request));
  ASSERT_TRUE(heard.error);
  EXPECT_EQ(heard.error->kind, ErrorKind::timeout_total);
  EXPECT_FALSE(heard.text.empty());
}

// ---- Streams ------------------------------------------------------------------------------------

TEST_F(FaultTest, AStreamCutAfterEachOfItsEvents) {
  const std::vector<std::string> all = {"a", "b", "c", "d"};
  for (size_t count = 1; count <= all.size(); ++count) {
    const std::vector<std::string> some(all.begin(), all.begin() + static_cast<int64_t>(count));
    for (const Step& end : {close(), reset()}) {
      const Heard heard = stream({send(http_open(200) + events(some)), wait(0.02), end});
      ASSERT_TRUE(heard.error) << count;
      EXPECT_EQ(heard.error->kind, ErrorKind::truncated_stream);
      EXPECT_EQ(heard.text.size(), count);
    }
  }
}

TEST_F(FaultTest, AStreamThatEndsInGoodOrder) {
  const Heard heard = stream({send(http_open(200) + events({"hi", "[finish]"})), close()});
  EXPECT_EQ(heard.text, "hi");
  EXPECT_FALSE(heard.error);
}

TEST_F(FaultTest, AStreamWhoseConnectionLingers) {
  const double begin = TimeSource().now();
  const Heard heard = stream({send(http_open(200) + events({"hi", "[end]"})), hold()});
  EXPECT_EQ(heard.text, "hi");
  EXPECT_FALSE(heard.error);
  EXPECT_LT(TimeSource().now() - begin, 30) << "its end is not waited for";
  EXPECT_TRUE(server_.wait_until_idle()) << "and it is let go of";
}

TEST_F(FaultTest, AStreamThatTalksOnAfterItsEnd) {
  const Heard heard =
      stream({send(http_open(200) + events({"hi", "[end]", "more"})), repeat(events({"more"}), 0)});
  EXPECT_EQ(heard.text, "hi");
  EXPECT_FALSE(heard.error);
  EXPECT_TRUE(server_.wait_until_idle(2));
}

TEST_F(FaultTest, AnErrorWithinAStream) {
  const Heard heard =
      stream({send(http_chunked(200, {events({"one", "[error] overloaded", "[end]"})}))});
  EXPECT_EQ(heard.text, "one");
  ASSERT_TRUE(heard.error);
  EXPECT_EQ(heard.error->kind, ErrorKind::stream_error);
  EXPECT_TRUE(heard.error->partial_output);
}

TEST_F(FaultTest, AnErrorAtTheCutEndOfAStream) {
  const Heard heard =
      stream({send(http_open(200) + events({"one"}) + "data: [error] cut"), close()});
  ASSERT_TRUE(heard.error);
  EXPECT_EQ(heard.error->kind, ErrorKind::stream_error);
}

TEST_F(FaultTest, WhatIsNotAStream) {
  const Heard heard = stream({send(http(200, "<html>login</html>", {}, "text/html"))});
  ASSERT_TRUE(heard.error);
  EXPECT_EQ(heard.error->kind, ErrorKind::malformed_response);
  EXPECT_NE(heard.error->message.find("text/html"), std::string::npos);
  EXPECT_NE(heard.error->message.find("<html>login"), std::string::npos) << heard.error->message;
  EXPECT_EQ(stream_error({send(http_open(200, {}, "text/plain")), repeat("words ", 0)}),
            ErrorKind::malformed_response);
}

TEST_F(FaultTest, AStreamByTheByte) {
  const std::string body = events({"one", " two", "[end]"});
  const Heard heard = stream({send(http_open(200)), send_slowly(body, 1, 0.001), hold()});
  EXPECT_EQ(heard.text, "one two");
}

TEST_F(FaultTest, ALineThatIsTooLong) {
  ClientOptions options = patient();
  options.limits.line = 1000;
  EXPECT_EQ(
      stream_error({send(http_open(200) + events({std::string(5000, 'x')})), hold()}, options),
      ErrorKind::malformed_response);
}

TEST_F(FaultTest, ManySmallEvents) {
  std::vector<std::string> many(20'000, "x");
  many.push_back("[end]");
  const Heard heard = stream({send(http_open(200) + events(many)), close()});
  EXPECT_EQ(heard.text.size(), 20'000u);
  EXPECT_FALSE(heard.error);
}

// ---- Back-pressure ------------------------------------------------------------------------------

TEST_F(FaultTest, TheServerWaitsForASlowReader) {
  ClientOptions options = strict();
  options.buffered_events = 16;
  constexpr int64_t kEvents = 3000;
  const std::string text(10'000, 'x');
  server_.answer(
      Script{send(http_open(200)), repeat(events({text}), 0, kEvents), send(events({"[end]"}))});
  const Provider plain = provider(options);
  const ChatStream stream = plain.stream(plain_request());
  ASSERT_TRUE(stream.next());
  // Longer than it may be silent: while the reader does not take anything, it is not the server's
  // fault.
  EXPECT_FALSE(Promise<int>().pending().wait_for(0.8));
  const int64_t received = client_->statistics().bytes_received;
  EXPECT_EQ(received, 0) << "counted at the end";
  EXPECT_EQ(static_cast<int64_t>(listen_to(stream).text.size()), (kEvents - 1) * 10'000);
}

/// libcurl gives what it has held back while it is told to go on, and says what comes of it nowhere
/// else.
TEST_F(FaultTest, AFaultInWhatWasHeldBack) {
  ClientOptions options = patient();
  options.buffered_events = 1;
  options.limits.line = 1000;
  server_.answer(
      Script{send(http_open(200, "transfer-encoding: chunked\r\n") + chunk(events({"one"})) +
                  chunk(events({"two"})) + chunk(events({std::string(5000, 'x')}))),
             hold()});
  const Provider plain = provider(options);
  const ChatStream stream = plain.stream(plain_request());
  EXPECT_FALSE(Promise<int>().pending().wait_for(0.1)) << "until it is full";
  const double begin = TimeSource().now();
  const Heard heard = listen_to(stream);
  EXPECT_LT(TimeSource().now() - begin, 10) << "long before it would count as silent";
  EXPECT_EQ(heard.text, "onetwo");
  ASSERT_TRUE(heard.error);
  EXPECT_EQ(heard.error->kind, ErrorKind::malformed_response);
}

TEST_F(FaultTest, WhatWaitsForAReaderIsBounded) {
  ClientOptions options = strict();
  options.buffered_events = 16;
  server_.answer(Script{send(http_open(200)), repeat(events({std::string(10'000, 'x')}), 0)});
  const Provider plain = provider(options);
  const ChatStream stream = plain.stream(plain_request());
  ASSERT_TRUE(stream.next());
  EXPECT_FALSE(Promise<int>().pending().wait_for(0.3));
  const size_t at_first = stream.response().text().size();
  EXPECT_FALSE(Promise<int>().pending().wait_for(0.3));
  EXPECT_EQ(stream.response().text().size(), at_first);
  EXPECT_LT(at_first, 1'000'000u);
}

}  // namespace
}  // namespace taut::ai::test
