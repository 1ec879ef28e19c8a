#pragma once
// The server of tests/ai_load in a process of its own, which ends with this object.

#include <sys/types.h>

#include <string>

namespace taut::ai::test {

class LoadServer {
 public:
  /// `milliseconds` lie between two words of a stream.
  LoadServer(unsigned seed, int milliseconds);
  LoadServer(const LoadServer&) = delete;
  LoadServer& operator=(const LoadServer&) = delete;
  ~LoadServer();

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/v1"; }

 private:
  pid_t process_ = -1;
  int input_ = -1;  // whose end it waits for
  int port_ = 0;
};

}  // namespace taut::ai::test
