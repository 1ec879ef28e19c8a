// Certificates that are to be trusted and that are not, for every protocol.

#include <gtest/gtest.h>

#include "taut/ai/client.h"
#include "tests/ai/plain_protocol.h"
#include "tests/ai/services.h"
#include "tests/ai/tls_server.h"

namespace taut::ai::test {
namespace {

class TlsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!has_openssl()) return;
    certificates_ = new Certificates();
    certificates_->make("good", "IP:127.0.0.1");
    certificates_->make("other", "DNS:other.example");
    certificates_->make_expired("old", "IP:127.0.0.1");
    certificates_->make_self_signed("alone", "IP:127.0.0.1");
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

TEST_F(TlsTest, OneThatHasSignedItself) {
  const TlsServer server(*certificates_, "alone");
  EXPECT_EQ(failure(server.url(), trusting()).kind, ErrorKind::tls_verify);
  ClientOptions options = trusting();
  options.ca_file = (certificates_->folder() / "alone.pem").string();
  EXPECT_EQ(models(server.url(), options).at(0).id, "one") << "whom its user trusts";
}

TEST_F(TlsTest, NoProtocolSendsAnythingToOthers) {
  for (const char* certificate : {"old", "other", "alone"}) {
    const TlsServer server(*certificates_, certificate);
    for (const Service& service : services()) {
      Client client(trusting());
      const Provider provider = client.provider(service.config_at(server.url(), marker_key()));
      EXPECT_EQ(error_of([&] { provider.chat(service_request()).get(); }).kind,
                ErrorKind::tls_verify)
          << service.name;
      EXPECT_EQ(listen_to(provider.stream(service_request())).error->kind, ErrorKind::tls_verify)
          << service.name;
    }
  }
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

}  // namespace
}  // namespace taut::ai::test
