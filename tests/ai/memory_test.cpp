// What a client leaves in memory: no key, once it is gone.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <random>

#include "src/ai/key_text.h"
#include "taut/ai/client.h"
#include "tests/ai/plain_protocol.h"
#include "tests/ai/services.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TAUT_TEST_SANITIZED 1
#else
#define TAUT_TEST_SANITIZED 0
#endif

namespace taut::ai::test {
namespace {

/// A key of which this process holds only the complement, so that a search does not find what
/// searches.
class HiddenKey {
 public:
  HiddenKey() {
    std::random_device source;
    for (char& byte : hidden_) byte = static_cast<char>(~("0123456789abcdef"[source() % 16]));
  }
  Secret secret() const {
    return Secret::from_callback([hidden = hidden_] {
      std::string key(hidden.size(), '\0');
      for (size_t i = 0; i < hidden.size(); ++i) key[i] = static_cast<char>(~hidden[i]);
      return key;  // whose memory the client wipes
    });
  }
  bool is_at(const char* memory) const {
    for (size_t i = 0; i < hidden_.size(); ++i) {
      if (memory[i] != static_cast<char>(~hidden_[i])) return false;
    }
    return true;
  }
  size_t size() const { return hidden_.size(); }

 private:
  std::array<char, 48> hidden_;
};

/// How often the key stands in what this process may write to.
int copies_in_memory(const HiddenKey& key) {
  std::ifstream maps("/proc/self/maps"), memory("/proc/self/mem", std::ios::binary);
  int copies = 0;
  std::vector<char> piece(size_t{1} << 20);
  for (std::string line; std::getline(maps, line);) {
    uintptr_t begin = 0, end = 0;
    char rights[5] = {};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &begin, &end, rights) != 3) continue;
    if (rights[0] != 'r' || rights[1] != 'w') continue;
    // Pieces overlap by a key.
    for (uintptr_t at = begin; at < end; at += piece.size() - key.size()) {
      const size_t bytes = std::min<size_t>(piece.size(), end - at);
      memory.clear();
      memory.seekg(static_cast<std::streamoff>(at));
      memory.read(piece.data(), static_cast<std::streamsize>(bytes));
      const auto got = static_cast<size_t>(memory.gcount());
      for (size_t i = 0; i + key.size() <= got; ++i) copies += key.is_at(piece.data() + i);
      explicit_bzero(piece.data(), piece.size());
    }
  }
  return copies;
}

/// A server in a process of its own: what it was sent is not in this one's memory.
class ForkedServer {
 public:
  explicit ForkedServer(const std::string& answer) {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* any = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listener, any, size), 0);
    EXPECT_EQ(::listen(listener, 16), 0);
    EXPECT_EQ(::getsockname(listener, any, &size), 0);
    port_ = ntohs(address.sin_port);
    process_ = ::fork();
    if (process_ == 0) serve(listener, answer);
    ::close(listener);
  }
  ForkedServer(const ForkedServer&) = delete;
  ForkedServer& operator=(const ForkedServer&) = delete;
  ~ForkedServer() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

 private:
  /// One request for each connection, of less than a buffer. System calls alone: the other threads
  /// of the process that forked are not here.
  [[noreturn]] static void serve(int listener, const std::string& answer) {
    static char request[65536];
    for (;;) {
      const int socket = ::accept(listener, nullptr, nullptr);
      size_t got = 0;
      while (::memmem(request, got, "\r\n\r\n", 4) == nullptr) {
        const ssize_t more = ::recv(socket, request + got, sizeof(request) - got, 0);
        if (more <= 0) break;
        got += static_cast<size_t>(more);
      }
      if (::send(socket, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) ::_exit(1);
      ::shutdown(socket, SHUT_WR);
      while (::recv(socket, request, sizeof(request), 0) > 0) {
      }
      ::close(socket);
    }
  }

  pid_t process_ = -1;
  int port_ = 0;
};

TEST(Memory, HoldsAKeyWhileAClientNeedsIt) {
  if (TAUT_TEST_SANITIZED) GTEST_SKIP() << "a sanitizer's memory is larger than any search";
  const HiddenKey key;
  EXPECT_EQ(copies_in_memory(key), 0);
  std::string shown(key.secret().source()->read().view());
  EXPECT_GE(copies_in_memory(key), 1) << "the search finds what is there";
  wipe(shown);
  EXPECT_EQ(copies_in_memory(key), 0);
}

TEST(Memory, HoldsNoKeyWhenTheClientHasGone) {
  if (TAUT_TEST_SANITIZED) GTEST_SKIP() << "a sanitizer's memory is larger than any search";
  for (const Service& service : services()) {
    for (const std::string& answer :
         {http(200, service.answer), http(500, "no"), http_open(200) + service.whole_stream()}) {
      const HiddenKey key;
      const ForkedServer server(answer);
      {
        Client client({.max_retries = 1});
        ProviderConfig config = service.config_at(server.url(), "none");
        config.key = key.secret();
        const Provider provider = client.provider(config);
        try {
          static_cast<void>(provider.chat(service_request()).get());
        } catch (const ProviderError&) {
        }
        listen_to(provider.stream(service_request()));
        // One that is under way when the client goes.
        const ChatStream stream = provider.stream(service_request());
      }
      EXPECT_EQ(copies_in_memory(key), 0) << service.name;
    }
  }
}

}  // namespace
}  // namespace taut::ai::test
