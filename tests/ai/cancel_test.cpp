// Calling off what goes on, in every state, and what it leaves behind: nothing.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <random>
#include <thread>

#include "taut/ai/client.h"
#include "tests/ai/fake_server.h"
#include "tests/ai/plain_protocol.h"

namespace taut::ai::test {
namespace {

void sleep(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

size_t open_files() {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    static_cast<void>(entry);
    ++count;
  }
  return count;
}

class CancelTest : public ::testing::Test {
 protected:
  Provider provider(ClientOptions options = {}) {
    client_.emplace(std::move(options), plain_parts());
    return client_->provider(plain_config(server_.url()));
  }

  /// Cancels a call in the state that `arrive` waits for, and looks at what it leaves.
  template <class Arrive>
  void cancel_when(const Provider& plain, Arrive arrive) {
    const Pending<ChatResponse> call = plain.chat(plain_request());
    std::atomic<bool> has_returned{false}, was_late{false};
    std::atomic<int> told{0};
    call.then([&](const Outcome<ChatResponse>&) {
      if (has_returned) was_late = true;
      ++told;
    });
    arrive();
    const double begin = TimeSource().now();
    call.cancel();
    has_returned = true;
    EXPECT_LT(TimeSource().now() - begin, 1);
    EXPECT_EQ(error_of([&] { call.get(); }).kind, ErrorKind::cancelled);
    EXPECT_EQ(told, 1);
    EXPECT_FALSE(was_late);
    call.cancel();  // a second time changes nothing
    EXPECT_EQ(told, 1);
  }

  FakeServer server_;
  std::optional<Client> client_;
};

TEST_F(CancelTest, BeforeAnything) {
  server_.answer(Script{hold()});
  cancel_when(provider(), [] {});
}

TEST_F(CancelTest, WhileItWaitsForAnAnswer) {
  server_.answer(Script{hold()});
  cancel_when(provider(), [&] { EXPECT_TRUE(server_.wait_for_requests(1)); });
  EXPECT_TRUE(server_.wait_until_idle(5)) << "the connection is closed";
}

TEST_F(CancelTest, WithinAnAnswer) {
  server_.answer(Script{send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nansw"), hold()});
  cancel_when(provider(), [&] {
    EXPECT_TRUE(server_.wait_for_requests(1));
    sleep(0.05);
  });
  EXPECT_TRUE(server_.wait_until_idle(5));
}

TEST_F(CancelTest, WhileItStandsInLine) {
  server_.answer(Script{hold()});
  client_.emplace(ClientOptions{}, plain_parts());
  ProviderConfig config = plain_config(server_.url());
  config.max_concurrent = 1;
  const Provider plain = client_->provider(config);
  const auto first = plain.chat(plain_request());
  EXPECT_TRUE(server_.wait_for_requests(1));
  cancel_when(plain, [] { sleep(0.02); });
  EXPECT_FALSE(first.is_done());
  first.cancel();
  EXPECT_EQ(server_.requests().size(), 1u);
}

TEST_F(CancelTest, WhileItWaitsForItsRate) {
  server_.answer(http(200, "answer: hi\n"));
  client_.emplace(ClientOptions{}, plain_parts());
  ProviderConfig config = plain_config(server_.url());
  config.requests_per_minute = 1;
  const Provider plain = client_->provider(config);
  plain.chat(plain_request()).get();
  cancel_when(plain, [] { sleep(0.02); });
}

TEST_F(CancelTest, WhileItWaitsForAConnection) {
  server_.answer(Script{hold()});
  const Provider plain = provider({.max_connections_per_host = 1});
  const auto first = plain.chat(plain_request());
  EXPECT_TRUE(server_.wait_for_requests(1));
  cancel_when(plain, [] { sleep(0.02); });
  first.cancel();
}

TEST_F(CancelTest, BetweenTwoAttempts) {
  server_.answer(http(429, "no\n", "retry-after: 30\r\n"));
  cancel_when(provider(), [&] {
    EXPECT_TRUE(server_.wait_for_requests(1));
    sleep(0.05);
  });
  EXPECT_EQ(server_.requests().size(), 1u);
}

TEST_F(CancelTest, WhileItsHostIsLookedUp) {
  client_.emplace(ClientOptions{}, plain_parts());
  cancel_when(client_->provider(plain_config("https://no-such-host.invalid")), [] {});
}

TEST_F(CancelTest, WhileTheRequestIsSent) {
  // Nobody reads it: the connection is accepted by the system alone.
  server_.answer(Script{hold()});
  const Provider plain = provider({.limits = {.request = int64_t{64} << 20}});
  const auto call = plain.chat(plain_request(std::string(size_t{32} << 20, 'x')));
  sleep(0.02);
  call.cancel();
  EXPECT_EQ(error_of([&] { call.get(); }).kind, ErrorKind::cancelled);
}

TEST_F(CancelTest, AfterItsEnd) {
  server_.answer(http(200, "answer: hi\n"));
  const auto call = provider().chat(plain_request());
  call.get();
  call.cancel();
  EXPECT_EQ(call.get().text(), "hi") << "what is there stays";
}

TEST_F(CancelTest, FromItsOwnCallback) {
  server_.answer(http(200, "answer: hi\n"));
  const auto call = provider().chat(plain_request());
  const Promise<int> done;
  call.then([call, done](const Outcome<ChatResponse>&) {
    call.cancel();
    done.set(1);
  });
  EXPECT_EQ(done.pending().get(), 1);
}

TEST_F(CancelTest, AStreamWhileItIsRead) {
  server_.answer(Script{send(http_open(200) + events({"one"})), hold()});
  const Provider plain = provider();
  const ChatStream stream = plain.stream(plain_request());
  EXPECT_EQ(stream.next()->text, "one");
  std::thread canceller([&] {
    sleep(0.05);
    stream.cancel();
  });
  EXPECT_EQ(error_of([&] { stream.next(); }).kind, ErrorKind::cancelled);
  canceller.join();
  EXPECT_EQ(stream.response().text(), "one");
  EXPECT_TRUE(server_.wait_until_idle(5));
  stream.cancel();
  EXPECT_EQ(client_->statistics().cancelled, 1);
}

TEST_F(CancelTest, AStreamThatIsDropped) {
  server_.answer(Script{send(http_open(200) + events({"one"})), hold()});
  const Provider plain = provider();
  {
    const ChatStream stream = plain.stream(plain_request());
    const ChatStream copy = stream;
    EXPECT_EQ(copy.next()->text, "one");
  }
  EXPECT_TRUE(server_.wait_until_idle(5));
  EXPECT_EQ(client_->statistics().cancelled, 1);
}

TEST_F(CancelTest, AStreamThatIsHeldBack) {
  server_.answer(Script{send(http_open(200)), repeat(events({std::string(10'000, 'x')}), 0)});
  const Provider plain = provider({.buffered_events = 4});
  const ChatStream stream = plain.stream(plain_request());
  ASSERT_TRUE(stream.next());
  sleep(0.1);
  stream.cancel();
  EXPECT_TRUE(server_.wait_until_idle(5));
  EXPECT_EQ(error_of([&] { stream.next(); }).kind, ErrorKind::cancelled)
      << "what waited is dropped";
}

TEST_F(CancelTest, TheClientGoesWithCallsUnderWay) {
  server_.answer(Script{hold()});
  const Provider plain = provider({.max_connections_per_host = 4});
  std::vector<Pending<ChatResponse>> calls;
  std::atomic<int> told{0};
  for (int i = 0; i < 20; ++i) {
    calls.push_back(plain.chat(plain_request()));
    calls.back().then([&told](const Outcome<ChatResponse>&) { ++told; });
  }
  const ChatStream stream = plain.stream(plain_request());
  EXPECT_TRUE(server_.wait_for_requests(4));
  client_.reset();
  EXPECT_EQ(told, 20) << "callbacks, too, have ended";
  for (const auto& call : calls) {
    EXPECT_EQ(error_of([&] { call.get(); }).kind, ErrorKind::cancelled);
  }
  EXPECT_EQ(error_of([&] { stream.next(); }).kind, ErrorKind::cancelled);
}

TEST_F(CancelTest, ACallbackMayDropTheClient) {
  server_.answer(http(200, "answer: hi\n"));
  auto client = std::make_shared<Client>(ClientOptions{}, plain_parts());
  const Promise<int> done;
  client->provider(plain_config(server_.url()))
      .chat(plain_request())
      .then([&client, done](const Outcome<ChatResponse>&) {
        client.reset();
        done.set(1);
      });
  EXPECT_EQ(done.pending().get(), 1);
}

TEST_F(CancelTest, TenThousandAtRandomMoments) {
  const unsigned seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  std::mt19937 generator(seed);
  server_.answer(
      Script{wait(0.001), send(http_chunked(200, {events({"a"}), events({"b", "[end]"})}))});
  const size_t files_before = open_files();
  {
    client_.emplace(ClientOptions{.max_retries = 0}, plain_parts());
    ProviderConfig config = plain_config(server_.url());
    config.max_concurrent = 16;
    const Provider plain = client_->provider(config);
    constexpr int kCalls = 10'000, kWindow = 64;
    std::deque<Pending<ChatResponse>> calls;
    std::deque<ChatStream> streams;
    std::uniform_int_distribution<int> die(0, 9);
    for (int i = 0; i < kCalls; ++i) {
      if (die(generator) < 5) {
        calls.push_back(plain.chat(plain_request()));
        calls.back().then([](const Outcome<ChatResponse>&) {});
      } else {
        streams.push_back(plain.stream(plain_request()));
      }
      if (calls.size() > kWindow) {
        if (die(generator) < 8) calls.front().cancel();
        calls.pop_front();
      }
      if (streams.size() > kWindow) {
        if (die(generator) < 3) listen_to(streams.front());
        streams.pop_front();  // which cancels it, where it has not been read
      }
    }
    for (const auto& call : calls) call.cancel();
    streams.clear();
    for (int i = 0; i < 500 && client_->statistics().active > 0; ++i) sleep(0.02);
    const ClientStatistics statistics = client_->statistics();
    EXPECT_EQ(statistics.calls, kCalls);
    EXPECT_EQ(statistics.active, 0);
    EXPECT_EQ(statistics.completed + statistics.failed + statistics.cancelled, kCalls);
    EXPECT_GT(statistics.cancelled, 1000);
  }
  client_.reset();
  EXPECT_TRUE(server_.wait_until_idle(5));
  EXPECT_LE(open_files(), files_before + 40) << "the server closes its last ones later";
}

}  // namespace
}  // namespace taut::ai::test
