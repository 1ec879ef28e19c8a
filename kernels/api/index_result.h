#pragma once
// What a kernel that reads indices says about them. An index out of bounds is never followed; the
// op above throws IndexError from what stands here.

#include <cstdint>

namespace taut::kernels {

struct IndexResult {
  bool ok = true;
  int64_t index = 0;  // the value of the first index, in row-major order, that is out of range
  int64_t size = 0;   // the size of the dim that it indexes
  int64_t position =
      0;            // the row-major position, in the shape that the kernel walks, that it is for
  int operand = 0;  // which of the index tensors it stands in
};

}  // namespace taut::kernels
