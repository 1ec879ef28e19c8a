#pragma once
// The small Python values around tensors: taut.dtype, taut.device, taut.Size, taut.memory_format;
// and reading numbers and sizes from Python objects.

#include <pybind11/pybind11.h>

#include <optional>

#include "taut/core/device.h"
#include "taut/core/dims.h"
#include "taut/core/dtype.h"
#include "taut/core/layout.h"
#include "taut/core/scalar.h"

namespace taut::python {

void bind_values(pybind11::module_& module);

inline PyObject* new_reference(PyObject* object) {
  Py_INCREF(object);
  return object;
}

// To Python: each returns a new reference.
PyObject* to_object(DType dtype);
PyObject* to_object(Device device);
PyObject* to_object(const Dims& shape);
PyObject* to_object(const Scalar& scalar);

// From Python: each returns false for an object of another kind, with a Python error set if it was
// of the right kind but could not be read.
bool read(PyObject* object, DType& dtype);
bool read(PyObject* object, Device& device);
bool read(PyObject* object, MemoryFormat& format);
/// A Python or NumPy number, or a tensor of one element that does not require grad.
bool read(PyObject* object, Scalar& scalar);
bool read(PyObject* object, double& value);
bool read(PyObject* object, bool& value);
/// An int or what stands for one; bool and float are none.
bool read(PyObject* object, int64_t& value);
/// A tuple or list of ints, or a single int.
bool read(PyObject* object, Dims& dims);

/// Whether an object is an int in the sense of read(object, int64_t&).
bool is_integer(PyObject* object);
/// Whether it is a scalar of NumPy, which is a number but no Python one.
bool is_numpy_scalar(PyObject* object);

}  // namespace taut::python

namespace pybind11::detail {

#define TAUT_VALUE_CASTER(Type, python_name)                            \
  template <>                                                           \
  struct type_caster<Type> {                                            \
    PYBIND11_TYPE_CASTER(Type, const_name(python_name));                \
    bool load(handle source, bool) {                                    \
      if (!source) return false;                                        \
      if (taut::python::read(source.ptr(), value)) return true;         \
      if (PyErr_Occurred() != nullptr) throw error_already_set();       \
      return false;                                                     \
    }                                                                   \
    static handle cast(const Type& item, return_value_policy, handle) { \
      return taut::python::to_object(item);                             \
    }                                                                   \
  };
TAUT_VALUE_CASTER(taut::DType, "taut.dtype")
TAUT_VALUE_CASTER(taut::Device, "taut.device")
TAUT_VALUE_CASTER(taut::Dims, "taut.Size")
TAUT_VALUE_CASTER(taut::Scalar, "float")
#undef TAUT_VALUE_CASTER

}  // namespace pybind11::detail
