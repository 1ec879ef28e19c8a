// Keys: where they come from, who gets them, and that nobody else does. What may stand in a
// request.

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "src/ai/address.h"
#include "src/ai/key_text.h"
#include "src/ai/redact.h"
#include "taut/ai/client.h"
#include "tests/ai/fake_server.h"
#include "tests/ai/plain_protocol.h"

namespace taut::ai::test {
namespace {

const std::string kKey = marker_key();

bool shows_key(const std::string& text) { return test::shows_key(text, kKey); }

std::string everything(const ErrorDetails& details) {
  const ProviderError error(details);
  return std::string(error.what()) + details.provider + details.model + details.vendor_type +
         details.vendor_code + details.message + details.param + details.request_id;
}

std::string text_of(const Secret& secret) { return std::string(secret.source()->read().view()); }

class TemporaryFile {
 public:
  TemporaryFile(const std::string& text, mode_t mode) {
    path_ = ::testing::TempDir() + "taut_key_XXXXXX";
    const int descriptor = ::mkstemp(path_.data());
    EXPECT_GE(descriptor, 0);
    EXPECT_EQ(::write(descriptor, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    EXPECT_EQ(::fchmod(descriptor, mode), 0);
    ::close(descriptor);
  }
  ~TemporaryFile() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// ---- Sources of keys ----------------------------------------------------------------------------

TEST(Secret, FromAText) {
  EXPECT_FALSE(Secret());
  EXPECT_TRUE(Secret::of("key"));
  EXPECT_EQ(text_of(Secret::of(" key\n")), "key");
}

TEST(Secret, FromTheEnvironment) {
  ::setenv("TAUT_TEST_KEY_ONE", "", 1);
  ::setenv("TAUT_TEST_KEY_TWO", "two\n", 1);
  const Secret secret = Secret::from_environment("TAUT_TEST_KEY_ONE", "TAUT_TEST_KEY_TWO");
  EXPECT_EQ(text_of(secret), "two");
  ::setenv("TAUT_TEST_KEY_ONE", "one", 1);
  EXPECT_EQ(text_of(secret), "one") << "asked for each time";
  ::unsetenv("TAUT_TEST_KEY_ONE");
  ::unsetenv("TAUT_TEST_KEY_TWO");
  EXPECT_EQ(text_of(secret), "");
  EXPECT_THROW(Secret::from_environment(""), ValueError);
}

TEST(Secret, FromAFileOfItsOwnerAlone) {
  const TemporaryFile good("the key\r\nanother line\n", 0600);
  EXPECT_EQ(text_of(Secret::from_file(good.path())), "the key");
  for (const mode_t mode : {0640, 0604, 0660, 0644}) {
    const TemporaryFile open("the key\n", mode);
    EXPECT_THROW(Secret::from_file(open.path()), ValueError);
  }
  EXPECT_THROW(Secret::from_file(good.path() + ".none"), IoError);
  EXPECT_THROW(Secret::from_file("/"), IoError);
}

TEST(Secret, FromACallback) {
  int asked = 0;
  const Secret secret = Secret::from_callback([&asked] { return "key" + std::to_string(++asked); });
  EXPECT_EQ(text_of(secret), "key1");
  EXPECT_EQ(text_of(secret), "key2");
  EXPECT_THROW(Secret::from_callback(nullptr), ValueError);
}

TEST(KeyText, IsWiped) {
  std::string text(64, 'k');
  const char* memory = text.data();
  wipe(text);
  for (int i = 0; i < 64; ++i) EXPECT_EQ(memory[i], '\0');
}

// ---- Redaction ----------------------------------------------------------------------------------

TEST(Redaction, TakesOutKnownKeysAndTheirPieces) {
  KeyRing keys;
  keys.add(kKey);
  EXPECT_EQ(keys.redact("Bearers of " + kKey + " beware"), "Bearers of <redacted> beware");
  for (size_t i = 0; i + 8 <= kKey.size(); ++i) {
    EXPECT_FALSE(shows_key(keys.redact("piece " + kKey.substr(i, 8) + " here"))) << i;
  }
  EXPECT_EQ(keys.redact("nothing to hide"), "nothing to hide");
  keys.add("abc");
  EXPECT_EQ(keys.redact("the abc of it"), "the abc of it") << "too short to be a key";
  keys.add("tiny1");
  EXPECT_EQ(keys.redact("the tiny1 of it"), "the <redacted> of it");
}

TEST(Redaction, TakesOutWhatLooksLikeAKey) {
  const KeyRing keys;
  struct Case {
    const char *text, *shown;
  };
  const Case cases[] = {
      {"Incorrect API key provided: sk-abcd****wxyz.", "Incorrect API key provided: <redacted>"},
      {"sk-ant-api03-abcdef", "<redacted>"},
      {"risk-averse people", "risk-averse people"},
      {"key AIzaSyA-1234567890 is wrong", "key <redacted> is wrong"},
      {"xai-123456789", "<redacted>"},
      {"pplx-123456789", "<redacted>"},
      {"Authorization: Bearer abcdef", "Authorization: <redacted>"},
      {"sent bearer abc.def-ghi, and", "sent bearer <redacted>, and"},
      {"GET /models?key=abcdef&page=2", "GET /models?key=<redacted>&page=2"},
      {"x-api-key: abcdef\r\nhost: a", "x-api-key: <redacted>\r\nhost: a"},
      {"{\"x-goog-api-key\":\"abc\",\"a\":1}", "{\"x-goog-api-key\":\"<redacted>\",\"a\":1}"},
      {"set-cookie: id=1; path=/", "set-cookie: <redacted>"},
      {"proxy http://user:word@proxy/", "proxy http://<redacted>@proxy/"},
  };
  for (const Case& one : cases) EXPECT_EQ(keys.redact(one.text), one.shown) << one.text;
}

TEST(Redaction, CutsBetweenCharacters) {
  const KeyRing keys;
  const std::string text = std::string(4095, 'x') + "\xc3\xa9";
  EXPECT_EQ(keys.excerpt(text), std::string(4095, 'x'));
  EXPECT_EQ(keys.excerpt(std::string(100'000, 'y')).size(), 4096u);
}

// ---- Addresses and headers ----------------------------------------------------------------------

TEST(BaseUrl, WhatIsRefused) {
  for (const char* url :
       {"", "not a url", "ftp://host/v1", "file:///etc/passwd", "https://", "http://host/v1",
        "https://user@host/v1", "https://user:word@host/v1", "https://host/v1?key=1",
        "https://host/v1#part", "https://host/\nv1", "https://host:port/", "http://127.0.0.1.host/",
        "http://localhost.host/", "javascript:alert(1)", "//host/v1", "host/v1"}) {
    EXPECT_THROW(parse_base_url("p", url, false), ValueError) << url;
  }
  try {
    parse_base_url("p", "https://user:the-password@host/v1", false);
  } catch (const ValueError& error) {
    EXPECT_EQ(std::string(error.what()).find("the-password"), std::string::npos);
  }
}

TEST(BaseUrl, WhatIsTaken) {
  EXPECT_EQ(parse_base_url("p", "https://Host.Test/v1//", false).origin(),
            "https://host.test"
            ":443");
  EXPECT_TRUE(parse_base_url("p", "http://127.0.0.1:8000/v1", false).is_loopback);
  EXPECT_TRUE(parse_base_url("p", "http://localhost:8000", false).is_loopback);
  EXPECT_TRUE(parse_base_url("p", "http://[::1]", false).is_loopback);
  EXPECT_FALSE(parse_base_url("p", "http://10.0.0.1", true).is_loopback);
}

TEST(BaseUrl, JoinsWithoutDoublingAnything) {
  const auto join = [](const char* base, const char* path) {
    return join_url(parse_base_url("p", base, false), path);
  };
  EXPECT_EQ(join("https://h/v1", "/chat"), "https://h/v1/chat");
  EXPECT_EQ(join("https://h/v1/", "/chat"), "https://h/v1/chat");
  EXPECT_EQ(join("https://h", "/v1/messages"), "https://h/v1/messages");
  EXPECT_EQ(join("https://h/v1", "/v1/messages"), "https://h/v1/messages");
  EXPECT_EQ(join("https://h/v1beta/", "/v1beta/models"), "https://h/v1beta/models");
  EXPECT_EQ(join("https://h/a/v1", "/v1beta/models"), "https://h/a/v1/v1beta/models");
  EXPECT_EQ(join("https://v1", "/v1/x"), "https://v1/v1/x");
}

TEST(Headers, WhatMayStandInThem) {
  EXPECT_TRUE(is_header_name("X-Custom_1"));
  for (const std::string name : {"", "a b", "a:b", "a\r\nb", "\xc3\xa9", "a\x7f"}) {
    EXPECT_FALSE(is_header_name(name)) << name;
  }
  EXPECT_TRUE(is_header_value("a\tb \xc3\xa9"));
  for (const std::string& value :
       {std::string("a\r\nb"), std::string("a\nb"), std::string("a\0b", 3), std::string("a\x7f")}) {
    EXPECT_FALSE(is_header_value(value));
  }
}

TEST(Headers, WhatMayNotReachesNoSocket) {
  FakeServer server;
  server.answer(http(200, "answer: hi\n"));
  Client client({}, plain_parts());
  const std::string evil = "a\r\nx-evil: 1";
  const auto with = [&](auto change) {
    ProviderConfig config = plain_config(server.url());
    change(config);
    return config;
  };
  using Config = ProviderConfig;
  for (const Config& config :
       {with([&](Config& c) { c.headers = {{"x-a", evil}}; }),
        with([&](Config& c) { c.headers = {{evil, "a"}}; }),
        with([&](Config& c) { c.organization = evil; }), with([&](Config& c) { c.project = evil; }),
        with([&](Config& c) { c.beta = {evil}; }), with([&](Config& c) { c.api_version = evil; }),
        with([&](Config& c) { c.name = ""; }), with([&](Config& c) { c.max_concurrent = 0; }),
        with([&](Config& c) { c.requests_per_minute = -1; })}) {
    EXPECT_THROW(client.provider(config), ValueError);
  }
  for (const std::string& wrong : {evil, std::string("a\0b", 3), std::string("a\x7f")}) {
    const Provider plain = client.provider(plain_config(server.url(), wrong));
    EXPECT_EQ(error_of([&] { plain.chat(plain_request()).get(); }).kind, ErrorKind::auth);
    ChatRequest request = plain_request();
    request.headers = {{"x-user", wrong}};
    const Provider good = client.provider(plain_config(server.url()));
    EXPECT_EQ(error_of([&] { good.chat(request).get(); }).kind, ErrorKind::invalid_request);
  }
  EXPECT_TRUE(server.requests().empty());
}

// ---- Who gets the key ---------------------------------------------------------------------------

TEST(Keys, AreNotSentAfterARedirection) {
  FakeServer other;
  other.answer(http(200, "answer: hi\n"));
  for (const int status : {301, 302, 307, 308}) {
    FakeServer server;
    server.answer(http(status, {}, "location: " + other.url() + "/elsewhere?key=" + kKey + "\r\n"));
    Client client({}, plain_parts());
    const Provider plain = client.provider(plain_config(server.url(), kKey));
    const ErrorDetails error = error_of([&] { plain.chat(plain_request()).get(); });
    EXPECT_EQ(error.kind, ErrorKind::invalid_request) << status;
    EXPECT_EQ(error.http_status, status);
    EXPECT_NE(error.message.find("127.0.0.1:" + std::to_string(other.port())), std::string::npos);
    EXPECT_FALSE(shows_key(everything(error)));
    EXPECT_EQ(listen_to(plain.stream(plain_request())).error->kind, ErrorKind::invalid_request);
    EXPECT_EQ(server.requests().size(), 2u);
  }
  EXPECT_TRUE(other.requests().empty());
}

TEST(Keys, OfOneProviderAreNotSentToAnother) {
  FakeServer one, two, none;
  const std::string key_one = marker_key(1), key_two = marker_key(2);
  one.forbid(key_two);
  two.forbid(key_one);
  none.forbid(key_one);
  none.forbid(key_two);
  for (FakeServer* server : {&one, &two, &none}) server->answer(http(200, "answer: hi\n"));
  Client client({}, plain_parts());
  const Provider providers[] = {client.provider(plain_config(one.url(), key_one, "one")),
                                client.provider(plain_config(two.url(), key_two, "two")),
                                client.provider(plain_config(none.url(), "", "none"))};
  std::vector<Pending<ChatResponse>> calls;
  for (int i = 0; i < 60; ++i) calls.push_back(providers[i % 3].chat(plain_request()));
  for (const auto& call : calls) call.get();
  EXPECT_EQ(one.requests().front().headers.at("x-api-key"), key_one);
  EXPECT_EQ(two.requests().front().headers.at("x-api-key"), key_two);
  for (const Request& request : none.requests()) EXPECT_EQ(request.headers.count("x-api-key"), 0u);
}

TEST(Keys, MissingOnesAreTold) {
  FakeServer server;
  Client client({}, plain_parts());
  ProviderConfig config = plain_config(server.url());
  ::unsetenv("TAUT_TEST_NO_KEY");
  config.key = Secret::from_environment("TAUT_TEST_NO_KEY");
  ErrorDetails error = error_of([&] { client.provider(config).chat(plain_request()).get(); });
  EXPECT_EQ(error.kind, ErrorKind::auth);
  EXPECT_NE(error.message.find("TAUT_TEST_NO_KEY is not set"), std::string::npos) << error.message;
  config.key = Secret::from_callback(
      []() -> std::string { throw std::runtime_error("the vault said " + kKey); });
  error = error_of([&] { client.provider(config).chat(plain_request()).get(); });
  EXPECT_EQ(error.kind, ErrorKind::auth);
  EXPECT_FALSE(shows_key(everything(error)));
  EXPECT_TRUE(server.requests().empty());
}

TEST(Keys, AreAskedForOnceForACall) {
  FakeServer server;
  server.answer(http(500, "no\n"));
  server.answer(http(200, "answer: hi\n"));
  Client client({}, plain_parts(std::make_shared<InstantTime>()));
  ProviderConfig config = plain_config(server.url());
  int asked = 0;
  config.key = Secret::from_callback([&asked] { return "key-number-" + std::to_string(++asked); });
  const Provider plain = client.provider(config);
  plain.chat(plain_request()).get();
  plain.chat(plain_request()).get();
  ASSERT_EQ(server.requests().size(), 3u);
  EXPECT_EQ(server.requests()[1].headers.at("x-api-key"), "key-number-1");
  EXPECT_EQ(server.requests()[2].headers.at("x-api-key"), "key-number-2");
}

TEST(Keys, StandInNoErrorWhateverFails) {
  const std::string echo = "you sent " + kKey + " and authorization: Bearer " + kKey + "\n";
  const std::vector<Script> faults = {
      {send(http(401, echo))},
      {send(http(400, "param: " + kKey + "\ncode: " + kKey + "\n" + echo))},
      {send(http(500, echo, "x-request-id: " + kKey + "\r\n"))},
      {send(http(200, echo))},
      {send(http(200, "error: " + echo))},
      {send(http(200, echo, {}, "text/html"))},
      {send(http_open(200) + events({"[error] " + kKey}))},
      {send(http_open(200) + events({"text"}) + "data: [error] " + kKey), close()},
      {send("HTTP/1.1 302 X\r\nlocation: https://" + kKey + "@a/" + kKey + "\r\n\r\n"), close()},
      {send(kKey + "\r\n\r\n"), close()},
      {close()},
      {reset()},
      {send("HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n" + echo), close()},
  };
  for (const Script& fault : faults) {
    FakeServer server;
    server.answer(fault);
    Client client({.max_retries = 0, .timeouts = {.idle = 0.2}}, plain_parts());
    const Provider plain = client.provider(plain_config(server.url(), kKey));
    EXPECT_FALSE(shows_key(everything(error_of([&] { plain.chat(plain_request()).get(); }))));
    const Heard heard = listen_to(plain.stream(plain_request()));
    EXPECT_FALSE(heard.error && shows_key(everything(*heard.error)));
  }
}

TEST(Keys, AreNotPrinted) {
  FakeServer server;
  server.answer(http(401, "no " + kKey));
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  {
    Client client({.max_retries = 0}, plain_parts());
    const Provider plain = client.provider(plain_config(server.url(), kKey));
    error_of([&] { plain.chat(plain_request()).get(); });
    listen_to(plain.stream(plain_request()));
  }
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST(Configs, FromTheEnvironment) {
  for (const char* name : {"OPENAI_BASE_URL", "OPENAI_ORG_ID", "ANTHROPIC_BASE_URL"})
    ::unsetenv(name);
  EXPECT_EQ(ProviderConfig::openai().base_url, "https://api.openai.com/v1");
  EXPECT_EQ(ProviderConfig::anthropic().base_url, "https://api.anthropic.com");
  EXPECT_EQ(ProviderConfig::anthropic().api_version, "2026-10-21");
  ::setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1", 1);
  ::setenv("OPENAI_ORG_ID", "org", 1);
  EXPECT_EQ(ProviderConfig::openai().base_url, "http://127.0.0.1:1/v1");
  EXPECT_EQ(ProviderConfig::openai().organization, "org");
  ::unsetenv("OPENAI_BASE_URL");
  ::unsetenv("OPENAI_ORG_ID");
}

}  // namespace
}  // namespace taut::ai::test
