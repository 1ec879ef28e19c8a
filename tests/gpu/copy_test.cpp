// Copies, fills and ranges on CUDA against the CPU: every pair of dtypes, and the layouts that
// choose between the kernels.

#include <limits>

#include "tests/gpu/agreement.h"

namespace taut::testing {
namespace {

const DType kAll[] = {kFloat32, kFloat64, kFloat16, kBFloat16, kInt8,
                      kInt16,   kInt32,   kInt64,   kUInt8,    kBool};

class CudaCopy : public GpuTest {};

TEST_F(CudaCopy, ConvertsBetweenAllDtypes) {
  const Tensor values = randn({5, 67}).mul(30);
  for (DType from : kAll) {
    const Tensor x = (from == kUInt8 ? values.abs() : values).to(from);
    for (DType to : kAll) {
      const std::string what = concat(from, " to ", to, ", seed ", kSeed);
      expect_equal(x.cuda().to(to), x.to(to), what);
      expect_equal(x.cuda().t().to(to), x.t().to(to), what + " transposed");
      expect_equal(x.cuda().view({-1}).slice(0, 1).to(to), x.view({-1}).slice(0, 1).to(to),
                   what + " misaligned");
    }
  }
}

TEST_F(CudaCopy, ConvertsWhatDoesNotFitAsTheCpuDoes) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const Tensor x = tensor({std::numeric_limits<double>::quiet_NaN(), kInfinity, -kInfinity, 1e30,
                           -1e30, 300.7, -300.7, 65520.0, 1e-8, -0.0});
  for (DType from : {kFloat32, kFloat64}) {
    for (DType to : kAll) expect_equal(x.to(from).cuda().to(to), x.to(from).to(to), concat(to));
  }
}

TEST_F(CudaCopy, KeepsEveryElementInEveryLayout) {
  for (DType dtype : {kUInt8, kInt16, kFloat32, kFloat64}) {
    for (const Dims& shape :
         {Dims{1, 1, 1}, Dims{2, 3, 4}, Dims{5, 33, 65}, Dims{3, 64, 128}, Dims{70, 9, 31},
          Dims{2, 200, 136}, Dims{3, 16, 72}, Dims{1, 66, 130}, Dims{2, 0, 5}}) {
      const Tensor x = arange(shape.numel()).remainder(251).view(shape).to(dtype);
      const Tensor gpu = x.cuda();
      for (const Dims& order : {Dims{0, 1, 2}, Dims{0, 2, 1}, Dims{1, 0, 2}, Dims{2, 1, 0},
                                Dims{1, 2, 0}, Dims{2, 0, 1}}) {
        const std::string what = concat(dtype, " ", shape, " ", order);
        expect_equal(gpu.permute(order).contiguous(), x.permute(order).contiguous(), what);
        const Tensor target = zeros(shape, TensorOptions(dtype)).cuda();
        const Tensor permuted = target.permute(order);
        permuted.copy_(gpu.permute(order));
        expect_equal(target, x, what + " back");
      }
    }
  }
}

// Whole packs or not, on either side.
TEST_F(CudaCopy, TransposesFromAnywhereToAnywhere) {
  for (DType dtype : {kUInt8, kBFloat16, kFloat32, kFloat64}) {
    const Tensor x = arange(2 * 160 * 144).remainder(251).view({2, 160, 144}).to(dtype);
    const Tensor gpu = x.cuda();
    for (int64_t begin : {0, 1, 8, 16}) {
      for (int64_t size : {128, 121, 8}) {
        const auto part = [&](const Tensor& t) {
          return t.slice(1, begin, begin + size).slice(2, 16 - begin, 144 - begin).transpose(1, 2);
        };
        const std::string what = concat(dtype, " from ", begin, " on, ", size);
        expect_equal(part(gpu).contiguous(), part(x).contiguous(), what);
        const Tensor cpu_target = zeros({2, 130, 140}, TensorOptions(dtype));
        const Tensor target = cpu_target.cuda();
        target.slice(1, 1, 129).slice(2, begin / 8, begin / 8 + size).copy_(part(gpu));
        cpu_target.slice(1, 1, 129).slice(2, begin / 8, begin / 8 + size).copy_(part(x));
        expect_equal(target, cpu_target, what + " to a slice");
      }
    }
  }
}

TEST_F(CudaCopy, CopiesSlices) {
  const Tensor x = arange(6 * 40 * 48).view({6, 40, 48}).to(kInt32);
  const Tensor gpu = x.cuda();
  for (int64_t begin : {0, 1, 4}) {
    for (int64_t step : {1, 3}) {
      expect_equal(gpu.slice(2, begin, 44, step).contiguous(),
                   x.slice(2, begin, 44, step).contiguous(), concat(begin, " ", step));
    }
  }
  expect_equal(gpu.slice(1, 0, 1).expand({6, 5, 48}).contiguous(),
               x.slice(1, 0, 1).expand({6, 5, 48}).contiguous(), "expanded");
}

TEST_F(CudaCopy, FillsWhatItShouldAndNothingElse) {
  for (DType dtype : kAll) {
    for (int64_t begin : {0, 1, 3}) {
      for (int64_t n : {0, 1, 2, 5, 17, 64, 1001}) {
        for (double value : {0.0, 1.0, 3.0}) {
          const Tensor cpu = ones({1100}, TensorOptions(dtype));
          const Tensor gpu = cpu.cuda();
          cpu.slice(0, begin, begin + n).fill_(value);
          gpu.slice(0, begin, begin + n).fill_(value);
          expect_equal(gpu, cpu, concat(dtype, " ", begin, " ", n, " ", value));
        }
      }
    }
    const Tensor cpu = zeros({9, 10}, TensorOptions(dtype));
    const Tensor gpu = cpu.cuda();
    cpu.slice(1, 2, 9, 3).fill_(1);
    gpu.slice(1, 2, 9, 3).fill_(1);
    expect_equal(gpu, cpu, concat(dtype, " strided"));
  }
}

TEST_F(CudaCopy, CountsAsTheCpuDoes) {
  for (DType dtype : {kFloat32, kFloat64, kFloat16, kInt8, kInt32, kInt64}) {
    const TensorOptions on_gpu = TensorOptions(dtype).device(kCUDA);
    expect_equal(arange(-3, 97, 1, on_gpu), arange(-3, 97, 1, TensorOptions(dtype)), concat(dtype));
  }
  expect_equal(arange(0.1, 9.3, 0.07, TensorOptions(kCUDA)), arange(0.1, 9.3, 0.07), "steps");
}

}  // namespace
}  // namespace taut::testing
