// What a trace tells, and what it never tells.

#include "src/ai/trace.h"

#include <gtest/gtest.h>

#include <mutex>

#include "src/ai/redact.h"
#include "taut/ai/client.h"
#include "tests/ai/fake_server.h"
#include "tests/ai/plain_protocol.h"
#include "tests/ai/services.h"

namespace taut::ai::test {
namespace {

const std::string kKey = marker_key();

/// The lines that a trace of one transfer tells.
struct Told {
  std::vector<std::string> lines;
  Trace::Tell tell() {
    return [this](std::string_view line) { lines.emplace_back(line); };
  }
};

TEST(Trace, TellsWholeLines) {
  Told told;
  {
    Trace trace(7, told.tell());
    trace.add(Trace::Kind::note, "Trying 127.0.0.1...\n");
    trace.add(Trace::Kind::head_sent, "POST /chat HTTP/1.1\r\nho");
    trace.add(Trace::Kind::head_received, "HTTP/1.1 200");
    trace.add(Trace::Kind::head_sent, "st: a\r\n\r\n");
    trace.add(Trace::Kind::body_sent, "the prompt");
    trace.add(Trace::Kind::head_received, " OK\r\n");
    trace.add(Trace::Kind::body_received, "the answer");
    trace.add(Trace::Kind::note, "without an end");
  }
  EXPECT_EQ(told.lines,
            (std::vector<std::string>{"[7] * Trying 127.0.0.1...", "[7] > POST /chat HTTP/1.1",
                                      "[7] > host: a", "[7] > ", "[7] > 10 bytes of a body",
                                      "[7] < HTTP/1.1 200 OK", "[7] < 10 bytes of a body",
                                      "[7] * without an end"}));
}

TEST(Trace, AKeyMayBeSplitAnywhere) {
  KeyRing keys;
  keys.add(kKey);
  const std::string text = "x-api-key: " + kKey + "\r\nx-other: " + kKey + "\r\n";
  for (const Trace::Kind kind :
       {Trace::Kind::note, Trace::Kind::head_sent, Trace::Kind::head_received}) {
    for (size_t at = 1; at < text.size(); ++at) {
      std::string shown;
      {
        Trace trace(1, [&](std::string_view line) { shown += keys.redact(line) + "\n"; });
        trace.add(kind, text.substr(0, at));
        trace.add(kind, text.substr(at));
      }
      ASSERT_FALSE(shows_key(shown, kKey)) << shown;
      ASSERT_NE(shown.find("x-other: <redacted>"), std::string::npos) << shown;
    }
  }
}

TEST(Trace, LinesThatAreTooLongAreCut) {
  Told told;
  Trace trace(1, told.tell());
  for (int i = 0; i < 100; ++i) trace.add(Trace::Kind::note, std::string(10'000, 'x'));
  trace.add(Trace::Kind::note, "\nnext\n");
  ASSERT_EQ(told.lines.size(), 2u);
  EXPECT_LT(told.lines[0].size(), 70'000u);
  EXPECT_TRUE(told.lines[0].ends_with("x ..."));
  EXPECT_EQ(told.lines[1], "[1] * next");
}

TEST(Trace, WhatItThrowsIsLost) {
  Trace trace(1, [](std::string_view) { throw std::runtime_error("no"); });
  trace.add(Trace::Kind::note, "one\ntwo\n");
  trace.add(Trace::Kind::body_sent, "three");
}

// ---- Of clients ---------------------------------------------------------------------------------

/// A client's trace, which ends with it.
struct Traced {
  std::string text;
  ClientOptions options() {
    ClientOptions options;
    options.max_retries = 0;
    options.trace = [this](std::string_view line) { text += std::string(line) + "\n"; };
    return options;
  }
};

TEST(ClientTrace, TellsHeadsAndNoBodies) {
  FakeServer server;
  server.answer(http(200, "answer: the words of an answer\n", "set-cookie: id=cookie-word\r\n"));
  Traced traced;
  {
    Client client(traced.options(), plain_parts());
    ChatRequest request = plain_request("the words of a prompt");
    request.headers = {{"cookie", "cookie-word"}, {"x-user", "somebody"}};
    client.provider(plain_config(server.url())).chat(request).get();
  }
  for (const char* said : {"> POST /chat HTTP/1.1", "> x-user: somebody", "> x-api-key: <redacted>",
                           "> cookie: <redacted>", "< HTTP/1.1 200 X", "< set-cookie: <redacted>",
                           "< content-type: application/json", "bytes of a body"}) {
    EXPECT_NE(traced.text.find(said), std::string::npos) << said << " in " << traced.text;
  }
  EXPECT_EQ(traced.text.find("the words"), std::string::npos) << traced.text;
  EXPECT_EQ(traced.text.find("cookie-word"), std::string::npos) << traced.text;
  EXPECT_FALSE(shows_key(traced.text, kKey)) << traced.text;
}

TEST(ClientTrace, HoldsNoKeyOfAnyProtocolWhateverTheServerSays) {
  for (const Service& service : services()) {
    for (const Script& script :
         {Script{send(http(200, service.answer, "x-echo: " + kKey + "\r\n"))},
          Script{send(http(401, "no " + kKey, "www-authenticate: Bearer " + kKey + "\r\n"))},
          Script{send("HTTP/1.1 302 " + kKey + "\r\nlocation: https://a:" + kKey + "@b/" + kKey +
                      "?key=" + kKey + "\r\ncontent-length: 0\r\n\r\n")},
          Script{send(kKey + "\r\n\r\n"), close()},
          Script{send("HTTP/1.1 200 OK\r\nx-a: " + kKey.substr(0, 20)), wait(0.02),
                 send(kKey.substr(20) + "\r\ncontent-length: 0\r\n\r\n")},
          Script{send_slowly("HTTP/1.1 200 OK\r\nx-a: " + kKey + "\r\n", 1, 0.001), close()}}) {
      FakeServer server;
      server.answer(script);
      Traced traced;
      {
        Client client(traced.options());
        const Provider provider = client.provider(service.config_at(server.url(), kKey));
        try {
          static_cast<void>(provider.chat(service_request()).get());
        } catch (const ProviderError&) {
        }
        listen_to(provider.stream(service_request()));
      }
      EXPECT_NE(traced.text.find("> POST /"), std::string::npos);
      EXPECT_FALSE(shows_key(traced.text, kKey)) << service.name << ": " << traced.text;
    }
  }
}

TEST(ClientTrace, OfManyCallsAtOnce) {
  FakeServer server;
  server.answer(http(200, "answer: hi\n"));
  Traced traced;
  {
    Client client(traced.options(), plain_parts());
    const Provider plain = client.provider(plain_config(server.url()));
    std::vector<Pending<ChatResponse>> calls;
    for (int i = 0; i < 50; ++i) calls.push_back(plain.chat(plain_request()));
    for (const auto& call : calls) call.get();
  }
  for (int i = 1; i <= 50; ++i) {
    const std::string line = "[" + std::to_string(i) + "] > POST /chat HTTP/1.1\n";
    EXPECT_NE(traced.text.find(line), std::string::npos) << line;
  }
  EXPECT_FALSE(shows_key(traced.text, kKey));
}

TEST(ClientTrace, WhatItThrowsEndsNothing) {
  FakeServer server;
  server.answer(http(200, "answer: hi\n"));
  ClientOptions options;
  options.trace = [](std::string_view) { throw std::runtime_error("no"); };
  Client client(options, plain_parts());
  EXPECT_EQ(client.provider(plain_config(server.url())).chat(plain_request()).get().text(), "hi");
}

}  // namespace
}  // namespace taut::ai::test
