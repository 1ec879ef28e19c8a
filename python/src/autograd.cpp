// The tape in Python: modes, backward, hooks, functions of your own.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings.h"
#include "gil.h"
#include "op.h"
#include "tensor_object.h"
#include "taut/autograd/backward.h"
#include "taut/autograd/grad_mode.h"
#include "taut/autograd/hooks.h"

namespace py = pybind11;

namespace taut::python {

void bind_autograd(py::module_& module) {
  module.def("is_grad_enabled", [] { return is_grad_enabled(); });
  module.def("_set_grad_enabled", [](bool enabled) { set_grad_enabled(enabled); });
}

}  // namespace taut::python
