// Layer, RMS, group and batch norm on CUDA against the CPU, forward and backward: rows that fit
// registers and rows that do not, parameters of either dtype, running statistics.

#include <algorithm>
#include <cmath>
#include <functional>

#include "tests/gpu/agreement.h"

namespace taut::testing {
namespace {

namespace F = nn::functional;

using Norm = std::function<Tensor(const Tensor& input, const Tensor& weight, const Tensor& bias)>;

class CudaNorm : public GpuTest {
 protected:
  // The norm and its gradients by input, weight and bias; undefined parameters stay so.
  void compare(const Norm& norm, const Tensor& x, const Tensor& weight, const Tensor& bias,
               const std::string& name) {
    const std::string what = concat(name, " ", x.dtype(), " ", x.shape(), ", seed ", kSeed);
    const Tensor values[] = {x, weight, bias};
    Tensor cpu[3], gpu[3];
    for (int i = 0; i < 3; ++i) {
      if (!values[i].defined()) continue;
      cpu[i] = values[i].clone().requires_grad_();
      gpu[i] = values[i].cuda().requires_grad_();
    }
    const Tensor expected = norm(cpu[0], cpu[1], cpu[2]), result = norm(gpu[0], gpu[1], gpu[2]);
    expect_close(result, expected, 4 * tolerance_of(x.dtype()), what);
    const Tensor grad = randn(expected.shape()).to(x.dtype());
    expected.backward(grad);
    result.backward(grad.cuda());
    expect_close(gpu[0].grad(), cpu[0].grad(), 8 * tolerance_of(x.dtype()), what + " by input");
    for (int i = 1; i < 3; ++i) {
      if (!cpu[i].defined()) continue;
      // Sums over rows: their error grows with the number of terms.
      const double terms = static_cast<double>(x.numel() / values[i].numel());
      const double room = std::max(1.0, std::sqrt(terms));
      expect_close(gpu[i].grad(), cpu[i].grad(), 8 * room * tolerance_of(values[i].dtype()),
                   concat(what, " by parameter ", i));
    }
  }
  static Norm layer(int64_t cols) {
    return [cols](const Tensor& x, const Tensor& w, const Tensor& b) {
      return F::layer_norm(x, {cols}, w, b);
    };
  }
  static Norm rms(int64_t cols) {
    return [cols](const Tensor& x, const Tensor& w, const Tensor&) {
      return F::rms_norm(x, {cols}, w, 1e-5);
    };
  }
};

TEST_F(CudaNorm, NormalizesRowsOfAnyLength) {
  for (DType dtype : floating_dtypes_to_test()) {
    for (int64_t cols : {1, 2, 7, 8, 33, 64, 257, 768, 1024, 4099, 8192}) {
      const Tensor x = randn({37, cols}).mul(2).add(1).to(dtype);
      const Tensor weight = rand({cols}).add(0.5).to(dtype), bias = randn({cols}).to(dtype);
      compare(layer(cols), x, weight, bias, "layer_norm");
      compare(rms(cols), x, weight, Tensor(), "rms_norm");
    }
  }
  for (int64_t cols : {8193, 12000, 16384, 32768, 50001}) {
    for (DType dtype : {kFloat32, kBFloat16}) {
      const Tensor x = randn({5, cols}).to(dtype);
      const Tensor weight = rand({cols}).add(0.5).to(dtype), bias = randn({cols}).to(dtype);
      compare(layer(cols), x, weight, bias, "layer_norm");
      compare(rms(cols), x, weight, Tensor(), "rms_norm");
    }
  }
}

TEST_F(CudaNorm, GoesWithoutParametersAndWithWideOnes) {
  const Tensor x = randn({70, 96});
  compare(layer(96), x, Tensor(), Tensor(), "layer_norm alone");
  compare(layer(96), x, rand({96}), Tensor(), "layer_norm without bias");
  compare(rms(96), x, Tensor(), Tensor(), "rms_norm alone");
  for (DType dtype : {kFloat16, kBFloat16}) {
    compare(layer(96), x.to(dtype), rand({96}).add(0.5), randn({96}), "layer_norm, float32 weight");
    compare(rms(96), x.to(dtype), rand({96}).add(0.5), Tensor(), "rms_norm, float32 weight");
  }
}

// add_layer_norm and add_rms_norm against the CPU, with gradients of both results, and against two
// ops on the GPU: the sum has the same bits, and so has the norm.
TEST_F(CudaNorm, NormalizesSums) {
  const auto compare_sum = [&](int64_t rows, int64_t cols, DType input_dtype, DType dtype,
                               bool is_rms) {
    const std::string what = concat(is_rms ? "add_rms_norm " : "add_layer_norm ", input_dtype, " ",
                                    dtype, " ", rows, " x ", cols, ", seed ", kSeed);
    const auto norm = [&](const Tensors& in) {
      return is_rms ? F::add_rms_norm(in[0], in[1], {cols}, in[2], 1e-5)
                    : F::add_layer_norm(in[0], in[1], {cols}, in[2], in[3]);
    };
    const Tensors values = {randn({rows, cols}).to(input_dtype), randn({rows, cols}).to(dtype),
                            rand({cols}).add(0.5).to(dtype), randn({cols}).to(dtype)};
    const Tensor grads[] = {randn({rows, cols}).to(dtype), randn({rows, cols}).to(dtype)};
    Tensors cpu, gpu;
    for (const Tensor& value : values) {
      cpu.push_back(value.clone().requires_grad_());
      gpu.push_back(value.cuda().requires_grad_());
    }
    const auto expected = norm(cpu), result = norm(gpu);
    expect_close(result.first, expected.first, 4 * tolerance_of(dtype), what);
    expect_close(result.second, expected.second, tolerance_of(dtype), what + " sum");
    {
      const NoGradGuard no_grad;
      const Tensor sum = gpu[0] + gpu[1];
      EXPECT_TRUE(equal(sum, result.second)) << what;
      EXPECT_TRUE(equal(is_rms ? F::rms_norm(sum, {cols}, gpu[2], 1e-5)
                               : F::layer_norm(sum, {cols}, gpu[2], gpu[3]),
                        result.first))
          << what;
    }
    (expected.first * grads[0] + expected.second * grads[1]).sum().backward();
    (result.first * grads[0].cuda() + result.second * grads[1].cuda()).sum().backward();
    for (size_t i = 0; i < (is_rms ? 3u : 4u); ++i) {
      const double room = i < 2 ? 1.0 : std::max(1.0, std::sqrt(static_cast<double>(rows)));
      expect_close(gpu[i].grad(), cpu[i].grad(), 8 * room * tolerance_of(values[i].dtype()),
                   concat(what, " by input ", i));
    }
  };
  for (bool is_rms : {false, true}) {
    for (DType dtype : floating_dtypes_to_test()) {
      for (int64_t cols : {1, 7, 64, 257, 768, 4099}) {
        compare_sum(37, cols, dtype, dtype, is_rms);
      }
    }
    for (DType low : {kFloat16, kBFloat16}) {
      for (int64_t cols : {5, 96, 768, 9000}) compare_sum(37, cols, low, kFloat32, is_rms);
    }
    for (DType dtype : {kFloat32, kBFloat16}) {
      compare_sum(9001, 768, dtype, dtype, is_rms);
      compare_sum(5, 8193, dtype, dtype, is_rms);
      compare_sum(3, 50000, dtype, dtype, is_rms);
    }
    compare_sum(3, 50001, kBFloat16, kFloat32, is_rms);
  }
}

// A stream of residuals whose rows do not begin at whole packs.
TEST_F(CudaNorm, NormalizesSumsThatBeginAnywhere) {
  const Tensor x = randn({9 * 264 + 1}).to(kBFloat16).cuda().slice(0, 1).view({9, 264});
  const auto whole = F::add_layer_norm(x.clone(), x.clone(), {264});
  const auto shifted = F::add_layer_norm(x, x, {264});
  EXPECT_TRUE(equal(whole.second, shifted.second));
  expect_close(shifted.first, whole.first.cpu(), 4 * tolerance_of(kBFloat16), "shifted rows");
}

TEST_F(CudaNorm, SumsOverManyRows) {
  for (int64_t cols : {3, 16, 128, 768}) {
    const Tensor x = randn({20011, cols});
    compare(layer(cols), x, rand({cols}).add(0.5), randn({cols}), "layer_norm");
  }
  // Several rows to each team, in every form of it.
  for (DType dtype : {kFloat32, kBFloat16}) {
    for (int64_t cols : {96, 512, 4096}) {
      const Tensor x = randn({2501, cols}).to(dtype);
      const Tensor weight = rand({cols}).add(0.5).to(dtype);
      compare(layer(cols), x, weight, randn({cols}).to(dtype), "layer_norm");
      compare(rms(cols), x, weight, Tensor(), "rms_norm");
    }
  }
}

TEST_F(CudaNorm, TakesRowsThatBeginAnywhere) {
  for (DType dtype : {kFloat32, kBFloat16}) {
    for (int64_t cols : {64, 264, 2048}) {
      const Tensor x = randn({cols * 9 + 1}).to(dtype).cuda().slice(0, 1).view({9, cols});
      const Tensor weight = rand({cols}).add(0.5).to(dtype).cuda();
      const std::string what = concat(dtype, " ", cols);
      const auto gradient = [&](const Tensor& input) {
        const Tensor leaf = input.detach().requires_grad_();
        F::layer_norm(leaf, {cols}, weight).backward(x);
        return leaf.grad();
      };
      expect_close(F::layer_norm(x, {cols}, weight), F::layer_norm(x.cpu(), {cols}, weight.cpu()),
                   4 * tolerance_of(dtype), what);
      expect_close(gradient(x), gradient(x.clone()).cpu(), 8 * tolerance_of(dtype), what);
    }
  }
}

TEST_F(CudaNorm, NormalizesGroups) {
  struct {
    Dims shape;
    int64_t groups;
  } const cases[] = {{{2, 6, 5, 5}, 3},   {{3, 8, 16, 16}, 2},    {{2, 4, 1, 1}, 2},
                     {{4, 32}, 8},        {{2, 320, 33, 31}, 32}, {{1, 8, 128, 128}, 2},
                     {{2, 6, 101, 99}, 1}};
  for (DType dtype : floating_dtypes_to_test()) {
    for (const auto& [shape, groups] : cases) {
      const Norm norm = [groups = groups](const Tensor& x, const Tensor& w, const Tensor& b) {
        return F::group_norm(x, groups, w, b);
      };
      const Tensor x = randn(shape).add(0.5).to(dtype);
      compare(norm, x, rand({shape[1]}).add(0.5).to(dtype), randn({shape[1]}).to(dtype),
              concat("group_norm of ", groups));
      compare(norm, x, Tensor(), Tensor(), concat("group_norm alone of ", groups));
    }
  }
}

TEST_F(CudaNorm, NormalizesBatches) {
  for (DType dtype : floating_dtypes_to_test()) {
    for (const Dims& shape : {Dims{8, 3, 5, 5}, Dims{16, 7}, Dims{1000, 64}, Dims{4, 64, 28, 28},
                              Dims{2, 1, 200, 200}, Dims{3, 5, 7}, Dims{2, 300, 4}}) {
      const Tensor x = randn(shape).mul(3).add(2).to(dtype);
      const Tensor weight = rand({shape[1]}).add(0.5).to(dtype);
      const Tensor bias = randn({shape[1]}).to(dtype);
      for (bool training : {true, false}) {
        const Norm norm = [&](const Tensor& input, const Tensor& w, const Tensor& b) {
          const TensorOptions options = TensorOptions(w.dtype()).device(w.device());
          return F::batch_norm(input, full({shape[1]}, 0.25, options), ones({shape[1]}, options), w,
                               b, training);
        };
        compare(norm, x, weight, bias, training ? "batch_norm" : "batch_norm, inference");
      }
    }
  }
}

// What has its channels side by side stays so, and is normalised where it lies.
TEST_F(CudaNorm, NormalizesBatchesWithChannelsLast) {
  for (DType dtype : floating_dtypes_to_test()) {
    for (const Dims& shape : {Dims{8, 3, 5, 5}, Dims{4, 64, 28, 28}, Dims{2, 300, 9, 4},
                              Dims{3, 2048, 7, 7}, Dims{2, 24, 3, 4, 5}}) {
      const Tensor x = randn(shape).mul(3).add(2).to(dtype).contiguous(MemoryFormat::channels_last);
      const Tensor weight = rand({shape[1]}).add(0.5).to(dtype);
      const Tensor bias = randn({shape[1]}).to(dtype);
      for (bool training : {true, false}) {
        const Norm norm = [&](const Tensor& input, const Tensor& w, const Tensor& b) {
          const TensorOptions options = TensorOptions(w.dtype()).device(w.device());
          const Tensor y = F::batch_norm(input, full({shape[1]}, 0.25, options),
                                         ones({shape[1]}, options), w, b, training);
          EXPECT_TRUE(y.is_contiguous(MemoryFormat::channels_last));
          return y;
        };
        compare(norm, x, weight, bias, training ? "batch_norm" : "batch_norm, inference");
      }
    }
  }
}

// Against float32: a sum that is rounded in between could fall on the other side of 0.
TEST_F(CudaNorm, FusesBatchNormWithRelu) {
  for (DType dtype : floating_dtypes_to_test()) {
    const DType wide = dtype == kFloat64 ? kFloat64 : kFloat32;
    for (const Dims& shape : {Dims{8, 3, 5, 5}, Dims{4, 64, 28, 28}, Dims{2, 300, 9, 4},
                              Dims{3, 2048, 7, 7}, Dims{700, 40}, Dims{5, 17}}) {
      for (int kind = 0; kind < 4; ++kind) {
        const bool training = (kind & 1) != 0, adds = (kind & 2) != 0;
        const auto format =
            shape.rank() == 4 ? MemoryFormat::channels_last : MemoryFormat::contiguous;
        const std::string what =
            concat("batch_norm_relu ", dtype, " ", shape, " kind ", kind, ", seed ", kSeed);
        const Tensor values[] = {randn(shape).to(dtype).contiguous(format),
                                 rand({shape[1]}).add(0.5).to(dtype), randn({shape[1]}).to(dtype),
                                 randn(shape).to(dtype).contiguous(format)};
        const Tensor grad = randn(shape).to(dtype);
        const auto run = [&](const Tensors& in) {
          const TensorOptions options = TensorOptions(in[1].dtype()).device(in[1].device());
          return F::batch_norm_relu(in[0], full({shape[1]}, 0.25, options),
                                    ones({shape[1]}, options), in[1], in[2], training, 0.1, 1e-5,
                                    adds ? in[3] : Tensor());
        };
        Tensors cpu, gpu;
        for (const Tensor& value : values) {
          cpu.push_back(value.to(wide).clone().requires_grad_());
          gpu.push_back(value.cuda().requires_grad_());
        }
        const Tensor expected = run(cpu), result = run(gpu);
        EXPECT_TRUE(result.grad_fn_name().starts_with("batch_norm_relu")) << result.grad_fn_name();
        expect_close(result, expected.to(dtype), 4 * tolerance_of(dtype), what);
        expected.backward(grad.to(wide));
        result.backward(grad.cuda());
        const double terms = std::sqrt(static_cast<double>(grad.numel() / shape[1]));
        for (size_t i = 0; i < (adds ? 4u : 3u); ++i) {
          const double room = i == 1 || i == 2 ? std::max(1.0, terms) : 1.0;
          expect_close(gpu[i].grad(), cpu[i].grad().to(dtype), 8 * room * tolerance_of(dtype),
                       concat(what, " by ", i));
        }
      }
    }
  }
}

TEST_F(CudaNorm, MovesRunningStatistics) {
  const Tensor x = randn({32, 5, 9}).mul(2).add(3);
  const Tensor mean = zeros({5}), var = ones({5});
  const Tensor gpu_mean = mean.cuda(), gpu_var = var.cuda();
  for (int step = 0; step < 3; ++step) {
    F::batch_norm(x, mean, var, Tensor(), Tensor(), true, 0.3);
    F::batch_norm(x.cuda(), gpu_mean, gpu_var, Tensor(), Tensor(), true, 0.3);
  }
  expect_close(gpu_mean, mean, "running mean");
  expect_close(gpu_var, var, "running var");
}

TEST_F(CudaNorm, KeepsItsDigitsFarFromZero) {
  const Tensor x = randn({64, 16, 8}).add(1e4);
  x.select(0, 0).select(0, 0).select(0, 0).fill_(-1e4);
  expect_close(F::batch_norm(x.cuda(), Tensor(), Tensor(), Tensor(), Tensor(), true),
               F::batch_norm(x, Tensor(), Tensor(), Tensor(), Tensor(), true), 5e-3, "batch_norm");
  expect_close(F::layer_norm(x.cuda(), {16, 8}), F::layer_norm(x, {16, 8}), 5e-3, "layer_norm");
}

TEST_F(CudaNorm, RepeatsBitForBit) {
  const Tensor x = randn({999, 300}).cuda(), grad = randn({999, 300}).cuda();
  const auto weight_gradient = [&] {
    const Tensor weight = ones({300}, TensorOptions(kCUDA)).requires_grad_();
    F::layer_norm(x, {300}, weight).backward(grad);
    return weight.grad().cpu();
  };
  EXPECT_TRUE(equal(weight_gradient(), weight_gradient()));
}

}  // namespace
}  // namespace taut::testing
