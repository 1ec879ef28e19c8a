#pragma once
// From C++ exceptions to Python ones.

#include <pybind11/pybind11.h>

namespace taut::python {

/// Creates the Python classes of Taut's errors and makes pybind11 use them.
void bind_errors(pybind11::module_& module);

/// Inside a catch block: sets the Python error for the current C++ exception.
void set_python_error() noexcept;

}  // namespace taut::python
