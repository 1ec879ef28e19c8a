#pragma once
// The threads that parallel_for runs on.
//
// Note [A team that waits for nobody who has not begun]
// A call is cut into pieces, one for each thread. Each thread takes its own piece first, so that
// the same thread finds the same part of a tensor in its caches, and then any piece that nobody
// has begun. On a machine that is busy with other work a thread may get no core for milliseconds:
// its piece is then done by the others, and they wait only for pieces under way. Threads watch for
// work for some tens of microseconds, about the gap between two ops of a training step, and sleep
// after that.

#include <array>
#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>

#include "taut/base/parallel.h"

namespace taut {

class Team {
 public:
  /// The process's own; a child made by fork gets a new one.
  static Team& of_process();

  Team() = default;
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  /// Calls body on the ranges that [0, n) falls into when cut into `pieces` about equal ones, and
  /// rethrows the first exception of one. False, and nothing done, while another thread's call
  /// runs.
  bool run(int64_t n, int pieces, detail::RangeFn body, void* context);

  static constexpr int kMostPieces = 256;

 private:
  // Which call a piece belongs to and whether it is still to be had, in one number: whoever changes
  // it from open to taken has the piece.
  struct alignas(64) Piece {
    std::atomic<uint64_t> state{0};
  };
  static uint64_t open_state(uint32_t call) { return uint64_t{call} << 1; }

  void add_threads(int wanted);
  void work_forever(int thread, uint32_t last_call);
  uint32_t wait_for_call(uint32_t last_call) const;
  void take_pieces(int first, uint32_t call);
  void run_piece(int piece, int pieces);
  void wait_for_others() const;

  std::mutex in_use_;
  int threads_ = 1;         // with the caller
  bool has_cores_ = false;  // one for each piece of the call

  // The call: written by the caller while no piece is open, read by whoever has a piece.
  int64_t n_ = 0;
  detail::RangeFn body_ = nullptr;
  void* context_ = nullptr;
  std::mutex failure_in_use_;
  std::exception_ptr failure_;

  std::atomic<int> pieces_{0};
  alignas(64) std::atomic<uint32_t> call_{0};
  alignas(64) std::atomic<int> unfinished_{0};
  std::array<Piece, kMostPieces> states_;
};

/// How many cores this process may use.
int available_cores();

}  // namespace taut
