#pragma once
// A port whose queue of connections is full: whoever connects gets no answer at all.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace taut::ai::test {

class FullBacklog {
 public:
  FullBacklog() {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address_);
    auto* any = reinterpret_cast<sockaddr*>(&address_);
    EXPECT_EQ(::bind(listener_, any, size), 0);
    EXPECT_EQ(::listen(listener_, 0), 0);
    EXPECT_EQ(::getsockname(listener_, any, &size), 0);
    while (connects()) EXPECT_LT(waiting_.size(), 100u) << "the queue does not fill";
  }
  FullBacklog(const FullBacklog&) = delete;
  FullBacklog& operator=(const FullBacklog&) = delete;
  ~FullBacklog() {
    for (const int socket : waiting_) ::close(socket);
    ::close(listener_);
  }
  std::string authority() const { return "127.0.0.1:" + std::to_string(ntohs(address_.sin_port)); }

 private:
  /// Whether one more finds room.
  bool connects() {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    waiting_.push_back(socket);
    ::connect(socket, reinterpret_cast<sockaddr*>(&address_), sizeof(address_));
    pollfd wait = {socket, POLLOUT, 0};
    return ::poll(&wait, 1, 100) == 1;
  }

  int listener_ = -1;
  sockaddr_in address_ = {};
  std::vector<int> waiting_;
};

}  // namespace taut::ai::test
