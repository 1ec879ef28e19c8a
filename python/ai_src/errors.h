#pragma once
// From C++ exceptions to Python ones.

#include <pybind11/pybind11.h>

namespace taut::python {

/// Errors of this module become those of the packages taut and taut.ai.
void bind_errors(pybind11::module_& module);

}  // namespace taut::python
