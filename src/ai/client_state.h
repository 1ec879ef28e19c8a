#pragma once
// What the providers of a client share.

#include <atomic>
#include <memory>
#include <mutex>
#include <unordered_set>

#include "src/ai/client_parts.h"
#include "src/ai/executor.h"
#include "src/ai/redact.h"
#include "src/ai/retry.h"
#include "src/ai/transport.h"

namespace taut::ai {

class Call;

class Client::Implementation : public std::enable_shared_from_this<Client::Implementation> {
 public:
  Implementation(ClientOptions options, const Parts& parts);
  ~Implementation();

  const ClientOptions& options() const { return options_; }
  TimeSource& time() { return *time_; }
  Chance& chance() { return chance_; }
  KeyRing& keys() { return keys_; }
  Transport& transport() { return transport_; }
  const ProtocolHandler& handler(Protocol protocol) const { return *handler_(protocol); }
  /// Runs tasks for the client where they would hold up its thread.
  Executor& workers() { return workers_; }
  /// Runs the callbacks of users.
  const Callback<void(Callback<void()>)>& runner() const { return runner_; }
  /// The same for events of streams, which may wait a moment for others.
  const Callback<void(Callback<void()>)>& event_runner() const { return event_runner_; }

  /// False where the client has been closed: the call is not begun.
  bool submit(std::shared_ptr<Call> call);
  /// Cancels every call and waits for all that is under way.
  void close();

  // ---- Of its own thread
  void forget(const std::shared_ptr<Call>& call) { calls_.erase(call); }
  RetryBudget& retries() { return retries_; }

  // ---- Counting, from any thread
  void count_call();
  void count_end(const std::exception_ptr& error);
  void count_attempt(bool is_retry);
  ClientStatistics statistics() const;

 private:
  KeyRing keys_;
  const ClientOptions options_;
  const std::shared_ptr<TimeSource> time_;
  const Callback<const ProtocolHandler*(Protocol)> handler_;
  Chance chance_;
  RetryBudget retries_;
  std::unordered_set<std::shared_ptr<Call>> calls_;
  std::atomic<int64_t> begun_{0}, completed_{0}, failed_{0}, cancelled_{0};
  std::atomic<int64_t> attempts_{0}, retried_{0};
  std::shared_ptr<Executor> callbacks_;
  const Callback<void(Callback<void()>)> runner_, event_runner_;
  Executor workers_;
  Transport transport_;  // the last: its thread ends before the rest goes
};

}  // namespace taut::ai
