#include "src/profiler/trace_builder.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "taut/base/check.h"

namespace taut::profiler {
namespace {

// The op that became each node of the tape.
std::unordered_map<uint64_t, int> ops_by_node(const std::vector<Event>& events) {
  std::unordered_map<uint64_t, int> result;
  for (size_t i = 0; i < events.size(); ++i) {
    const bool is_op = events[i].kind == ScopeKind::op && events[i].sequence != 0;
    if (is_op) result[events[i].sequence] = static_cast<int>(i);
  }
  return result;
}

void link_backward(std::vector<Event>& events) {
  const std::unordered_map<uint64_t, int> ops = ops_by_node(events);
  for (Event& event : events) {
    if (event.kind != ScopeKind::backward || event.sequence == 0) continue;
    const auto op = ops.find(event.sequence);
    if (op != ops.end()) event.forward = op->second;
  }
}

// Modules are known where they are called; what is within a scope belongs to the scope's module,
// unless it is in another one itself. Parents stand before their children.
void hand_modules_down(std::vector<Event>& events) {
  for (Event& event : events) {
    if (event.kind == ScopeKind::module) {
      event.module = event.name;
    } else if (event.module.empty() && event.parent >= 0) {
      event.module = events[static_cast<size_t>(event.parent)].module;
    }
  }
}

void find_modules(std::vector<Event>& events) {
  hand_modules_down(events);
  for (Event& event : events) {
    // Forward may have run on a thread that comes later in the list: hence the second round.
    if (event.forward >= 0) event.module = events[static_cast<size_t>(event.forward)].module;
    if (event.forward < 0 && event.kind == ScopeKind::backward) event.module.clear();
  }
  for (Event& event : events) {
    const bool inherits = event.kind != ScopeKind::module && event.forward < 0 && event.parent >= 0;
    if (inherits) event.module = events[static_cast<size_t>(event.parent)].module;
  }
}

// A backward function that calls no op with a cost of its own did the work itself.
void settle_backward_bytes(std::vector<Event>& events, const std::vector<double>& direct_bytes) {
  std::vector<bool> has_costly_ops(events.size(), false);
  for (size_t i = events.size(); i-- > 0;) {
    Event& event = events[i];
    if (event.kind == ScopeKind::backward && !has_costly_ops[i]) event.bytes += direct_bytes[i];
    const bool is_costly = has_costly_ops[i] || event.bytes > 0;
    if (is_costly && event.parent >= 0) has_costly_ops[static_cast<size_t>(event.parent)] = true;
  }
}

// What was launched while a GPU's tracer was on, but before the recording began, is not part of it.
class LaunchFilter {
 public:
  LaunchFilter(const std::vector<LaunchEvent>& launches, int64_t origin) {
    for (const LaunchEvent& launch : launches) {
      if (launch.start < origin) early_.insert(launch.correlation);
    }
  }
  bool is_early(uint32_t correlation) const { return early_.contains(correlation); }

 private:
  std::unordered_set<uint32_t> early_;
};

void attach_gpus(Trace& trace, const Recording& recording, CuptiRecording gpus) {
  const LaunchFilter filter(gpus.launches, recording.origin);
  std::erase_if(gpus.device_events, [&](const DeviceEvent& event) {
    return event.start < recording.origin || filter.is_early(event.correlation);
  });
  std::erase_if(gpus.launches,
                [&](const LaunchEvent& launch) { return filter.is_early(launch.correlation); });
  std::unordered_map<uint64_t, int> events_by_id;
  for (size_t i = 0; i < recording.external_ids.size(); ++i) {
    if (recording.external_ids[i] != 0) {
      events_by_id[recording.external_ids[i]] = static_cast<int>(i);
    }
  }
  const auto scope_of = [&](uint32_t correlation) {
    const auto id = gpus.external_ids.find(correlation);
    if (id == gpus.external_ids.end()) return -1;
    const auto event = events_by_id.find(id->second);
    return event == events_by_id.end() ? -1 : event->second;
  };
  for (LaunchEvent& launch : gpus.launches) {
    launch.start -= recording.origin;
    launch.end -= recording.origin;
    launch.event = scope_of(launch.correlation);
    // The system's number of the thread, where CUPTI has one of its own.
    if (launch.event >= 0) launch.thread = trace.events[static_cast<size_t>(launch.event)].thread;
  }
  std::sort(gpus.device_events.begin(), gpus.device_events.end(),
            [](const DeviceEvent& a, const DeviceEvent& b) { return a.start < b.start; });
  for (size_t i = 0; i < gpus.device_events.size(); ++i) {
    DeviceEvent& event = gpus.device_events[i];
    event.start -= recording.origin;
    event.end -= recording.origin;
    event.event = scope_of(event.correlation);
    if (event.event < 0) continue;
    trace.events[static_cast<size_t>(event.event)].device_events.push_back(static_cast<int>(i));
  }
  trace.device_events = std::move(gpus.device_events);
  trace.launches = std::move(gpus.launches);
}

// Work whose tensors nobody recorded was done where its kernels ran, in the dtype of the scope
// around it. Parents stand before their children.
void settle_places(Trace& trace) {
  for (Event& event : trace.events) {
    const bool has_work = event.flops > 0 || event.bytes > 0;
    if (!has_work || !event.device.is_cpu() || event.device_events.empty()) continue;
    const auto first = static_cast<size_t>(event.device_events.front());
    event.device = Device(DeviceType::cuda, trace.device_events[first].device);
    if (event.parent < 0) continue;
    const Event& around = trace.events[static_cast<size_t>(event.parent)];
    if (around.device.is_cuda()) event.dtype = around.dtype;
  }
}

}  // namespace

Trace build_trace(Recording recording, CuptiRecording gpus) {
  Trace trace;
  if (recording.lost + gpus.lost > 0) {
    trace.warnings.push_back(concat("profiler: ", recording.lost, " scopes and ", gpus.lost,
                                    " records of GPUs were lost for want of memory"));
  }
  trace.events = std::move(recording.events);
  trace.memory_events = std::move(recording.memory);
  trace.duration = recording.duration;
  link_backward(trace.events);
  find_modules(trace.events);
  settle_backward_bytes(trace.events, recording.direct_bytes);
  attach_gpus(trace, recording, std::move(gpus));
  settle_places(trace);
  return trace;
}

}  // namespace taut::profiler
