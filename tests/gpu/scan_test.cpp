// Prefix reductions on CUDA against the CPU: short rows, tiles, chunks with carries, columns.

#include <limits>

#include "tests/gpu/agreement.h"

namespace taut::testing {
namespace {

struct Case {
  Dims shape;
  int64_t dim;
};

const Case kCases[] = {
    {{}, 0},          {{1}, 0},       {{0, 4}, 0},
    {{4, 0}, 1},      {{300, 5}, 1},   // several rows in a warp
    {{70, 100}, 1},                    // a warp for each
    {{9, 3001}, 1},                    // chunks of rows, or a tile at a time
    {{600, 2049}, 1},                  // more rows than blocks are wanted
    {{100003}, 0},                     // one row in many chunks
    {{40, 33}, 0},                     // columns
    {{5, 70, 33}, 1}, {{3000, 7}, 0},  // few columns, in chunks
    {{3, 200, 2}, 1},
};

class CudaScan : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cuda::is_available()) GTEST_SKIP() << "no GPU";
    manual_seed(31);
  }
};

std::string describe(const char* op, DType dtype, const Case& row) {
  return taut::concat(op, " ", dtype, " ", row.shape, " along ", row.dim);
}

Tensor small_numbers(const Dims& shape, DType dtype) {
  return randint(dtype == kUInt8 || dtype == kBool ? 0 : -2, 3, shape).to(dtype);
}

TEST_F(CudaScan, AddsUpFloats) {
  for (const DType dtype : floating_dtypes_to_test()) {
    for (const Case& row : kCases) {
      // Sums of halves stay below where they would be infinite.
      const Tensor x = rand(row.shape).mul(is_reduced_floating_point(dtype) ? 0.3 : 1.0).to(dtype);
      expect_close(cumsum(x.cuda(), row.dim), cumsum(x, row.dim), 2 * tolerance_of(dtype),
                   describe("cumsum", dtype, row));
      const Tensor normal = randn(row.shape).to(dtype);
      expect_close(logcumsumexp(normal.cuda(), row.dim), logcumsumexp(normal, row.dim),
                   2 * tolerance_of(dtype), describe("logcumsumexp", dtype, row));
    }
  }
}

TEST_F(CudaScan, AddsAndMultipliesIntegersExactly) {
  for (const DType dtype : dtypes_to_test()) {
    if (is_floating_point(dtype)) continue;
    for (const Case& row : kCases) {
      const Tensor x = small_numbers(row.shape, dtype);
      expect_equal(cumsum(x.cuda(), row.dim), cumsum(x, row.dim), describe("cumsum", dtype, row));
      expect_equal(cumprod(x.cuda(), row.dim), cumprod(x, row.dim),
                   describe("cumprod", dtype, row));
    }
  }
}

TEST_F(CudaScan, MultipliesFloats) {
  for (const DType dtype : floating_dtypes_to_test()) {
    for (const Case& row : kCases) {
      if (!row.shape.empty() && row.shape[static_cast<int>(row.dim)] > 3001) continue;
      const Tensor x = rand(row.shape).mul(0.02).add(0.99).to(dtype);
      expect_close(cumprod(x.cuda(), row.dim), cumprod(x, row.dim), 10 * tolerance_of(dtype),
                   describe("cumprod", dtype, row));
    }
  }
}

// With five distinct values nearly every extremum is a tie.
TEST_F(CudaScan, FindsRunningExtremaInEveryDtype) {
  for (const DType dtype : dtypes_to_test()) {
    for (const Case& row : kCases) {
      const Tensor x = small_numbers(row.shape, dtype);
      const auto [high, high_at] = cummax(x, row.dim);
      const auto [gpu_high, gpu_high_at] = cummax(x.cuda(), row.dim);
      expect_equal(gpu_high, high, describe("cummax", dtype, row));
      expect_equal(gpu_high_at, high_at, describe("cummax", dtype, row));
      const auto [low, low_at] = cummin(x, row.dim);
      const auto [gpu_low, gpu_low_at] = cummin(x.cuda(), row.dim);
      expect_equal(gpu_low, low, describe("cummin", dtype, row));
      expect_equal(gpu_low_at, low_at, describe("cummin", dtype, row));
    }
  }
}

TEST_F(CudaScan, KeepsInfinitiesAndNans) {
  const double infinity = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Tensor x = tensor({-infinity, -infinity, 1.0, infinity, 2.0, nan, 3.0, nan, infinity});
  const Tensor rows = reshape(expand(unsqueeze(x, 0), {700, 9}), {-1});  // meets every warp
  for (const Tensor& row : {x, rows}) {
    expect_close(logcumsumexp(row.cuda(), 0), logcumsumexp(row, 0), 1e-6, "logcumsumexp");
    expect_equal(cumsum(row.cuda(), 0), cumsum(row, 0), "cumsum");
    expect_equal(cummax(row.cuda(), 0).second, cummax(row, 0).second, "cummax");
    expect_equal(cummin(row.cuda(), 0).second, cummin(row, 0).second, "cummin");
  }
}

TEST_F(CudaScan, ScansBackwardsForGradients) {
  for (const Case& row : kCases) {
    const Tensor x = rand(row.shape);
    const Tensor grad = rand(row.shape);
    const Tensor on_cpu = x.clone().requires_grad_(), on_gpu = x.cuda().requires_grad_();
    cumsum(on_cpu, row.dim).backward(grad);
    cumsum(on_gpu, row.dim).backward(grad.cuda());
    expect_close(on_gpu.grad(), on_cpu.grad(), 4e-5, describe("gradient", kFloat32, row));
  }
}

TEST_F(CudaScan, GivesTheSameBitsTwice) {
  const Tensor x = randn({5, 40001}).cuda();
  expect_same_bits(cumsum(x, 1), cumsum(x, 1), "rows");
  expect_same_bits(cumsum(x, 0), cumsum(x, 0), "columns");
  expect_same_bits(logcumsumexp(x, 1), logcumsumexp(x, 1), "logcumsumexp");
}

}  // namespace
}  // namespace taut::testing
