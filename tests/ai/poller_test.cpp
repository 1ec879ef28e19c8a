// Waiting for sockets.

#include "src/ai/poller.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <set>
#include <thread>
#include <vector>

namespace taut::ai::testing {
namespace {

struct Pair {
  Pair() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0); }
  ~Pair() {
    close(ends[0]);
    close(ends[1]);
  }
  void send() const { EXPECT_EQ(write(ends[1], "x", 1), 1); }
  int ends[2] = {-1, -1};
};

constexpr double kLong = 60;  // seconds that no test takes

TEST(Poller, TellsWhatIsReady) {
  Poller poller;
  const Pair pair;
  poller.watch(pair.ends[0], true, false);
  EXPECT_TRUE(poller.wait(0).empty());
  pair.send();
  auto ready = poller.wait(kLong);
  ASSERT_EQ(ready.size(), 1u);
  EXPECT_EQ(ready[0].socket, pair.ends[0]);
  EXPECT_TRUE(ready[0].can_read);
  EXPECT_FALSE(ready[0].can_write);
  EXPECT_FALSE(ready[0].has_failed);
  // The last word on a socket counts.
  poller.watch(pair.ends[0], false, true);
  ready = poller.wait(kLong);
  ASSERT_EQ(ready.size(), 1u);
  EXPECT_FALSE(ready[0].can_read);
  EXPECT_TRUE(ready[0].can_write);
  poller.forget(pair.ends[0]);
  poller.forget(pair.ends[0]);
  EXPECT_TRUE(poller.wait(0).empty());
}

TEST(Poller, TellsOfAnEnd) {
  Poller poller;
  const Pair pair;
  poller.watch(pair.ends[0], true, false);
  shutdown(pair.ends[1], SHUT_RDWR);
  const auto ready = poller.wait(kLong);
  ASSERT_EQ(ready.size(), 1u);
  EXPECT_TRUE(ready[0].can_read);
  EXPECT_TRUE(ready[0].has_failed);
}

void expect_all_to_be_told(bool are_patient) {
  Poller poller;
  std::vector<std::unique_ptr<Pair>> pairs;
  for (int i = 0; i < 200; ++i) {
    pairs.push_back(std::make_unique<Pair>());
    poller.watch(pairs.back()->ends[0], true, false);
    if (are_patient) poller.let_wait(pairs.back()->ends[0]);
    pairs.back()->send();
  }
  std::set<int> told;
  while (told.size() < pairs.size()) {
    const auto ready = poller.wait(kLong);
    ASSERT_FALSE(ready.empty());
    for (const Poller::Ready& one : ready) {
      EXPECT_TRUE(told.insert(one.socket).second);
      poller.forget(one.socket);
    }
  }
}

TEST(Poller, TellsOfAllThatAreReady) {
  expect_all_to_be_told(false);
  expect_all_to_be_told(true);
}

TEST(Poller, IsWoken) {
  Poller poller;
  poller.wake();
  poller.wake();
  EXPECT_TRUE(poller.wait(kLong).empty());
  EXPECT_TRUE(poller.wait(0).empty());
  std::thread other([&] { poller.wake(); });
  EXPECT_TRUE(poller.wait(kLong).empty());
  other.join();
}

TEST(Poller, LetsPatientSocketsWaitForOthers) {
  Poller poller(0.5);
  const Pair first, second, prompt;
  poller.watch(prompt.ends[0], true, false);
  for (const Pair* patient : {&first, &second}) {
    poller.watch(patient->ends[0], true, false);
    poller.let_wait(patient->ends[0]);
    poller.let_wait(patient->ends[0]);
  }
  EXPECT_TRUE(poller.wait(0).empty());
  // The first that comes is told at once.
  first.send();
  auto ready = poller.wait(kLong);
  ASSERT_EQ(ready.size(), 1u);
  EXPECT_EQ(ready[0].socket, first.ends[0]);
  EXPECT_TRUE(ready[0].can_read);
  EXPECT_FALSE(ready[0].has_failed);
  // What comes then waits, but not for long, and holds nobody up.
  second.send();
  EXPECT_TRUE(poller.wait(0).empty());
  prompt.send();
  ready = poller.wait(kLong);
  ASSERT_FALSE(ready.empty());
  EXPECT_EQ(ready[0].socket, prompt.ends[0]);
  poller.forget(prompt.ends[0]);
  ready = poller.wait(kLong);
  EXPECT_EQ(ready.size(), 2u) << "both, since nobody has read from the first";
  poller.hurry();
  EXPECT_EQ(poller.wait(0).size(), 2u) << "there is more to read than words";
}

TEST(Poller, EndsThePatienceOfASocket) {
  Poller poller;
  const Pair pair;
  poller.watch(pair.ends[0], true, false);
  poller.let_wait(pair.ends[0]);
  // The last word on a socket counts.
  poller.watch(pair.ends[0], false, true);
  auto ready = poller.wait(kLong);
  ASSERT_EQ(ready.size(), 1u);
  EXPECT_TRUE(ready[0].can_write);
  // One that is to be written to does not become patient.
  poller.let_wait(pair.ends[0]);
  ready = poller.wait(kLong);
  ASSERT_EQ(ready.size(), 1u);
  EXPECT_TRUE(ready[0].can_write);
  poller.watch(pair.ends[0], true, false);
  poller.let_wait(pair.ends[0]);
  pair.send();
  ready = poller.wait(kLong);
  ASSERT_EQ(ready.size(), 1u);
  EXPECT_TRUE(ready[0].can_read);
  EXPECT_FALSE(ready[0].can_write);
  poller.forget(pair.ends[0]);
  poller.forget(pair.ends[0]);
  poller.let_wait(pair.ends[0]);
  poller.let_wait(-1);
  EXPECT_TRUE(poller.wait(0.01).empty()) << "nor one that is not waited for";
}

TEST(Poller, IsWokenFromTheWaitForPatientSockets) {
  Poller poller;
  const Pair pair;
  poller.watch(pair.ends[0], true, false);
  poller.let_wait(pair.ends[0]);
  std::thread other([&] { poller.wake(); });
  EXPECT_TRUE(poller.wait(kLong).empty());
  other.join();
  shutdown(pair.ends[1], SHUT_RDWR);
  const auto ready = poller.wait(kLong);
  ASSERT_EQ(ready.size(), 1u);
  EXPECT_TRUE(ready[0].has_failed);
}

}  // namespace
}  // namespace taut::ai::testing
