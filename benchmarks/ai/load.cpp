// The client's part of benchmarks/ai/sdk.py, in C++: asks the server of tests/ai_load, and prints
// what it took as JSON.
//   ai_load URL answers|events|held|held-by-libcurl COUNT AT_ONCE

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "bare_libcurl.h"
#include "measure.h"
#include "taut/ai/client.h"
#include "tests/ai/task.h"

namespace {

using taut::ai::ChatRequest;
using taut::ai::ChatStream;
using taut::ai::Client;
using taut::ai::ClientOptions;
using taut::ai::Message;
using taut::ai::Promise;
using taut::ai::Provider;
using taut::ai::ProviderConfig;
using taut::ai::test::Task;
using taut::bench::BareLibcurl;
using taut::bench::cpu_seconds;
using taut::bench::now;

/// VmHWM: the most that was in RAM at any time; RssAnon: what is no page of a file. In bytes.
long long memory(const std::string& what) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(what, 0) == 0) return std::atoll(line.c_str() + what.size() + 1) * 1024;
  }
  return 0;
}

/// Calls that `at_once` coroutines make until none is left.
struct Work {
  const Provider& provider;
  ChatRequest request;
  std::atomic<int> left, open;
  std::atomic<int64_t> pieces{0};
  Promise<int> done = {};

  void end() {
    if (open.fetch_sub(1) == 1) done.set(0);
  }
};

Task ask(Work& work) {
  while (work.left.fetch_sub(1) > 0) {
    const auto response = co_await work.provider.chat(work.request);
    if (response.text().empty()) std::abort();
    ++work.pieces;
  }
  work.end();
}

Task listen(Work& work) {
  while (work.left.fetch_sub(1) > 0) {
    const ChatStream stream = work.provider.stream(work.request);
    while (const auto event = co_await stream.next_event()) ++work.pieces;
  }
  work.end();
}

int64_t run(Task (*task)(Work&), const Provider& provider, const ChatRequest& request, int count,
            int at_once) {
  Work work{provider, request, count, at_once};
  for (int i = 0; i < at_once; ++i) task(work);
  work.done.pending().get();
  return work.pieces;
}

/// What one turn of this program tells, as JSON.
void tell(int64_t pieces, double begin, double cpu) {
  std::printf(R"({"pieces": %lld, "seconds": %.6f, "cpu": %.6f, "memory": %lld, "own": %lld})"
              "\n",
              static_cast<long long>(pieces), now() - begin, cpu_seconds() - cpu, memory("VmHWM"),
              memory("RssAnon"));
}

/// What no client on libcurl can do with less: it throws away what comes.
void hold_with_libcurl(const std::string& url, int count) {
  const double begin = now(), cpu = cpu_seconds();
  BareLibcurl libcurl(url + "/chat/completions", BareLibcurl::Loop::epoll);
  libcurl.hold(R"({"model":"held","messages":[{"role":"user","content":"Hello"}],"stream":true})",
               count);
  tell(count, begin, cpu);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 5) {
    std::fprintf(stderr, "usage: ai_load URL answers|events|held|held-by-libcurl COUNT AT_ONCE\n");
    return 2;
  }
  const std::string kind = arguments[2];
  const int total = std::atoi(arguments[3]), at_once = std::atoi(arguments[4]);
  if (kind == "held-by-libcurl") {
    hold_with_libcurl(arguments[1], total);
    return 0;
  }
  ClientOptions options;
  options.max_connections = options.max_connections_per_host = at_once;
  Client client(options);
  ProviderConfig config = ProviderConfig::compatible("server", arguments[1]);
  config.max_concurrent = at_once;
  const Provider provider = client.provider(config);
  ChatRequest request{.model = "answer", .messages = {Message::user("Hello")}};
  provider.chat(request).get();  // what is done once, before anything is measured

  std::vector<ChatStream> held;
  const double begin = now(), cpu = cpu_seconds();
  int64_t pieces = 0;
  if (kind == "answers") {
    pieces = run(ask, provider, request, total, at_once);
  } else if (kind == "events") {
    request.model = "burst-200";
    pieces = run(listen, provider, request, total, at_once);
  } else {
    request.model = "held";
    for (int i = 0; i < total; ++i) held.push_back(provider.stream(request));
    for (const ChatStream& stream : held) pieces += stream.next() ? 1 : 0;
  }
  tell(pieces, begin, cpu);
  return 0;
}
