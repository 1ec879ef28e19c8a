// What goes wrong before a request is sent, for every protocol, for whole answers and for streams.

#include <gtest/gtest.h>

#include "taut/ai/client.h"
#include "tests/ai/fake_server.h"
#include "tests/ai/full_backlog.h"
#include "tests/ai/plain_protocol.h"
#include "tests/ai/services.h"
#include "tests/ai/tls_server.h"

namespace taut::ai::test {
namespace {

/// All at the same time, without retries.
void expect_all_fail(const std::string& url, ErrorKind kind, double connect_timeout = 30) {
  Client client({.max_retries = 0, .timeouts = {.connect = connect_timeout}});
  std::vector<Pending<ChatResponse>> chats;
  std::vector<ChatStream> streams;
  for (const Service& service : services()) {
    const Provider provider = client.provider(service.config_at(url, marker_key()));
    chats.push_back(provider.chat(service_request()));
    streams.push_back(provider.stream(service_request()));
  }
  for (size_t i = 0; i < services().size(); ++i) {
    SCOPED_TRACE(services()[i].name);
    const ErrorDetails error = error_of([&] { chats[i].get(); });
    EXPECT_EQ(error.kind, kind) << name(error.kind) << ": " << error.message;
    EXPECT_EQ(error.http_status, 0);
    EXPECT_EQ(error.attempts, 1);
    const Heard heard = listen_to(streams[i]);
    ASSERT_TRUE(heard.error);
    EXPECT_EQ(heard.error->kind, kind) << name(heard.error->kind) << ": " << heard.error->message;
    EXPECT_FALSE(heard.error->partial_output);
  }
}

std::string https(const FakeServer& server) {
  return "https://127.0.0.1:" + std::to_string(server.port());
}

TEST(Connecting, NobodyListens) {
  std::string url;
  {
    const FakeServer gone;
    url = gone.url();
  }
  expect_all_fail(url, ErrorKind::connection);
}

TEST(Connecting, NoSuchHost) {
  expect_all_fail("https://no-such-host.invalid", ErrorKind::connection);
}

TEST(Connecting, NobodyAccepts) {
  const FullBacklog full;
  expect_all_fail("http://" + full.authority(), ErrorKind::timeout_connect, 0.3);
  expect_all_fail("https://" + full.authority(), ErrorKind::timeout_connect, 0.3);
}

TEST(Connecting, TlsThatIsNeverAnswered) {
  FakeServer server;
  server.greet({hold()});
  expect_all_fail(https(server), ErrorKind::timeout_connect, 0.3);
}

TEST(Connecting, TlsByTheByte) {
  FakeServer server;
  // The head of a record of 512 bytes, which never becomes whole.
  server.greet({send(std::string("\x16\x03\x03\x02\x00", 5)), repeat(std::string(1, '\0'), 0.05)});
  expect_all_fail(https(server), ErrorKind::timeout_connect, 0.4);
}

TEST(Connecting, PlainHttpWhereTlsIsSpoken) {
  FakeServer server;
  server.greet(
      {send(http(400, "plain http was spoken here\n", {}, "text/plain")), wait(0.05), close()});
  expect_all_fail(https(server), ErrorKind::connection);
}

TEST(Connecting, ConnectionsThatEndWithinTls) {
  for (const Step& end : {close(), reset()}) {
    FakeServer server;
    server.greet({end});
    expect_all_fail(https(server), ErrorKind::connection);
  }
}

TEST(Connecting, TlsWherePlainHttpIsSpoken) {
  if (!has_openssl()) GTEST_SKIP() << "openssl(1) is not there";
  const Certificates certificates;
  certificates.make("good", "IP:127.0.0.1");
  const TlsServer server(certificates, "good");
  Client client({.max_retries = 0, .timeouts = {.first_byte = 5, .whole_answer = 5}},
                plain_parts());
  const Provider plain =
      client.provider(plain_config("http://127.0.0.1:" + std::to_string(server.port())));
  const ErrorKind kind = error_of([&] { plain.chat(plain_request()).get(); }).kind;
  EXPECT_TRUE(kind == ErrorKind::malformed_response || kind == ErrorKind::connection) << name(kind);
}

TEST(Connecting, IsTriedAgain) {
  FakeServer server;
  server.greet({close()});
  for (const Service& service : services()) {
    Client::Parts parts;
    parts.time = std::make_shared<InstantTime>();
    Client client({.max_retries = 2}, parts);
    const Provider provider = client.provider(service.config_at(https(server), marker_key()));
    EXPECT_EQ(error_of([&] { provider.chat(service_request()).get(); }).attempts, 3);
    EXPECT_EQ(listen_to(provider.stream(service_request())).error->attempts, 3);
  }
  EXPECT_EQ(server.connections(), 6 * static_cast<int64_t>(services().size()));
}

}  // namespace
}  // namespace taut::ai::test
