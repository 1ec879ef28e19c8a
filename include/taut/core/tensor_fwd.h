#pragma once
// The names of the core's types, for headers that only mention them.

#include <span>
#include <vector>

namespace taut {

class Dims;
class Scalar;
class Tensor;
class TensorOptions;
class Generator;
struct Layout;

using TensorList = std::span<const Tensor>;
using Tensors = std::vector<Tensor>;

}  // namespace taut
