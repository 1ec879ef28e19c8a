// taut.profiler: profiles, their traces and sums, and ranges.

#include "taut/profiler/profiler.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <optional>

#include "bindings.h"
#include "module_binding.h"
#include "py_ref.h"
#include "taut/nn/module_scope.h"
#include "taut/profiler/peaks.h"

namespace py = pybind11;
using namespace py::literals;

namespace taut::python {
namespace {

using namespace taut::profiler;

// PyTorch's unit.
double microseconds(int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e3; }
double per_call(int64_t total, int64_t count) {
  return count == 0 ? 0 : microseconds(total) / static_cast<double>(count);
}

const char* name_of(ScopeKind kind) {
  switch (kind) {
    case ScopeKind::backward: return "backward";
    case ScopeKind::module: return "module";
    case ScopeKind::optimizer: return "optimizer";
    case ScopeKind::user: return "user";
    case ScopeKind::data: return "data";
    default: return "op";
  }
}

const char* name_of(DeviceEvent::Kind kind) {
  switch (kind) {
    case DeviceEvent::Kind::memcpy: return "memcpy";
    case DeviceEvent::Kind::memset: return "memset";
    default: return "kernel";
  }
}

/// The call of a module as a profiler sees it, for `with`.
struct ModuleRange {
  explicit ModuleRange(const nn::Module& called) : module(called) {}
  const nn::Module& module;
  std::optional<nn::ModuleScope> scope;
};

/// A range for `with`; the same object may be used again.
struct Range {
  std::string name;
  std::optional<RecordFunction> scope;
};

py::dict dict_of(const Event& event) {
  return py::dict(
      "name"_a = event.name, "kind"_a = name_of(event.kind), "start"_a = microseconds(event.start),
      "end"_a = microseconds(event.end), "thread"_a = event.thread, "parent"_a = event.parent,
      "forward"_a = event.forward, "sequence_nr"_a = event.sequence, "module"_a = event.module,
      "input_shapes"_a = event.input_shapes, "input_dtypes"_a = event.input_dtypes,
      "device"_a = event.device, "dtype"_a = event.dtype, "flops"_a = event.flops,
      "bytes"_a = event.bytes, "cpu_memory_usage"_a = event.cpu_memory,
      "device_memory_usage"_a = event.cuda_memory, "device_events"_a = event.device_events);
}

py::dict dict_of(const DeviceEvent& event) {
  return py::dict(
      "name"_a = event.name, "kind"_a = name_of(event.kind), "start"_a = microseconds(event.start),
      "end"_a = microseconds(event.end), "device"_a = event.device, "stream"_a = event.stream,
      "correlation"_a = event.correlation, "event"_a = event.event, "bytes"_a = event.bytes,
      "grid"_a = py::make_tuple(event.grid[0], event.grid[1], event.grid[2]),
      "block"_a = py::make_tuple(event.block[0], event.block[1], event.block[2]),
      "registers"_a = event.registers, "shared_memory"_a = event.shared_memory,
      "graph"_a = event.graph);
}

py::dict dict_of(const MemoryEvent& event) {
  return py::dict("time"_a = microseconds(event.time), "device"_a = event.device,
                  "address"_a = event.address, "bytes"_a = event.bytes,
                  "allocated"_a = event.allocated, "event"_a = event.event);
}

template <class Item>
py::list dicts_of(const std::vector<Item>& items) {
  py::list result;
  for (const Item& item : items) result.append(dict_of(item));
  return result;
}

py::dict dict_of(const MemoryPeak& peak) {
  py::list holders;
  for (const MemoryHolder& holder : peak.holders) {
    holders.append(py::dict("name"_a = holder.name, "module"_a = holder.module,
                            "bytes"_a = holder.bytes, "count"_a = holder.count));
  }
  return py::dict("time"_a = microseconds(peak.time), "bytes"_a = peak.bytes,
                  "holders"_a = holders);
}

GroupBy group_named(const std::string& name) {
  if (name == "op") return GroupBy::op;
  if (name == "module") return GroupBy::module;
  TAUT_CHECK(name == "kernel", ValueError,
             "key_averages: group_by must be \"op\", \"module\" or \"kernel\"; got \"", name, "\"");
  return GroupBy::kernel;
}

void bind_rows(py::module_& module) {
  py::class_<AverageRow>(module, "FunctionEventAvg",
                         "All calls of one op, module or kernel. Times are microseconds; those "
                         "that end in _total take "
                         "in the scopes within, unless they begin with self_.")
      .def_readonly("key", &AverageRow::name, "What it is called.")
      .def_readonly("input_shapes", &AverageRow::input_shapes,
                    "Shapes of the inputs as text, where rows are grouped by them.")
      .def_readonly("count", &AverageRow::count, "How many calls.")
      .def_property_readonly(
          "cpu_time_total", [](const AverageRow& r) { return microseconds(r.cpu_time_total); },
          "On the CPU, with what is within.")
      .def_property_readonly(
          "self_cpu_time_total",
          [](const AverageRow& r) { return microseconds(r.self_cpu_time_total); },
          "On the CPU, without what is within.")
      .def_property_readonly(
          "cpu_time", [](const AverageRow& r) { return per_call(r.cpu_time_total, r.count); },
          "cpu_time_total of one call, on average.")
      .def_property_readonly(
          "device_time_total",
          [](const AverageRow& r) { return microseconds(r.device_time_total); },
          "Of its kernels and copies on GPUs, with what is within.")
      .def_property_readonly(
          "self_device_time_total",
          [](const AverageRow& r) { return microseconds(r.self_device_time_total); },
          "Of the kernels and copies that it launched itself.")
      .def_property_readonly(
          "device_time", [](const AverageRow& r) { return per_call(r.device_time_total, r.count); },
          "device_time_total of one call, on average.")
      .def_property_readonly(
          "cuda_time_total", [](const AverageRow& r) { return microseconds(r.device_time_total); },
          "The same as device_time_total.")
      .def_property_readonly(
          "self_cuda_time_total",
          [](const AverageRow& r) { return microseconds(r.self_device_time_total); },
          "The same as self_device_time_total.")
      .def_readonly("flops", &AverageRow::flops, "Floating-point operations of all calls.")
      .def_readonly("bytes", &AverageRow::bytes, "Bytes read and written by all calls.")
      .def_property_readonly("flops_per_second", &AverageRow::flops_per_second,
                             "flops by the time on GPUs, or on the CPU where there is none.")
      .def_property_readonly("bytes_per_second", &AverageRow::bytes_per_second,
                             "bytes by the same time.")
      .def_property_readonly("flops_share", &AverageRow::flops_share,
                             "The part of the machine's peak that was reached; 0 if unknown.")
      .def_property_readonly("bytes_share", &AverageRow::bytes_share,
                             "The part of the memory's bandwidth that was reached; 0 if unknown.")
      .def_readonly("cpu_memory_usage", &AverageRow::cpu_memory_usage,
                    "Bytes allocated less bytes freed, with what is within.")
      .def_readonly("self_cpu_memory_usage", &AverageRow::self_cpu_memory_usage,
                    "The same without what is within.")
      .def_readonly("device_memory_usage", &AverageRow::cuda_memory_usage,
                    "Bytes on GPUs, with what is within.")
      .def_readonly("self_device_memory_usage", &AverageRow::self_cuda_memory_usage,
                    "The same without what is within.")
      .def("__repr__", [](const AverageRow& r) {
        return concat("<FunctionEventAvg key=", r.name, " count=", r.count,
                      " self_cpu_time_total=", microseconds(r.self_cpu_time_total), "us>");
      });
}

void bind_averages(py::module_& module) {
  py::class_<Averages>(module, "EventList", "The rows of key_averages(), a sequence.")
      .def("__len__", [](const Averages& self) { return self.rows.size(); })
      .def("__getitem__",
           [](const Averages& self, int64_t index) {
             const auto size = static_cast<int64_t>(self.rows.size());
             if (index < -size || index >= size) throw py::index_error("EventList: out of range");
             return self.rows[static_cast<size_t>(index < 0 ? index + size : index)];
           })
      .def_property_readonly(
          "self_cpu_time_total",
          [](const Averages& self) { return microseconds(self.self_cpu_time_total); },
          "Microseconds on the CPU in all.")
      .def_property_readonly(
          "self_device_time_total",
          [](const Averages& self) { return microseconds(self.self_device_time_total); },
          "Microseconds of kernels and copies on GPUs in all.")
      .def_readonly("peak_sources", &Averages::peak_sources,
                    "Where the peaks come from that shares refer to.")
      .def(
          "table",
          [](const Averages& self, const std::optional<std::string>& sort_by, int64_t row_limit,
             int64_t max_name_column_width) {
            return self.table({.sort_by = sort_by.value_or(""),
                               .row_limit = row_limit,
                               .max_name_column_width = max_name_column_width});
          },
          "sort_by"_a = py::none(), "row_limit"_a = 100, "max_name_column_width"_a = 55,
          "The rows as text, largest first by sort_by: \"cpu_time_total\", "
          "\"self_cpu_time_total\", \"cuda_time_total\", \"self_cuda_time_total\", \"flops\", "
          "\"bytes\", \"count\", \"self_cpu_memory_usage\" and others; row_limit -1 shows all. "
          "ValueError for another sort_by.");
}

void bind_trace(py::module_& module) {
  py::class_<Trace, py::smart_holder>(module, "Trace")
      .def("_events", [](const Trace& self) { return dicts_of(self.events); })
      .def("_device_events", [](const Trace& self) { return dicts_of(self.device_events); })
      .def("_memory_events", [](const Trace& self) { return dicts_of(self.memory_events); })
      .def_property_readonly("duration",
                             [](const Trace& self) { return microseconds(self.duration); })
      .def_readonly("warnings", &Trace::warnings)
      .def(
          "key_averages",
          [](const Trace& self, bool group_by_input_shape, const std::string& group_by) {
            const GroupBy group = group_named(group_by);
            return without_lock([&] { return self.key_averages(group, group_by_input_shape); });
          },
          "group_by_input_shape"_a = false, "group_by"_a = "op")
      .def(
          "export_chrome_trace",
          [](const Trace& self, const std::string& path) {
            without_lock([&] { self.export_chrome_trace(path); });
          },
          "path"_a)
      .def(
          "export_memory_timeline",
          [](const Trace& self, const std::string& path) {
            without_lock([&] { self.export_memory_timeline(path); });
          },
          "path"_a)
      .def(
          "memory_peak",
          [](const Trace& self, Device device) { return dict_of(self.memory_peak(device)); },
          "device"_a = kCPU);
}

// A function of Python that gives the number of an action.
Schedule schedule_of(const py::object& function) {
  if (function.is_none()) return {};
  return [function = PyRef(function)](int64_t step) {
    const Locked locked;
    return static_cast<ProfilerAction>(function.get()(step).cast<int>());
  };
}

void bind_profile(py::module_& module) {
  py::class_<Profile>(module, "Profile")
      .def(py::init([](bool cpu, bool cuda, const py::object& schedule,
                       const py::object& on_trace_ready, bool record_shapes, bool profile_memory,
                       bool with_flops, bool with_modules) {
             ProfileOptions options{.cpu = cpu,
                                    .cuda = cuda,
                                    .schedule = schedule_of(schedule),
                                    .on_trace_ready = {},
                                    .record_shapes = record_shapes,
                                    .profile_memory = profile_memory,
                                    .with_flops = with_flops,
                                    .with_modules = with_modules};
             options.on_trace_ready = [function = PyRef(on_trace_ready)](Profile&) {
               const Locked locked;
               function.get()();
             };
             return std::make_unique<Profile>(std::move(options));
           }),
           py::kw_only(), "cpu"_a, "cuda"_a, "schedule"_a, "on_trace_ready"_a, "record_shapes"_a,
           "profile_memory"_a, "with_flops"_a, "with_modules"_a)
      .def("start", [](Profile& self) { without_lock([&] { self.start(); }); })
      .def("stop", [](Profile& self) { without_lock([&] { self.stop(); }); })
      .def("step", [](Profile& self) { without_lock([&] { self.step(); }); })
      .def_property_readonly("is_running", &Profile::is_running)
      .def_property_readonly("step_number", &Profile::step_number)
      .def("trace",
           [](const Profile& self) { return std::const_pointer_cast<Trace>(self.shared_trace()); });
  module.def(
      "schedule",
      [](int64_t wait, int64_t warmup, int64_t active, int64_t repeat, int64_t skip_first) {
        const Schedule plan = schedule({.wait = wait,
                                        .warmup = warmup,
                                        .active = active,
                                        .repeat = repeat,
                                        .skip_first = skip_first});
        return py::cpp_function([plan](int64_t step) { return static_cast<int>(plan(step)); });
      },
      py::kw_only(), "wait"_a, "warmup"_a, "active"_a, "repeat"_a = 0, "skip_first"_a = 0);
}

void bind_ranges(py::module_& module) {
  py::class_<Range>(module, "Range")
      .def(py::init([](std::string name) {
             auto range = std::make_unique<Range>();
             range->name = std::move(name);
             return range;
           }),
           "name"_a)
      .def("__enter__", [](Range& self) { self.scope.emplace(self.name); })
      .def("__exit__", [](Range& self, const py::args&) { self.scope.reset(); });
  py::class_<ModuleRange>(module, "ModuleRange")
      .def(py::init([](const py::object& object) {
             return std::make_unique<ModuleRange>(made(object));
           }),
           py::keep_alive<1, 2>())
      .def("__enter__", [](ModuleRange& self) { self.scope.emplace(self.module); })
      .def("__exit__", [](ModuleRange& self, const py::args&) { self.scope.reset(); });
  py::class_<EmitNvtx>(module, "EmitNvtx").def(py::init<>());
  module.def("has_nvtx", &has_nvtx);
  module.def("is_profiling", &is_profiling);
}

}  // namespace

void bind_profiler(py::module_& module) {
  py::module_ profiler_module = module.def_submodule("_profiler");
  bind_rows(profiler_module);
  bind_averages(profiler_module);
  bind_trace(profiler_module);
  bind_profile(profiler_module);
  bind_ranges(profiler_module);
  profiler_module.def(
      "peak_flops",
      [](Device device, DType dtype) {
        return without_lock([&] { return peak_flops(device, dtype); });
      },
      "device"_a, "dtype"_a);
  profiler_module.def(
      "peak_bandwidth",
      [](Device device) { return without_lock([&] { return peak_bandwidth(device); }); },
      "device"_a);
}

}  // namespace taut::python
