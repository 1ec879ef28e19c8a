#pragma once
// taut.Tensor: a plain CPython type around a taut::Tensor.
//
// Note [One Python object per tensor]
// A TensorImpl knows its live Python object and hands the same one out each time, so that `x.grad
// is x.grad`. Normally the object owns a reference to the impl, and dies when Python drops it. When
// Python drops an object that carries state of its own (attributes, a subclass, weak references)
// while C++ still holds the tensor, the ownership turns around: the impl keeps the object
// (`kept` is set and the object owns no reference) until Python asks for it again or the impl goes.

#include <pybind11/pybind11.h>

#include "taut/core/tensor.h"

namespace taut::python {

struct TensorObject {
  PyObject_HEAD Tensor tensor;
  PyObject* dict;
  PyObject* weak_references;
  bool kept;
};

extern PyTypeObject* tensor_type;

inline bool is_tensor(PyObject* object) {
  return Py_TYPE(object) == tensor_type || PyType_IsSubtype(Py_TYPE(object), tensor_type) != 0;
}
inline const Tensor& tensor_of(PyObject* object) {
  return reinterpret_cast<TensorObject*>(object)->tensor;
}

/// The Python object of a tensor, as a new reference; None for an undefined one.
PyObject* wrap(Tensor tensor);

/// The same as an object of `type`, a subclass of Tensor. @throws ValueError when the tensor
/// already has an object of another type.
PyObject* wrap_as(PyTypeObject* type, Tensor tensor);

/// Creates the type and puts it into the module.
void bind_tensor_type(pybind11::module_& module);

}  // namespace taut::python

namespace pybind11::detail {

template <>
struct type_caster<taut::Tensor> {
  PYBIND11_TYPE_CASTER(taut::Tensor, const_name("taut.Tensor"));

  bool load(handle source, bool) {
    if (!source || !taut::python::is_tensor(source.ptr())) return false;
    value = taut::python::tensor_of(source.ptr());
    return true;
  }
  static handle cast(const taut::Tensor& tensor, return_value_policy, handle) {
    return taut::python::wrap(tensor);
  }
};

}  // namespace pybind11::detail
