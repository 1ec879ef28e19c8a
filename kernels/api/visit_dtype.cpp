#include "kernels/api/visit_dtype.h"

namespace taut::kernels::detail {

void unsupported_dtype(const char* op, DType dtype, const DType* supported, int count) {
  std::string list;
  for (int i = 0; i < count; ++i) {
    if (i > 0) list.append(", ");
    append(list, supported[i]);
  }
  throw NotImplementedError(
      concat(op, ": not implemented for ", dtype, "; expected one of ", list));
}

}  // namespace taut::kernels::detail
