#pragma once
// Backends, clients and routers for Python.

#include <pybind11/pybind11.h>

#include <memory>

#include "python_calls.h"
#include "taut/ai/backend.h"

namespace taut::python {

using HeldBackend = WithoutLock<std::shared_ptr<ai::Backend>>;

void bind_backends(pybind11::module_& module);
void bind_client(pybind11::module_& module);
void bind_router(pybind11::module_& module);
void bind_accounts(pybind11::module_& module);

}  // namespace taut::python
