#include "src/nn/functional/spatial.h"

namespace taut::nn::functional {

Dims for_each_dim(const char* op, const char* argument, const Dims& values, int spatial,
                  int64_t least) {
  TAUT_CHECK(values.rank() == 1 || values.rank() == spatial, ShapeError, op, ": ", argument,
             " must have 1 or ", spatial, " numbers; got ", values);
  for (int64_t value : values) {
    TAUT_CHECK(value >= least, ValueError, op, ": ", argument, " must be at least ", least,
               "; got ", values);
    // So that products of two of them, and of a size, do not overflow.
    TAUT_CHECK(value < int64_t{1} << 31, ValueError, op, ": ", argument, " is too large; got ",
               values);
  }
  return values.rank() == spatial ? values : Dims::filled(spatial, values[0]);
}

}  // namespace taut::nn::functional
