#pragma once
// The one thread that speaks to the network. It owns every connection, runs what other threads post
// to it, and keeps its own timers.

#include <cstdint>
#include <memory>

#include "src/ai/executor.h"
#include "src/ai/time_source.h"
#include "src/ai/timers.h"
#include "src/ai/transfer.h"
#include "taut/ai/client.h"

namespace taut::ai {

using TransferId = uint64_t;  // 0: none

class TAUT_API Transport {
 public:
  /// `callbacks`: whom the thread gives what it does not run itself. It is woken once each time
  /// that the thread has nothing left to do.
  Transport(const ClientOptions& options, std::shared_ptr<TimeSource> time,
            std::shared_ptr<Executor> callbacks);
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  ~Transport();

  // ---- From any thread
  /// Runs on the thread, in order. False, and nothing runs, after close(). What it throws ends the
  /// program.
  bool post(Callback<void()> task);
  /// Runs what has been posted and then `last`, ends every transfer without a word, and waits for
  /// the thread, unless it is this one, which ends when it can.
  void close(Callback<void()> last);
  struct Counters {
    int64_t connections = 0, bytes_sent = 0, bytes_received = 0;
  };
  Counters counters() const;

  // ---- On the thread alone
  const TimeSource& time() const;
  Timers& timers();
  TransferId start(TransferRequest request, std::shared_ptr<TransferListener> listener);
  /// Nothing more is told of it.
  void stop(TransferId id);
  /// After Flow::pause.
  void resume(TransferId id);

 private:
  struct State;
  std::shared_ptr<State> state_;  // the thread's, too
};

}  // namespace taut::ai
