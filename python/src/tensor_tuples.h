#pragma once
// Lists of tensors as Python has them: tuples, with None for an undefined one.

#include <pybind11/pybind11.h>

#include <optional>
#include <vector>

#include "tensor_object.h"

namespace taut::python {

using OptionalTensors = std::vector<std::optional<Tensor>>;

inline Tensors plain(const OptionalTensors& tensors) {
  Tensors result;
  for (const auto& tensor : tensors) result.push_back(tensor.value_or(Tensor()));
  return result;
}

inline pybind11::tuple tuple_of(const Tensors& tensors) {
  pybind11::tuple result(tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    result[i] = pybind11::reinterpret_steal<pybind11::object>(wrap(tensors[i]));
  }
  return result;
}

}  // namespace taut::python
