// Memory over time: a file of its changes, and what was held at the peak.

#include <algorithm>
#include <cstdio>
#include <map>
#include <unordered_map>

#include "src/io/files.h"
#include "src/io/json.h"
#include "src/profiler/file_text.h"
#include "taut/base/check.h"
#include "taut/profiler/trace.h"

namespace taut::profiler {
namespace {

void check_profiled(const char* op, const Trace& trace) {
  TAUT_CHECK(!trace.memory_events.empty(), ValueError, op,
             ": the profile holds no memory events; pass profile_memory=True");
}

const Event* event_of(const Trace& trace, const MemoryEvent& memory) {
  return memory.event < 0 ? nullptr : &trace.events[static_cast<size_t>(memory.event)];
}

// A field of a CSV row, in quotes where it must be.
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string csv_text(const Trace& trace) {
  std::string text = "time_us,device,bytes,allocated,op,module,address\n";
  for (const MemoryEvent& memory : trace.memory_events) {
    const Event* event = event_of(trace, memory);
    text += concat(microseconds(memory.time), ",", memory.device, ",", memory.bytes, ",",
                   memory.allocated, ",", event == nullptr ? "" : csv_field(event->name), ",",
                   event == nullptr ? "" : csv_field(event->module), ",", memory.address, "\n");
  }
  return text;
}

std::string json_text(const Trace& trace) {
  std::string text = "[";
  for (const MemoryEvent& memory : trace.memory_events) {
    const Event* event = event_of(trace, memory);
    text += concat(text.size() > 1 ? ",\n" : "\n", "{\"time_us\": ", microseconds(memory.time),
                   ", \"device\": \"", memory.device, "\", \"bytes\": ", memory.bytes,
                   ", \"allocated\": ", memory.allocated,
                   ", \"op\": ", io::quote_json(event == nullptr ? "" : event->name),
                   ", \"module\": ", io::quote_json(event == nullptr ? "" : event->module),
                   ", \"address\": ", memory.address, "}");
  }
  return text + "\n]\n";
}

}  // namespace

void Trace::export_memory_timeline(const std::string& path) const {
  check_profiled("export_memory_timeline", *this);
  write_text(path, path.ends_with(".json") ? json_text(*this) : csv_text(*this));
}

MemoryPeak Trace::memory_peak(Device device) const {
  check_profiled("memory_peak", *this);
  MemoryPeak peak;
  size_t at = 0;
  bool is_found = false;
  for (size_t i = 0; i < memory_events.size(); ++i) {
    const MemoryEvent& memory = memory_events[i];
    if (!(memory.device == device) || (is_found && memory.allocated <= peak.bytes)) continue;
    is_found = true;
    at = i;
    peak.time = memory.time;
    peak.bytes = memory.allocated;
  }
  TAUT_CHECK(is_found, ValueError, "memory_peak: no memory of ", device,
             " was taken or given back while the profile ran");
  std::unordered_map<uint64_t, const MemoryEvent*> live;
  int64_t known = 0;
  for (size_t i = 0; i <= at; ++i) {
    const MemoryEvent& memory = memory_events[i];
    if (!(memory.device == device)) continue;
    if (memory.bytes > 0) {
      live[memory.address] = &memory;
      known += memory.bytes;
    } else if (live.erase(memory.address) > 0) {
      known += memory.bytes;
    }
  }
  std::map<std::pair<std::string, std::string>, MemoryHolder> holders;
  for (const auto& [address, memory] : live) {
    const Event* event = event_of(*this, *memory);
    const std::string name = event == nullptr ? "outside of ops" : event->name;
    const std::string module = event == nullptr ? "" : event->module;
    MemoryHolder& holder = holders[{name, module}];
    holder.name = name;
    holder.module = module;
    holder.bytes += memory->bytes;
    ++holder.count;
  }
  for (auto& [key, holder] : holders) peak.holders.push_back(std::move(holder));
  if (peak.bytes > known) {
    peak.holders.push_back({"before the profile", "", peak.bytes - known, 0});
  }
  std::stable_sort(peak.holders.begin(), peak.holders.end(),
                   [](const MemoryHolder& a, const MemoryHolder& b) { return a.bytes > b.bytes; });
  return peak;
}

}  // namespace taut::profiler
