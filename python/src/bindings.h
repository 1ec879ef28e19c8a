#pragma once
// The parts of taut._C, each in its own file.

#include <pybind11/pybind11.h>

namespace taut::python {

void bind_ops(pybind11::module_& module);
void bind_autograd(pybind11::module_& module);
void bind_nn(pybind11::module_& module);
void bind_optim(pybind11::module_& module);
void bind_data(pybind11::module_& module);
void bind_io(pybind11::module_& module);
void bind_cuda(pybind11::module_& module);
void bind_amp(pybind11::module_& module);
void bind_profiler(pybind11::module_& module);
/// After bind_cuda, whose module it completes.
void bind_extension(pybind11::module_& module);
void bind_fusion(pybind11::module_& module);

}  // namespace taut::python
