// taut._ai: what taut.ai is made of. Values cross as JSON text, in the forms of
// taut/ai/json_text.h.

#include <pybind11/pybind11.h>

#include "backends.h"
#include "calls.h"
#include "errors.h"
#include "python_calls.h"

namespace py = pybind11;

PYBIND11_MODULE(_ai, module) {
  using namespace taut::python;
  bind_errors(module);
  bind_calls(module);
  bind_accounts(module);
  bind_backends(module);
  bind_client(module);
  bind_router(module);
  module.def(
      "leave", [](double seconds) { return leave(seconds); }, py::arg("seconds"),
      py::call_guard<py::gil_scoped_release>());
}
