#pragma once
// The output size of an adaptive pool, whose parts may be None.

#include "op.h"
#include "taut/nn/functional/pool.h"

namespace taut::python {

/// An int or None, or a tuple or list of them. @throws as read of values.h does.
bool read(PyObject* object, nn::functional::AdaptiveSize& size);
PyObject* to_object(const nn::functional::AdaptiveSize& size);

template <>
struct Argument<nn::functional::AdaptiveSize> {
  nn::functional::AdaptiveSize value;
  bool load(PyObject* object, const Parameter&) { return python::read(object, value); }
  const nn::functional::AdaptiveSize& get() const { return value; }
  int64_t work() const { return 0; }
};

template <>
struct Annotation<nn::functional::AdaptiveSize> {
  static constexpr const char* value = "int | None | Sequence[int | None]";
};

}  // namespace taut::python

namespace pybind11::detail {

template <>
struct type_caster<taut::nn::functional::AdaptiveSize> {
  PYBIND11_TYPE_CASTER(taut::nn::functional::AdaptiveSize,
                       const_name("int | None | Sequence[int | None]"));
  bool load(handle source, bool) {
    if (taut::python::read(source.ptr(), value)) return true;
    if (PyErr_Occurred() != nullptr) throw error_already_set();
    return false;
  }
  static handle cast(const taut::nn::functional::AdaptiveSize& size, return_value_policy, handle) {
    return taut::python::to_object(size);
  }
};

}  // namespace pybind11::detail
