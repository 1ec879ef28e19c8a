// What taut.fuse is made of. Tensors on both sides, since the arguments and results of a Python
// function are taken apart in Python.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <mutex>
#include <string>

#include "bindings.h"
#include "gil.h"
#include "py_ref.h"
#include "taut/fusion/fuse.h"
#include "tensor_object.h"
#include "values.h"

namespace py = pybind11;
using namespace py::literals;

namespace taut::python {
namespace {

FusedFunction::Function function_of(const py::object& callable) {
  return [function = PyRef(callable)](TensorList inputs) {
    const Locked locked;
    return function.get()(Tensors(inputs.begin(), inputs.end())).cast<Tensors>();
  };
}

// A function that is given anew with each call, and the first reason why one ran as it is.
class PythonFused {
 public:
  PythonFused(bool wait, int64_t max_kinds)
      : fallback_(std::make_shared<Fallback>()),
        fused_({}, {.wait = wait,
                    .max_kinds = max_kinds,
                    .on_fallback = [to = fallback_](const std::string& reason) {
                      const std::lock_guard lock(to->mutex);
                      to->reason = reason;
                    }}) {}

  std::pair<Tensors, uint64_t> call(const Tensors& inputs, const std::string& key,
                                    const py::object& callable, size_t referred) {
    const FusedFunction::Function function = function_of(callable);
    const py::gil_scoped_release release;
    std::pair<Tensors, uint64_t> result;
    result.first = fused_.call({inputs, function, key, referred}, &result.second);
    return result;
  }
  std::pair<bool, uint64_t> compile(const Tensors& inputs, const std::string& key,
                                    const py::object& callable, size_t referred) {
    const FusedFunction::Function function = function_of(callable);
    const py::gil_scoped_release release;
    std::pair<bool, uint64_t> result;
    result.first = fused_.compile({inputs, function, key, referred}, &result.second);
    return result;
  }
  std::string fallback() const {
    const std::lock_guard lock(fallback_->mutex);
    return fallback_->reason;
  }
  py::list kinds() const {
    py::list result;
    for (const FusedKind& kind : fused_.kinds()) {
      result.append(py::dict("inputs"_a = kind.inputs, "is_ready"_a = kind.is_ready,
                             "refusal"_a = kind.refusal, "forward_kernels"_a = kind.forward_kernels,
                             "backward_kernels"_a = kind.backward_kernels,
                             "source"_a = kind.source));
    }
    return result;
  }

 private:
  struct Fallback {
    std::mutex mutex;
    std::string reason;
  };
  std::shared_ptr<Fallback> fallback_;
  FusedFunction fused_;
};

}  // namespace

void bind_fusion(py::module_& module) {
  py::class_<PythonFused>(module, "_FusedFunction")
      .def(py::init<bool, int64_t>(), "wait"_a, "max_kinds"_a)
      .def("call", &PythonFused::call, "inputs"_a, "key"_a, "function"_a, "referred"_a)
      .def("compile", &PythonFused::compile, "inputs"_a, "key"_a, "function"_a, "referred"_a)
      .def_property_readonly("fallback", &PythonFused::fallback)
      .def_property_readonly("kinds", &PythonFused::kinds);
}

}  // namespace taut::python
