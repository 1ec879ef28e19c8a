// Rotary embedding and gated activations on CUDA against the CPU: rows that begin at whole packs
// and such that do not, strides, and gradients. (The op tables run them, too; here are the sizes
// and layouts that models have.)

#include <cstdint>
#include <functional>
#include <string>

#include "tests/gpu/agreement.h"

namespace taut::testing {
namespace {

namespace F = nn::functional;

class CudaFused : public GpuTest {
 protected:
  using Op = std::function<Tensors(const Tensors&)>;

  // Results and gradients of a function of `values`.
  void compare(const Op& op, const Tensors& values, const std::string& name) {
    const std::string what =
        concat(name, " ", values[0].dtype(), " ", values[0].shape(), ", seed ", kSeed);
    const double room = 4 * tolerance_of(values[0].dtype());
    Tensors cpu, gpu;
    for (const Tensor& value : values) {
      cpu.push_back(value.clone().requires_grad_());
      gpu.push_back(value.cuda().requires_grad_());
    }
    const Tensors expected = op(cpu), results = op(gpu);
    Tensor loss, gpu_loss;
    for (size_t i = 0; i < expected.size(); ++i) {
      expect_close(results[i], expected[i], room, concat(what, " ", i));
      const Tensor grad = randn(expected[i].shape()).to(expected[i].dtype());
      const Tensor part = (expected[i] * grad).sum(), gpu_part = (results[i] * grad.cuda()).sum();
      loss = i == 0 ? part : loss + part;
      gpu_loss = i == 0 ? gpu_part : gpu_loss + gpu_part;
    }
    loss.backward();
    gpu_loss.backward();
    for (size_t i = 0; i < values.size(); ++i) {
      expect_close(gpu[i].grad(), cpu[i].grad(), 2 * room, concat(what, " by ", i));
    }
  }
};

TEST_F(CudaFused, TurnsQueriesAndKeys) {
  for (DType dtype : floating_dtypes_to_test()) {
    for (bool interleaved : {false, true}) {
      for (int64_t width : {6, 32, 64, 128}) {
        const auto [cos, sin] = F::rotary_tables(96, width);
        compare(
            [&, cos = cos, sin = sin](const Tensors& in) {
              const Device device = in[0].device();
              return Tensors{F::rotary_embedding(in[0].transpose(1, 2), cos.to(device),
                                                 sin.to(device), interleaved, 5)};
            },
            {randn({2, 77, 3, width}).to(dtype)}, "rotary_embedding");
        compare(
            [&, cos = cos, sin = sin](const Tensors& in) {
              const Device device = in[0].device();
              const auto [q, k, v] =
                  F::rotary_qkv(in[0], cos.to(device), sin.to(device), 4, 2, interleaved, 19);
              return Tensors{q, k, v};
            },
            {randn({2, 77, 8 * width}).to(dtype)}, "rotary_qkv");
      }
    }
    // The last numbers of a head stay.
    const auto [cos, sin] = F::rotary_tables(8, 16);
    compare(
        [cos = cos, sin = sin](const Tensors& in) {
          const Device device = in[0].device();
          return Tensors{F::rotary_embedding(in[0], cos.to(device), sin.to(device))};
        },
        {randn({2, 3, 8, 40}).to(dtype)}, "rotary_embedding of a part");
  }
}

TEST_F(CudaFused, AttendsToTurnedQueries) {
  const auto [cos, sin] = F::rotary_tables(64, 64);
  compare(
      [cos = cos, sin = sin](const Tensors& in) {
        const Device device = in[0].device();
        const auto [q, k, v] = F::rotary_qkv(in[0], cos.to(device), sin.to(device), 4);
        return Tensors{F::scaled_dot_product_attention(q, k, v, Tensor(), 0.0, true)};
      },
      {randn({2, 64, 3 * 4 * 64})}, "attention of rotary_qkv");
}

TEST_F(CudaFused, Gates) {
  for (DType dtype : floating_dtypes_to_test()) {
    for (int64_t cols : {1, 7, 64, 1000, 4096}) {
      const Tensor gate = randn({33, cols}).mul(2).to(dtype), up = randn({33, cols}).to(dtype);
      compare([](const Tensors& in) { return Tensors{F::swiglu(in[0], in[1])}; }, {gate, up},
              "swiglu");
      compare([](const Tensors& in) { return Tensors{F::geglu(in[0], in[1])}; }, {gate, up},
              "geglu");
      compare([](const Tensors& in) { return Tensors{F::geglu(in[0], in[1], "tanh")}; }, {gate, up},
              "geglu tanh");
      const Tensor halves = randn({33, 2 * cols}).to(dtype);
      compare([](const Tensors& in) { return Tensors{F::swiglu(in[0])}; }, {halves},
              "swiglu of halves");
      compare([](const Tensors& in) { return Tensors{F::swiglu(in[0].t(), in[1].t())}; },
              {gate, up}, "swiglu across");
    }
  }
}

TEST_F(CudaFused, MakesResultsAgainToTheSameBits) {
  const Tensor x = randn({64, 768}).to(kBFloat16).cuda(), residual = randn({64, 768}).cuda();
  const Tensor weight = rand({768}).add(0.5).cuda(), product = randn({768, 256}).cuda();
  const auto gradients = [&](bool recompute) {
    const Tensor stream = residual.clone().requires_grad_();
    const Tensor matrix = product.clone().requires_grad_();
    const Tensor scale = weight.clone().requires_grad_();
    const auto [normal, sum] =
        F::add_layer_norm(x, stream, {768}, scale, Tensor(), 1e-5, recompute);
    const Tensor hidden = F::gelu(matmul(normal, matrix), "tanh", recompute);
    const Tensor gated = F::swiglu(hidden, Tensor(), recompute);
    (matmul(gated, gated.t()).sum() + sum.sum()).backward();
    return Tensors{stream.grad(), matrix.grad(), scale.grad()};
  };
  const Tensors plain = gradients(false), again = gradients(true);
  for (size_t i = 0; i < plain.size(); ++i) EXPECT_TRUE(equal(plain[i], again[i])) << i;
}

// The activation's output is made from the rounded input of it: weight2's gradient is near the
// other.
TEST_F(CudaFused, MakesTheHiddenLayerOfAnMlpAgain) {
  const Tensor x = randn({512, 256}).to(kBFloat16).cuda();
  const Tensor first = randn({1024, 256}).mul(0.06).to(kBFloat16).cuda();
  const Tensor second = randn({256, 1024}).mul(0.03).to(kBFloat16).cuda();
  const auto run = [&](bool recompute, int64_t& held) {
    const Tensor up = first.clone().requires_grad_(), down = second.clone().requires_grad_();
    const int64_t before = memory_stats(kCUDA).allocated;
    const Tensor loss = F::mlp(x, up, down, Tensor(), Tensor(), "gelu_tanh", recompute).sum();
    held = memory_stats(kCUDA).allocated - before;
    loss.backward();
    return Tensors{up.grad(), down.grad()};
  };
  int64_t held = 0, held_again = 0;
  const Tensors plain = run(false, held), again = run(true, held_again);
  EXPECT_TRUE(equal(plain[0], again[0]));
  expect_close(again[1], plain[1].cpu(), 8 * tolerance_of(kBFloat16), "weight2");
  EXPECT_GE(held - held_again, 512 * 1024 * 2);
}

}  // namespace
}  // namespace taut::testing
