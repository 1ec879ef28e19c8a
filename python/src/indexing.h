#pragma once
// tensor[key] and tensor[key] = value.

#include <Python.h>

namespace taut::python {

PyObject* get_item(PyObject* self, PyObject* key);
/// `value` is null for `del tensor[key]`, which is refused.
int set_item(PyObject* self, PyObject* key, PyObject* value);

}  // namespace taut::python
