#include "taut/core/dtype.h"

#include <atomic>

#include "taut/base/check.h"

namespace taut {
namespace {

constexpr std::string_view kNames[kDTypeCount] = {
    "float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "bool",
};

// The order within a category; float16 and bfloat16 stand side by side and meet in float32.
constexpr int width_rank(DType dtype) {
  switch (dtype) {
    case DType::bool_: return 0;
    case DType::uint8: return 1;
    case DType::int8: return 1;
    case DType::int16: return 2;
    case DType::int32: return 3;
    case DType::int64: return 4;
    case DType::float16: return 5;
    case DType::bfloat16: return 5;
    case DType::float32: return 6;
    case DType::float64: return 7;
  }
  return 0;
}

constexpr int category(DType dtype) {
  if (dtype == DType::bool_) return 0;
  return is_integral(dtype) ? 1 : 2;
}

std::atomic<DType> default_dtype{DType::float32};

}  // namespace

std::string_view name(DType dtype) { return kNames[static_cast<int>(dtype)]; }

DType promote_types(DType a, DType b) {
  if (a == b) return a;
  const int rank_a = width_rank(a);
  const int rank_b = width_rank(b);
  if (rank_a != rank_b) return rank_a > rank_b ? a : b;
  return is_floating_point(a) ? DType::float32 : DType::int16;
}

bool can_cast(DType from, DType to) { return category(from) <= category(to); }

DType get_default_dtype() { return default_dtype.load(std::memory_order_relaxed); }

void set_default_dtype(DType dtype) {
  TAUT_CHECK(is_floating_point(dtype), DTypeError,
             "set_default_dtype: only floating dtypes can be the default; got ", dtype);
  default_dtype.store(dtype, std::memory_order_relaxed);
}

void append(std::string& message, DType dtype) { message.append(name(dtype)); }

}  // namespace taut
