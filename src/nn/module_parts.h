#pragma once
// What a Module keeps of each parameter and buffer.

#include "taut/nn/module.h"

namespace taut::nn {

struct Module::Part {
  std::string name;
  // Where the tensor is: here, or in a field of the subclass. The field is known by its distance
  // from the module, which stays the same when the module is moved.
  Tensor value;
  std::ptrdiff_t field_offset = 0;
  bool is_persistent = true;
};

}  // namespace taut::nn
