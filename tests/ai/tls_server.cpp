#include "tests/ai/tls_server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>

extern char** environ;

namespace taut::ai::test {

bool has_openssl() { return std::system("openssl version > /dev/null 2>&1") == 0; }

Certificates::Certificates() {
  std::string pattern = ::testing::TempDir() + "taut_tls_XXXXXX";
  EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
  folder_ = pattern;
  run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key "
      "-out ca.pem -subj /CN=authority -days 2");
  std::ofstream(folder_ / "issued");
  std::ofstream(folder_ / "ca.cnf") << "[ca]\ndefault_ca = authority\n"
                                       "[authority]\ncertificate = ca.pem\nprivate_key = ca.key\n"
                                       "database = issued\nnew_certs_dir = .\nrand_serial = yes\n"
                                       "default_md = sha256\nunique_subject = no\n"
                                       "policy = names\n[names]\ncommonName = supplied\n";
  std::ofstream(folder_ / "models")
      << "HTTP/1.1 200 OK\r\ncontent-length: 12\r\nconnection: close\r\n\r\nanswer: one\n";
}

Certificates::~Certificates() { std::filesystem::remove_all(folder_); }

void Certificates::make(const std::string& name, const std::string& subject) const {
  sign(name, subject, "-days 2");
}

void Certificates::make_expired(const std::string& name, const std::string& subject) const {
  sign(name, subject, "-startdate 20200101000000Z -enddate 20200102000000Z");
}

/// By openssl-ca: of all that sign, it alone takes dates in every version.
void Certificates::sign(const std::string& name, const std::string& subject,
                        const std::string& validity) const {
  std::ofstream(folder_ / (name + ".ext")) << "subjectAltName=" << subject << "\n";
  run("openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout " + name +
      ".key -out " + name + ".csr -subj /CN=server");
  run("openssl ca -batch -notext -config ca.cnf " + validity + " -extfile " + name + ".ext -in " +
      name + ".csr -out " + name + ".pem");
}

void Certificates::make_self_signed(const std::string& name, const std::string& subject) const {
  run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout " + name +
      ".key -out " + name + ".pem -subj /CN=server -days 2 -addext subjectAltName=" + subject);
}

void Certificates::run(const std::string& command) const {
  EXPECT_EQ(std::system(("cd '" + folder_.string() + "' && " + command + " > log 2>&1").c_str()), 0)
      << command << "\n"
      << std::ifstream(folder_ / "log").rdbuf();
}

TlsServer::TlsServer(const Certificates& certificates, const std::string& name) {
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

TlsServer::~TlsServer() {
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
  ::close(output_);
}

int TlsServer::read_port() const {
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

}  // namespace taut::ai::test
