// taut.cuda: streams, events, what is current, and memory.

#include "taut/core/cuda.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>

#include "bindings.h"
#include "module_binding.h"
#include "py_ref.h"
#include "taut/autograd/graphed_step.h"
#include "taut/autograd/memory_history.h"
#include "taut/core/cuda_graph.h"

namespace py = pybind11;
using namespace py::literals;

namespace taut::python {
namespace {

using cuda::Event;
using cuda::Stream;

// The GPU that a Python argument names: a number, a device or its name, None for the current one.
Device gpu_of(const py::object& device) {
  if (device.is_none()) return Device(DeviceType::cuda, cuda::current_device());
  if (py::isinstance<py::int_>(device)) {
    const auto index = device.cast<int64_t>();
    TAUT_CHECK(index >= 0 && index < 128, DeviceError, "device: there is no GPU ", index);
    return Device(DeviceType::cuda, static_cast<int>(index));
  }
  return device.cast<Device>();
}

uintptr_t number_of(const void* handle) { return reinterpret_cast<uintptr_t>(handle); }

void bind_streams(py::module_& module) {
  py::class_<Stream>(module, "Stream",
                     "A queue of work on one GPU. Stream(device=None, priority=0) takes one of 32 "
                     "that each GPU keeps for each priority, lower being more urgent.")
      .def(py::init([](const py::object& device, int priority) {
             return Stream::from_pool(gpu_of(device), priority);
           }),
           "device"_a = py::none(), "priority"_a = 0)
      .def_property_readonly("device", &Stream::device, "The GPU that it belongs to.")
      .def_property_readonly(
          "cuda_stream", [](const Stream& self) { return number_of(self.handle()); },
          "The cudaStream_t as a number.")
      .def_property_readonly("priority", &Stream::priority, "Lower is more urgent.")
      .def("synchronize", &Stream::synchronize, py::call_guard<py::gil_scoped_release>(),
           "Waits until what is queued now is done.")
      .def("query", &Stream::query, "Whether what is queued now is done.")
      .def(
          "wait_event", [](const Stream& self, const Event& event) { self.wait(event); }, "event"_a,
          "Work queued from now on waits for the event.")
      .def(
          "wait_stream", [](const Stream& self, const Stream& other) { self.wait(other); },
          "stream"_a, "Work queued from now on waits for what `stream` holds now.")
      .def(
          "record_event",
          [](const Stream& self, std::optional<Event> event) {
            Event result = event ? *event : Event();
            result.record(self);
            return result;
          },
          "event"_a = py::none(), "Marks what is queued now; makes an Event unless one is given.")
      .def(
          "__eq__", [](const Stream& a, const Stream& b) { return a == b; }, py::is_operator())
      .def("__hash__",
           [](const Stream& self) {
             return number_of(self.handle()) ^ static_cast<uintptr_t>(self.device().index());
           })
      .def("__repr__", [](const Stream& self) {
        return concat("<taut.cuda.Stream device=", self.device(),
                      " cuda_stream=", number_of(self.handle()), ">");
      });
  module.def(
      "external_stream",
      [](uintptr_t handle, const py::object& device) {
        // NOLINTNEXTLINE(performance-no-int-to-ptr): libraries pass each other streams as numbers.
        return Stream::from_handle(gpu_of(device), reinterpret_cast<void*>(handle));
      },
      "stream_ptr"_a, "device"_a = py::none());
  module.def(
      "current_stream",
      [](const py::object& device) { return cuda::current_stream(gpu_of(device)); },
      "device"_a = py::none());
  module.def(
      "default_stream", [](const py::object& device) { return Stream(gpu_of(device)); },
      "device"_a = py::none());
  module.def("set_stream", &cuda::set_stream, "stream"_a);
  module.def("current_device", &cuda::current_device);
  module.def(
      "set_device", [](const py::object& device) { cuda::set_device(gpu_of(device).index()); },
      "device"_a);
}

void bind_graphs(py::module_& module) {
  using cuda::Graph;
  py::class_<Graph>(module, "CUDAGraph",
                    "Work on a GPU that is captured once and replayed at the cost of one launch; "
                    "`with taut.cuda.graph(g):` captures into it.")
      .def(py::init<>())
      .def("capture_begin", &Graph::capture_begin,
           "Records what is done on the current stream, which must not be the default one, instead "
           "of doing it. ValueError when the graph holds a capture or this thread is capturing.")
      .def("capture_end", &Graph::capture_end, "Ends the capture that this thread has begun.")
      .def("abandon", &Graph::abandon, "Ends a capture and forgets it.")
      .def(
          "replay", [](Graph& self) { without_lock([&] { self.replay(); }); },
          "Puts the captured work on the current stream. ValueError without a capture.")
      .def(
          "reset", [](Graph& self) { without_lock([&] { self.reset(); }); },
          "Forgets the capture and gives its memory back.");
  module.def("is_current_stream_capturing", &cuda::is_current_stream_capturing);
}

// Tensors on both sides, since the arguments and results of a Python step are taken apart in
// Python.
cuda::GraphedStep::Step step_of(const py::object& callable) {
  return [function = PyRef(callable)](TensorList inputs) {
    const Locked locked;
    return function.get()(Tensors(inputs.begin(), inputs.end())).cast<Tensors>();
  };
}

void bind_graphed_step(py::module_& module) {
  using cuda::GraphedStep;
  py::class_<GraphedStep>(module, "GraphedStep")
      .def(py::init([](const std::optional<Device>& device, int64_t warmup, bool clone_outputs,
                       int64_t max_graphs) {
             return GraphedStep({}, {.device = device,
                                     .warmup = warmup,
                                     .clone_outputs = clone_outputs,
                                     .max_graphs = max_graphs});
           }),
           "device"_a, "warmup"_a, "clone_outputs"_a, "max_graphs"_a)
      .def(
          "call",
          [](GraphedStep& self, const Tensors& inputs, const std::string& key,
             const py::object& step) {
            const GraphedStep::Step function = step_of(step);
            return without_lock([&] { return self.call(inputs, key, function); });
          },
          "inputs"_a, "key"_a, "step"_a)
      .def_property_readonly("latest_kind", &GraphedStep::latest_kind)
      .def_property_readonly("kinds", &GraphedStep::kinds)
      .def_property_readonly("graphs", &GraphedStep::graphs)
      .def_property_readonly("fallback_reason", &GraphedStep::fallback_reason);
}

void bind_events(py::module_& module) {
  py::class_<Event>(module, "Event",
                    "A mark in a stream. With enable_timing elapsed_time can be asked; with "
                    "blocking a thread that waits sleeps.")
      .def(py::init<bool, bool>(), "enable_timing"_a = false, "blocking"_a = false)
      .def(
          "record",
          [](Event& self, std::optional<Stream> stream) {
            self.record(stream ? *stream : cuda::current_stream());
          },
          "stream"_a = py::none(), "Marks what is on the stream now; the current one by default.")
      .def(
          "wait",
          [](const Event& self, std::optional<Stream> stream) {
            (stream ? *stream : cuda::current_stream()).wait(self);
          },
          "stream"_a = py::none(), "Work queued on the stream from now on waits for this.")
      .def("query", &Event::query, "Whether the marked work is done.")
      .def("synchronize", &Event::synchronize, py::call_guard<py::gil_scoped_release>(),
           "Waits for the marked work.")
      .def("elapsed_time", &Event::elapsed_time, "end_event"_a,
           "Milliseconds from this mark to end_event.")
      .def_property_readonly(
          "cuda_event", [](const Event& self) { return number_of(self.handle()); },
          "The cudaEvent_t as a number; 0 before the first record.");
}

py::dict properties_of(Device device) {
  const cuda::DeviceProperties found = cuda::device_properties(device);
  return py::dict("name"_a = found.name, "major"_a = found.major, "minor"_a = found.minor,
                  "total_memory"_a = found.total_memory,
                  "multi_processor_count"_a = found.multi_processor_count,
                  "L2_cache_size"_a = found.l2_cache_size);
}

py::list snapshot_of(Device device) {
  py::list blocks;
  for (const cuda::MemoryBlockInfo& block : cuda::memory_snapshot(device)) {
    blocks.append(py::dict("address"_a = number_of(block.address), "size"_a = block.size,
                           "requested_size"_a = block.requested, "state"_a = block.state,
                           "stream"_a = number_of(block.stream), "pool"_a = block.pool,
                           "holder"_a = block.holder));
  }
  return blocks;
}

void bind_memory(py::module_& module) {
  module.def(
      "properties", [](const py::object& device) { return properties_of(gpu_of(device)); },
      "device"_a = py::none());
  module.def(
      "mem_get_info",
      [](const py::object& device) {
        const cuda::MemoryInfo info = cuda::mem_get_info(gpu_of(device));
        return py::make_tuple(info.free, info.total);
      },
      "device"_a = py::none());
  module.def(
      "memory_summary",
      [](const py::object& device) { return cuda::memory_summary(gpu_of(device)); },
      "device"_a = py::none());
  module.def(
      "memory_snapshot", [](const py::object& device) { return snapshot_of(gpu_of(device)); },
      "device"_a = py::none());
  module.def(
      "memory_stats",
      [](const py::object& device) {
        const MemoryStats stats = memory_stats(gpu_of(device));
        return py::dict("allocated"_a = stats.allocated, "max_allocated"_a = stats.max_allocated,
                        "requested"_a = stats.requested, "reserved"_a = stats.reserved,
                        "max_reserved"_a = stats.max_reserved, "allocations"_a = stats.allocations,
                        "live_allocations"_a = stats.live_allocations,
                        "system_allocations"_a = stats.system_allocations,
                        "retries"_a = stats.retries, "out_of_memory"_a = stats.out_of_memory);
      },
      "device"_a = py::none());
  module.def(
      "reset_peak_memory_stats",
      [](const py::object& device) { reset_peak_memory_stats(gpu_of(device)); },
      "device"_a = py::none());
  module.def(
      "empty_cache", [](const py::object& device) { empty_cache(gpu_of(device)); },
      "device"_a = py::none());
  module.def(
      "set_per_process_memory_fraction",
      [](double fraction, const py::object& device) {
        cuda::set_per_process_memory_fraction(fraction, gpu_of(device));
      },
      "fraction"_a, "device"_a = py::none());
  // This thread's watcher; one at a time.
  static thread_local std::unique_ptr<cuda::MemoryHistory> history;
  module.def(
      "record_memory_history",
      [](bool enabled) {
        if (!enabled) {
          history.reset();
        } else if (history == nullptr) {
          history = std::make_unique<cuda::MemoryHistory>();
        }
      },
      "enabled"_a = true);
  module.def("set_sync_debug_mode", &cuda::set_sync_debug_mode, "enabled"_a);
  module.def("get_sync_debug_mode", &cuda::sync_debug_mode);
}

}  // namespace

void bind_cuda(py::module_& module) {
  py::module_ cuda_module = module.def_submodule("_cuda");
  bind_streams(cuda_module);
  bind_events(cuda_module);
  bind_graphs(cuda_module);
  bind_graphed_step(cuda_module);
  bind_memory(cuda_module);
  cuda_module.def("device_count", &cuda::device_count);
  cuda_module.def("is_available", &cuda::is_available);
  cuda_module.def("is_built", &cuda::is_built);
  cuda_module.def(
      "synchronize",
      [](const py::object& device) {
        const Device gpu = gpu_of(device);
        without_lock([&] { cuda::synchronize(gpu); });
      },
      "device"_a = py::none());
}

}  // namespace taut::python
