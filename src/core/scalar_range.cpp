#include "taut/core/scalar_range.h"

#include <cmath>
#include <limits>

#include "taut/base/check.h"

namespace taut {
namespace {

double largest_float(DType dtype) {
  switch (dtype) {
    case DType::float16: return 65504.0;
    case DType::bfloat16: return 0x1.FEp127;
    case DType::float32: return std::numeric_limits<float>::max();
    default: return std::numeric_limits<double>::max();
  }
}

bool integer_dtype_holds(DType dtype, const Scalar& value) {
  const auto [lowest, highest] = integer_range(dtype);
  if (value.is_floating_point()) {
    const double number = value.to_double();
    // One above the highest is a power of two, and so exact where the highest itself is not.
    const auto above = static_cast<double>(static_cast<uint64_t>(highest) + 1);
    return number >= static_cast<double>(lowest) && number < above;
  }
  const int64_t number = value.to_int64();
  return number <= highest && number >= (dtype == DType::uint8 ? -highest : lowest);
}

}  // namespace

IntegerRange integer_range(DType dtype) {
  if (dtype == DType::bool_) return {0, 1};
  if (dtype == DType::uint8) return {0, 255};
  const int bits = static_cast<int>(8 * item_size(dtype));
  const int64_t highest = std::numeric_limits<int64_t>::max() >> (64 - bits);
  return {-highest - 1, highest};
}

bool can_hold(DType dtype, const Scalar& value) {
  if (is_integral(dtype)) return integer_dtype_holds(dtype, value);
  if (dtype == DType::bool_) return true;
  const double number = value.to_double();
  return !std::isfinite(number) || std::abs(number) <= largest_float(dtype);
}

void check_holds(const char* op, DType dtype, const Scalar& value) {
  if (TAUT_LIKELY(can_hold(dtype, value))) return;
  if (is_integral(dtype)) {
    const auto [lowest, highest] = integer_range(dtype);
    detail::raise<ValueError>(op, ": ", value, " does not fit ", dtype, "; expected ", lowest,
                              " to ", highest);
  }
  detail::raise<ValueError>(op, ": ", value, " does not fit ", dtype, "; expected at most ",
                            largest_float(dtype), " in size, or inf");
}

}  // namespace taut
