#pragma once
// From a run-time DType to a C++ type, over a named set of types.
//   visit_dtype(Floating{}, dtype, "softmax", [&]<class T>(Tag<T>) { run<T>(args); });

#include <cstdint>

#include "taut/base/check.h"
#include "taut/core/dtype.h"
#include "taut/core/half.h"

namespace taut::kernels {

template <class T>
struct Tag {
  using type = T;
};

template <class... Ts>
struct TypeList {};

using Floating = TypeList<float, double, Float16, BFloat16>;
/// What kernels compute floating values in.
using Computing = TypeList<float, double>;
using Integral = TypeList<int8_t, int16_t, int32_t, int64_t, uint8_t>;
using Arithmetic =
    TypeList<float, double, Float16, BFloat16, int8_t, int16_t, int32_t, int64_t, uint8_t>;
using All =
    TypeList<float, double, Float16, BFloat16, int8_t, int16_t, int32_t, int64_t, uint8_t, bool>;
/// Index tensors.
using Indexing = TypeList<int32_t, int64_t>;

template <class T>
inline constexpr DType dtype_of = DType::float32;
template <>
inline constexpr DType dtype_of<double> = DType::float64;
template <>
inline constexpr DType dtype_of<Float16> = DType::float16;
template <>
inline constexpr DType dtype_of<BFloat16> = DType::bfloat16;
template <>
inline constexpr DType dtype_of<int8_t> = DType::int8;
template <>
inline constexpr DType dtype_of<int16_t> = DType::int16;
template <>
inline constexpr DType dtype_of<int32_t> = DType::int32;
template <>
inline constexpr DType dtype_of<int64_t> = DType::int64;
template <>
inline constexpr DType dtype_of<uint8_t> = DType::uint8;
template <>
inline constexpr DType dtype_of<bool> = DType::bool_;

/// float for the 16-bit floats, the type itself otherwise.
template <class T>
struct ComputeType {
  using type = T;
};
template <>
struct ComputeType<Float16> {
  using type = float;
};
template <>
struct ComputeType<BFloat16> {
  using type = float;
};
template <class T>
using compute_t = typename ComputeType<T>::type;

/// What sums are accumulated in: float32 and wider for floats, int64 for integers and bool.
template <class T>
struct AccumulateType {
  using type = int64_t;
};
template <>
struct AccumulateType<float> {
  using type = float;
};
template <>
struct AccumulateType<double> {
  using type = double;
};
template <>
struct AccumulateType<Float16> {
  using type = float;
};
template <>
struct AccumulateType<BFloat16> {
  using type = float;
};
template <class T>
using accumulate_t = typename AccumulateType<T>::type;

namespace detail {

[[noreturn]] TAUT_API void unsupported_dtype(const char* op, DType dtype, const DType* supported,
                                             int count);

template <class T, class Body>
bool visit_one(DType dtype, Body& body) {
  if (dtype != dtype_of<T>) return false;
  body(Tag<T>{});
  return true;
}

}  // namespace detail

/// Calls body(Tag<T>{}) for the type of `dtype`.
/// @throws NotImplementedError that names `op` and lists the set when dtype is not in it.
template <class... Ts, class Body>
void visit_dtype(TypeList<Ts...>, DType dtype, const char* op, Body&& body) {
  if ((detail::visit_one<Ts>(dtype, body) || ...)) return;
  constexpr DType kSupported[] = {dtype_of<Ts>...};
  detail::unsupported_dtype(op, dtype, kSupported, sizeof...(Ts));
}

}  // namespace taut::kernels
