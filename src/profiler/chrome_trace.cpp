// The trace event format ("Trace Event Format", Google, 2016), which chrome://tracing and
// ui.perfetto.dev read. Categories and the places of bars are those of PyTorch's traces.

#include <unistd.h>

#include <cstdio>
#include <map>
#include <set>
#include <unordered_map>

#include "src/io/json.h"
#include "src/profiler/file_text.h"
#include "taut/base/check.h"
#include "taut/profiler/trace.h"

namespace taut::profiler {
namespace {

const char* category_of(ScopeKind kind) {
  switch (kind) {
    case ScopeKind::module: return "module";
    case ScopeKind::user:
    case ScopeKind::optimizer:
    case ScopeKind::data: return "user_annotation";
    default: return "cpu_op";
  }
}

const char* category_of(DeviceEvent::Kind kind) {
  switch (kind) {
    case DeviceEvent::Kind::memcpy: return "gpu_memcpy";
    case DeviceEvent::Kind::memset: return "gpu_memset";
    default: return "kernel";
  }
}

// Numbers of processes: GPUs are shown as such, by their number.
std::string place(int64_t process, int64_t thread) {
  return concat("\"pid\": ", process, ", \"tid\": ", thread);
}

std::string finite(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.0f", value);
  return text;
}

class Writer {
 public:
  explicit Writer(const Trace& trace) : trace_(trace), process_(getpid()) {}

  std::string write() {
    text_ = "{\n\"schemaVersion\": 1,\n\"displayTimeUnit\": \"ms\",\n\"traceEvents\": [";
    name_places();
    for (size_t i = 0; i < trace_.events.size(); ++i) write_event(static_cast<int>(i));
    for (const LaunchEvent& launch : trace_.launches) write_launch(launch);
    for (const DeviceEvent& event : trace_.device_events) write_device_event(event);
    write_launch_arrows();
    write_backward_arrows();
    write_memory();
    return std::move(text_) + "\n]\n}\n";
  }

 private:
  void add(const std::string& fields) {
    text_ += is_first_ ? "\n{" : ",\n{";
    text_ += fields;
    text_ += "}";
    is_first_ = false;
  }

  void name_place(const char* what, int64_t process, int64_t thread, const std::string& name) {
    add(concat("\"ph\": \"M\", \"name\": \"", what, "\", ", place(process, thread),
               ", \"args\": {\"name\": ", io::quote_json(name), "}"));
  }

  void order_process(int64_t process, int64_t order) {
    add(concat("\"ph\": \"M\", \"name\": \"process_sort_index\", ", place(process, 0),
               ", \"args\": {\"sort_index\": ", order, "}"));
  }

  void name_places() {
    name_place("process_name", process_, 0, "CPU");
    order_process(process_, 0);
    std::set<int64_t> threads;
    for (const Event& event : trace_.events) threads.insert(event.thread);
    for (const LaunchEvent& launch : trace_.launches) threads.insert(launch.thread);
    for (const int64_t thread : threads) {
      name_place("thread_name", process_, thread, concat("thread ", thread));
    }
    std::map<int, std::set<int64_t>> streams;
    for (const DeviceEvent& event : trace_.device_events) {
      streams[event.device].insert(event.stream);
    }
    for (const auto& [device, numbers] : streams) {
      name_place("process_name", device, 0, concat("GPU ", device));
      order_process(device, 1 + device);
      for (const int64_t number : numbers) {
        name_place("thread_name", device, number, concat("stream ", number));
      }
    }
  }

  template <class TimedEvent>
  void add_bar(const char* category, int64_t process, int64_t thread, const TimedEvent& event,
               const std::string& arguments) {
    add(concat("\"ph\": \"X\", \"cat\": \"", category, "\", \"name\": ", io::quote_json(event.name),
               ", ", place(process, thread), ", \"ts\": ", microseconds(event.start), ", \"dur\": ",
               microseconds(event.end - event.start), ", \"args\": {", arguments, "}"));
  }

  void write_event(int position) {
    const Event& event = trace_.events[static_cast<size_t>(position)];
    std::string arguments = concat("\"External id\": ", position);
    if (event.sequence != 0) arguments += concat(", \"Sequence number\": ", event.sequence);
    if (event.forward >= 0) arguments += concat(", \"Forward id\": ", event.forward);
    if (!event.module.empty()) {
      arguments += concat(", \"Module\": ", io::quote_json(event.module));
    }
    if (!event.input_shapes.empty()) arguments += shape_arguments(event);
    if (event.flops > 0) arguments += ", \"FLOPs\": " + finite(event.flops);
    if (event.bytes > 0) arguments += ", \"Bytes\": " + finite(event.bytes);
    add_bar(category_of(event.kind), process_, event.thread, event, arguments);
  }

  static std::string shape_arguments(const Event& event) {
    std::string shapes;
    std::string dtypes;
    for (size_t i = 0; i < event.input_shapes.size(); ++i) {
      shapes += i == 0 ? "[" : ", [";
      for (size_t k = 0; k < event.input_shapes[i].size(); ++k) {
        shapes += concat(k == 0 ? "" : ", ", event.input_shapes[i][k]);
      }
      shapes += "]";
      dtypes += concat(i == 0 ? "\"" : ", \"", event.input_dtypes[i], "\"");
    }
    return concat(", \"Input Dims\": [", shapes, "], \"Input type\": [", dtypes, "]");
  }

  void write_launch(const LaunchEvent& launch) {
    const bool is_runtime = launch.name.starts_with("cuda");
    add_bar(is_runtime ? "cuda_runtime" : "cuda_driver", process_, launch.thread, launch,
            concat("\"correlation\": ", launch.correlation,
                   launch.event < 0 ? "" : concat(", \"External id\": ", launch.event)));
  }

  void write_device_event(const DeviceEvent& event) {
    std::string arguments = concat("\"device\": ", event.device, ", \"stream\": ", event.stream,
                                   ", \"correlation\": ", event.correlation);
    if (event.event >= 0) {
      const Event& owner = trace_.events[static_cast<size_t>(event.event)];
      arguments +=
          concat(", \"External id\": ", event.event, ", \"Op\": ", io::quote_json(owner.name),
                 ", \"Module\": ", io::quote_json(owner.module));
    }
    if (event.graph != 0) arguments += concat(", \"graph id\": ", event.graph);
    if (event.kind == DeviceEvent::Kind::kernel) {
      arguments += concat(", \"grid\": [", event.grid[0], ", ", event.grid[1], ", ", event.grid[2],
                          "], \"block\": [", event.block[0], ", ", event.block[1], ", ",
                          event.block[2], "], \"registers per thread\": ", event.registers,
                          ", \"shared memory\": ", event.shared_memory);
    } else {
      arguments += concat(", \"bytes\": ", event.bytes);
      if (event.duration() > 0) {
        arguments +=
            concat(", \"memory bandwidth (GB/s)\": ",
                   static_cast<double>(event.bytes) / static_cast<double>(event.duration()));
      }
    }
    add_bar(category_of(event.kind), event.device, event.stream, event, arguments);
  }

  // An arrow from one bar to another; its ends bind to the bars that hold these times.
  void add_arrow(const char* category, int64_t id, const std::string& from, int64_t start,
                 const std::string& to, int64_t end) {
    const std::string common =
        concat("\"cat\": \"", category, "\", \"name\": \"", category, "\", \"id\": ", id, ", ");
    add(concat("\"ph\": \"s\", ", common, from, ", \"ts\": ", microseconds(start)));
    add(concat("\"ph\": \"f\", \"bp\": \"e\", ", common, to, ", \"ts\": ", microseconds(end)));
  }

  void write_launch_arrows() {
    std::unordered_map<uint32_t, const LaunchEvent*> launches;
    for (const LaunchEvent& launch : trace_.launches) launches[launch.correlation] = &launch;
    for (const DeviceEvent& event : trace_.device_events) {
      const auto launch = launches.find(event.correlation);
      if (launch == launches.end()) continue;
      add_arrow("ac2g", ++arrows_, place(process_, launch->second->thread), launch->second->start,
                place(event.device, event.stream), event.start);
    }
  }

  void write_backward_arrows() {
    for (const Event& event : trace_.events) {
      if (event.forward < 0) continue;
      const Event& forward = trace_.events[static_cast<size_t>(event.forward)];
      add_arrow("fwdbwd", ++arrows_, place(process_, forward.thread), forward.start,
                place(process_, event.thread), event.start);
    }
  }

  void write_memory() {
    for (const MemoryEvent& memory : trace_.memory_events) {
      add(concat("\"ph\": \"C\", \"name\": \"memory of ", memory.device, "\", ", place(process_, 0),
                 ", \"ts\": ", microseconds(memory.time),
                 ", \"args\": {\"allocated\": ", memory.allocated, "}"));
    }
  }

  const Trace& trace_;
  const int64_t process_;
  std::string text_;
  bool is_first_ = true;
  int64_t arrows_ = 0;
};

}  // namespace

void Trace::export_chrome_trace(const std::string& path) const {
  write_text(path, Writer(*this).write());
}

}  // namespace taut::profiler
