// What a client costs over bare libcurl: requests a second, CPU time of a request, CPU time of an
// event of a stream. The same server answers both, in a process of its own, so that its time does
// not count.

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "taut/ai/client.h"

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

constexpr int kRequests = 20'000, kAtOnce = 32;
constexpr int kStreams = 256, kEvents = 200;
constexpr double kTick = 0.01;  // seconds between two events of a stream

const std::string kAnswer =
    R"({"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,)"
    R"("message":{"role":"assistant","content":"Hello, and welcome."},"finish_reason":"stop"}],)"
    R"("usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14}})";
const std::string kEvent =
    R"(data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[)"
    R"({"index":0,"delta":{"content":" word"},"finish_reason":null}]})"
    "\n\n";
const std::string kLastEvents =
    R"(data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[)"
    R"({"index":0,"delta":{},"finish_reason":"stop"}]})"
    "\n\ndata: [DONE]\n\n";

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double cpu_seconds() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Cost {
  double seconds = 0, cpu = 0;
};

template <class Work>
Cost measure(Work work) {
  const double begin = now(), cpu = cpu_seconds();
  work();
  return {now() - begin, cpu_seconds() - cpu};
}

// ---- The server ---------------------------------------------------------------------------------

std::string chunk(const std::string& text) {
  char size[16];
  std::snprintf(size, sizeof(size), "%zx\r\n", text.size());
  return size + text + "\r\n";
}

struct Peer {
  std::string input;
  int events_left = 0;  // of the stream that it is being sent
};

class Server {
 public:
  Server() : listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* any = reinterpret_cast<sockaddr*>(&address);
    if (bind(listener_, any, size) != 0 || listen(listener_, 1024) != 0 ||
        getsockname(listener_, any, &size) != 0) {
      std::perror("overhead: the server cannot listen");
      std::exit(1);
    }
    port_ = ntohs(address.sin_port);
  }
  int port() const { return port_; }

  [[noreturn]] void serve() {
    poller_ = epoll_create1(0);
    watch(listener_);
    double next_tick = now();
    for (;;) {
      epoll_event events[64];
      const int wait = streaming_ == 0 ? -1 : static_cast<int>((next_tick - now()) * 1000) + 1;
      const int count = epoll_wait(poller_, events, 64, streaming_ == 0 ? -1 : std::max(wait, 0));
      for (int i = 0; i < count; ++i) {
        if (events[i].data.fd == listener_) {
          welcome();
        } else {
          read_from(events[i].data.fd);
        }
      }
      if (streaming_ == 0) {
        next_tick = now();
      } else if (now() >= next_tick) {
        tick();
        next_tick += kTick;
      }
    }
  }

 private:
  void watch(int socket) const {
    epoll_event event = {};
    event.events = EPOLLIN;
    event.data.fd = socket;
    epoll_ctl(poller_, EPOLL_CTL_ADD, socket, &event);
  }
  void welcome() {
    const int peer = accept(listener_, nullptr, nullptr);
    const int on = 1;
    setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    peers_[peer] = {};
    watch(peer);
  }
  void part(int socket) {
    if (peers_[socket].events_left > 0) --streaming_;
    peers_.erase(socket);
    close(socket);
  }
  static void say(int socket, const std::string& text) {
    if (send(socket, text.data(), text.size(), MSG_NOSIGNAL) < 0) std::perror("overhead: send");
  }
  void read_from(int socket) {
    char piece[65536];
    const ssize_t got = recv(socket, piece, sizeof(piece), 0);
    if (got <= 0) {
      part(socket);
      return;
    }
    Peer& peer = peers_[socket];
    peer.input.append(piece, static_cast<size_t>(got));
    const size_t end = peer.input.find("\r\n\r\n");
    const size_t length = peer.input.find("Content-Length: ");
    if (end == std::string::npos || length == std::string::npos) return;
    const size_t bytes = static_cast<size_t>(std::atoll(peer.input.c_str() + length + 16));
    if (peer.input.size() < end + 4 + bytes) return;
    const bool is_stream = peer.input.find("\"stream\":true", end) != std::string::npos;
    peer.input.clear();
    if (is_stream) {
      say(socket,
          "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: "
          "chunked\r\n\r\n");
      peer.events_left = kEvents;
      ++streaming_;
    } else {
      say(socket, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: " +
                      std::to_string(kAnswer.size()) + "\r\n\r\n" + kAnswer);
    }
  }
  void tick() {
    for (auto& [socket, peer] : peers_) {
      if (peer.events_left == 0) continue;
      say(socket, chunk(kEvent));
      if (--peer.events_left > 0) continue;
      say(socket, chunk(kLastEvents) + "0\r\n\r\n");
      --streaming_;
    }
  }

  int listener_;
  int port_ = 0;
  int poller_ = -1;
  int streaming_ = 0;
  std::map<int, Peer> peers_;
};

// ---- Bare libcurl -------------------------------------------------------------------------------

size_t discard(char*, size_t size, size_t count, void*) { return size * count; }

/// `total` requests, so many at once.
void ask_with_libcurl(const std::string& url, const std::string& body, int total, int at_once) {
  CURLM* multi = curl_multi_init();
  curl_slist* headers = curl_slist_append(nullptr, "Content-Type: application/json");
  curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, static_cast<long>(at_once));
  for (int i = 0; i < at_once; ++i) {
    CURL* easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.c_str());
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &discard);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_multi_add_handle(multi, easy);
  }
  int begun = at_once, running = at_once;
  while (running > 0) {
    curl_multi_perform(multi, &running);
    int left = 0;
    while (CURLMsg* message = curl_multi_info_read(multi, &left)) {
      CURL* easy = message->easy_handle;
      curl_multi_remove_handle(multi, easy);
      if (begun < total) {
        ++begun;
        ++running;
        curl_multi_add_handle(multi, easy);
      } else {
        curl_easy_cleanup(easy);
      }
    }
    if (running > 0) curl_multi_poll(multi, nullptr, 0, 1000, nullptr);
  }
  curl_slist_free_all(headers);
  curl_multi_cleanup(multi);
}

// ---- The client ---------------------------------------------------------------------------------

ChatRequest request() { return {.model = "m", .messages = {Message::user("Hello")}}; }

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
    provider.chat(request()).then([this](Outcome<ChatResponse> outcome) {
      if (outcome.value().text().empty()) std::abort();
      ask();
    });
  }
};

struct Task {
  struct promise_type {
    Task get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

Task listen_to(Provider provider, std::atomic<int>& left, std::atomic<int64_t>& bytes,
               Promise<int> done) {
  const ChatStream stream = provider.stream(request());
  while (const auto event = co_await stream.next_event()) {
    bytes += static_cast<int64_t>(event->text.size());
  }
  if (left.fetch_sub(1) == 1) done.set(0);
}

void report(const char* what, double count, const Cost& client, const Cost& bare) {
  std::printf("%-18s %10.0f/s %8.2f us CPU   libcurl %10.0f/s %8.2f us CPU   CPU ratio %.2f\n",
              what, count / client.seconds, 1e6 * client.cpu / count, count / bare.seconds,
              1e6 * bare.cpu / count, client.cpu / bare.cpu);
}

}  // namespace

int main() {
  Server server;
  const pid_t child = fork();
  if (child == 0) server.serve();
  const std::string url = "http://127.0.0.1:" + std::to_string(server.port()) + "/v1";

  ClientOptions options;
  options.max_connections = options.max_connections_per_host = kStreams;
  Client client(options);
  ProviderConfig config = ProviderConfig::compatible("server", url);
  config.max_concurrent = kStreams;
  const Provider provider = client.provider(config);

  const std::string body = R"({"model":"m","messages":[{"role":"user","content":"Hello"}]})";
  const std::string stream_body =
      R"({"model":"m","messages":[{"role":"user","content":"Hello"}],"stream":true})";
  const std::string target = url + "/chat/completions";

  ask_with_libcurl(target, body, kAtOnce,
                   kAtOnce);  // what is done once, before anything is measured
  provider.chat(request()).get();

  const Cost bare_requests = measure([&] { ask_with_libcurl(target, body, kRequests, kAtOnce); });
  const Cost requests = measure([&] {
    Asker asker{provider, kRequests, kAtOnce, {}};
    for (int i = 0; i < kAtOnce; ++i) asker.ask();
    asker.done.pending().get();
  });
  report("requests", kRequests, requests, bare_requests);

  const Cost bare_streams =
      measure([&] { ask_with_libcurl(target, stream_body, kStreams, kStreams); });
  const Cost streams = measure([&] {
    std::atomic<int> left{kStreams};
    std::atomic<int64_t> bytes{0};
    const Promise<int> done;
    for (int i = 0; i < kStreams; ++i) listen_to(provider, left, bytes, done);
    done.pending().get();
    if (bytes != int64_t{kStreams} * kEvents * 5) std::abort();
  });
  report("events of streams", double{kStreams} * kEvents, streams, bare_streams);

  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return 0;
}
