// view(dtype): the bytes of a tensor read as another dtype.

#include <gtest/gtest.h>

#include "taut/taut.h"

namespace taut {
namespace {

TEST(ViewDType, SharesTheBytes) {
  const Tensor x = ones({2, 3});
  const Tensor bits = view(x, kInt32);
  EXPECT_EQ(bits.data_ptr(), x.data_ptr());
  EXPECT_EQ(bits[1][2].item<int64_t>(), 0x3F800000);
  fill_(bits, 0x40000000);
  EXPECT_TRUE(equal(x, full({2, 3}, 2.0)));
}

TEST(ViewDType, MakesTheLastDimLongerOrShorter) {
  const Tensor x = arange(24, kInt32).view({3, 8});
  const Tensor wide = view(x.slice(1, 2, 6), kInt64);
  EXPECT_EQ(wide.shape(), (Dims{3, 2}));
  EXPECT_EQ(wide[0][1].item<int64_t>(), (int64_t{5} << 32) + 4);
  EXPECT_EQ(view(x, kInt8).strides(), (Dims{32, 1}));
  EXPECT_THROW(view(x.t(), kInt64), ShapeError);
  EXPECT_THROW(view(x.slice(1, 1, 5), kInt64), ShapeError);
  EXPECT_THROW(view(x.slice(1, 0, 3), kInt64), ShapeError);
  EXPECT_THROW(view(scalar_tensor(1), kInt8), ShapeError);
  EXPECT_THROW(view(x, kBool), ValueError);
}

}  // namespace
}  // namespace taut
