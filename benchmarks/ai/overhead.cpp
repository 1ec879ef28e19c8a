// What a client costs over bare libcurl: CPU time of a request, CPU time of an event of a stream.
// The same server answers all, in a process of its own, so that its time does not count. The client
// and both loops of bare libcurl take turns; medians count, and the ratios are those of one turn.

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "bare_libcurl.h"
#include "measure.h"
#include "stream_server.h"
#include "taut/ai/client.h"
#include "tests/ai/task.h"

namespace {

using taut::ai::ChatRequest;
using taut::ai::ChatResponse;
using taut::ai::ChatStream;
using taut::ai::Client;
using taut::ai::ClientOptions;
using taut::ai::Message;
using taut::ai::Outcome;
using taut::ai::Promise;
using taut::ai::Provider;
using taut::ai::ProviderConfig;
using taut::ai::StreamEvent;
using taut::ai::test::Task;
using taut::bench::BareLibcurl;
using taut::bench::cpu_seconds;
using taut::bench::kEvents;
using taut::bench::kShapes;
using taut::bench::now;
using taut::bench::StreamServer;
using taut::bench::StreamShape;

constexpr int kRequests = 10'000, kAtOnce = 32;
constexpr int kStreams = 256;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// ---- The client ---------------------------------------------------------------------------------

ChatRequest request(const char* model) {
  return {.model = model, .messages = {Message::user("Hello")}};
}

/// Asks again and again, from callback to callback.
struct Asker {
  Provider provider;
  std::atomic<int> left;
  std::atomic<int> open;
  Promise<int> done;

  void ask() {
    if (left.fetch_sub(1) <= 0) {
      if (open.fetch_sub(1) == 1) done.set(0);
      return;
    }
    provider.chat(request("m")).then([this](Outcome<ChatResponse> outcome) {
      if (outcome.value().text().empty()) std::abort();
      ask();
    });
  }
};

void ask_with_client(const Provider& provider) {
  Asker asker{provider, kRequests, kAtOnce, {}};
  for (int i = 0; i < kAtOnce; ++i) asker.ask();
  asker.done.pending().get();
}

/// What the readers of all streams have seen.
struct Readers {
  std::atomic<int> left{kStreams};
  std::atomic<int64_t> bytes{0};
  Promise<int> done;

  void end() {
    if (left.fetch_sub(1) == 1) done.set(0);
  }
  void wait() const {
    done.pending().get();
    if (bytes != int64_t{kStreams} * taut::bench::stream_bytes()) std::abort();
  }
};

Task listen_to(ChatStream stream, Readers& readers) {
  while (const auto event = co_await stream.next_event()) {
    readers.bytes += static_cast<int64_t>(event->text.size());
  }
  readers.end();
}

void stream_to_coroutines(const Provider& provider, const StreamShape& shape) {
  Readers readers;
  for (int i = 0; i < kStreams; ++i) listen_to(provider.stream(request(shape.model)), readers);
  readers.wait();
}

/// Waits for the next event from within the callback that was given the last one.
struct Listener {
  ChatStream stream;
  Readers& readers;

  void listen() {
    stream.next_event().then([this](Outcome<std::optional<StreamEvent>> outcome) {
      const std::optional<StreamEvent>& event = outcome.value();
      if (!event) return readers.end();
      readers.bytes += static_cast<int64_t>(event->text.size());
      listen();
    });
  }
};

void stream_to_callbacks(const Provider& provider, const StreamShape& shape) {
  Readers readers;
  std::vector<Listener> listeners;
  listeners.reserve(kStreams);
  for (int i = 0; i < kStreams; ++i) {
    listeners.push_back({provider.stream(request(shape.model)), readers});
    listeners.back().listen();
  }
  readers.wait();
}

// ---- By turns -----------------------------------------------------------------------------------

struct Contender {
  const char* name;
  std::function<void()> work;
};

/// Microseconds of CPU time that each takes for one of `count`, and how the first ones compare with
/// the last two, which are bare libcurl.
void compare(const char* what, double count, int turns, const std::vector<Contender>& contenders) {
  std::vector<std::vector<double>> costs(contenders.size()), rates(contenders.size());
  for (int turn = 0; turn < turns; ++turn) {
    for (size_t i = 0; i < contenders.size(); ++i) {
      const double begin = now(), cpu = cpu_seconds();
      contenders[i].work();
      costs[i].push_back(1e6 * (cpu_seconds() - cpu) / count);
      rates[i].push_back(count / (now() - begin));
    }
  }
  std::printf("%s\n", what);
  const size_t ours = contenders.size() - 2;
  for (size_t i = 0; i < contenders.size(); ++i) {
    std::printf("  %-22s %8.2f us CPU %8.0f/s", contenders[i].name, median(costs[i]),
                median(rates[i]));
    for (size_t bare = ours; i < ours && bare < contenders.size(); ++bare) {
      std::vector<double> ratios;
      for (size_t turn = 0; turn < costs[i].size(); ++turn) {
        ratios.push_back(costs[i][turn] / costs[bare][turn]);
      }
      std::printf("   %.2f of %s", median(ratios), contenders[bare].name);
    }
    std::printf("\n");
  }
  std::fflush(stdout);
}

std::string body_of(const char* model, const char* rest) {
  return std::string(R"({"model":")") + model +
         R"(","messages":[{"role":"user","content":"Hello"}])" + rest + "}";
}

}  // namespace

/// The first argument: how many turns each takes. The second: the only shape of streams to run.
int main(int count, char** arguments) {
  const int turns = count > 1 ? std::atoi(arguments[1]) : 5;
  if (turns < 1) {
    std::fprintf(stderr, "usage: ai_overhead [turns, at least 1] [shape of streams]; got %s\n",
                 arguments[1]);
    return 2;
  }
  const std::string only = count > 2 ? arguments[2] : "";
  const auto is_named = [&only](const StreamShape& shape) { return only == shape.model; };
  if (!only.empty() && std::none_of(std::begin(kShapes), std::end(kShapes), is_named)) {
    std::fprintf(stderr, "no such shape; got %s; expected together, spread or bursts\n",
                 only.c_str());
    return 2;
  }
  StreamServer server;
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // it never ends by itself
    server.serve();
  }
  const std::string url = "http://127.0.0.1:" + std::to_string(server.port()) + "/v1";
  const std::string target = url + "/chat/completions";

  ClientOptions options;
  options.max_connections = options.max_connections_per_host = kStreams;
  Client client(options);
  options.callback_threads = 0;
  Client own_thread(options);
  ProviderConfig config = ProviderConfig::compatible("server", url);
  config.max_concurrent = kStreams;
  const Provider provider = client.provider(config);
  const Provider on_own_thread = own_thread.provider(config);

  BareLibcurl with_poll(target, BareLibcurl::Loop::poll);
  BareLibcurl with_epoll(target, BareLibcurl::Loop::epoll);

  const std::string body = body_of("m", "");
  if (only.empty()) {
    compare("requests, 32 at once", kRequests, turns,
            {{"client", [&] { ask_with_client(provider); }},
             {"client, own thread", [&] { ask_with_client(on_own_thread); }},
             {"libcurl, poll", [&] { with_poll.run(body, kRequests, kAtOnce); }},
             {"libcurl, epoll", [&] { with_epoll.run(body, kRequests, kAtOnce); }}});
  }
  for (const StreamShape& shape : kShapes) {
    if (!only.empty() && !is_named(shape)) continue;
    const std::string stream_body = body_of(shape.model, R"(,"stream":true)");
    compare(("events of 256 streams: " + std::string(shape.meaning)).c_str(),
            double{kStreams} * kEvents, turns,
            {{"client, coroutines", [&] { stream_to_coroutines(provider, shape); }},
             {"client, callbacks", [&] { stream_to_callbacks(provider, shape); }},
             {"client, own thread", [&] { stream_to_coroutines(on_own_thread, shape); }},
             {"libcurl, poll", [&] { with_poll.run(stream_body, kStreams, kStreams); }},
             {"libcurl, epoll", [&] { with_epoll.run(stream_body, kStreams, kStreams); }}});
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return 0;
}
