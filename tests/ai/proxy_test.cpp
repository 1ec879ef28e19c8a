// Proxies: which is used, what it sees, and what nobody sees of its credentials.

#include <gtest/gtest.h>

#include <cstdlib>

#include "taut/ai/client.h"
#include "tests/ai/fake_server.h"
#include "tests/ai/plain_protocol.h"
#include "tests/ai/services.h"
#include "tests/ai/tls_server.h"

namespace taut::ai::test {
namespace {

ErrorDetails through_proxy(const std::string& proxy, const std::string& url) {
  ClientOptions options;
  options.max_retries = 0;
  options.proxy = proxy;
  Client client(options, plain_parts());
  ProviderConfig config = plain_config(url);
  config.allows_http = true;
  const Provider plain = client.provider(config);
  return error_of([&] { plain.chat(plain_request()).get(); });
}

TEST(Proxy, OneThatWantsToKnowWhoAsks) {
  FakeServer proxy;
  proxy.answer("HTTP/1.1 407 X\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n");
  const std::string url =
      "http://somebody:proxy-password-1@127.0.0.1:" + std::to_string(proxy.port());
  const ErrorDetails error = through_proxy(url, "https://api.invalid");
  EXPECT_EQ(error.kind, ErrorKind::auth);
  EXPECT_NE(error.message.find("407"), std::string::npos) << error.message;
  EXPECT_EQ(std::string(ProviderError(error).what()).find("proxy-password"), std::string::npos);
  EXPECT_EQ(proxy.requests().at(0).headers.count("proxy-authorization"), 1u);
  EXPECT_EQ(proxy.requests().at(0).headers.count("x-api-key"), 0u);
}

TEST(Proxy, OneThatCannotReachTheServer) {
  FakeServer proxy;
  proxy.answer("HTTP/1.1 502 X\r\ncontent-length: 0\r\n\r\n");
  EXPECT_EQ(through_proxy(proxy.url(), "https://api.invalid").kind, ErrorKind::connection);
}

TEST(Proxy, OneThatIsNotThere) {
  std::string url;
  {
    const FakeServer gone;
    url = gone.url();
  }
  EXPECT_EQ(through_proxy(url, "https://api.invalid").kind, ErrorKind::connection);
}

/// A variable of the environment for as long as it is needed.
class Variable {
 public:
  Variable(std::string name, const std::string& value) : name_(std::move(name)) {
    ::setenv(name_.c_str(), value.c_str(), 1);
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() { ::unsetenv(name_.c_str()); }

 private:
  std::string name_;
};

/// What a chat with this address says, or how it fails.
Heard ask(const std::string& url, ClientOptions options = {}) {
  options.max_retries = 0;
  Client client(options, plain_parts());
  ProviderConfig config = plain_config(url);
  config.allows_http = true;
  Heard heard;
  try {
    heard.text = client.provider(config).chat(plain_request()).get().text();
  } catch (...) {
    heard.error = details_of(std::current_exception());
  }
  return heard;
}

TEST(Proxy, TheEnvironmentsIsUsedButNotForThisMachine) {
  FakeServer proxy, server;
  proxy.answer(http(200, "answer: by proxy\n"));
  server.answer(http(200, "answer: directly\n"));
  const Variable variable("http_proxy", proxy.url());
  EXPECT_EQ(ask("http://api.invalid").text, "by proxy");
  EXPECT_EQ(ask(server.url()).text, "directly");
  EXPECT_EQ(proxy.requests().at(0).target, "http://api.invalid/chat");
  EXPECT_EQ(proxy.requests().size(), 1u);
}

TEST(Proxy, TheEnvironmentNamesHostsThatNeedNone) {
  FakeServer proxy;
  proxy.answer(http(200, "answer: by proxy\n"));
  const Variable variable("http_proxy", proxy.url());
  for (const char* variable_name : {"no_proxy", "NO_PROXY"}) {
    for (const char* hosts :
         {"api.invalid", ".invalid", "invalid", "other.test,api.invalid", "*"}) {
      const Variable without(variable_name, hosts);
      const Heard heard = ask("http://api.invalid");
      ASSERT_TRUE(heard.error) << hosts;
      EXPECT_EQ(heard.error->kind, ErrorKind::connection) << "nobody has that name";
    }
    const Variable without(variable_name, "other.test,pi.invalid");
    EXPECT_EQ(ask("http://api.invalid").text, "by proxy");
  }
  EXPECT_EQ(proxy.requests().size(), 2u);
}

TEST(Proxy, TheEnvironmentsOfAllKinds) {
  FakeServer proxy;
  proxy.answer(http(200, "answer: by proxy\n"));
  for (const char* variable_name : {"all_proxy", "ALL_PROXY", "http_proxy"}) {
    const Variable variable(variable_name, proxy.url());
    EXPECT_EQ(ask("http://api.invalid").text, "by proxy") << variable_name;
  }
  // A web server sets this one to what its client says.
  const Variable upper("HTTP_PROXY", proxy.url());
  EXPECT_EQ(ask("http://api.invalid").error->kind, ErrorKind::connection);
  for (const char* variable_name : {"https_proxy", "HTTPS_PROXY"}) {
    FakeServer tunnel;
    tunnel.answer("HTTP/1.1 502 X\r\ncontent-length: 0\r\n\r\n");
    const Variable variable(variable_name, tunnel.url());
    EXPECT_EQ(ask("https://api.invalid").error->kind, ErrorKind::connection);
    ASSERT_EQ(tunnel.requests().size(), 1u) << variable_name;
    EXPECT_EQ(tunnel.requests().at(0).method, "CONNECT");
    EXPECT_EQ(tunnel.requests().at(0).target, "api.invalid:443");
    EXPECT_EQ(tunnel.requests().at(0).head.find(marker_key()), std::string::npos);
  }
}

TEST(Proxy, TheOptionsGoesBeforeTheEnvironments) {
  FakeServer proxy, other;
  proxy.answer(http(200, "answer: by proxy\n"));
  const Variable variable("http_proxy", other.url());
  const Variable without("no_proxy", "*");
  EXPECT_EQ(ask("http://api.invalid", {.proxy = proxy.url()}).text, "by proxy");
  EXPECT_EQ(other.connections(), 0);
}

std::string models(const std::string& url, const ClientOptions& options) {
  Client client(options, plain_parts());
  return client.provider(plain_config(url)).models().get().at(0).id;
}

TEST(Proxy, ATunnelThroughItHidesTheKey) {
  if (!has_openssl()) GTEST_SKIP() << "openssl(1) is not there";
  const Certificates certificates;
  certificates.make("good", "IP:127.0.0.1");
  const TlsServer server(certificates, "good");
  FakeServer proxy;
  proxy.forbid(marker_key());
  proxy.answer(Script{send("HTTP/1.1 200 Connected\r\n\r\n"), relay(server.port())});
  ClientOptions options;
  options.max_retries = 0;
  options.ca_file = certificates.authority();
  options.proxy = "http://somebody:" + marker_key(7) + "@127.0.0.1:" + std::to_string(proxy.port());
  std::string traced;
  options.trace = [&traced](std::string_view line) { traced += std::string(line) + "\n"; };
  EXPECT_EQ(models(server.url(), options), "one");
  ASSERT_EQ(proxy.requests().size(), 1u) << "its credentials are not sent to the server";
  EXPECT_EQ(proxy.requests().at(0).method, "CONNECT");
  EXPECT_EQ(proxy.requests().at(0).headers.count("proxy-authorization"), 1u);
  EXPECT_EQ(proxy.requests().at(0).target, "127.0.0.1:" + std::to_string(server.port()));
  EXPECT_NE(traced.find("CONNECT 127.0.0.1"), std::string::npos) << traced;
  EXPECT_EQ(traced.find("somebody"), std::string::npos) << traced;
  EXPECT_FALSE(shows_key(traced, marker_key(7)));
  EXPECT_FALSE(shows_key(traced, marker_key()));
}

TEST(Proxy, ItsCredentialsStandInNoError) {
  const std::string password = marker_key(7);
  FakeServer refuses, fails;
  refuses.answer("HTTP/1.1 407 X\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n");
  fails.answer("HTTP/1.1 502 " + password + "\r\ncontent-length: 0\r\n\r\n");
  for (const std::string& proxy :
       {"http://somebody:" + password + "@127.0.0.1:" + std::to_string(refuses.port()),
        "somebody:" + password + "@127.0.0.1:" + std::to_string(refuses.port()),
        "http://somebody:" + password + "@127.0.0.1:" + std::to_string(fails.port()),
        "http://somebody:" + password + "@no-such-proxy.invalid:1",
        "strange://somebody:" + password + "@127.0.0.1:1",
        "http://somebody:" + password + "@127.0.0.1:notaport"}) {
    for (const bool is_stream : {false, true}) {
      std::string traced;
      ClientOptions options;
      options.max_retries = 0;
      options.proxy = proxy;
      options.trace = [&traced](std::string_view line) { traced += std::string(line) + "\n"; };
      std::optional<ErrorDetails> error;
      {
        Client client(options, plain_parts());
        const Provider plain = client.provider(plain_config("https://api.invalid"));
        error = is_stream ? listen_to(plain.stream(plain_request())).error
                          : error_of([&] { plain.chat(plain_request()).get(); });
      }
      ASSERT_TRUE(error);
      EXPECT_TRUE(error->kind == ErrorKind::auth || error->kind == ErrorKind::connection ||
                  error->kind == ErrorKind::invalid_request)
          << name(error->kind);
      const std::string told = ProviderError(*error).what() + error->message + traced;
      EXPECT_FALSE(shows_key(told, password)) << told;
      EXPECT_EQ(told.find("somebody"), std::string::npos) << told;
    }
  }
}

}  // namespace
}  // namespace taut::ai::test
