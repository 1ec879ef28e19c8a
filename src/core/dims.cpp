#include "taut/core/dims.h"

namespace taut {

void append(std::string& message, const Dims& dims) {
  message.push_back('(');
  for (int i = 0; i < dims.rank(); ++i) {
    if (i > 0) message.append(", ");
    append(message, dims[i]);
  }
  if (dims.rank() == 1) message.push_back(',');
  message.push_back(')');
}

int normalize_dim(const char* op, int64_t dim, int rank) {
  const int64_t bound = rank == 0 ? 1 : rank;
  TAUT_CHECK(-bound <= dim && dim < bound, IndexError, op, ": dim ", dim,
             " out of range; got a tensor of ", rank, " dims; expected ", -bound, "..", bound - 1);
  return static_cast<int>(dim < 0 ? dim + bound : dim);
}

Dims normalize_dims(const char* op, const Dims& dims, int rank) {
  Dims result;
  for (int64_t dim : dims) {
    const int normal = normalize_dim(op, dim, rank);
    TAUT_CHECK(!result.contains(normal), ValueError, op, ": dim ", dim, " appears twice in ", dims);
    result.push_back(normal);
  }
  return result;
}

}  // namespace taut
