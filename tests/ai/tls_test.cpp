// Certificates that are to be trusted and that are not, and proxies. The certificates are made by
// openssl(1) when the tests run.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "taut/ai/client.h"
#include "tests/ai/fake_server.h"
#include "tests/ai/plain_protocol.h"

extern char** environ;

namespace taut::ai::test {
namespace {

namespace fs = std::filesystem;

bool has_openssl() { return std::system("openssl version > /dev/null 2>&1") == 0; }

/// An authority and certificates that it has signed, in a folder of their own.
class Certificates {
 public:
  Certificates() {
    std::string pattern = ::testing::TempDir() + "taut_tls_XXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key "
        "-out ca.pem -subj /CN=authority -days 2");
    std::ofstream(folder_ / "models")
        << "HTTP/1.1 200 OK\r\ncontent-length: 12\r\nconnection: close\r\n\r\nanswer: one\n";
  }
  ~Certificates() { fs::remove_all(folder_); }

  void make(const std::string& name, const std::string& subject, int days) const {
    std::ofstream(folder_ / (name + ".ext")) << "subjectAltName=" << subject << "\n";
    run("openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout " + name +
        ".key -out " + name + ".csr -subj /CN=server");
    run("openssl x509 -req -in " + name + ".csr -CA ca.pem -CAkey ca.key -CAcreateserial -days " +
        std::to_string(days) + " -extfile " + name + ".ext -out " + name + ".pem");
  }
  std::string authority() const { return (folder_ / "ca.pem").string(); }
  const fs::path& folder() const { return folder_; }

 private:
  void run(const std::string& command) const {
    EXPECT_EQ(std::system(("cd '" + folder_.string() + "' && " + command + " > log 2>&1").c_str()),
              0)
        << command;
  }
  fs::path folder_;
};

/// openssl s_server, which answers GET with files of its folder.
class TlsServer {
 public:
  TlsServer(const Certificates& certificates, const std::string& name) {
    int out[2] = {-1, -1};
    EXPECT_EQ(::pipe2(out, O_CLOEXEC), 0);
    const std::string command = "cd '" + certificates.folder().string() +
                                "' && exec openssl s_server -accept 127.0.0.1:0 -cert " + name +
                                ".pem -key " + name + ".key -HTTP";
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_adddup2(&actions, out[1], 2);
    std::string shell = "sh", flag = "-c", text = command;
    std::array<char*, 4> arguments = {shell.data(), flag.data(), text.data(), nullptr};
    EXPECT_EQ(::posix_spawnp(&process_, "sh", &actions, nullptr, arguments.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    ::close(out[1]);
    output_ = out[0];
    port_ = read_port();
  }
  ~TlsServer() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    ::close(output_);
  }
  int port() const { return port_; }
  std::string url() const { return "https://127.0.0.1:" + std::to_string(port_); }

 private:
  int read_port() const {
    const std::string mark = "ACCEPT 127.0.0.1:";
    std::string text;
    char piece[256];
    for (;;) {
      const size_t at = text.find(mark);
      if (at != std::string::npos && text.find('\n', at) != std::string::npos) {
        return std::stoi(text.substr(at + mark.size()));
      }
      const ssize_t got = ::read(output_, piece, sizeof(piece));
      if (got <= 0) break;
      text.append(piece, static_cast<size_t>(got));
    }
    ADD_FAILURE() << "openssl s_server does not listen: " << text;
    return 0;
  }

  pid_t process_ = -1;
  int output_ = -1;
  int port_ = 0;
};

class TlsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!has_openssl()) return;
    certificates_ = new Certificates();
    certificates_->make("good", "IP:127.0.0.1", 2);
    certificates_->make("other", "DNS:other.example", 2);
    certificates_->make("old", "IP:127.0.0.1", -1);
  }
  static void TearDownTestSuite() {
    delete certificates_;
    certificates_ = nullptr;
  }
  void SetUp() override {
    if (certificates_ == nullptr) GTEST_SKIP() << "openssl(1) is not there";
  }

  static ClientOptions trusting() {
    ClientOptions options;
    options.max_retries = 0;
    options.ca_file = certificates_->authority();
    return options;
  }
  static std::vector<ModelInfo> models(const std::string& url, const ClientOptions& options) {
    Client client(options, plain_parts());
    return client.provider(plain_config(url)).models().get();
  }
  static ErrorDetails failure(const std::string& url, const ClientOptions& options) {
    return error_of([&] { models(url, options); });
  }

  static Certificates* certificates_;
};
Certificates* TlsTest::certificates_ = nullptr;

TEST_F(TlsTest, ACertificateThatIsGood) {
  const TlsServer server(*certificates_, "good");
  EXPECT_EQ(models(server.url(), trusting()).at(0).id, "one");
}

TEST_F(TlsTest, OneOfAnAuthorityThatNobodyTrusts) {
  const TlsServer server(*certificates_, "good");
  ClientOptions options = trusting();
  options.ca_file.clear();
  EXPECT_EQ(failure(server.url(), options).kind, ErrorKind::tls_verify);
}

TEST_F(TlsTest, OneForAnotherHost) {
  const TlsServer server(*certificates_, "other");
  const ErrorDetails error = failure(server.url(), trusting());
  EXPECT_EQ(error.kind, ErrorKind::tls_verify);
  EXPECT_EQ(error.attempts, 1);
}

TEST_F(TlsTest, OneThatIsTooOld) {
  const TlsServer server(*certificates_, "old");
  EXPECT_EQ(failure(server.url(), trusting()).kind, ErrorKind::tls_verify);
}

TEST_F(TlsTest, NoneOfThemIsTriedAgain) {
  const TlsServer server(*certificates_, "old");
  ClientOptions options = trusting();
  options.max_retries = 5;
  EXPECT_EQ(failure(server.url(), options).attempts, 1);
}

TEST_F(TlsTest, AuthoritiesThatAreNotThere) {
  const TlsServer server(*certificates_, "good");
  ClientOptions options = trusting();
  options.ca_file += ".none";
  EXPECT_EQ(failure(server.url(), options).kind, ErrorKind::tls_verify);
}

TEST_F(TlsTest, PlainHttpWhereTlsIsSpoken) {
  FakeServer server;
  server.answer(Script{close()});
  const std::string url = "https://127.0.0.1:" + std::to_string(server.port());
  ClientOptions options = trusting();
  options.timeouts.connect = 0.3;
  const ErrorKind kind = failure(url, options).kind;
  EXPECT_TRUE(kind == ErrorKind::connection || kind == ErrorKind::timeout_connect) << name(kind);
}

TEST_F(TlsTest, ATunnelThroughAProxyHidesTheKey) {
  const TlsServer server(*certificates_, "good");
  FakeServer proxy;
  proxy.forbid("marker-key");
  proxy.answer(Script{send("HTTP/1.1 200 Connected\r\n\r\n"), relay(server.port())});
  ClientOptions options = trusting();
  options.proxy = proxy.url();
  EXPECT_EQ(models(server.url(), options).at(0).id, "one");
  EXPECT_EQ(proxy.requests().at(0).method, "CONNECT");
  EXPECT_EQ(proxy.requests().at(0).target, "127.0.0.1:" + std::to_string(server.port()));
}

// ---- Proxies ------------------------------------------------------------------------------------

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

TEST(Proxy, TheEnvironmentsIsUsedButNotForThisMachine) {
  FakeServer proxy, server;
  proxy.answer(http(200, "answer: by proxy\n"));
  server.answer(http(200, "answer: directly\n"));
  ::setenv("http_proxy", proxy.url().c_str(), 1);
  {
    Client client({}, plain_parts());
    ProviderConfig config = plain_config("http://api.invalid");
    config.allows_http = true;
    EXPECT_EQ(client.provider(config).chat(plain_request()).get().text(), "by proxy");
    EXPECT_EQ(client.provider(plain_config(server.url())).chat(plain_request()).get().text(),
              "directly");
  }
  ::unsetenv("http_proxy");
  EXPECT_EQ(proxy.requests().at(0).target, "http://api.invalid/chat");
  EXPECT_EQ(proxy.requests().size(), 1u);
}

}  // namespace
}  // namespace taut::ai::test
