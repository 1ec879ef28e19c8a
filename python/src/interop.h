#pragma once
// Tensors from and to Python lists, NumPy arrays and DLPack capsules.

#include <pybind11/pybind11.h>

#include <optional>

#include "taut/core/tensor.h"

namespace taut::python {

/// A new tensor of nested lists, numbers, arrays or another tensor, as taut.tensor makes it.
Tensor tensor_from(pybind11::handle data, std::optional<DType> dtype, std::optional<Device> device);

class Rows;
void add_interop_rows(Rows& rows);

}  // namespace taut::python
