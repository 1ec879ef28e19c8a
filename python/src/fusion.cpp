// What taut.fuse is made of. Tensors on both sides, since the arguments and results of a Python
// function are taken apart in Python.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "bindings.h"
#include "errors.h"
#include "gil.h"
#include "taut/autograd/grad_mode.h"
#include "taut/fusion/fuse.h"
#include "tensor_object.h"
#include "values.h"

namespace py = pybind11;
using namespace py::literals;

namespace taut::python {
namespace {

// A Python function as C++ calls it: one block, since each call that is put on the tape makes one.
class PythonFunction {
 public:
  explicit PythonFunction(py::handle callable) : callable_(callable.inc_ref()) {}
  PythonFunction(PythonFunction&& other) noexcept
      : callable_(std::exchange(other.callable_, nullptr)) {}
  PythonFunction& operator=(PythonFunction&&) = delete;
  ~PythonFunction() {
    if (!callable_ || Py_IsInitialized() == 0) return;
    const Locked locked;
    Py_DECREF(callable_.ptr());
  }
  Tensors operator()(TensorList inputs) const {
    const Locked locked;
    return callable_(Tensors(inputs.begin(), inputs.end())).cast<Tensors>();
  }

 private:
  py::handle callable_;
};

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
    const FusedFunction::Function function = PythonFunction(callable);
    const py::gil_scoped_release release;
    std::pair<Tensors, uint64_t> result;
    result.first = fused_.call({inputs, function, key, referred}, &result.second);
    return result;
  }
  std::pair<bool, uint64_t> compile(const Tensors& inputs, const std::string& key,
                                    const py::object& callable, size_t referred) {
    const FusedFunction::Function function = PythonFunction(callable);
    const py::gil_scoped_release release;
    std::pair<bool, uint64_t> result;
    result.first = fused_.compile({inputs, function, key, referred}, &result.second);
    return result;
  }
  /// A tuple of the number of the call's kind and the results; None, and nothing done, where there
  /// are no kernels for it.
  PyObject* call_if_ready(PyObject* inputs, std::string_view key, PyObject* callable,
                          size_t referred) {
    Tensors tensors;
    int64_t elements = 0;
    const Py_ssize_t count = PySequence_Fast_GET_SIZE(inputs);
    tensors.reserve(static_cast<size_t>(count));
    for (Py_ssize_t i = 0; i < count; ++i) {
      PyObject* const input = PySequence_Fast_GET_ITEM(inputs, i);
      if (!is_tensor(input)) return new_reference(Py_None);
      tensors.push_back(tensor_of(input));
      elements = std::max(elements, tensors.back().defined() ? tensors.back().numel() : 0);
    }
    // The tape keeps the function, for second derivatives.
    FusedFunction::Function function;
    if (is_grad_enabled()) function = PythonFunction(callable);
    uint64_t kind = 0;
    std::optional<Tensors> outputs;
    {
      const Unlocked unlocked(elements > kLargeWork);
      outputs = fused_.call_if_ready({tensors, function, key, referred}, &kind);
    }
    if (!outputs) return new_reference(Py_None);
    py::tuple result(outputs->size() + 1);
    PyTuple_SET_ITEM(result.ptr(), 0, py::int_(kind).release().ptr());
    for (size_t i = 0; i < outputs->size(); ++i) {
      PyTuple_SET_ITEM(result.ptr(), static_cast<Py_ssize_t>(i + 1),
                       wrap(std::move((*outputs)[i])));
    }
    return result.release().ptr();
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

// A method by CPython's own protocol, since a call of kernels takes less time than pybind11 takes
// to read its arguments.
PyObject* call_if_ready(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  try {
    if (count != 4 || !(PyTuple_Check(arguments[0]) || PyList_Check(arguments[0])) ||
        !PyUnicode_Check(arguments[1]) || !PyLong_Check(arguments[3])) {
      throw py::type_error(
          "call_if_ready: expected a list or tuple of tensors, a str, a function and an int");
    }
    Py_ssize_t length = 0;
    const char* key = PyUnicode_AsUTF8AndSize(arguments[1], &length);
    if (key == nullptr) throw py::error_already_set();
    const size_t referred = PyLong_AsSize_t(arguments[3]);
    if (PyErr_Occurred() != nullptr) throw py::error_already_set();
    return py::handle(self).cast<PythonFused&>().call_if_ready(
        arguments[0], {key, static_cast<size_t>(length)}, arguments[2], referred);
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

PyMethodDef call_if_ready_method = {
    "call_if_ready", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(call_if_ready)),
    METH_FASTCALL,
    "(inputs, key, function, referred): the number of the call's kind and its results; None where "
    "there are no kernels for it."};

}  // namespace

void bind_fusion(py::module_& module) {
  py::class_<PythonFused> type(module, "_FusedFunction");
  type.def(py::init<bool, int64_t>(), "wait"_a, "max_kinds"_a)
      .def("call", &PythonFused::call, "inputs"_a, "key"_a, "function"_a, "referred"_a)
      .def("compile", &PythonFused::compile, "inputs"_a, "key"_a, "function"_a, "referred"_a)
      .def_property_readonly("fallback", &PythonFused::fallback)
      .def_property_readonly("kinds", &PythonFused::kinds);
  type.attr("call_if_ready") = py::reinterpret_steal<py::object>(
      PyDescr_NewMethod(reinterpret_cast<PyTypeObject*>(type.ptr()), &call_if_ready_method));
}

}  // namespace taut::python
