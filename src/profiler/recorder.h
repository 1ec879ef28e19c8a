#pragma once
// Collects what scopes, ops and allocators tell while a profile runs.
//
// Note [Logs of threads]
// Each thread writes a log of its own, under a lock that only the end of a recording contends for.
// Logs outlive their threads and recordings: a scope may end when the recording that saw it begin
// is long over, even in the middle of the next one. So a scope remembers its recording, and one
// that belongs to another recording than the log's is left alone.

#include <vector>

#include "taut/profiler/events.h"

namespace taut::profiler {

struct RecorderOptions {
  bool scopes = true;
  bool record_shapes = false;
  bool profile_memory = false;
  bool with_flops = false;
  bool with_modules = true;
};

/// What a recording saw. Events of each thread in the order of their starts, parents before
/// children.
struct Recording {
  std::vector<Event> events;
  /// The number by which each event is known to GPUs (see Cupti), in the order of the events.
  std::vector<uint64_t> external_ids;
  /// Bytes read and written by a backward function unless ops did that for it.
  std::vector<double> direct_bytes;
  std::vector<MemoryEvent> memory;
  int64_t duration = 0;
  /// The start as the monotonic clock tells it.
  int64_t origin = 0;
  int64_t lost = 0;  // events for which there was no memory
};

/// One recording at a time; the caller sees to it. `marks_launches` tells a GPU's tracer of each
/// scope.
void start_recording(const RecorderOptions& options, bool marks_launches);
Recording stop_recording();

/// Whether scopes are ranges for NVTX, with a recording or without.
void set_nvtx_ranges(bool enabled);
bool has_nvtx_ranges();

/// Nanoseconds of the monotonic clock.
int64_t clock_now();

}  // namespace taut::profiler
