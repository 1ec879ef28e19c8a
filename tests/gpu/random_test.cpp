// Random fills on CUDA: the same stream as on the CPU, bit for bit where no logarithm, sine or
// tangent is involved.

#include <functional>

#include "tests/gpu/agreement.h"

namespace taut::testing {
namespace {

using Fill = std::function<Tensor(const TensorOptions& options, int64_t n)>;

const int64_t kSizes[] = {0, 1, 2, 3, 4, 5, 255, 1023, 1024, 1025, 100003};

class CudaRandom : public GpuTest {
 protected:
  // The same fill on both devices, from one place in the stream. A second fill follows: both must
  // have moved on alike.
  void compare(const char* name, DType dtype, double tolerance, const Fill& fill) {
    for (int64_t n : kSizes) {
      for (int64_t seed : {int64_t{1}, int64_t{123456789012345}}) {
        const std::string what = concat(name, " ", dtype, " of ", n, ", seed ", seed);
        Tensor results[2][2];
        for (int on_gpu = 0; on_gpu < 2; ++on_gpu) {
          const TensorOptions options = TensorOptions(dtype).device(on_gpu == 1 ? kCUDA : kCPU);
          manual_seed(seed);
          for (Tensor& result : results[on_gpu]) result = fill(options, n);
        }
        expect_close(results[1][0], results[0][0], tolerance, what);
        expect_close(results[1][1], results[0][1], tolerance, what + " again");
      }
    }
  }
};

TEST_F(CudaRandom, HasTheCpusUniforms) {
  for (DType dtype : floating_dtypes_to_test()) {
    compare("rand", dtype, 0, [](auto& options, int64_t n) { return rand({n}, options); });
    compare("uniform_", dtype, 0, [](auto& options, int64_t n) {
      const Tensor x = empty({n}, options);
      uniform_(x, -0.3, 1.7);
      return x;
    });
  }
}

TEST_F(CudaRandom, HasTheCpusIntegers) {
  for (DType dtype : {kInt8, kInt16, kInt32, kInt64, kUInt8, kFloat32, kFloat64, kFloat16}) {
    compare("randint", dtype, 0,
            [](auto& options, int64_t n) { return randint(3, 101, {n}, options); });
  }
  compare("wide randint", kInt64, 0,
          [](auto& options, int64_t n) { return randint(-7, int64_t{1} << 40, {n}, options); });
  compare("randperm", kInt64, 0, [](auto& options, int64_t n) { return randperm(n, options); });
}

TEST_F(CudaRandom, HasTheCpusCoins) {
  for (DType dtype : {kFloat32, kFloat64, kBFloat16, kInt64, kUInt8, kBool}) {
    for (double p : {0.0, 0.3, 1.0}) {
      compare("bernoulli_", dtype, 0, [p](auto& options, int64_t n) {
        const Tensor x = empty({n}, options);
        bernoulli_(x, p);
        return x;
      });
    }
  }
  for (DType dtype : floating_dtypes_to_test()) {
    compare("bernoulli of probabilities", dtype, 0, [](auto& options, int64_t n) {
      return bernoulli(arange(n, TensorOptions(kFloat32)).remainder(11).div(10).to(options));
    });
  }
}

TEST_F(CudaRandom, HasTheCpusDistributions) {
  for (DType dtype : floating_dtypes_to_test()) {
    const double tolerance = tolerance_of(dtype);
    const auto in_place = [&](const char* name, auto function) {
      compare(name, dtype, tolerance, [function](auto& options, int64_t n) {
        const Tensor x = empty({n}, options);
        function(x);
        return x;
      });
    };
    compare("randn", dtype, tolerance,
            [](auto& options, int64_t n) { return randn({n}, options); });
    in_place("normal_", [](const Tensor& x) { normal_(x, 2.0, 0.5); });
    in_place("log_normal_", [](const Tensor& x) { log_normal_(x, 0.5, 0.25); });
    in_place("exponential_", [](const Tensor& x) { exponential_(x, 1.5); });
    in_place("cauchy_", [](const Tensor& x) { cauchy_(x, 1.0, 2.0); });
    in_place("geometric_", [](const Tensor& x) { geometric_(x, 0.3); });
  }
}

TEST_F(CudaRandom, TakesMeansAndDeviationsFromTheGpu) {
  const Tensor mean = arange(1000, TensorOptions(kFloat32)), std = rand({1000});
  manual_seed(3);
  const Tensor expected = normal(mean, std);
  manual_seed(3);
  expect_close(normal(mean.cuda(), std.cuda()), expected, "normal");
}

TEST_F(CudaRandom, DropsWhatTheCpuDrops) {
  for (DType dtype : floating_dtypes_to_test()) {
    for (int64_t n : kSizes) {
      for (double p : {0.0, 0.1, 0.5, 1.0}) {
        const Tensor x = randn({n + 1}).to(dtype);
        for (int64_t begin : {0, 1}) {  // aligned or not
          manual_seed(5);
          const Tensor expected = nn::functional::dropout(x.slice(0, begin, begin + n), p);
          manual_seed(5);
          const Tensor found = nn::functional::dropout(x.cuda().slice(0, begin, begin + n), p);
          expect_equal(found, expected, concat(dtype, " ", n, " ", p, " from ", begin));
          const Tensor residual = randn({n + 1}).to(dtype);
          const auto sum = [&](const Tensor& input, const Tensor& more) {
            manual_seed(5);
            return nn::functional::dropout_add(input.slice(0, begin, begin + n),
                                               more.slice(0, begin, begin + n), p);
          };
          expect_equal(sum(x.cuda(), residual.cuda()), sum(x, residual),
                       concat("with a residual ", dtype, " ", n, " ", p, " from ", begin));
        }
      }
    }
  }
}

TEST_F(CudaRandom, PassesGradientsThroughDropout) {
  const Tensor x = ones({1000});
  const Tensor gpu = x.cuda().requires_grad_();
  const Tensor y = nn::functional::dropout(gpu, 0.25);
  y.backward(ones({1000}, TensorOptions(kCUDA)));
  expect_equal(gpu.grad(), y.detach().cpu(), "the gradient is the mask, scaled");
  const Tensor residual = zeros({1000}, TensorOptions(kCUDA)).requires_grad_();
  gpu.set_grad(Tensor());
  const Tensor sum = nn::functional::dropout_add(gpu, residual, 0.25);
  sum.backward(ones({1000}, TensorOptions(kCUDA)));
  expect_equal(gpu.grad(), sum.detach().cpu(), "with a residual, too");
  expect_equal(residual.grad(), x, "which has the gradient as it is");
}

}  // namespace
}  // namespace taut::testing
