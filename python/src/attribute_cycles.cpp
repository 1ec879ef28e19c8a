#include "attribute_cycles.h"

namespace py = pybind11;

namespace taut::python {

#if PY_VERSION_HEX >= 0x030B0000 && PY_VERSION_HEX < 0x030C0000

namespace {

/// In CPython 3.11 both pybind11 and a class that derives from pybind11's in Python show the
/// collector the dict of an object. What is shown twice seems to be referred to from elsewhere, and
/// is never collected.
int visit_references(PyObject* self, visitproc visit, void* arg) {
  if (Py_TYPE(self)->tp_traverse == visit_references) {
    PyObject** const dict = _PyObject_GetDictPtr(self);
    if (dict != nullptr) Py_VISIT(*dict);
  }
  Py_VISIT(Py_TYPE(self));
  return 0;
}

}  // namespace

void collect_attribute_cycles(py::handle type) {
  reinterpret_cast<PyTypeObject*>(type.ptr())->tp_traverse = visit_references;
  for (const py::handle derived : type.attr("__subclasses__")()) collect_attribute_cycles(derived);
}

#else

void collect_attribute_cycles(py::handle) {}

#endif

}  // namespace taut::python
