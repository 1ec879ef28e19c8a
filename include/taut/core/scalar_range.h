#pragma once
// Which numbers a dtype takes where a whole tensor is filled with one: PyTorch's rules.
//   check_holds("fill_", kInt8, 300);  // ValueError: fill_: 300 does not fit int8; ...

#include "taut/core/scalar.h"

namespace taut {

struct IntegerRange {
  int64_t lowest;
  int64_t highest;
};

/// The integers of an integer dtype or of bool.
TAUT_API IntegerRange integer_range(DType dtype);

/// Whether elements of `dtype` hold the number. Integer dtypes drop the fraction of a number in
/// their range; uint8 takes the integers from -255 on, too, modulo 256. Float dtypes round, and
/// hold inf and nan. Any number is true or false.
TAUT_API bool can_hold(DType dtype, const Scalar& value);

/// @throws ValueError that names `op`, the number and the range unless the dtype holds it.
TAUT_API void check_holds(const char* op, DType dtype, const Scalar& value);

}  // namespace taut
