// Mixed precision on CUDA: the dtypes that autocast chooses, training with a GradScaler in float16
// against float32, and that no step waits for the GPU.

#include <limits>

#include "taut/amp/grad_scaler.h"
#include "tests/gpu/agreement.h"

namespace taut::amp {
namespace {

using namespace taut::testing;  // NOLINT(google-build-using-namespace)
namespace F = nn::functional;

class CudaAmp : public GpuTest {};

Tensor on_gpu(const Dims& shape) { return (rand(shape) - 0.5).cuda(); }

TEST_F(CudaAmp, OpsChooseTheirDtype) {
  const Tensor x = on_gpu({16, 16}), image = on_gpu({2, 4, 8, 8}), kernel = on_gpu({4, 4, 3, 3});
  for (const DType dtype : {kFloat16, kBFloat16}) {
    const AutocastMode autocast(DeviceType::cuda, dtype);
    EXPECT_EQ(matmul(x, x).dtype(), dtype);
    EXPECT_EQ(F::linear(x, x, x[0]).dtype(), dtype);
    EXPECT_EQ(F::conv2d(image, kernel).dtype(), dtype);
    EXPECT_EQ(F::scaled_dot_product_attention(image, image, image).dtype(), dtype);
    EXPECT_EQ(softmax(matmul(x, x), -1).dtype(), kFloat32);
    EXPECT_EQ(F::layer_norm(matmul(x, x), {16}, x[0], x[1]).dtype(), kFloat32);
    EXPECT_EQ((matmul(x, x) + x).dtype(), kFloat32);
    EXPECT_EQ(matmul(x.cpu(), x.cpu()).dtype(), kFloat32) << "autocast is of the GPU alone";
    EXPECT_THROW(F::binary_cross_entropy(sigmoid(x), sigmoid(x)), DTypeError);
  }
}

struct Net {
  Tensor weight1 = on_gpu({64, 32}).requires_grad_(), bias1 = on_gpu({64}).requires_grad_();
  Tensor weight2 = on_gpu({4, 64}).requires_grad_();

  Tensors parameters() const { return {weight1, bias1, weight2}; }
  Tensor loss(const Tensor& x, const Tensor& labels) const {
    return F::cross_entropy(F::linear(F::gelu(F::linear(x, weight1, bias1)), weight2), labels);
  }
};

// The losses of 20 steps, in float32 or under autocast with a scaler.
std::vector<double> train(bool mixed, double init_scale) {
  manual_seed(3);
  const Net net;
  const Tensor x = on_gpu({128, 32}), labels = randint(0, 4, {128}).cuda();
  optim::AdamW optimizer(net.parameters(), {.lr = 0.01});
  GradScaler scaler(DeviceType::cuda, {.init_scale = init_scale, .enabled = mixed});
  Tensors losses;
  for (int step = 0; step < 20; ++step) {
    optimizer.zero_grad();
    Tensor loss;
    {
      const AutocastMode autocast(DeviceType::cuda, kFloat16, mixed);
      loss = net.loss(x, labels);
    }
    scaler.scale(loss).backward();
    scaler.step(optimizer);
    scaler.update();
    losses.push_back(loss.detach());
  }
  std::vector<double> numbers;
  for (const Tensor& loss : losses) numbers.push_back(loss.item<double>());
  return numbers;
}

TEST_F(CudaAmp, TrainsInFloat16AsInFloat32) {
  const std::vector<double> exact = train(false, 1.0), mixed = train(true, 65536.0);
  EXPECT_LT(exact.back(), exact.front());
  for (size_t i = 0; i < exact.size(); ++i) EXPECT_NEAR(mixed[i], exact[i], 0.02 * exact[i]) << i;
}

TEST_F(CudaAmp, FindsItsScaleWhenTheFirstIsTooLarge) {
  // Gradients overflow at first: some steps are skipped, then it trains.
  const std::vector<double> mixed = train(true, 1e9);
  EXPECT_EQ(mixed[0], mixed[1]) << "the first step was not skipped";
  EXPECT_LT(mixed.back(), mixed.front());
}

TEST_F(CudaAmp, NoStepWaits) {
  const Net net;
  const Tensor x = on_gpu({128, 32}), labels = randint(0, 4, {128}).cuda();
  optim::AdamW optimizer(net.parameters(), {.lr = 0.01});
  GradScaler scaler;
  const auto step = [&] {
    optimizer.zero_grad();
    Tensor loss;
    {
      const AutocastMode autocast(DeviceType::cuda);
      loss = net.loss(x, labels);
    }
    scaler.scale(loss).backward();
    scaler.unscale_(optimizer);
    nn::utils::clip_grad_norm_(net.parameters(), 1.0);
    scaler.step(optimizer);
    scaler.update();
  };
  Tensor busy = on_gpu({8192, 8192});
  for (int i = 0; i < 3; ++i) step();  // takes the memory that it will need
  cuda::synchronize();
  for (int i = 0; i < 20; ++i) busy = matmul(busy, busy) * 1e-3;
  cuda::Event done;
  done.record(cuda::current_stream());
  step();
  EXPECT_FALSE(done.query()) << "the step waited for the work before it";
  cuda::synchronize();
}

}  // namespace
}  // namespace taut::amp
