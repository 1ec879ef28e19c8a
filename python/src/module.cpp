// taut._C: the C++ half of the package.

#include "taut/nn/module.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <time.h>
#include <unistd.h>

#include <exception>
#include <new>

#include "attribute_cycles.h"
#include "bindings.h"
#include "errors.h"
#include "gil.h"
#include "op.h"
#include "taut/amp/grad_scaler.h"
#include "taut/base/config.h"
#include "taut/base/interrupt.h"
#include "taut/base/parallel.h"
#include "taut/core/allocator.h"
#include "taut/core/cuda.h"
#include "taut/core/show_config.h"
#include "taut/core/storage.h"
#include "taut/ops/print.h"
#include "taut/optim/lr_scheduler.h"
#include "tensor_object.h"
#include "values.h"

namespace py = pybind11;

namespace taut::python {
namespace {

// Errors -----------------------------------------------------------------------------------------

template <class Kind>
bool is_kind(const std::exception& error) {
  return dynamic_cast<const Kind*>(&error) != nullptr;
}

/// Each kind, the built-in classes it also is, and what it says. A derived kind stands before its
/// base, and the root last.
struct ErrorRow {
  const char* name;
  bool (*matches)(const std::exception&);
  std::vector<PyObject*> (*bases)();
  const char* doc;
  PyObject* type = nullptr;
};

ErrorRow rows[] = {
    {"ShapeError", is_kind<ShapeError>, [] { return std::vector{PyExc_ValueError}; },
     "Sizes, ranks or layouts that do not fit together."},
    {"DTypeError", is_kind<DTypeError>, [] { return std::vector{PyExc_TypeError}; },
     "A dtype that the operation does not take, or dtypes that do not mix."},
    {"DeviceError", is_kind<DeviceError>, [] { return std::vector<PyObject*>{}; },
     "Tensors on different devices, or a device that is not there."},
    {"IndexError", is_kind<IndexError>, [] { return std::vector{PyExc_IndexError}; },
     "An index or a dim out of range."},
    {"ValueError", is_kind<ValueError>, [] { return std::vector{PyExc_ValueError}; },
     "An argument whose value makes no sense."},
    {"AutogradError", is_kind<AutogradError>, [] { return std::vector<PyObject*>{}; },
     "A misuse of the tape: freed graphs, in-place writes to saved tensors, missing gradients."},
    {"NotImplementedError", is_kind<NotImplementedError>,
     [] { return std::vector{PyExc_NotImplementedError}; },
     "Something that Taut does not do for this device, dtype or argument."},
    {"OutOfMemoryError", is_kind<OutOfMemoryError>, [] { return std::vector{PyExc_MemoryError}; },
     "Memory that could not be had; the message tells what was asked for and what is held."},
    {"CudaError", is_kind<CudaError>, [] { return std::vector<PyObject*>{}; },
     "A CUDA call or kernel that failed."},
    {"FormatError", is_kind<FormatError>, [] { return std::vector{PyExc_ValueError}; },
     "A file whose contents are not what its format promises. A kind of IoError."},
    {"IoError", is_kind<IoError>, [] { return std::vector{PyExc_OSError}; },
     "The operating system refused to read or write."},
    {"DistributedError", is_kind<DistributedError>, [] { return std::vector<PyObject*>{}; },
     "A fault in communication between processes."},
    {"InternalError", is_kind<InternalError>, [] { return std::vector<PyObject*>{}; },
     "A fault of Taut itself: please report it."},
    {"Error", is_kind<Error>, [] { return std::vector<PyObject*>{}; },
     "The root of all errors of Taut."},
};

/// FormatError is an IoError; all else stands right below the root.
PyObject* row_base(std::string_view name, PyObject* io_error, PyObject* root) {
  return name == "FormatError" ? io_error : root;
}

PyObject* python_class_of(const std::exception& error) {
  for (const ErrorRow& row : rows) {
    if (row.matches(error)) return row.type;
  }
  return nullptr;
}

}  // namespace

void set_python_error() noexcept {
  try {
    throw;
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (const py::builtin_exception& error) {
    error.set_error();
  } catch (const std::bad_alloc&) {
    PyErr_SetString(python_class_of(OutOfMemoryError("")),
                    "out of memory: an op's room for its own use could not be had");
  } catch (const std::exception& error) {
    PyObject* type = python_class_of(error);
    PyErr_SetString(type != nullptr ? type : PyExc_RuntimeError, error.what());
  } catch (...) {
    PyErr_SetString(PyExc_RuntimeError, "an unknown C++ exception");
  }
}

void bind_errors(py::module_& module) {
  const auto make = [&](ErrorRow& row, const std::vector<PyObject*>& bases) {
    py::tuple tuple(bases.size());
    for (size_t i = 0; i < bases.size(); ++i) tuple[i] = py::handle(bases[i]);
    row.type = PyErr_NewExceptionWithDoc((std::string("taut.") + row.name).c_str(), row.doc,
                                         tuple.ptr(), nullptr);
    if (row.type == nullptr) throw py::error_already_set();
    module.add_object(row.name, py::handle(row.type));
  };
  ErrorRow& root = rows[std::size(rows) - 1];
  make(root, {PyExc_RuntimeError});
  PyObject* io_error = nullptr;
  for (size_t i = std::size(rows) - 1; i-- > 0;) {  // bases before what derives from them
    std::vector<PyObject*> bases = {row_base(rows[i].name, io_error, root.type)};
    for (PyObject* base : rows[i].bases()) bases.push_back(base);
    make(rows[i], bases);
    if (std::string_view(rows[i].name) == "IoError") io_error = rows[i].type;
  }
  py::register_local_exception_translator([](std::exception_ptr error) {
    try {
      if (error) std::rethrow_exception(error);
    } catch (const Error& taut_error) {
      PyErr_SetString(python_class_of(taut_error), taut_error.what());
    }
  });
}

namespace {

// Ctrl-C -----------------------------------------------------------------------------------------

/// Runs Python's signal handlers during a long call, whose thread holds no lock of Python's. They
/// run on the main thread only; to ask costs the lock, so that it is done every 20 ms at most.
void run_signal_handlers() {
  static const thread_local bool is_main_thread = gettid() == getpid();
  if (!is_main_thread) return;
  static int64_t next = 0;
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  const int64_t milliseconds = now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
  if (milliseconds < next) return;
  next = milliseconds + 20;
  const Locked locked;
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

// Settings and counters --------------------------------------------------------------------------

py::dict stats_of(const MemoryStats& stats) {
  py::dict result;
  result["allocated"] = stats.allocated;
  result["reserved"] = stats.reserved;
  result["max_allocated"] = stats.max_allocated;
  result["allocations"] = stats.allocations;
  result["live_allocations"] = stats.live_allocations;
  result["system_allocations"] = stats.system_allocations;
  return result;
}

void bind_settings(py::module_& module) {
  module.def("get_num_threads", &get_num_threads);
  module.def("set_num_threads", &set_num_threads, py::arg("int"));
  module.def("get_default_dtype", &get_default_dtype);
  module.def("set_default_dtype", &set_default_dtype, py::arg("d"));
  module.def("promote_types", &promote_types, py::arg("type1"), py::arg("type2"));
  module.def("can_cast", &can_cast, py::arg("from_"), py::arg("to"));
  module.def(
      "memory_stats", [](Device device) { return stats_of(memory_stats(device)); },
      py::arg("device") = kCPU);
  module.def(
      "reset_peak_memory_stats", [](Device device) { reset_peak_memory_stats(device); },
      py::arg("device") = kCPU);
  module.def("empty_cache", [](Device device) { empty_cache(device); }, py::arg("device") = kCPU);
  module.attr("_version") = TAUT_VERSION;
  module.def("_show_config", &config::show);
  module.attr("_pybind11_version") =
      PYBIND11_TOSTRING(PYBIND11_VERSION_MAJOR) "." PYBIND11_TOSTRING(
          PYBIND11_VERSION_MINOR) "." PYBIND11_TOSTRING(PYBIND11_VERSION_MICRO);
  py::dict features;
  features["CUDA"] = TAUT_HAS_CUDA != 0;
  features["cuDNN"] = TAUT_HAS_CUDNN != 0;
  features["NCCL"] = TAUT_HAS_NCCL != 0;
  features["oneDNN"] = TAUT_HAS_ONEDNN != 0;
  module.attr("_features") = features;
  module.def("_live_storages", &live_storages);
  module.def("_print_options", [] {
    const PrintOptions options = print_options();
    return py::make_tuple(options.precision, options.threshold, options.edge_items,
                          options.line_width, options.scientific);
  });
  module.def("_set_print_options", [](int precision, int64_t threshold, int64_t edge_items,
                                      int64_t line_width, std::optional<bool> scientific) {
    set_print_options({precision, threshold, edge_items, line_width, scientific});
  });
}

/// The classes whose objects have attributes.
void bind_collection() {
  collect_attribute_cycles(py::type::of<nn::Module>());
  collect_attribute_cycles(py::type::of<optim::Optimizer>());
  collect_attribute_cycles(py::type::of<optim::LRScheduler>());
  collect_attribute_cycles(py::type::of<amp::GradScaler>());
}

}  // namespace
}  // namespace taut::python

PYBIND11_MODULE(taut_bindings, module) {
  using namespace taut::python;
  bind_values(module);
  bind_errors(module);
  bind_tensor_type(module);
  bind_op_types();
  bind_ops(module);
  bind_autograd(module);
  bind_nn(module);
  bind_optim(module);
  bind_data(module);
  bind_io(module);
  bind_cuda(module);
  bind_amp(module);
  bind_profiler(module);
  bind_extension(module);
  bind_fusion(module);
  bind_settings(module);
  bind_collection();
  taut::set_interrupt_check(run_signal_handlers);
}

/// The module's entry. The types and rows are global, so that there can be one interpreter only;
/// another one is refused before pybind11 waits for the first one's lock.
// NOLINTNEXTLINE(bugprone-reserved-identifier): CPython asks for this name.
extern "C" PYBIND11_EXPORT PyObject* PyInit__C() {
  if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
    PyErr_SetString(PyExc_ImportError,
                    "taut works in the main interpreter only, not in a sub-interpreter");
    return nullptr;
  }
  return PyInit_taut_bindings();
}
