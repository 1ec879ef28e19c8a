#pragma once
// What the tests of CUDA kernels compare: a result on the GPU with the CPU's, or with itself.

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <iterator>
#include <string>
#include <vector>

#include "taut/taut.h"

namespace taut::testing {

inline constexpr DType kFloatingDTypes[] = {kFloat32, kFloat64, kFloat16, kBFloat16};
inline constexpr DType kAllDTypes[] = {kFloat32, kFloat64, kFloat16, kBFloat16, kInt8,
                                       kInt16,   kInt32,   kInt64,   kUInt8,    kBool};

/// TAUT_TEST_UNDER_TOOL=1 tells that a tool watches every access, which takes a hundred times as
/// long: tests then leave out what shows it nothing new.
inline bool is_under_tool() { return std::getenv("TAUT_TEST_UNDER_TOOL") != nullptr; }

/// All dtypes, or one of each width under a tool.
inline std::vector<DType> dtypes_to_test() {
  if (is_under_tool()) return {kFloat32, kBFloat16, kInt64, kUInt8};
  return {std::begin(kAllDTypes), std::end(kAllDTypes)};
}

/// The floating dtypes, or two of them under a tool.
inline std::vector<DType> floating_dtypes_to_test() {
  if (is_under_tool()) return {kFloat32, kBFloat16};
  return {std::begin(kFloatingDTypes), std::end(kFloatingDTypes)};
}

/// All of a list, or its first few under a tool.
template <class T>
std::vector<T> first_under_tool(size_t count, std::vector<T> all) {
  if (is_under_tool() && all.size() > count)
    all.erase(all.begin() + static_cast<ptrdiff_t>(count), all.end());
  return all;
}

/// How far results in a dtype may lie from the CPU's, relative and absolute.
inline double tolerance_of(DType dtype) {
  switch (dtype) {
    case DType::float64: return 1e-11;
    case DType::float32: return 2e-5;
    case DType::float16: return 2e-3;
    case DType::bfloat16: return 1.6e-2;
    default: return 0;
  }
}

/// Within a relative and absolute tolerance; NaN equals NaN.
inline void expect_close(const Tensor& gpu, const Tensor& cpu, double tolerance,
                         const std::string& what) {
  ASSERT_TRUE(gpu.is_cuda()) << what;
  ASSERT_EQ(gpu.dtype(), cpu.dtype()) << what;
  ASSERT_EQ(gpu.shape(), cpu.shape()) << what;
  const Tensor actual = gpu.cpu().to(kFloat64);
  const Tensor expected = cpu.to(kFloat64);
  if (allclose(actual, expected, tolerance, tolerance, /*equal_nan=*/true)) return;
  const Tensor difference = nan_to_num(abs(sub(actual, expected)), -1.0);
  const Tensor at = argmax(difference.view({-1}));
  ADD_FAILURE() << what << ": differs most at element " << at.item<int64_t>() << ", "
                << actual.reshape({-1}).index({at}).item<double>() << " instead of "
                << expected.reshape({-1}).index({at}).item<double>();
}

inline void expect_close(const Tensor& gpu, const Tensor& cpu, const std::string& what) {
  expect_close(gpu, cpu, tolerance_of(cpu.dtype()), what);
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

/// A test that needs a GPU; the generator starts anew in each.
class GpuTest : public ::testing::Test {
 protected:
  static constexpr int64_t kSeed = 11;
  void SetUp() override {
    if (!cuda::is_available()) GTEST_SKIP() << "no GPU";
    manual_seed(kSeed);
  }
};

}  // namespace taut::testing
