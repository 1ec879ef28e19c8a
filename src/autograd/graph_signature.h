#pragma once
// What calls of a function must agree in, to share a captured graph.

#include <string>
#include <string_view>

#include "taut/base/macros.h"
#include "taut/core/tensor.h"

namespace taut::autograd {

/// Shapes, dtypes and strides of the inputs, the modes of this thread that ops look at, and `key`.
/// Not where the inputs are: a graph gets copies.
TAUT_API std::string graph_signature(const Tensors& inputs, std::string_view key);

}  // namespace taut::autograd
