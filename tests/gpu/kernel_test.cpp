// Kernels compiled at run time, launched: arguments of each kind, templates, shared memory,
// streams, graphs, threads, failures; and a CustomOp with a version for CUDA.

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "taut/core/cuda_graph.h"
#include "taut/taut.h"
#include "tests/gpu/agreement.h"

namespace taut::testing {
namespace {

using cuda::Kernel;
using cuda::KernelArgument;

constexpr const char* kSource = R"(
#include <cuda_bf16.h>
#include <cuda_fp16.h>
struct Pair { double scale; int shift; };

__global__ void add_all(float* y, bool a, signed char b, unsigned char c, short d, int e, long long f,
                        float g, double h, __half i, __nv_bfloat16 j, unsigned int k) {
  y[0] = a; y[1] = b; y[2] = c; y[3] = d; y[4] = e; y[5] = f; y[6] = g; y[7] = h;
  y[8] = __half2float(i); y[9] = __bfloat162float(j); y[10] = k;
}
template <class T> __global__ void twice(const T* x, T* y, int64_t n) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < n) y[i] = x[i] + x[i];
}
__global__ void apply(Pair pair, double* x) {
  x[threadIdx.x] = x[threadIdx.x] * pair.scale + pair.shift;
}
extern "C" __global__ void reverse(const float* x, float* y) {
  extern __shared__ float row[];
  row[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = row[blockDim.x - 1 - threadIdx.x];
}
__global__ void place(int* y) {
  const int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  y[block * blockDim.x * blockDim.y * blockDim.z + thread] = 100 * block + thread;
}
__global__ void __launch_bounds__(64) small_blocks(float* x) { x[0] = threadIdx.x; }
)";

class CudaKernel : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cuda::is_available()) GTEST_SKIP() << "no GPU";
  }
  static TensorOptions gpu(DType dtype = kFloat32) { return TensorOptions(dtype).device(kCUDA); }
  static void run_twice(const Tensor& x, const Tensor& y) {
    static const Kernel kernel(kSource, "twice<float>");
    kernel({(x.numel() + 255) / 256}, {256}, {x, y, x.numel()});
  }
};

TEST_F(CudaKernel, TakesNumbersOfEachKind) {
  const Kernel kernel(kSource, "add_all");
  const Tensor y = zeros({11}, gpu());
  kernel({1}, {1}, {y, true, -7, 200, -300, 70000, int64_t{1} << 40, 0.5, 0.25, 1.5, -2.0, 9});
  const Tensor expected =
      tensor({1.0, -7.0, 200.0, -300.0, 70000.0, 1099511627776.0, 0.5, 0.25, 1.5, -2.0, 9.0});
  expect_close(y, expected.to(kFloat32), "numbers");
}

TEST_F(CudaKernel, IsATemplateOfEachType) {
  const std::pair<const char*, DType> types[] = {
      {"float", kFloat32},          {"double", kFloat64}, {"__half", kFloat16},
      {"__nv_bfloat16", kBFloat16}, {"int8_t", kInt8},    {"int16_t", kInt16},
      {"int32_t", kInt32},          {"int64_t", kInt64},  {"uint8_t", kUInt8},
  };
  for (const auto& [type, dtype] : types) {
    const Tensor x = arange(50).to(dtype).to(kCUDA);
    const Tensor y = zeros_like(x);
    const Kernel kernel(kSource, std::string("twice<") + type + ">");
    kernel({1}, {64}, {x, y, 50});
    EXPECT_TRUE(equal(y.cpu(), (arange(50) * 2).to(dtype))) << type;
  }
}

TEST_F(CudaKernel, TakesStructs) {
  struct Pair {
    double scale;
    int shift;
  };
  const Pair pair{1.5, 2};
  const Tensor x = ones({4}, gpu(kFloat64));
  const Kernel kernel(kSource, "apply");
  kernel({1}, {4}, {KernelArgument::bytes(&pair, sizeof pair), x});
  expect_close(x, full({4}, 3.5, kFloat64), "struct");
  EXPECT_THROW(kernel({1}, {4}, {KernelArgument::bytes(&pair, 4), x}), ValueError);
}

TEST_F(CudaKernel, HasGridsAndSharedMemory) {
  const Tensor y = zeros({2 * 3 * 2, 4 * 2 * 3}, gpu(kInt32));
  const Kernel place(kSource, "place");
  place({2, 3, 2}, {4, 2, 3}, {y});
  const Tensor expected = arange(12).unsqueeze(1) * 100 + arange(24);
  EXPECT_TRUE(equal(y.cpu(), expected.to(kInt32)));

  const Kernel reverse(kSource, "reverse");
  const Tensor x = arange(1024).to(kFloat32).to(kCUDA);
  const Tensor turned = empty_like(x);
  for (const int64_t bytes : {4 << 10, 64 << 10}) {
    reverse({1}, {1024}, {x, turned}, bytes);
    EXPECT_TRUE(equal(turned, flip(x, {0})));
  }
  if (is_under_tool()) return;  // which takes a refusal by the driver for a fault
  try {
    reverse({1}, {1024}, {x, turned}, 1 << 20);
    FAIL();
  } catch (const CudaError& error) {
    EXPECT_NE(std::string(error.what()).find("kernel reverse: shared_memory is 1048576 bytes"),
              std::string::npos)
        << error.what();
  }
}

TEST_F(CudaKernel, CountsAsAWrite) {
  const Tensor x = ones({8}, gpu());
  const Tensor y = zeros({8}, gpu());
  const uint32_t read = x.storage()->version();
  const uint32_t written = y.storage()->version();
  run_twice(x, y);
  EXPECT_EQ(x.storage()->version(), read);
  EXPECT_EQ(y.storage()->version(), written + 1);
  const Tensor leaf = ones({8}, gpu()).requires_grad_();
  EXPECT_THROW(run_twice(leaf, y), AutogradError);
  const NoGradGuard no_grad;
  run_twice(leaf, y);
  expect_close(y, full({8}, 2.0f), "leaf under no_grad");
}

TEST_F(CudaKernel, IsCapturedAndGoesToTheCurrentStream) {
  const Tensor x = ones({1000}, gpu());
  const Tensor y = zeros({1000}, gpu());
  run_twice(x, y);
  cuda::Graph graph;
  graph.capture([&] {
    run_twice(x, y);
    run_twice(y, x);
  });
  graph.replay();
  graph.replay();
  expect_close(x, full({1000}, 16.0f), "two replays");

  const cuda::Stream side = cuda::Stream::from_pool();
  side.wait(cuda::current_stream());
  {
    const cuda::StreamGuard guard(side);
    run_twice(x, y);
  }
  side.synchronize();
  expect_close(y, full({1000}, 32.0f), "another stream");
}

TEST_F(CudaKernel, IsLoadedByManyThreadsOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  const Kernel kernel(kSource, "twice<double>", {.compiler = {"-DOF_THREADS"}});
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      const Tensor x = full({100}, i + 1.0, gpu(kFloat64));
      const Tensor y = zeros_like(x);
      for (int round = 0; round < 20; ++round) kernel({1}, {128}, {x, y, 100});
      right += equal(y.cpu(), full({100}, 2.0 * (i + 1), kFloat64));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 4);
}

TEST_F(CudaKernel, LaunchesOnAThreadThatDidNothingElse) {
  const Tensor x = ones({8}, gpu());
  const Tensor y = zeros({8}, gpu());
  cuda::synchronize();
  std::thread([&] { run_twice(x, y); }).join();
  cuda::synchronize();
  expect_close(y, full({8}, 2.0f), "another thread");
}

TEST_F(CudaKernel, IsNamedByFailures) {
  if (is_under_tool()) GTEST_SKIP() << "the tool takes a refusal by the driver for a fault";
  const Tensor x = zeros({1}, gpu());
  const Kernel kernel(kSource, "small_blocks");
  try {
    kernel({1}, {128}, {x});
    FAIL();
  } catch (const CudaError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("kernel small_blocks: it could not be launched"), std::string::npos)
        << text;
    EXPECT_NE(text.find("block (128, 1, 1)"), std::string::npos) << text;
    EXPECT_NE(text.find("at most 64 threads"), std::string::npos) << text;
  }
  kernel({1}, {1}, {x});  // the context is usable
  cuda::synchronize();
  EXPECT_THROW(kernel({1}, {1}, {x.cpu()}), DeviceError);
  EXPECT_THROW(Kernel(kSource, "absent")({1}, {1}, {x}), CudaError);
}

TEST_F(CudaKernel, RunsOnTheGpuOfItsTensors) {
  if (cuda::device_count() < 2) GTEST_SKIP() << "one GPU";
  const TensorOptions second = TensorOptions(kFloat32).device("cuda:1");
  const Tensor x = ones({8}, second);
  const Tensor y = zeros({8}, second);
  run_twice(x, y);
  EXPECT_TRUE(equal(y.cpu(), full({8}, 2.0f)));
  EXPECT_THROW(run_twice(x, zeros({8}, gpu())), DeviceError);
}

TEST_F(CudaKernel, IsTheCudaVersionOfACustomOp) {
  static const Kernel forward(R"(
    __global__ void cube(const double* x, double* y, int64_t n) {
      const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
      if (i < n) y[i] = x[i] * x[i] * x[i];
    })",
                              "cube");
  const CustomOp op(
      {.name = "gpu_test::cube",
       .inputs = {"x"},
       .cuda = {.forward =
                    [](CustomCall& call, const Tensors& in) {
                      const Tensor y = empty_like(in[0]);
                      forward({1}, {64}, {in[0], y, y.numel()});
                      call.save_for_backward({in[0]});
                      return Tensors{y};
                    },
                .backward =
                    [](CustomCall& call, const Tensors& grads) {
                      const Tensor x = call.saved_tensors()[0];
                      return Tensors{grads[0] * x * x * 3};
                    }},
       .composed = [](CustomCall&, const Tensors& in) { return Tensors{in[0] * in[0] * in[0]}; }});
  const Tensor x = linspace(-2, 2, 5, gpu(kFloat64)).requires_grad_();
  const auto function = [&](TensorList in) { return op(in); };
  EXPECT_TRUE(autograd::gradcheck(function, {x}));
  EXPECT_TRUE(autograd::gradgradcheck(function, {x}));
  const Tensor on_cpu = x.detach().cpu();
  expect_close(op({x})[0].detach(), op({on_cpu})[0], "both devices");
}

}  // namespace
}  // namespace taut::testing
