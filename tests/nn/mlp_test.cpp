// mlp beside the three ops that it stands for.

#include <gtest/gtest.h>

#include "taut/taut.h"

namespace taut::nn {
namespace {

namespace F = functional;

struct Operands {
  Tensor input, weight1, weight2, bias1, bias2;

  Tensors list() const { return {input, weight1, weight2, bias1, bias2}; }
  // Fresh leaves, of which bit i of `wanted` says whether i requires grad.
  Operands leaves(unsigned wanted) const {
    Operands copy = *this;
    unsigned bit = 1;
    for (Tensor* tensor : {&copy.input, &copy.weight1, &copy.weight2, &copy.bias1, &copy.bias2}) {
      if (tensor->defined()) *tensor = tensor->detach().clone().requires_grad_(wanted & bit);
      bit <<= 1;
    }
    return copy;
  }
};

Operands draw(const Dims& input, int64_t hidden, int64_t out) {
  manual_seed(3);
  const int64_t in = input.back();
  return {randn(input), randn({hidden, in}), randn({out, hidden}), randn({hidden}), randn({out})};
}

Tensor fused(const Operands& at, const std::string& activation) {
  return F::mlp(at.input, at.weight1, at.weight2, at.bias1, at.bias2, activation);
}

Tensor composed(const Operands& at, const std::string& activation) {
  const Tensor hidden = F::linear(at.input, at.weight1, at.bias1);
  const Tensor active = activation == "relu"
                            ? F::relu(hidden)
                            : F::gelu(hidden, activation == "gelu" ? "none" : "tanh");
  return F::linear(active, at.weight2, at.bias2);
}

constexpr unsigned kAll = 31;

TEST(Mlp, GivesWhatItsPartsGive) {
  for (const char* activation : {"relu", "gelu", "gelu_tanh"}) {
    for (const DType dtype : {kFloat32, kFloat64, kFloat16, kBFloat16}) {
      Operands at = draw({2, 5, 8}, 16, 4);
      for (Tensor* tensor : {&at.input, &at.weight1, &at.weight2, &at.bias1, &at.bias2}) {
        *tensor = tensor->to(dtype);
      }
      EXPECT_TRUE(allclose(fused(at, activation), composed(at, activation), 1e-12, 1e-12))
          << activation << " " << concat(dtype);
    }
  }
}

TEST(Mlp, GradientsAreThoseAskedFor) {
  const Operands drawn = draw({2, 5, 8}, 16, 4);
  for (const char* activation : {"relu", "gelu", "gelu_tanh"}) {
    for (unsigned wanted = 1; wanted <= kAll; ++wanted) {
      const Operands at = drawn.leaves(wanted);
      const Operands parts = drawn.leaves(wanted);
      const Tensor output = fused(at, activation);
      const Tensor grad = cos(output.detach());
      output.backward(grad);
      composed(parts, activation).backward(grad);
      const Tensors got = at.list(), expected = parts.list();
      for (size_t i = 0; i < got.size(); ++i) {
        ASSERT_EQ(got[i].grad().defined(), (wanted >> i & 1u) != 0) << activation << wanted;
        if (!got[i].grad().defined()) continue;
        EXPECT_EQ(got[i].grad().shape(), got[i].shape());
        EXPECT_TRUE(allclose(got[i].grad(), expected[i].grad(), 1e-5, 1e-5))
            << activation << " " << wanted << " " << i;
      }
    }
  }
}

TEST(Mlp, DoesWithoutEitherBias) {
  for (const bool first : {false, true}) {
    Operands at = draw({3, 8}, 16, 4);
    (first ? at.bias1 : at.bias2) = Tensor();
    const Operands leaves = at.leaves(kAll);
    const Tensor output = fused(leaves, "gelu_tanh");
    EXPECT_TRUE(allclose(output, composed(at, "gelu_tanh")));
    output.sum().backward();
    EXPECT_TRUE((first ? leaves.bias2 : leaves.bias1).grad().defined());
  }
}

TEST(Mlp, TakesVectorsAndEmptyBatches) {
  const Operands one = draw({8}, 16, 4).leaves(kAll);
  const Tensor output = fused(one, "relu");
  EXPECT_EQ(output.shape(), (Dims{4}));
  output.sum().backward();
  EXPECT_EQ(one.input.grad().shape(), (Dims{8}));

  const Operands none = draw({2, 0, 8}, 16, 4).leaves(kAll);
  const Tensor empty_output = fused(none, "gelu");
  EXPECT_EQ(empty_output.shape(), (Dims{2, 0, 4}));
  empty_output.sum().backward();
  EXPECT_TRUE(equal(none.weight1.grad(), zeros({16, 8})));
  EXPECT_TRUE(equal(none.bias2.grad(), zeros({4})));
}

TEST(Mlp, RefusesWhatDoesNotGoTogether) {
  const Operands at = draw({3, 8}, 16, 4);
  EXPECT_THROW(fused(at, "tanh"), ValueError);
  EXPECT_THROW(F::mlp(at.input, at.weight2, at.weight1), ShapeError);
  EXPECT_THROW(F::mlp(at.input, at.weight1, at.weight1), ShapeError);
  EXPECT_THROW(F::mlp(at.input, at.weight1, at.weight2, at.bias2), ShapeError);
  EXPECT_THROW(F::mlp(at.input, at.weight1, at.weight2.to(kFloat64)), DTypeError);
  EXPECT_THROW(F::mlp(at.input.to(kInt64), at.weight1, at.weight2), DTypeError);
  EXPECT_THROW(F::mlp(at.input, Tensor(), at.weight2), ValueError);
}

}  // namespace
}  // namespace taut::nn
