// Autocast on the CPU: which dtype each op chooses, casts that are kept, scopes and gradients.

#include <gtest/gtest.h>

#include "taut/autograd/node.h"
#include "taut/taut.h"

namespace taut {
namespace {

namespace F = nn::functional;

AutocastMode autocast_on_cpu() { return AutocastMode(DeviceType::cpu, kBFloat16); }

// Between 1/4 and 3/4, where every op below is defined.
Tensor some(const Dims& shape, DType dtype = kFloat32) {
  return to(rand(shape) * 0.5 + 0.25, dtype);
}

struct OpCase {
  const char* name;
  Tensor (*call)(DType dtype);
};

DType dtype_under_autocast(const OpCase& op, DType inputs) {
  const AutocastMode autocast = autocast_on_cpu();
  return op.call(inputs).dtype();
}

const OpCase kLowered[] = {
    {"matmul", [](DType d) { return matmul(some({4, 4}, d), some({4, 4}, d)); }},
    {"matmul of vectors", [](DType d) { return matmul(some({4}, d), some({4}, d)); }},
    {"mm", [](DType d) { return mm(some({4, 4}, d), some({4, 4}, d)); }},
    {"mv", [](DType d) { return mv(some({4, 4}, d), some({4}, d)); }},
    {"bmm", [](DType d) { return bmm(some({2, 4, 4}, d), some({2, 4, 4}, d)); }},
    {"addmm", [](DType d) { return addmm(some({4}, d), some({4, 4}, d), some({4, 4}, d)); }},
    {"addmv", [](DType d) { return addmv(some({4}, d), some({4, 4}, d), some({4}, d)); }},
    {"addr", [](DType d) { return addr(some({4, 4}, d), some({4}, d), some({4}, d)); }},
    {"baddbmm",
     [](DType d) { return baddbmm(some({4}, d), some({2, 4, 4}, d), some({2, 4, 4}, d)); }},
    {"addbmm",
     [](DType d) { return addbmm(some({4}, d), some({2, 4, 4}, d), some({2, 4, 4}, d)); }},
    {"einsum", [](DType d) { return einsum("ij,jk->ik", {some({4, 4}, d), some({4, 4}, d)}); }},
    {"tensordot", [](DType d) { return tensordot(some({4, 4}, d), some({4, 4}, d), 1); }},
    {"multi_dot",
     [](DType d) {
       const Tensors chain = {some({4, 4}, d), some({4, 4}, d), some({4, 4}, d)};
       return linalg::multi_dot(chain);
     }},
    {"vecdot", [](DType d) { return linalg::vecdot(some({4, 4}, d), some({4, 4}, d)); }},
    {"linear", [](DType d) { return F::linear(some({2, 4}, d), some({3, 4}, d), some({3}, d)); }},
    {"mlp", [](DType d) { return F::mlp(some({2, 4}, d), some({3, 4}, d), some({2, 3}, d)); }},
    {"conv1d", [](DType d) { return F::conv1d(some({1, 2, 8}, d), some({3, 2, 3}, d)); }},
    {"conv2d", [](DType d) { return F::conv2d(some({1, 2, 8, 8}, d), some({3, 2, 3, 3}, d)); }},
    {"conv3d",
     [](DType d) { return F::conv3d(some({1, 2, 4, 4, 4}, d), some({3, 2, 3, 3, 3}, d)); }},
    {"conv_transpose2d",
     [](DType d) { return F::conv_transpose2d(some({1, 2, 8, 8}, d), some({2, 3, 3, 3}, d)); }},
    {"prelu", [](DType d) { return F::prelu(some({2, 4}, d), some({4}, d)); }},
    {"scaled_dot_product_attention",
     [](DType d) {
       const Tensor x = some({1, 2, 4, 8}, d);
       return F::scaled_dot_product_attention(x, x, x);
     }},
};

const OpCase kRaised[] = {
    {"exp", [](DType d) { return exp(some({4}, d)); }},
    {"expm1", [](DType d) { return expm1(some({4}, d)); }},
    {"log", [](DType d) { return log(some({4}, d)); }},
    {"log1p", [](DType d) { return log1p(some({4}, d)); }},
    {"pow", [](DType d) { return pow(some({4}, d), 2.0); }},
    {"pow of tensors", [](DType d) { return pow(some({4}, d), some({4}, d)); }},
    {"pow of a number", [](DType d) { return pow(2.0, some({4}, d)); }},
    {"1 / x", [](DType d) { return 1.0 / some({4}, d); }},
    {"reciprocal", [](DType d) { return reciprocal(some({4}, d)); }},
    {"rsqrt", [](DType d) { return rsqrt(some({4}, d)); }},
    {"tan", [](DType d) { return tan(some({4}, d)); }},
    {"cosh", [](DType d) { return cosh(some({4}, d)); }},
    {"acos", [](DType d) { return acos(some({4}, d)); }},
    {"erfinv", [](DType d) { return erfinv(some({4}, d)); }},
    {"softplus", [](DType d) { return F::softplus(some({4}, d)); }},
    {"softmax", [](DType d) { return softmax(some({2, 4}, d), -1); }},
    {"log_softmax", [](DType d) { return log_softmax(some({2, 4}, d), -1); }},
    {"softmin", [](DType d) { return F::softmin(some({2, 4}, d), -1); }},
    {"layer_norm", [](DType d) { return F::layer_norm(some({2, 4}, d), {4}, some({4}, d)); }},
    {"group_norm", [](DType d) { return F::group_norm(some({2, 4, 3}, d), 2, some({4}, d)); }},
    {"rms_norm", [](DType d) { return F::rms_norm(some({2, 4}, d), {4}, some({4}, d)); }},
    {"sum", [](DType d) { return some({2, 4}, d).sum(); }},
    {"sum over a dim", [](DType d) { return sum(some({2, 4}, d), {0}); }},
    {"einsum of one", [](DType d) { return einsum("ij->i", {some({2, 4}, d)}); }},
    {"prod", [](DType d) { return prod(some({4}, d)); }},
    {"cumsum", [](DType d) { return cumsum(some({4}, d), 0); }},
    {"cumprod", [](DType d) { return cumprod(some({4}, d), 0); }},
    {"norm", [](DType d) { return norm(some({4}, d)); }},
    {"dist", [](DType d) { return dist(some({4}, d), some({4}, d)); }},
    {"normalize", [](DType d) { return F::normalize(some({2, 4}, d)); }},
    {"cosine_similarity",
     [](DType d) { return F::cosine_similarity(some({2, 4}, d), some({2, 4}, d)); }},
    {"mse_loss", [](DType d) { return F::mse_loss(some({4}, d), some({4}, d)); }},
    {"l1_loss", [](DType d) { return F::l1_loss(some({4}, d), some({4}, d)); }},
    {"smooth_l1_loss", [](DType d) { return F::smooth_l1_loss(some({4}, d), some({4}, d)); }},
    {"binary_cross_entropy_with_logits",
     [](DType d) { return F::binary_cross_entropy_with_logits(some({4}, d), some({4}, d)); }},
    {"cross_entropy",
     [](DType d) { return F::cross_entropy(some({2, 4}, d), zeros({2}, kInt64)); }},
    {"nll_loss", [](DType d) { return F::nll_loss(some({2, 4}, d), zeros({2}, kInt64)); }},
    {"kl_div", [](DType d) { return F::kl_div(some({2, 4}, d), some({2, 4}, d)); }},
};

const OpCase kFollowing[] = {
    {"add", [](DType d) { return some({4}, d) + some({4}, d); }},
    {"relu", [](DType d) { return relu(some({4}, d)); }},
    {"tanh", [](DType d) { return tanh(some({4}, d)); }},
    {"gelu", [](DType d) { return F::gelu(some({4}, d)); }},
    {"instance_norm", [](DType d) { return F::instance_norm(some({2, 4, 3}, d)); }},
    {"mean", [](DType d) { return mean(some({4}, d)); }},
    {"dot", [](DType d) { return dot(some({4}, d), some({4}, d)); }},
    {"max_pool2d", [](DType d) { return F::max_pool2d(some({1, 1, 4, 4}, d), {2, 2}); }},
    {"batch_norm",
     [](DType d) {
       const Tensor weight = some({4}, d == kFloat64 ? kFloat64 : kFloat32);
       return F::batch_norm(some({2, 4}, d), weight, weight, weight, weight);
     }},
};

TEST(Autocast, ProductsAreComputedInTheLowerDtype) {
  for (const OpCase& op : kLowered) {
    EXPECT_EQ(dtype_under_autocast(op, kFloat32), kBFloat16) << op.name;
    EXPECT_EQ(dtype_under_autocast(op, kBFloat16), kBFloat16) << op.name;
    EXPECT_EQ(dtype_under_autocast(op, kFloat64), kFloat64) << op.name;
    EXPECT_EQ(op.call(kFloat32).dtype(), kFloat32) << op.name;
  }
}

TEST(Autocast, WhatNeedsRangeIsComputedInFloat32) {
  for (const OpCase& op : kRaised) {
    EXPECT_EQ(dtype_under_autocast(op, kBFloat16), kFloat32) << op.name;
    EXPECT_EQ(dtype_under_autocast(op, kFloat32), kFloat32) << op.name;
    EXPECT_EQ(dtype_under_autocast(op, kFloat64), kFloat64) << op.name;
    EXPECT_EQ(op.call(kBFloat16).dtype(), kBFloat16) << op.name;
  }
}

TEST(Autocast, OtherOpsFollowTheirInputs) {
  for (const OpCase& op : kFollowing) {
    for (const DType dtype : {kBFloat16, kFloat32, kFloat64}) {
      EXPECT_EQ(dtype_under_autocast(op, dtype), dtype) << op.name;
    }
  }
}

TEST(Autocast, MixedDtypesBecomeTheWidest) {
  const Tensor low = some({4}, kBFloat16), high = some({4});
  const AutocastMode autocast = autocast_on_cpu();
  EXPECT_EQ((low + high).dtype(), kFloat32);
  EXPECT_EQ(cat({low, high}).dtype(), kFloat32);
  EXPECT_EQ(stack({low, high}).dtype(), kFloat32);
  EXPECT_EQ(dot(low, high).dtype(), kFloat32);
  EXPECT_EQ(addcmul(low, high, low).dtype(), kFloat32);
  EXPECT_EQ(matmul(low, high).dtype(), kBFloat16);
  const Tensor first = zeros({1}, kInt64);
  EXPECT_EQ(scatter_add(low, 0, first, high).dtype(), kFloat32);
  EXPECT_EQ(scatter_add(high, 0, first, low).dtype(), kFloat32);
  EXPECT_EQ(index_copy(high, 0, first, low.narrow(0, 0, 1)).dtype(), kFloat32);
  const TensorIndex index[] = {first};
  EXPECT_EQ(index_put(high, index, low[0]).dtype(), kFloat32);
}

TEST(Autocast, LeavesIntegersAndFloat64Alone) {
  const Tensor counts = ones({2, 2}, kInt64);
  const AutocastMode autocast = autocast_on_cpu();
  EXPECT_EQ(matmul(counts, counts).dtype(), kInt64);
  EXPECT_EQ(counts.sum().dtype(), kInt64);
  EXPECT_EQ(pow(counts, 2).dtype(), kInt64);
  // float64 meets float32 as it does outside: a product refuses to mix them.
  EXPECT_THROW(matmul(some({2, 2}, kFloat64), some({2, 2})), DTypeError);
  EXPECT_EQ((some({2}, kFloat64) + some({2}, kBFloat16)).dtype(), kFloat64);
}

TEST(Autocast, BinaryCrossEntropyOfProbabilitiesIsRefused) {
  const Tensor x = some({4}), target = some({4});
  EXPECT_NO_THROW(F::binary_cross_entropy(x, target));
  const AutocastMode autocast = autocast_on_cpu();
  try {
    F::binary_cross_entropy(x, target);
    FAIL() << "nothing was thrown";
  } catch (const DTypeError& error) {
    EXPECT_NE(std::string(error.what()).find("binary_cross_entropy_with_logits"),
              std::string::npos);
  }
  const AutocastMode off(DeviceType::cpu, kBFloat16, /*enabled=*/false);
  EXPECT_NO_THROW(F::binary_cross_entropy(x, target));
}

TEST(Autocast, ScopesNestAndComeBack) {
  const Tensor x = some({2, 2});
  EXPECT_FALSE(is_autocast_enabled(DeviceType::cpu));
  {
    const AutocastMode outer = autocast_on_cpu();
    EXPECT_TRUE(is_autocast_enabled(DeviceType::cpu));
    EXPECT_FALSE(is_autocast_enabled(DeviceType::cuda));
    {
      const AutocastMode off(DeviceType::cpu, std::nullopt, /*enabled=*/false);
      EXPECT_FALSE(is_autocast_enabled(DeviceType::cpu));
      EXPECT_EQ(matmul(x, x).dtype(), kFloat32);
    }
    EXPECT_EQ(matmul(x, x).dtype(), kBFloat16);
    {
      const AutocastMode other(DeviceType::cuda, kBFloat16);
      EXPECT_EQ(get_autocast_dtype(DeviceType::cuda), kBFloat16);
      EXPECT_EQ(matmul(x, x).dtype(), kBFloat16);
    }
    EXPECT_EQ(get_autocast_dtype(DeviceType::cuda), kFloat16);
    EXPECT_FALSE(is_autocast_enabled(DeviceType::cuda));
  }
  EXPECT_FALSE(is_autocast_enabled(DeviceType::cpu));
  EXPECT_EQ(matmul(x, x).dtype(), kFloat32);
}

TEST(Autocast, OneForAnotherDeviceChangesNothing) {
  const Tensor x = some({2, 2});
  const AutocastMode autocast(DeviceType::cuda);
  EXPECT_EQ(matmul(x, x).dtype(), kFloat32);
  EXPECT_EQ(exp(to(x, kFloat16)).dtype(), kFloat16);
}

TEST(Autocast, RefusesOtherDtypes) {
  EXPECT_THROW(AutocastMode(DeviceType::cpu, kFloat16), ValueError);
  EXPECT_THROW(AutocastMode(DeviceType::cpu, kFloat32), ValueError);
  EXPECT_THROW(AutocastMode(DeviceType::cuda, kFloat64), ValueError);
  EXPECT_FALSE(is_autocast_enabled(DeviceType::cpu)) << "a refused scope must not stay open";
}

// ---- Weights that are cast once -----------------------------------------------------------------

// The node that cast the weight of a product.
autograd::Node* cast_of(const Tensor& weight) {
  const Tensor output = matmul(some({2, 2}), weight);
  return autograd::gradient_edge(output).node->edges()[1].node.get();
}

TEST(Autocast, CastsAWeightOnceInAScope) {
  const Tensor weight = some({2, 2}).requires_grad_();
  const AutocastMode outer = autocast_on_cpu();
  const Tensor product = matmul(some({2, 2}), weight);
  const autograd::Node* cast = autograd::gradient_edge(product).node->edges()[1].node.get();
  EXPECT_EQ(cast_of(weight), cast);
  {
    const AutocastMode inner = autocast_on_cpu();
    EXPECT_EQ(cast_of(weight), cast);
  }
  EXPECT_EQ(cast_of(weight), cast) << "only the outermost scope forgets";
  clear_autocast_cache();
  EXPECT_NE(cast_of(weight), cast);
}

TEST(Autocast, KeepsNoCastsWhenToldSo) {
  const Tensor weight = some({2, 2}).requires_grad_();
  const AutocastMode autocast(DeviceType::cpu, kBFloat16, true, /*cache_enabled=*/false);
  EXPECT_FALSE(is_autocast_cache_enabled());
  const Tensor product = matmul(some({2, 2}), weight);
  EXPECT_NE(cast_of(weight), autograd::gradient_edge(product).node->edges()[1].node.get());
}

TEST(Autocast, CastsAnewAfterAnUpdate) {
  const Tensor weight = ones({2, 2}).requires_grad_();
  const AutocastMode autocast = autocast_on_cpu();
  const Tensor one = ones({2, 2});
  EXPECT_EQ(matmul(one, weight)[0][0].item<double>(), 2.0);
  {
    const NoGradGuard no_grad;
    weight.mul_(3.0);
  }
  EXPECT_EQ(matmul(one, weight)[0][0].item<double>(), 6.0);
  autograd::set_data(weight, full({2, 2}, 5.0), Tensor());
  EXPECT_EQ(matmul(one, weight)[0][0].item<double>(), 10.0);
}

TEST(Autocast, ScopesLeaveNothingBehind) {
  const int64_t before = live_storages();
  {
    const Tensor weight = ones({2, 2}).requires_grad_();
    const AutocastMode autocast = autocast_on_cpu();
    matmul(ones({2, 2}), weight);
  }
  EXPECT_EQ(live_storages(), before);
}

// ---- Gradients ----------------------------------------------------------------------------------

struct Net {
  Tensor weight1 = (rand({16, 8}) - 0.5).requires_grad_();
  Tensor bias1 = zeros({16}).requires_grad_();
  Tensor weight2 = (rand({4, 16}) - 0.5).requires_grad_();

  Tensor loss(const Tensor& x, const Tensor& labels) const {
    const Tensor hidden = F::gelu(F::linear(x, weight1, bias1));
    return F::cross_entropy(F::linear(hidden, weight2), labels);
  }
  Tensors parameters() const { return {weight1, bias1, weight2}; }
  Tensors take_gradients() const {
    Tensors grads;
    for (const Tensor& parameter : parameters()) {
      grads.push_back(parameter.grad());
      parameter.set_grad(Tensor());
    }
    return grads;
  }
};

TEST(Autocast, GradientsArriveInFloat32NearThoseOfFloat32) {
  manual_seed(1);
  const Net net;
  const Tensor x = randn({32, 8}), labels = randint(0, 4, {32});
  net.loss(x, labels).backward();
  const Tensors exact = net.take_gradients();
  {
    const AutocastMode autocast = autocast_on_cpu();
    const Tensor loss = net.loss(x, labels);
    EXPECT_EQ(loss.dtype(), kFloat32);
    loss.backward();
  }
  const Tensors inside = net.take_gradients();
  Tensor loss;
  {
    const AutocastMode autocast = autocast_on_cpu();
    loss = net.loss(x, labels);
  }
  loss.backward();
  const Tensors outside = net.take_gradients();
  for (size_t i = 0; i < exact.size(); ++i) {
    EXPECT_EQ(outside[i].dtype(), kFloat32);
    const double error = norm(outside[i] - exact[i]).item<double>();
    EXPECT_LT(error, 0.02 * norm(exact[i]).item<double>()) << "parameter " << i;
    EXPECT_GT(error, 0) << "nothing was computed in bfloat16";
    EXPECT_TRUE(equal(inside[i], outside[i])) << "parameter " << i;
  }
}

TEST(Autocast, CheckpointsRecomputeUnderTheirSettings) {
  manual_seed(2);
  const Net net;
  const Tensor x = randn({32, 8}), labels = randint(0, 4, {32});
  const auto block = [&](TensorList in) { return Tensors{net.loss(in[0], labels)}; };
  Tensor loss;
  {
    const AutocastMode autocast = autocast_on_cpu();
    loss = net.loss(x, labels);
  }
  loss.backward();
  const Tensors expected = net.take_gradients();
  const Tensor input = x.clone().requires_grad_();
  {
    const AutocastMode autocast = autocast_on_cpu();
    loss = autograd::checkpoint(block, {input})[0];
  }
  loss.backward();
  const Tensors got = net.take_gradients();
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_TRUE(equal(got[i], expected[i])) << "parameter " << i;
  }
}

TEST(Autocast, SecondDerivativesPassThroughTheCasts) {
  const Tensor x = some({4, 4}).requires_grad_();
  const AutocastMode autocast = autocast_on_cpu();
  const Tensor y = pow(matmul(x, x), 2).sum();
  const Tensor slope =
      autograd::grad(TensorList(&y, 1), TensorList(&x, 1), {}, true, /*create_graph=*/true)[0];
  EXPECT_EQ(slope.dtype(), kFloat32);
  const Tensor curvature = autograd::grad({slope.sum()}, {x})[0];
  EXPECT_EQ(curvature.dtype(), kFloat32);
  EXPECT_TRUE(isfinite(curvature).all().item<bool>());
}

}  // namespace
}  // namespace taut
