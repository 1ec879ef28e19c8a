// Operands that repeat, are strided or of another dtype, against the same values laid out in full.

#include <gtest/gtest.h>

#include "taut/taut.h"

namespace taut::testing {
namespace {

Tensor numbers(const Dims& shape, DType dtype) {
  return remainder(arange(shape.numel()), 97).view(shape).to(dtype);
}

void expect_as_in_full(const Tensor& a, const Tensor& b) {
  const Dims shape = (a + b).shape();
  const Tensor full_a = a.expand(shape).contiguous(), full_b = b.expand(shape).contiguous();
  EXPECT_TRUE(equal(a + b, full_a + full_b)) << name(a.dtype()) << " and " << name(b.dtype());
  EXPECT_TRUE(equal(b - a, full_b - full_a)) << name(a.dtype()) << " and " << name(b.dtype());
  EXPECT_TRUE(equal(lt(a, b), lt(full_a, full_b))) << name(a.dtype()) << " and " << name(b.dtype());
}

class Broadcast : public ::testing::TestWithParam<int> {
 protected:
  Broadcast() { set_num_threads(GetParam()); }
  ~Broadcast() override { set_num_threads(1); }
};

// Rows shorter than a register, a short run, a block of the driver, and longer.
TEST_P(Broadcast, RowsColumnsAndNumbers) {
  for (const DType dtype : {kFloat32, kFloat64, kFloat16, kBFloat16, kInt64, kInt16, kUInt8}) {
    for (const int64_t cols : {1, 3, 16, 32, 255, 1025, 5000}) {
      const int64_t rows = 40000 / cols;
      const Tensor a = numbers({rows, cols}, dtype);
      expect_as_in_full(a, numbers({cols}, dtype));
      expect_as_in_full(a, numbers({rows, 1}, dtype));
      expect_as_in_full(a, numbers({1}, dtype));
      expect_as_in_full(numbers({cols}, kFloat32), a);
    }
  }
}

TEST_P(Broadcast, MiddleDimsAndViews) {
  for (const DType dtype : {kFloat32, kBFloat16, kInt64, kUInt8}) {
    const Tensor a = numbers({40, 30, 20}, dtype);
    expect_as_in_full(a, numbers({30, 1}, dtype));
    expect_as_in_full(a, numbers({40, 1, 20}, dtype));
    expect_as_in_full(a, numbers({20, 30, 40}, dtype).permute({2, 1, 0}));
    expect_as_in_full(a.slice(2, 1, 20, 3), numbers({30, 7}, dtype));
    expect_as_in_full(a.slice(0, 3, 37), numbers({34, 30, 40}, kFloat32).slice(2, 0, 40, 2));
    Tensor target = zeros({20, 30, 40}, dtype);
    target.permute({2, 1, 0}).add_(numbers({20}, dtype));
    EXPECT_TRUE(
        equal(target.permute({2, 1, 0}), zeros({40, 30, 20}, dtype) + numbers({20}, dtype)));
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, Broadcast, ::testing::Values(1, 2));

}  // namespace
}  // namespace taut::testing
