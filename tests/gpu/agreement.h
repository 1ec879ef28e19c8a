#pragma once
// What the tests of CUDA kernels compare: a result on the GPU with the CPU's, or with itself.

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "taut/taut.h"

namespace taut {

/// Relative and absolute tolerance of a dtype.
inline double tolerance_of(DType dtype) {
  switch (dtype) {
    case DType::float64: return 1e-11;
    case DType::float32: return 2e-5;
    case DType::float16: return 2e-3;
    case DType::bfloat16: return 1.6e-2;
    default: return 0;
  }
}

inline void expect_close(const Tensor& gpu, const Tensor& cpu, double tolerance,
                         const std::string& what) {
  ASSERT_TRUE(gpu.is_cuda()) << what;
  ASSERT_EQ(gpu.dtype(), cpu.dtype()) << what;
  ASSERT_TRUE(gpu.shape() == cpu.shape()) << what;
  EXPECT_TRUE(allclose(gpu.cpu().to(kFloat64), cpu.to(kFloat64), tolerance, tolerance, true))
      << what;
}

inline void expect_close(const Tensor& gpu, const Tensor& cpu, const std::string& what) {
  expect_close(gpu, cpu, tolerance_of(cpu.dtype()), what);
}

/// The same elements; where both are NaN too.
inline void expect_same(const Tensor& gpu, const Tensor& cpu, const std::string& what) {
  expect_close(gpu, cpu, 0, what);
}

/// A test that needs a GPU; the generator starts anew in each.
class GpuTest : public ::testing::Test {
 protected:
  static constexpr int64_t kSeed = 11;
  void SetUp() override {
    if (!cuda::is_available()) GTEST_SKIP() << "no GPU";
    manual_seed(kSeed);
  }
};

inline const DType kFloatingDtypes[] = {kFloat32, kFloat64, kFloat16, kBFloat16};

}  // namespace taut
