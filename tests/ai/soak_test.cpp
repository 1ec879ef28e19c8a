// Many calls at once over a server that fails at random: every call ends, and nothing is left
// behind. TAUT_SOAK_SECONDS makes it last longer.

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <random>
#include <thread>

#include "src/ai/address.h"
#include "src/ai/retry.h"
#include "taut/ai/client.h"
#include "tests/ai/fake_server.h"
#include "tests/ai/plain_protocol.h"

namespace taut::ai::test {
namespace {

double soak_seconds() {
  const char* text = std::getenv("TAUT_SOAK_SECONDS");
  return text == nullptr ? 2 : std::atof(text);
}

unsigned chosen_seed() {
  const unsigned seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  return seed;
}

double cpu_seconds() {
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

int64_t open_files() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                       std::filesystem::directory_iterator());
}

/// What a server does now and then: 5 % limits, 3 % failures, 3 % resets, 2 % stalls, 1 % too much.
Script random_script(std::mt19937& generator) {
  const int die = std::uniform_int_distribution<int>(0, 99)(generator);
  if (die < 5) return {send(http(429, "no\n", "retry-after-ms: 1\r\n"))};
  if (die < 8) return {send(http(503, "no\n"))};
  if (die < 11) return {send(http_open(200) + events({"a"})), reset()};
  if (die < 13) return {send(http_open(200) + events({"a"})), hold()};
  if (die < 14) return {send(http_open(200)), repeat(std::string(65536, 'x'), 0)};
  return {send(http_chunked(200, {events({"a", "b"}), events({"c", "[end]"})}))};
}

TEST(Soak, EveryCallEnds) {
  const unsigned seed = chosen_seed();
  std::mt19937 generator(seed);
  FakeServer server;
  for (int i = 0; i < 20'000; ++i) server.answer(random_script(generator));
  ClientOptions options;
  options.timeouts.idle = 0.1;
  options.limits.line = 1'000'000;
  options.max_connections_per_host = 32;
  Client client(options, plain_parts());
  const Provider plain = client.provider(plain_config(server.url()));

  constexpr int kThreads = 8, kAtOnce = 8;
  const double end = TimeSource().now() + soak_seconds();
  std::atomic<int64_t> heard{0}, failed{0}, dropped{0};
  std::vector<std::thread> readers;
  for (int t = 0; t < kThreads; ++t) {
    readers.emplace_back([&, t] {
      std::mt19937 mine(seed + static_cast<unsigned>(t));
      while (TimeSource().now() < end) {
        std::vector<ChatStream> streams;
        for (int i = 0; i < kAtOnce; ++i) streams.push_back(plain.stream(plain_request()));
        for (const ChatStream& stream : streams) {
          if (std::uniform_int_distribution<int>(0, 9)(mine) == 0) {
            ++dropped;
            continue;
          }
          const Heard one = listen_to(stream);
          ++(one.error ? failed : heard);
          EXPECT_TRUE(one.error || one.text == "abc") << one.text;
        }
      }
    });
  }
  for (std::thread& reader : readers) reader.join();
  for (int i = 0; i < 500 && client.statistics().active > 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  const ClientStatistics statistics = client.statistics();
  EXPECT_EQ(statistics.active, 0);
  EXPECT_EQ(statistics.calls, statistics.completed + statistics.failed + statistics.cancelled);
  EXPECT_EQ(statistics.calls, heard + failed + dropped);
  EXPECT_GE(statistics.failed, failed) << "those that were dropped may have failed before";
  EXPECT_GT(statistics.completed, 10);
}

TEST(Soak, NothingIsLeftOpen) {
  FakeServer server;
  server.answer(http(200, "answer: hi\n"));
  const int64_t before = open_files();
  for (int i = 0; i < 20; ++i) {
    Client client({}, plain_parts());
    const Provider plain = client.provider(plain_config(server.url()));
    std::vector<Pending<ChatResponse>> calls;
    for (int k = 0; k < 8; ++k) calls.push_back(plain.chat(plain_request()));
    for (const auto& call : calls) call.get();
  }
  EXPECT_TRUE(server.wait_until_idle());
  // The server lets go of its side when the next one comes.
  Client client({}, plain_parts());
  client.provider(plain_config(server.url())).chat(plain_request()).get();
  EXPECT_LE(open_files(), before + 16);
}

TEST(Soak, WhoWaitsDoesNotSpin) {
  FakeServer server;
  server.answer(Script{send(http_open(200) + events({"a"})), hold()});
  Client client({}, plain_parts());
  const ChatStream stream = client.provider(plain_config(server.url())).stream(plain_request());
  ASSERT_TRUE(stream.next());
  const double before = cpu_seconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_LT(cpu_seconds() - before, 0.1);
}

TEST(Soak, CancellingIsQuick) {
  FakeServer server;
  server.answer(Script{send(http_open(200) + events({"a"})), hold()});
  Client client({}, plain_parts());
  const Provider plain = client.provider(plain_config(server.url()));
  std::vector<double> times;
  for (int i = 0; i < 200; ++i) {
    const ChatStream stream = plain.stream(plain_request());
    ASSERT_TRUE(stream.next());
    const double begin = TimeSource().now();
    stream.cancel();
    times.push_back(TimeSource().now() - begin);
  }
  std::sort(times.begin(), times.end());
  EXPECT_LT(times[times.size() * 99 / 100], 0.05);
}

// ---- Bytes at random ----------------------------------------------------------------------------

TEST(RandomBytes, NoParserMindsThem) {
  std::mt19937 generator(chosen_seed());
  using namespace std::string_literals;
  const std::string alphabet = "0123456789-+.:eEsmhnaifNT,ZGMJ \t\r\n\0\x7f\xc3\xa9/?#@%[]"s;
  std::uniform_int_distribution<size_t> length(0, 24), letter(0, alphabet.size() - 1);
  for (int i = 0; i < 100'000; ++i) {
    std::string text;
    for (size_t n = length(generator); n > 0; --n) text += alphabet[letter(generator)];
    HttpAnswer answer;
    answer.headers = {{"retry-after", text}};
    const std::optional<double> pause = retry_after_of(answer, 1.8e9);
    EXPECT_TRUE(!pause || (*pause >= 0 && *pause < 1e300)) << text;
    const bool is_clean = text.find_first_of("\r\n\0\x7f"s) == std::string::npos;
    EXPECT_EQ(is_header_value(text), is_clean);
    if (is_header_name(text)) {
      EXPECT_EQ(text.find_first_of(" :\t\r\n"), std::string::npos);
    }
    try {
      const BaseUrl base = parse_base_url("p", "https://h" + text, false);
      EXPECT_EQ(base.text.find_first_of(" ?#\r\n"), std::string::npos) << text;
      EXPECT_TRUE(join_url(base, "/v1/x").ends_with("/x"));
    } catch (const ValueError&) {
    }
  }
}

}  // namespace
}  // namespace taut::ai::test
