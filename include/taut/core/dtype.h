#pragma once
// The element types of tensors, their sizes, names and categories, and how two of them combine.
//   DType result = promote_types(kInt64, kFloat16);  // float16

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "taut/base/macros.h"

namespace taut {

enum class DType : uint8_t {
  float32,
  float64,
  float16,
  bfloat16,
  int8,
  int16,
  int32,
  int64,
  uint8,
  bool_,
};

inline constexpr int kDTypeCount = 10;

inline constexpr DType kFloat32 = DType::float32, kFloat = DType::float32;
inline constexpr DType kFloat64 = DType::float64, kDouble = DType::float64;
inline constexpr DType kFloat16 = DType::float16, kHalf = DType::float16;
inline constexpr DType kBFloat16 = DType::bfloat16;
inline constexpr DType kInt8 = DType::int8, kChar = DType::int8;
inline constexpr DType kInt16 = DType::int16, kShort = DType::int16;
inline constexpr DType kInt32 = DType::int32, kInt = DType::int32;
inline constexpr DType kInt64 = DType::int64, kLong = DType::int64;
inline constexpr DType kUInt8 = DType::uint8, kByte = DType::uint8;
inline constexpr DType kBool = DType::bool_;

/// Bytes of one element.
constexpr size_t item_size(DType dtype) {
  // A hexadecimal digit for each dtype, the first lowest: quicker than a table in memory.
  constexpr uint64_t kSizes = 0x1184212284;
  return kSizes >> (4 * static_cast<int>(dtype)) & 0xF;
}

/// float32, float64, float16 or bfloat16.
constexpr bool is_floating_point(DType dtype) { return dtype <= DType::bfloat16; }

/// An integer type; bool is none.
constexpr bool is_integral(DType dtype) { return dtype >= DType::int8 && dtype <= DType::uint8; }

/// float16 or bfloat16, whose arithmetic happens in float32.
constexpr bool is_reduced_floating_point(DType dtype) {
  return dtype == DType::float16 || dtype == DType::bfloat16;
}

/// The dtype that arithmetic on `dtype` is carried out in: float32 for the 16-bit floats.
constexpr DType compute_dtype(DType dtype) {
  return is_reduced_floating_point(dtype) ? DType::float32 : dtype;
}

/// The public name, as in `taut.float32`.
TAUT_API std::string_view name(DType dtype);

/// The dtype that both convert to, by PyTorch's lattice (bool < uint8, int8 < int16 < int32 <
/// int64 < float16, bfloat16 < float32 < float64; uint8 with int8 gives int16, float16 with
/// bfloat16 float32).
TAUT_API DType promote_types(DType a, DType b);

/// Whether a value of `from` may be written into a tensor of `to` (no category is lost).
TAUT_API bool can_cast(DType from, DType to);

/// The dtype that floating results get when nothing else decides: float32 unless set.
TAUT_API DType get_default_dtype();
/// @throws DTypeError unless floating.
TAUT_API void set_default_dtype(DType dtype);

TAUT_API void append(std::string& message, DType dtype);

}  // namespace taut
