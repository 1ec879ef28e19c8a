// Many streams at once through one client, from a server that fails at random, with cancels at
// random: every call ends, and nothing grows and nothing is left behind. TAUT_SOAK_SECONDS sets for
// how long; from a minute on memory is told as it goes and times are judged, too.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "src/ai/time_source.h"
#include "taut/ai/client.h"
#include "tests/ai/load_server.h"
#include "tests/ai/plain_protocol.h"
#include "tests/ai/process_use.h"
#include "tests/ai/task.h"

namespace taut::ai::test {
namespace {

constexpr int kStreams = 256, kThreads = 16;  // so many of them are read by threads that wait
constexpr int kWords = 8, kPause = 50;        // of a stream, and milliseconds between two
constexpr int64_t kGrowth = 5'000'000;        // bytes, after the first fifth of the time

double soak_seconds() {
  const char* text = std::getenv("TAUT_SOAK_SECONDS");
  return text == nullptr ? 5 : std::atof(text);
}

bool is_long() { return soak_seconds() >= 60; }

void sleep(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

double now() { return TimeSource().now(); }

unsigned chosen_seed() {
  const unsigned seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  return seed;
}

ChatRequest ask_for(const std::string& model) {
  return {.model = model, .messages = {Message::user("Hello")}};
}

double percentile(std::vector<double> values, size_t hundredths) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[(values.size() - 1) * hundredths / 100];
}

// ---- Readers and the one who calls them off -----------------------------------------------------

/// One stream after the other, of which the present one may be called off by another thread.
class Place {
 public:
  void begin(const ChatStream& stream) {
    const std::lock_guard lock(mutex_);
    stream_ = stream;
    cancelled_at_ = 0;
  }
  /// Calls off what is there.
  void cancel() {
    std::optional<ChatStream> stream;
    {
      const std::lock_guard lock(mutex_);
      if (!stream_ || cancelled_at_ > 0) return;
      stream = stream_;
      cancelled_at_ = now();
    }
    stream->cancel();
  }
  /// Seconds since it was called off; 0 where it was not.
  double end() {
    const std::lock_guard lock(mutex_);
    stream_.reset();
    return cancelled_at_ > 0 ? now() - cancelled_at_ : 0;
  }

 private:
  std::mutex mutex_;
  std::optional<ChatStream> stream_;
  double cancelled_at_ = 0;
};

class Load {
 public:
  Load(Provider provider, double seconds)
      : provider_(std::move(provider)), end_(now() + seconds), reading_(kStreams) {}

  bool goes_on() const { return now() < end_; }
  int reading() const { return reading_; }

  Task read_in_a_coroutine(int number) {
    while (goes_on()) {
      const ChatStream stream = begin(number);
      std::string text;
      std::exception_ptr error;
      try {
        while (const auto event = co_await stream.next_event()) text += event->text;
      } catch (const ProviderError&) {
        error = std::current_exception();
      }
      count(number, text, error);
    }
    --reading_;
  }

  void read_in_a_thread(int number) {
    while (goes_on()) {
      const ChatStream stream = begin(number);
      std::string text;
      std::exception_ptr error;
      try {
        while (const auto event = stream.next()) text += event->text;
      } catch (const ProviderError&) {
        error = std::current_exception();
      }
      count(number, text, error);
    }
    --reading_;
  }

  void cancel_at_random(unsigned seed) {
    std::mt19937 random(seed);
    std::uniform_int_distribution<size_t> which(0, kStreams - 1);
    while (goes_on()) {
      sleep(0.02);
      places_[which(random)].cancel();
    }
  }

  struct Outcomes {
    int64_t begun = 0, whole = 0;
    std::map<ErrorKind, int64_t> failed;
    std::vector<double> releases;  // seconds from a cancel to the end of the reader's wait

    int64_t cancelled() const {
      const auto found = failed.find(ErrorKind::cancelled);
      return found == failed.end() ? 0 : found->second;
    }
    int64_t ended() const {
      int64_t sum = whole;
      for (const auto& [kind, times] : failed) sum += times;
      return sum;
    }
  };
  Outcomes outcomes() const {
    const std::lock_guard lock(mutex_);
    return outcomes_;
  }

 private:
  ChatStream begin(int number) {
    {
      const std::lock_guard lock(mutex_);
      ++outcomes_.begun;
    }
    ChatStream stream = provider_.stream(request_);
    places_[static_cast<size_t>(number)].begin(stream);
    return stream;
  }

  void count(int number, const std::string& text, const std::exception_ptr& error) {
    const double release = places_[static_cast<size_t>(number)].end();
    const std::lock_guard lock(mutex_);
    if (!error) {
      ++outcomes_.whole;
      EXPECT_EQ(text.size(), size_t{kWords} * 5) << text;
      return;
    }
    const ErrorKind kind = details_of(error).kind;
    ++outcomes_.failed[kind];
    if (kind == ErrorKind::cancelled) {
      EXPECT_GT(release, 0) << "nobody called it off";
      outcomes_.releases.push_back(release);
    }
  }

  const Provider provider_;
  const ChatRequest request_ = ask_for("faulty-" + std::to_string(kWords));
  const double end_;
  std::array<Place, kStreams> places_;
  std::atomic<int> reading_;
  mutable std::mutex mutex_;
  Outcomes outcomes_;
};

// ---- What is used meanwhile ---------------------------------------------------------------------

class Watch {
 public:
  /// Samples as long as the load goes on.
  void watch(const Load& load) {
    const double begin = now(), pause = soak_seconds() / 40;
    for (int i = 0; load.goes_on(); ++i) {
      sleep(pause);
      samples_.push_back(is_sanitized() ? allocated_bytes() : resident_bytes());
      if (!is_long() || i % 2 != 1) continue;
      const Load::Outcomes so_far = load.outcomes();
      std::printf("%5.0f s: %8lld streams, %7.1f MB resident, %7.1f MB allocated, %lld files\n",
                  now() - begin, static_cast<long long>(so_far.begun),
                  static_cast<double>(resident_bytes()) * 1e-6,
                  static_cast<double>(allocated_bytes()) * 1e-6,
                  static_cast<long long>(open_files()));
      std::fflush(stdout);
    }
  }
  /// From the second fifth of the time to the last one.
  int64_t growth() const { return middle_of(4) - middle_of(1); }

 private:
  int64_t middle_of(size_t fifth) const {
    const auto at = [this](size_t place) {
      return samples_.begin() + static_cast<std::ptrdiff_t>(samples_.size() * place / 5);
    };
    std::vector<double> part(at(fifth), at(fifth + 1));
    return static_cast<int64_t>(percentile(std::move(part), 50));
  }
  std::vector<int64_t> samples_;
};

/// What the process does in a while in which nothing is to be done.
void expect_rest(double seconds) {
  const double before = cpu_seconds();
  sleep(seconds);
  const double used = cpu_seconds() - before;
  std::printf("idle: %.1f ms of CPU time in %.1f s\n", used * 1e3, seconds);
  EXPECT_LT(used, 0.2 * seconds);
}

void report(const Load::Outcomes& outcomes, const ClientStatistics& statistics) {
  std::printf(
      "%lld streams: %lld whole, %lld called off, %lld failed; %lld attempts, %lld connections\n",
      static_cast<long long>(outcomes.begun), static_cast<long long>(outcomes.whole),
      static_cast<long long>(outcomes.cancelled()),
      static_cast<long long>(outcomes.ended() - outcomes.whole - outcomes.cancelled()),
      static_cast<long long>(statistics.attempts), static_cast<long long>(statistics.connections));
  for (const auto& [kind, times] : outcomes.failed) {
    std::printf("  %s: %lld\n", std::string(name(kind)).c_str(), static_cast<long long>(times));
  }
  std::printf("from a cancel to the end of the wait: p50 %.2f ms, p99 %.2f ms, most %.2f ms\n",
              percentile(outcomes.releases, 50) * 1e3, percentile(outcomes.releases, 99) * 1e3,
              percentile(outcomes.releases, 100) * 1e3);
}

ClientOptions options_for_load() {
  ClientOptions options;
  options.timeouts.idle = 1;
  options.limits.line = 100'000;
  options.max_connections = options.max_connections_per_host = kStreams;
  return options;
}

ProviderConfig config_for(const LoadServer& server) {
  ProviderConfig config = ProviderConfig::compatible("server", server.url());
  config.max_concurrent = kStreams;
  return config;
}

TEST(Soak, EveryStreamEndsAndNothingGrows) {
  const unsigned seed = chosen_seed();
  const LoadServer server(seed, kPause);
  const int64_t files = open_files();
  {
    Client client(options_for_load());
    Load load(client.provider(config_for(server)), soak_seconds());
    Watch memory;
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) threads.emplace_back([&, i] { load.read_in_a_thread(i); });
    for (int i = kThreads; i < kStreams; ++i) load.read_in_a_coroutine(i);
    threads.emplace_back([&] { load.cancel_at_random(seed); });
    memory.watch(load);
    for (std::thread& thread : threads) thread.join();
    for (int i = 0; i < 6000 && (load.reading() > 0 || client.statistics().active > 0); ++i) {
      sleep(0.01);
    }
    ASSERT_EQ(load.reading(), 0) << "somebody waits still";

    const Load::Outcomes outcomes = load.outcomes();
    const ClientStatistics statistics = client.statistics();
    report(outcomes, statistics);
    EXPECT_EQ(statistics.active, 0);
    EXPECT_EQ(statistics.calls, statistics.completed + statistics.failed + statistics.cancelled);
    EXPECT_EQ(statistics.calls, outcomes.begun);
    EXPECT_EQ(statistics.calls, outcomes.ended());
    EXPECT_GT(outcomes.whole, 0);
    EXPECT_GT(outcomes.cancelled(), 0);

    std::printf("growth after the first fifth: %.2f MB %s\n",
                static_cast<double>(memory.growth()) * 1e-6,
                is_sanitized() ? "allocated" : "resident");
    EXPECT_LT(memory.growth(), kGrowth);
    if (is_long() && !is_sanitized()) {
      EXPECT_LT(percentile(outcomes.releases, 99), 0.05);
    }
    expect_rest(is_long() ? 5 : 0.5);
  }
  EXPECT_EQ(open_files(), files);
}

TEST(Soak, ConnectionsAreUsedAgain) {
  const int kRequests = is_sanitized() ? 1000 : 10'000;
  const LoadServer server(chosen_seed(), kPause);
  Client client;
  const Provider provider = client.provider(config_for(server));
  for (int i = 0; i < kRequests; ++i) provider.chat(ask_for("answer")).get();
  EXPECT_EQ(client.statistics().completed, kRequests);
  EXPECT_LT(client.statistics().connections, kRequests / 100);
}

TEST(Soak, ManyClientsLeaveNothingOpen) {
  const LoadServer server(chosen_seed(), kPause);
  const int64_t before = open_files();
  for (int i = 0; i < 20; ++i) {
    Client client;
    const Provider provider = client.provider(config_for(server));
    std::vector<Pending<ChatResponse>> calls;
    for (int k = 0; k < 8; ++k) calls.push_back(provider.chat(ask_for("answer")));
    for (const auto& call : calls) call.get();
  }
  EXPECT_EQ(open_files(), before);
}

TEST(Soak, WhoWaitsDoesNotSpin) {
  const LoadServer server(chosen_seed(), kPause);
  ClientOptions options = options_for_load();
  options.timeouts.idle = 60;
  Client client(options);
  const Provider provider = client.provider(config_for(server));
  std::vector<ChatStream> streams;
  for (int i = 0; i < kStreams; ++i) streams.push_back(provider.stream(ask_for("held")));
  for (const ChatStream& stream : streams) ASSERT_TRUE(stream.next());
  expect_rest(0.5);
}

TEST(Soak, CancellingIsQuick) {
  const LoadServer server(chosen_seed(), kPause);
  Client client;
  const Provider provider = client.provider(config_for(server));
  std::vector<double> times;
  for (int i = 0; i < 200; ++i) {
    const ChatStream stream = provider.stream(ask_for("held"));
    ASSERT_TRUE(stream.next());
    const double begin = now();
    stream.cancel();
    times.push_back(now() - begin);
  }
  std::printf("cancel: p99 %.2f ms\n", percentile(times, 99) * 1e3);
  EXPECT_LT(percentile(times, 50), 0.05);
}

}  // namespace
}  // namespace taut::ai::test
