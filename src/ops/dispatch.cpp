#include "src/ops/dispatch.h"

namespace taut::ops {

void check_same_device(const char* op, const Tensor& a, const Tensor& b) {
  TAUT_CHECK(a.device() == b.device(), DeviceError, op, ": tensors are on different devices; got ",
             a.device(), " and ", b.device());
}

void check_defined(const char* op, const char* argument, const Tensor& tensor) {
  TAUT_CHECK(tensor.defined(), ValueError, op, ": ", argument, " is an undefined tensor");
}

const Tensor& undefined() {
  static const Tensor tensor;
  return tensor;
}

}  // namespace taut::ops
