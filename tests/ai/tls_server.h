#pragma once
// Certificates that openssl(1) makes when the tests run, and its server with one of them.

#include <sys/types.h>

#include <filesystem>
#include <string>

namespace taut::ai::test {

bool has_openssl();

/// An authority and certificates that it has signed, in a folder of their own.
class Certificates {
 public:
  Certificates();
  Certificates(const Certificates&) = delete;
  Certificates& operator=(const Certificates&) = delete;
  ~Certificates();

  /// `subject` as in "IP:127.0.0.1".
  void make(const std::string& name, const std::string& subject) const;
  void make_expired(const std::string& name, const std::string& subject) const;
  /// One that nobody has signed but itself.
  void make_self_signed(const std::string& name, const std::string& subject) const;
  std::string authority() const { return (folder_ / "ca.pem").string(); }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  void sign(const std::string& name, const std::string& subject, const std::string& validity) const;
  void run(const std::string& command) const;
  std::filesystem::path folder_;
};

/// openssl s_server, which answers GET with files of its folder.
class TlsServer {
 public:
  TlsServer(const Certificates& certificates, const std::string& name);
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;
  ~TlsServer();
  int port() const { return port_; }
  std::string url() const { return "https://127.0.0.1:" + std::to_string(port_); }

 private:
  int read_port() const;

  pid_t process_ = -1;
  int output_ = -1;
  int port_ = 0;
};

}  // namespace taut::ai::test
