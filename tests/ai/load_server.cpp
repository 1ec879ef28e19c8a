#include "tests/ai/load_server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

namespace taut::ai::test {

LoadServer::LoadServer(unsigned seed, int milliseconds) {
  int input[2], output[2];
  EXPECT_EQ(::pipe2(input, O_CLOEXEC), 0);
  EXPECT_EQ(::pipe2(output, O_CLOEXEC), 0);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, input[0], STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
  std::string program = TAUT_TEST_LOAD_SERVER, first = std::to_string(seed),
              second = std::to_string(milliseconds);
  char* arguments[] = {program.data(), first.data(), second.data(), nullptr};
  EXPECT_EQ(::posix_spawn(&process_, program.c_str(), &actions, nullptr, arguments, environ), 0)
      << program;
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(input[0]);
  ::close(output[1]);
  input_ = input[1];
  char line[16] = {};
  EXPECT_GT(::read(output[0], line, sizeof(line) - 1), 0) << "the server says no port";
  ::close(output[0]);
  port_ = std::atoi(line);
}

LoadServer::~LoadServer() {
  ::close(input_);
  if (process_ > 0) ::waitpid(process_, nullptr, 0);
}

}  // namespace taut::ai::test
