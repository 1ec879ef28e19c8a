#pragma once
// A finished profile: what was seen, sums of it, and files for other programs.

#include <string>
#include <vector>

#include "taut/profiler/averages.h"
#include "taut/profiler/events.h"

namespace taut::profiler {

/// Memory that was held at the peak of a device.
struct MemoryHolder {
  std::string name;    // of the op that took it; "before the profile" for what was there before
  std::string module;  // its path, empty without one
  int64_t bytes = 0;
  int64_t count = 0;  // blocks
};

struct MemoryPeak {
  int64_t time = 0;                   // nanoseconds since the profile began
  int64_t bytes = 0;                  // allocated in all
  std::vector<MemoryHolder> holders;  // the largest first
};

class TAUT_API Trace {
 public:
  /// Of each thread in the order of their starts, what is around before what is within.
  std::vector<Event> events;
  std::vector<DeviceEvent> device_events;
  std::vector<LaunchEvent> launches;
  std::vector<MemoryEvent> memory_events;  // by time
  int64_t duration = 0;                    // nanoseconds
  /// What is missing, and why; a sentence each.
  std::vector<std::string> warnings;

  /// Rows by op, module or kernel; with group_by_input_shape calls of other shapes are other rows.
  Averages key_averages(GroupBy group_by = GroupBy::op, bool group_by_input_shape = false) const;

  /// Writes the profile in the trace event format that chrome://tracing and ui.perfetto.dev read:
  /// threads and GPU streams with their bars, arrows from launches to kernels and from ops to their
  /// backward functions, memory as counters. A path that ends in ".gz" is compressed. The file
  /// appears when it is complete.
  /// @throws IoError when it cannot be written, NotImplementedError for .gz without zlib.
  void export_chrome_trace(const std::string& path) const;

  /// Writes each change of memory: as CSV rows (time_us, device, bytes, allocated, op, module,
  /// address), or for a path that ends in ".json" as an array of such objects.
  /// @throws ValueError unless memory was profiled, IoError when the file cannot be written.
  void export_memory_timeline(const std::string& path) const;

  /// When a device had most memory allocated, and what held it. @throws ValueError unless memory
  /// was profiled.
  MemoryPeak memory_peak(Device device = kCPU) const;
};

}  // namespace taut::profiler
