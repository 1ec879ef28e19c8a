// Many calls of all kinds over HTTP/2 through one client, for the sanitizers to watch: run.py has
// the server. Calls are answered, called off, reset by the server, and read by those who take their
// time.

#include "taut/ai/client.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace taut::ai;

constexpr int kReaders = 16;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// How the calls ended, by the words that are printed.
class Ends {
 public:
  void count(const std::string& word) {
    const std::lock_guard lock(mutex_);
    ++counts_[word];
  }
  int64_t of(const std::string& word) {
    const std::lock_guard lock(mutex_);
    return counts_[word];
  }
  void print() {
    const std::lock_guard lock(mutex_);
    for (const auto& [word, count] : counts_) {
      std::printf("  %s: %lld\n", word.c_str(), static_cast<long long>(count));
    }
  }

 private:
  std::mutex mutex_;
  std::map<std::string, int64_t> counts_;
};

/// One reader, who calls again and again.
class Reader {
 public:
  Reader(const Provider& provider, Ends& ends, uint64_t seed)
      : provider_(provider), ends_(ends), random_(seed) {}

  void run(double end) {
    while (now() < end) {
      try {
        call();
      } catch (const ProviderError& error) {
        ends_.count(std::string("error ") + std::string(name(error.kind())));
      }
    }
  }

 private:
  uint64_t draw(uint64_t count) { return random_() % count; }
  static ChatRequest request(const std::string& text) {
    return {.model = "m", .messages = {Message::user(text)}, .deadline = 60};
  }
  std::string words() {
    std::string text = "echo";
    const uint64_t count = draw(40);
    for (uint64_t i = 0; i < count; ++i) text += " " + std::to_string(draw(1000));
    return text;
  }

  void call() {
    switch (draw(6)) {
      case 0: {
        const std::string text = words();
        check(provider_.chat(request(text)).get().text(), text);
        break;
      }
      case 1: read_all(words(), 0); break;
      case 2: read_all(words(), 2); break;
      case 3: call_off(draw(2) == 0 ? words() : "for ever"); break;
      case 4: provider_.stream(request("reset")).response(); break;
      default: read_reset(); break;
    }
  }

  /// `pause`: milliseconds between two events.
  void read_all(const std::string& text, int pause) {
    const ChatStream stream = provider_.stream(request(text));
    std::string read;
    while (const auto event = stream.next()) {
      read += event->text;
      if (pause > 0) std::this_thread::sleep_for(std::chrono::milliseconds(pause));
    }
    check(read, text);
  }
  void call_off(const std::string& text) {
    const ChatStream stream = provider_.stream(request(text));
    for (uint64_t left = draw(5); left > 0 && stream.next(); --left) {
    }
    if (draw(2) == 0) stream.cancel();  // otherwise it is dropped
    ends_.count("called off");
  }
  void read_reset() {
    const ChatStream stream = provider_.stream(request("reset"));
    while (stream.next()) {
    }
    ends_.count("wrong: a stream that was reset ended well");
  }
  void check(const std::string& got, const std::string& expected) {
    if (got != expected) std::printf("got '%s'; expected '%s'\n", got.c_str(), expected.c_str());
    ends_.count(got == expected ? "whole" : "wrong: another text");
  }

  Provider provider_;
  Ends& ends_;
  std::mt19937_64 random_;
};

}  // namespace

int main(int count, char** arguments) {
  if (count != 4) {
    std::fprintf(stderr, "usage: taut_ai_http2 URL CA_FILE SECONDS\n");
    return 2;
  }
  const double end = now() + std::atof(arguments[3]);
  const uint64_t seed = std::random_device{}();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  ClientOptions options;
  options.ca_file = arguments[2];
  options.buffered_events = 16;
  options.max_retries = 0;
  Client client(options);
  ProviderConfig config = ProviderConfig::compatible("server", arguments[1]);
  config.max_concurrent = kReaders;
  const Provider provider = client.provider(config);

  Ends ends;
  std::vector<std::thread> threads;
  for (int i = 0; i < kReaders; ++i) {
    threads.emplace_back(
        [&, i] { Reader(provider, ends, seed + static_cast<uint64_t>(i)).run(end); });
  }
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < 200 && client.statistics().active > 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  ends.print();
  const ClientStatistics statistics = client.statistics();
  std::printf("  calls: %lld, connections: %lld, still open: %lld\n",
              static_cast<long long>(statistics.calls),
              static_cast<long long>(statistics.connections),
              static_cast<long long>(statistics.active));
  const bool is_right = ends.of("whole") > 0 && ends.of("called off") > 0 &&
                        ends.of("wrong: another text") == 0 &&
                        ends.of("wrong: a stream that was reset ended well") == 0 &&
                        ends.of("error timeout_total") == 0 && statistics.active == 0;
  return is_right ? 0 : 1;
}
