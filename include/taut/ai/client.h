#pragma once
// The client of all providers: one thread that speaks to the network for hundreds of calls.
//   taut::ai::Client client;
//   taut::ai::Provider openai = client.provider(taut::ai::ProviderConfig::openai());
//   auto response = openai.chat({.model = "gpt-5-mini", .messages =
//   {Message::user("Hello")}}).get(); for (auto stream = openai.stream(request); auto event =
//   stream.next();) std::cout << event->text;

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "taut/ai/backend.h"
#include "taut/ai/capability.h"
#include "taut/ai/event.h"
#include "taut/ai/pending.h"
#include "taut/ai/provider_config.h"
#include "taut/ai/request.h"
#include "taut/ai/response.h"
#include "taut/base/callback.h"

namespace taut::ai {

/// Seconds.
struct Timeouts {
  double connect = 5;
  double first_byte = 60;  // to the first header of a stream
  /// To that of an answer which comes when it is complete, and of a model that thinks first.
  double whole_answer = 600;
  double idle = 60;                  // of silence within an answer
  double keep_alive_only = 300;      // while an answer sends signs of life that carry nothing
  std::optional<double> total = {};  // of a whole call, where the request has no deadline
};

/// Bytes of decoded answers, beyond which they are refused.
struct SizeLimits {
  int64_t json = int64_t{64} << 20;
  int64_t error_body = int64_t{1} << 20;
  int64_t embeddings = int64_t{256} << 20;
  int64_t stream = int64_t{1} << 30;
  int64_t headers = int64_t{256} << 10;
  int64_t line = int64_t{8} << 20;    // of a stream
  int64_t event = int64_t{16} << 20;  // of a stream
  int64_t events = 1'000'000;         // of a stream
  int depth = 128;                    // of nested JSON
  int64_t request = int64_t{32} << 20;
};

struct ClientOptions {
  int max_retries = 2;
  double max_retry_after = 60;  // longer pauses are not waited for, in seconds
  Timeouts timeouts = {};
  SizeLimits limits = {};
  int max_connections = 64;
  int max_connections_per_host = 16;
  /// Which run the callbacks and coroutines of users. With 0 the client's own thread runs them, at
  /// the least cost: then they have to be quick, and to wait in one of them is a ValueError.
  int callback_threads = 1;
  int64_t buffered_events =
      256;                   // of a stream that its reader has not taken, before the server waits
  std::string proxy = {};    // instead of what the environment says
  std::string ca_file = {};  // trusted roots, instead of the system's
  uint64_t seed = 0;         // of pauses and draws; 0: another one each time
  /// Is told what happens on the connections, a line at a time: what libcurl notes, and the heads
  /// of requests and answers. Keys, cookies and credentials are taken out, of bodies only the
  /// lengths are told. Called on the client's own thread: it has to be quick, and may neither wait
  /// for a call nor destroy the client. What it throws is lost.
  Callback<void(std::string_view)> trace = {};
};

/// Counters of a client's life.
struct ClientStatistics {
  int64_t calls = 0, completed = 0, failed = 0, cancelled = 0;
  int64_t attempts = 0, retries = 0, connections = 0;
  int64_t bytes_sent = 0, bytes_received = 0;
  int64_t active = 0;
};

class Provider;

/// Owns the connections and the thread that serves them. Destroying it cancels every call and waits
/// until all have ended. Safe from many threads. A host name that is being looked up holds that
/// thread as long as the system takes to give up, where its call is cancelled meanwhile.
class TAUT_API Client {
 public:
  explicit Client(ClientOptions options = {});
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client();

  /// Throws ValueError for a config that makes no sense: a base URL with user or fragment, plain
  /// http where it is not allowed, a header with control characters ...
  Provider provider(ProviderConfig config);

  ClientStatistics statistics() const;

  class Implementation;
  struct Parts;  // what tests put in the place of the clock and the protocols
  Client(ClientOptions options, const Parts& parts);

 private:
  std::shared_ptr<Implementation> implementation_;
};

/// One provider of a client. Copies are the same provider, and may outlive the client: calls then
/// end with ErrorKind::cancelled. Moving copies, too, so that none is ever empty.
class TAUT_API Provider : public Backend {
 public:
  Provider(const Provider&) = default;
  Provider& operator=(const Provider&) = default;

  const std::string& name() const override;
  const ProviderConfig& config() const;

  Pending<ChatResponse> chat(const ChatRequest& request) const override;
  ChatStream stream(const ChatRequest& request) const override;
  Pending<EmbeddingResponse> embed(const EmbeddingRequest& request) const override;

  /// All models, where the provider lists them.
  Pending<std::vector<ModelInfo>> models() const;
  /// What is known of a model: what Taut knows, what the user said, what refusals taught.
  Capabilities capabilities(const std::string& model) const override;
  /// Whether its key is there, where it has one at all.
  bool is_ready() const override;

  Pending<BatchStatus> create_batch(const BatchRequest& request) const;
  Pending<BatchStatus> batch(const std::string& id) const;
  Pending<BatchStatus> cancel_batch(const std::string& id) const;
  /// Of a batch that is done; in any order.
  Pending<std::vector<BatchResult>> batch_results(const BatchStatus& status) const;

  class State;  // what lies behind it: for the library alone

 private:
  friend class Client;
  explicit Provider(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace taut::ai
