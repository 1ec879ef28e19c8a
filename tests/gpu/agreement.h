#pragma once
// Comparing what an op gives on CUDA with what it gives on the CPU.

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "taut/taut.h"

namespace taut::testing {

/// Within a relative and absolute tolerance; NaN equals NaN.
inline void expect_close(const Tensor& gpu, const Tensor& cpu, double tolerance,
                         const std::string& what) {
  ASSERT_TRUE(gpu.is_cuda()) << what;
  ASSERT_EQ(gpu.dtype(), cpu.dtype()) << what;
  ASSERT_EQ(gpu.shape(), cpu.shape()) << what;
  EXPECT_TRUE(allclose(gpu.cpu().to(kFloat64), cpu.to(kFloat64), tolerance, tolerance,
                       /*equal_nan=*/true))
      << what;
}

/// The same values; NaN equals NaN.
inline void expect_equal(const Tensor& gpu, const Tensor& cpu, const std::string& what) {
  expect_close(gpu, cpu, 0.0, what);
}

/// The same bits.
inline void expect_same_bits(const Tensor& a, const Tensor& b, const std::string& what) {
  ASSERT_EQ(a.shape(), b.shape()) << what;
  const Tensor left = a.cpu().contiguous(), right = b.cpu().contiguous();
  const size_t bytes = static_cast<size_t>(left.numel()) * item_size(left.dtype());
  EXPECT_EQ(std::memcmp(left.data_ptr(), right.data_ptr(), bytes), 0) << what;
}

/// How far results in a dtype may lie from the CPU's.
inline double tolerance_of(DType dtype) {
  switch (dtype) {
    case kFloat64: return 1e-11;
    case kFloat16: return 2e-3;
    case kBFloat16: return 1.6e-2;
    default: return is_floating_point(dtype) ? 2e-5 : 0.0;
  }
}

inline constexpr DType kFloatingDTypes[] = {kFloat32, kFloat64, kFloat16, kBFloat16};
inline constexpr DType kAllDTypes[] = {kFloat32, kFloat64, kFloat16, kBFloat16, kInt8,
                                       kInt16,   kInt32,   kInt64,   kUInt8,    kBool};

}  // namespace taut::testing
