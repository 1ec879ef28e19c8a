#pragma once
// From one dtype to another, as the CPU converts.

#include "kernels/api/cuda_launch.cuh"

namespace taut::kernels::cuda {

/// Floating to integer truncates and goes through int64, where what does not fit becomes the
/// smallest number; anything to bool asks whether it is not 0; 16-bit floats are rounded from
/// float32.
template <class To, class From>
__device__ inline To convert_element(From from) {
  const Compute<From> value = widen(from);
  if constexpr (std::is_same_v<To, bool>) {
    return value != Compute<From>(0);
  } else if constexpr (std::is_same_v<To, __half> || std::is_same_v<To, __nv_bfloat16>) {
    return narrow<To>(static_cast<float>(value));
  } else if constexpr (std::is_integral_v<To> && std::is_floating_point_v<Compute<From>>) {
    constexpr Compute<From> kLimit = 9223372036854775808.0f;  // 2^63
    const bool fits = value >= -kLimit && value < kLimit;
    return static_cast<To>(fits ? static_cast<int64_t>(value) : INT64_MIN);
  } else {
    return static_cast<To>(value);
  }
}

/// convert_element to memory of `dtype`.
template <class From>
__device__ inline void store_converted(void* data, DType dtype, int64_t i, From value) {
  const auto store = [&](auto* typed) {
    typed[i] = convert_element<std::remove_reference_t<decltype(*typed)>>(value);
  };
  switch (dtype) {
    case DType::float32: return store(static_cast<float*>(data));
    case DType::float64: return store(static_cast<double*>(data));
    case DType::float16: return store(static_cast<__half*>(data));
    case DType::bfloat16: return store(static_cast<__nv_bfloat16*>(data));
    case DType::int8: return store(static_cast<int8_t*>(data));
    case DType::int16: return store(static_cast<int16_t*>(data));
    case DType::int32: return store(static_cast<int32_t*>(data));
    case DType::int64: return store(static_cast<int64_t*>(data));
    case DType::uint8: return store(static_cast<uint8_t*>(data));
    case DType::bool_: return store(static_cast<bool*>(data));
  }
}

}  // namespace taut::kernels::cuda
