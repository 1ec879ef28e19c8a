// Sums of a trace, by name.

#include "taut/profiler/averages.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "taut/base/check.h"
#include "taut/core/cuda.h"
#include "taut/profiler/peaks.h"
#include "taut/profiler/trace.h"

namespace taut::profiler {
namespace {

// What an event took, by itself or with all in it.
struct Amounts {
  int64_t cpu_time = 0;
  int64_t device_time = 0;
  double flops = 0;
  double bytes = 0;
  double flops_floor = 0;
  double bytes_floor = 0;
  int64_t cpu_memory = 0;
  int64_t cuda_memory = 0;

  void add(const Amounts& other) {
    cpu_time += other.cpu_time;
    device_time += other.device_time;
    flops += other.flops;
    bytes += other.bytes;
    flops_floor += other.flops_floor;
    bytes_floor += other.bytes_floor;
    cpu_memory += other.cpu_memory;
    cuda_memory += other.cuda_memory;
  }
};

// Nanoseconds that events take at the peak of their device; each peak is looked up once.
class Floors {
 public:
  double of_flops(const Event& event) {
    if (event.flops == 0 || !is_here(event.device)) return 0;
    const auto key = std::pair(number_of(event.device), event.dtype);
    auto known = flops_.find(key);
    if (known == flops_.end()) {
      known = flops_.emplace(key, peak_flops(event.device, event.dtype)).first;
    }
    return at(known->second, event.flops, event.device);
  }
  double of_bytes(const Event& event) {
    if (event.bytes == 0 || !is_here(event.device)) return 0;
    auto known = bandwidths_.find(number_of(event.device));
    if (known == bandwidths_.end()) {
      known = bandwidths_.emplace(number_of(event.device), peak_bandwidth(event.device)).first;
    }
    return at(known->second, event.bytes, event.device);
  }
  std::vector<std::string> sources() const {
    std::vector<std::string> result;
    for (const int number : used_) {
      result.push_back(peak_source(number < 0 ? kCPU : Device(DeviceType::cuda, number)));
    }
    return result;
  }

 private:
  // A trace may tell of a GPU that this process does not see.
  static bool is_here(Device device) {
    return device.is_cpu() || device.index() < cuda::device_count();
  }
  static int number_of(Device device) { return device.is_cpu() ? -1 : device.index(); }
  double at(double peak, double amount, Device device) {
    used_.insert(number_of(device));
    return peak > 0 ? 1e9 * amount / peak : 0;
  }

  std::map<std::pair<int, DType>, double> flops_;
  std::map<int, double> bandwidths_;
  std::set<int> used_;
};

std::vector<Amounts> own_amounts(const Trace& trace, Floors& floors) {
  std::vector<Amounts> own(trace.events.size());
  for (size_t i = 0; i < own.size(); ++i) {
    const Event& event = trace.events[i];
    own[i].cpu_time += event.duration();
    if (event.parent >= 0) own[static_cast<size_t>(event.parent)].cpu_time -= event.duration();
    for (const int position : event.device_events) {
      own[i].device_time += trace.device_events[static_cast<size_t>(position)].duration();
    }
    own[i].flops = event.flops;
    own[i].bytes = event.bytes;
    own[i].flops_floor = floors.of_flops(event);
    own[i].bytes_floor = floors.of_bytes(event);
    own[i].cpu_memory = event.cpu_memory;
    own[i].cuda_memory = event.cuda_memory;
  }
  return own;
}

// With what is within: children stand behind their parents.
std::vector<Amounts> total_amounts(const Trace& trace, const std::vector<Amounts>& own) {
  std::vector<Amounts> total = own;
  for (size_t i = total.size(); i-- > 0;) {
    const int parent = trace.events[i].parent;
    if (parent >= 0) total[static_cast<size_t>(parent)].add(total[i]);
  }
  return total;
}

void add_own(AverageRow& row, const Amounts& amounts) {
  row.self_cpu_time_total += amounts.cpu_time;
  row.self_device_time_total += amounts.device_time;
  row.self_cpu_memory_usage += amounts.cpu_memory;
  row.self_cuda_memory_usage += amounts.cuda_memory;
}

void add_total(AverageRow& row, const Amounts& amounts) {
  row.cpu_time_total += amounts.cpu_time;
  row.device_time_total += amounts.device_time;
  row.flops += amounts.flops;
  row.bytes += amounts.bytes;
  row.flops_floor += amounts.flops_floor;
  row.bytes_floor += amounts.bytes_floor;
  row.cpu_memory_usage += amounts.cpu_memory;
  row.cuda_memory_usage += amounts.cuda_memory;
}

std::string shapes_text(const Event& event) {
  std::string text = "[";
  for (size_t i = 0; i < event.input_shapes.size(); ++i) {
    text += i == 0 ? "[" : ", [";
    for (size_t k = 0; k < event.input_shapes[i].size(); ++k) {
      text += concat(k == 0 ? "" : ", ", event.input_shapes[i][k]);
    }
    text += "]";
  }
  return text + "]";
}

// Rows in the order in which their names come up first.
class Rows {
 public:
  AverageRow& at(const std::string& name, const std::string& shapes = {}) {
    const auto [place, is_new] = places_.emplace(std::pair(name, shapes), rows_.size());
    if (is_new) {
      AverageRow& row = rows_.emplace_back();
      row.name = name;
      row.input_shapes = shapes;
    }
    return rows_[place->second];
  }
  std::vector<AverageRow> take() { return std::move(rows_); }

 private:
  std::map<std::pair<std::string, std::string>, size_t> places_;
  std::vector<AverageRow> rows_;
};

// Whether a scope of the same name is around it, whose total holds this one's.
bool is_within_its_like(const Trace& trace, const Event& event) {
  for (int at = event.parent; at >= 0; at = trace.events[static_cast<size_t>(at)].parent) {
    if (trace.events[static_cast<size_t>(at)].name == event.name) return true;
  }
  return false;
}

std::vector<AverageRow> by_op(const Trace& trace, const std::vector<Amounts>& own, bool by_shape) {
  const std::vector<Amounts> total = total_amounts(trace, own);
  Rows rows;
  for (size_t i = 0; i < own.size(); ++i) {
    const Event& event = trace.events[i];
    if (event.kind == ScopeKind::module) continue;
    AverageRow& row = rows.at(event.name, by_shape ? shapes_text(event) : std::string());
    ++row.count;
    add_own(row, own[i]);
    if (!is_within_its_like(trace, event)) add_total(row, total[i]);
  }
  return rows.take();
}

// "a.b.c" is in "a.b", which is in "a".
std::string outer_module(const std::string& path) {
  const size_t dot = path.rfind('.');
  return dot == std::string::npos ? std::string() : path.substr(0, dot);
}

std::vector<AverageRow> by_module(const Trace& trace, const std::vector<Amounts>& own) {
  Rows rows;
  std::set<std::string> known;
  for (const Event& event : trace.events) {
    if (event.kind != ScopeKind::module) continue;
    ++rows.at(event.name).count;
    known.insert(event.name);
  }
  for (size_t i = 0; i < own.size(); ++i) {
    const std::string& module = trace.events[i].module;
    if (module.empty()) continue;
    add_own(rows.at(module), own[i]);
    for (std::string path = module; !path.empty(); path = outer_module(path)) {
      // A list of modules in between is called by nobody and has no row.
      if (known.contains(path) || path == module) add_total(rows.at(path), own[i]);
    }
  }
  return rows.take();
}

std::vector<AverageRow> by_kernel(const Trace& trace) {
  Rows rows;
  for (const DeviceEvent& event : trace.device_events) {
    AverageRow& row = rows.at(event.name);
    ++row.count;
    row.device_time_total += event.duration();
    row.self_device_time_total += event.duration();
    if (event.kind != DeviceEvent::Kind::kernel) row.bytes += static_cast<double>(event.bytes);
  }
  return rows.take();
}

}  // namespace

Averages Trace::key_averages(GroupBy group_by, bool group_by_input_shape) const {
  Averages result;
  Floors floors;
  const std::vector<Amounts> own = own_amounts(*this, floors);
  switch (group_by) {
    case GroupBy::op: result.rows = by_op(*this, own, group_by_input_shape); break;
    case GroupBy::module: result.rows = by_module(*this, own); break;
    case GroupBy::kernel: result.rows = by_kernel(*this); break;
  }
  for (const Event& event : events) {
    if (event.parent < 0) result.self_cpu_time_total += event.duration();
  }
  for (const DeviceEvent& event : device_events) {
    result.self_device_time_total += event.duration();
  }
  result.peak_sources = floors.sources();
  return result;
}

}  // namespace taut::profiler
