#pragma once
// The one door to CUPTI, which tells what GPUs ran and when. Opened at the first profile that asks
// for it.

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "taut/profiler/events.h"

namespace taut::profiler {

/// What CUPTI saw. Times are those of the monotonic clock.
struct CuptiRecording {
  std::vector<DeviceEvent> device_events;
  std::vector<LaunchEvent> launches;
  /// The scope that was innermost at each launch, as cupti_push named it, by correlation.
  std::unordered_map<uint32_t, uint64_t> external_ids;
  int64_t lost = 0;  // records that CUPTI had no room for
};

/// Starts to collect. @returns why that is not possible; empty when it is.
std::string cupti_start();
/// Waits for the GPUs and gives what was collected.
CuptiRecording cupti_stop();

/// What this thread launches from here on belongs to the scope of this number; whether CUPTI knows.
bool cupti_push(uint64_t external_id) noexcept;
/// Ends the innermost scope of this thread.
void cupti_pop() noexcept;

}  // namespace taut::profiler
