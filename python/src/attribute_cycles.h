#pragma once
// Cycles of references through the attributes of objects of C++: model.f = model.method.

#include <pybind11/pybind11.h>

namespace taut::python {

/// Lets the garbage collector see what objects of `type`, which was bound with py::dynamic_attr,
/// and of classes derived from it refer to. Called when all classes are bound.
void collect_attribute_cycles(pybind11::handle type);

}  // namespace taut::python
