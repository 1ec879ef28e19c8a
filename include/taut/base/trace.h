#pragma once
// Scopes that a profiler sees: the call of an op, of a module, of a backward function, a range that
// a user names. While nobody watches, a scope is one load and one branch that is not taken.
//
//   Tensor sum(const Tensor& input) {
//     const TraceScope scope(ScopeKind::op, "sum");
//     ...
//   }

#include <atomic>
#include <cstdint>
#include <string>
#include <type_traits>

#include "taut/base/macros.h"

namespace taut {

enum class ScopeKind : uint8_t { op, backward, module, optimizer, user, data };

/// What a watcher is told. The functions are called on the thread that runs the scope, and must
/// stay callable for ever: a scope may end long after the watcher has gone.
struct TraceSink {
  /// A scope begins; what comes back is handed to `end`. `name` need not outlive the call.
  /// `sequence` is the number of the tape's node in a scope of kind backward, 0 in others.
  uint64_t (*begin)(ScopeKind kind, const char* name, uint64_t sequence) noexcept;
  void (*end)(uint64_t token) noexcept;
  /// Work of the innermost scope itself: floating-point operations, and bytes read and written.
  void (*add_cost)(double flops, double bytes) noexcept;
  /// The innermost scope was put on the tape as the node of this number.
  void (*add_node)(uint64_t sequence) noexcept;
};

namespace detail {
TAUT_API extern constinit std::atomic<const TraceSink*> trace_sink;
}  // namespace detail

/// Installs who watches the scopes of all threads; null for nobody.
TAUT_API void set_trace_sink(const TraceSink* sink);
inline const TraceSink* trace_sink() { return detail::trace_sink.load(std::memory_order_acquire); }
/// Whether somebody watches.
inline bool is_traced() { return detail::trace_sink.load(std::memory_order_relaxed) != nullptr; }

/// Tells who watches what the innermost scope works, where that is not to be seen from the tensors
/// of a record().
inline void trace_cost(double flops, double bytes) {
  if (const TraceSink* sink = trace_sink()) sink->add_cost(flops, bytes);
}

/// Tells who watches that the innermost scope was put on the tape.
inline void trace_node(uint64_t sequence) {
  if (const TraceSink* sink = trace_sink()) sink->add_node(sequence);
}

/// A scope from here to the end of the block.
class TraceScope {
 public:
  TraceScope(ScopeKind kind, const char* name, uint64_t sequence = 0) : sink_(trace_sink()) {
    if (TAUT_UNLIKELY(sink_ != nullptr)) token_ = sink_->begin(kind, name, sequence);
  }
  /// With a name that is made when somebody watches: name() is a const char* or a std::string.
  template <class Name>
    requires std::is_invocable_v<const Name&>
  TraceScope(ScopeKind kind, const Name& name) : sink_(trace_sink()) {
    if (TAUT_UNLIKELY(sink_ != nullptr)) token_ = begin(kind, name());
  }
  TraceScope(const TraceScope&) = delete;
  TraceScope& operator=(const TraceScope&) = delete;
  ~TraceScope() {
    if (TAUT_UNLIKELY(sink_ != nullptr)) sink_->end(token_);
  }

 private:
  uint64_t begin(ScopeKind kind, const char* name) const { return sink_->begin(kind, name, 0); }
  uint64_t begin(ScopeKind kind, const std::string& name) const {
    return begin(kind, name.c_str());
  }

  const TraceSink* sink_;
  uint64_t token_;  // set where there is a sink
};

}  // namespace taut
