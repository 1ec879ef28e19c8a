// Streams, events, memory and copies of GPUs.

#include <gtest/gtest.h>

#include <thread>

#include "taut/autograd/memory_history.h"
#include "taut/core/cuda.h"
#include "taut/taut.h"

namespace taut {
namespace {

class CudaDevice : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cuda::is_available()) GTEST_SKIP() << "no GPU";
  }
  static TensorOptions gpu(DType dtype = kFloat32) { return TensorOptions(dtype).device(kCUDA); }
};

TEST_F(CudaDevice, TellsWhatItIs) {
  const cuda::DeviceProperties properties = cuda::device_properties();
  EXPECT_FALSE(properties.name.empty());
  EXPECT_GE(properties.major, 7);
  EXPECT_GT(properties.total_memory, 1 << 30);
  EXPECT_GT(properties.multi_processor_count, 0);
  EXPECT_GT(cuda::mem_get_info().free, 0);
}

TEST_F(CudaDevice, RefusesDevicesThatAreNotThere) {
  const Device missing(DeviceType::cuda, cuda::device_count());
  EXPECT_THROW(cuda::set_device(missing.index()), DeviceError);
  EXPECT_THROW(cuda::synchronize(missing), DeviceError);
  EXPECT_THROW(ones({2}, TensorOptions(missing)), DeviceError);
  EXPECT_THROW(ones({2}).to(missing), DeviceError);
  EXPECT_THROW(cuda::Stream::from_pool(missing), DeviceError);
  EXPECT_THROW(memory_stats(missing), DeviceError);
  EXPECT_EQ(exp(zeros({2}, gpu())).cpu().sum().item<float>(), 2.0f);
}

TEST_F(CudaDevice, StreamsOrderTheirWork) {
  const cuda::Stream side = cuda::Stream::from_pool();
  EXPECT_FALSE(side == cuda::Stream());
  const Tensor x = full({1 << 20}, 0.5, gpu());
  Tensor y;
  side.wait(cuda::current_stream());
  {
    const cuda::StreamGuard guard(side);
    EXPECT_TRUE(cuda::current_stream() == side);
    y = exp(exp(x));
  }
  EXPECT_TRUE(cuda::current_stream() == cuda::Stream());
  cuda::current_stream().wait(side);
  EXPECT_TRUE(allclose(exp(y).cpu(), exp(exp(exp(x.cpu())))));
  cuda::record_stream(y.storage(), cuda::Stream());
  side.synchronize();
  EXPECT_TRUE(side.query());
}

TEST_F(CudaDevice, PoolStreamsComeInTurnAndByPriority) {
  const cuda::Stream first = cuda::Stream::from_pool();
  for (int i = 1; i < 32; ++i) EXPECT_FALSE(cuda::Stream::from_pool() == first);
  EXPECT_TRUE(cuda::Stream::from_pool() == first);
  EXPECT_EQ(cuda::Stream::from_pool(kCUDA, -1).priority(), -1);
  EXPECT_LE(cuda::Stream::from_pool(kCUDA, -100).priority(), -1);
}

TEST_F(CudaDevice, EventsMeasureTime) {
  cuda::Event start(/*enable_timing=*/true);
  cuda::Event end(/*enable_timing=*/true);
  EXPECT_TRUE(start.query());
  const Tensor x = full({1 << 24}, 0.5, gpu());
  start.record();
  for (int i = 0; i < 10; ++i) exp(x);
  end.record();
  end.synchronize();
  EXPECT_GT(start.elapsed_time(end), 0.0);
  EXPECT_THROW(start.elapsed_time(cuda::Event()), ValueError);
}

TEST_F(CudaDevice, ThreadsAndStreamsWorkAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      const cuda::StreamGuard guard(cuda::Stream::from_pool());
      bool good = true;
      for (int i = 0; i < 50; ++i) {
        const Tensor x = full({1000 + 37 * t}, 0.01 * t, gpu());
        const Tensor y = exp(exp(x));
        good = good && allclose(y.cpu(), exp(exp(x.cpu())));
      }
      right += good ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 8);
}

TEST_F(CudaDevice, CopiesFromPinnedMemoryWithoutWaiting) {
  const Tensor host = pin_memory(arange(1 << 20, TensorOptions(kFloat32)));
  EXPECT_TRUE(is_pinned(host));
  EXPECT_FALSE(is_pinned(ones({3})));
  EXPECT_THROW(pin_memory(ones({3}, gpu())), DeviceError);
  const Tensor there = host.to(kCUDA, /*non_blocking=*/true);
  const Tensor back = pin_memory(zeros({1 << 20}));
  back.copy_(there, /*non_blocking=*/true);
  cuda::synchronize();
  EXPECT_TRUE(equal(back, host));
  EXPECT_TRUE(is_pinned(pin_memory(empty({0}))));
}

TEST_F(CudaDevice, CountsItsMemory) {
  empty_cache(kCUDA);
  const int64_t before = memory_stats(kCUDA).allocated;
  {
    const Tensor x = empty({1 << 20}, gpu());
    EXPECT_GE(memory_stats(kCUDA).allocated, before + (4 << 20));
  }
  EXPECT_EQ(memory_stats(kCUDA).allocated, before);
  reset_peak_memory_stats(kCUDA);
  EXPECT_EQ(memory_stats(kCUDA).max_allocated, before);
  EXPECT_NE(cuda::memory_summary().find("held by tensors"), std::string::npos);
}

TEST_F(CudaDevice, SnapshotsNameTheHolders) {
  const cuda::MemoryHistory history;
  const Tensor y = exp(full({12345}, 0.5, gpu()));
  bool found = false;
  for (const cuda::MemoryBlockInfo& block : cuda::memory_snapshot()) {
    found = found || (block.address == y.data_ptr() && block.holder == "exp" &&
                      block.state == "used" && block.requested == 4 * 12345);
  }
  EXPECT_TRUE(found);
}

TEST_F(CudaDevice, GoesOnAfterRunningOutOfMemory) {
  const int64_t total = cuda::mem_get_info().total;
  const Tensor x = full({1000}, 0.5, gpu());
  try {
    empty({total}, gpu());
    FAIL() << "four times the device's memory";
  } catch (const OutOfMemoryError& error) {
    EXPECT_NE(std::string(error.what()).find(concat(4 * total)), std::string::npos) << error.what();
  }
  EXPECT_TRUE(allclose(exp(x).cpu(), exp(x.cpu())));
  cuda::set_per_process_memory_fraction(0.01);
  EXPECT_THROW(empty({total / 20}, gpu()), OutOfMemoryError);
  cuda::set_per_process_memory_fraction(1.0);
  EXPECT_EQ(empty({total / 40}, gpu()).numel(), total / 40);
  empty_cache(kCUDA);
  EXPECT_THROW(cuda::set_per_process_memory_fraction(0.0), ValueError);
  EXPECT_THROW(cuda::set_per_process_memory_fraction(1.5), ValueError);
}

TEST_F(CudaDevice, WaitsForEachOpWhenDebugging) {
  cuda::set_sync_debug_mode(true);
  const Tensor y = exp(full({1 << 22}, 0.5, gpu()));
  EXPECT_TRUE(cuda::current_stream().query());
  cuda::set_sync_debug_mode(false);
}

TEST_F(CudaDevice, GradientsComeBackToTheCpu) {
  const Tensor w = rand({3, 4}).requires_grad_();
  const Tensor scale = rand({3, 4}, gpu()).requires_grad_();
  sum(w.to(kCUDA) * scale).backward();
  EXPECT_TRUE(w.grad().is_cpu());
  EXPECT_TRUE(equal(w.grad(), scale.detach().cpu()));
  EXPECT_TRUE(equal(scale.grad().cpu(), w.detach()));
  // Writing into a tensor of the GPU, and from it.
  const Tensor source = rand({4}).requires_grad_();
  const Tensor target = zeros({3, 4}, gpu()) * scale;
  target.select(0, 1).copy_(source);
  sum(target.cpu() * 2).backward();
  EXPECT_TRUE(source.grad().is_cpu());
  EXPECT_TRUE(equal(source.grad(), full({4}, 2.0)));
}

TEST_F(CudaDevice, GradientsCrossDevices) {
  if (cuda::device_count() < 2) GTEST_SKIP() << "one GPU";
  const Device second("cuda:1");
  const Tensor x = randn({8, 3, 9, 9}, gpu()).requires_grad_();
  const Tensor w = randn({4, 3, 3, 3}, TensorOptions(second)).requires_grad_();
  const Tensor v = randn({5, 4}, gpu()).requires_grad_();
  // There and back again: a convolution on one, a product on the other.
  const Tensor features = nn::functional::conv2d(exp(x).to(second), w).mean(Dims{2, 3});
  sum(square(nn::functional::linear(features.to(Device("cuda:0")), v))).backward();
  const Tensor x2 = x.detach().cpu().requires_grad_();
  const Tensor w2 = w.detach().cpu().requires_grad_();
  const Tensor v2 = v.detach().cpu().requires_grad_();
  sum(square(nn::functional::linear(nn::functional::conv2d(exp(x2), w2).mean(Dims{2, 3}), v2)))
      .backward();
  const std::pair<Tensor, Tensor> pairs[] = {{x, x2}, {w, w2}, {v, v2}};
  for (const auto& [on_gpu, on_cpu] : pairs) {
    EXPECT_EQ(on_gpu.grad().device(), on_gpu.device());
    EXPECT_TRUE(allclose(on_gpu.grad().cpu(), on_cpu.grad(), 1e-3, 1e-4));
  }
}

TEST_F(CudaDevice, DevicesHaveStreamsMemoryAndNumbersOfTheirOwn) {
  if (cuda::device_count() < 2) GTEST_SKIP() << "one GPU";
  const Device first("cuda:0"), second("cuda:1");
  manual_seed(5);
  const Tensor a = rand({1000}, TensorOptions(first));
  manual_seed(5);
  const Tensor b = rand({1000}, TensorOptions(second));
  EXPECT_TRUE(equal(a.cpu(), b.cpu()));
  const int64_t held = memory_stats(first).allocated;
  const Tensor large = zeros({1 << 20}, TensorOptions(second));
  EXPECT_EQ(memory_stats(first).allocated, held);
  EXPECT_GE(memory_stats(second).allocated, 4 << 20);
  // An event of one device holds back a stream of the other.
  const cuda::Stream side = cuda::Stream::from_pool(second);
  Tensor sum_of_both;
  {
    cuda::Event event;
    const Tensor slow = exp(rand({1 << 24}, TensorOptions(first)));
    event.record(cuda::current_stream(first));
    side.wait(event);
    const cuda::StreamGuard guard(side);
    sum_of_both = slow.to(second) + 1;
    EXPECT_TRUE(allclose(sum_of_both.cpu(), slow.cpu() + 1));
  }
  // A view with strides goes over as it lies.
  const Tensor turned = rand({30, 50}, TensorOptions(first)).t();
  EXPECT_TRUE(equal(turned.to(second).cpu(), turned.cpu()));
  EXPECT_THROW(nn::functional::linear(rand({2, 3}, TensorOptions(first)),
                                      rand({4, 3}, TensorOptions(second))),
               DeviceError);
}

TEST_F(CudaDevice, ThreadsTrainOnSeveralDevices) {
  if (cuda::device_count() < 2) GTEST_SKIP() << "one GPU";
  Tensor weights[2];
  std::thread threads[2];
  for (int i = 0; i < 2; ++i) {
    threads[i] = std::thread([&, i] {
      cuda::set_device(i);
      Generator generator(11);
      const auto options = TensorOptions(Device("cuda"));
      const Tensor w = randn({16, 16}, options, &generator).requires_grad_();
      const Tensor x = randn({64, 16}, options, &generator);
      optim::AdamW optimizer({w}, {.lr = 0.01});
      for (int step = 0; step < 20; ++step) {
        optimizer.zero_grad();
        mean(square(nn::functional::linear(x, w))).backward();
        optimizer.step();
      }
      weights[i] = w.detach();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(weights[1].device(), Device("cuda:1"));
  EXPECT_TRUE(equal(weights[0].cpu(), weights[1].cpu()));
}

TEST_F(CudaDevice, SeveralDevicesWorkSideBySide) {
  if (cuda::device_count() < 2) GTEST_SKIP() << "one GPU";
  const Device second("cuda:1");
  const Tensor x = rand({1000}, gpu());
  const Tensor y = x.to(second);
  EXPECT_EQ(y.device(), second);
  EXPECT_TRUE(allclose(exp(y).cpu(), exp(x).cpu()));
  EXPECT_TRUE(equal(exp(y).to(Device("cuda:0")).cpu(), exp(y).cpu()));
  EXPECT_THROW(x + y, DeviceError);
  {
    const cuda::DeviceGuard guard(second);
    EXPECT_EQ(ones({2}, TensorOptions(Device("cuda"))).device(), second);
  }
  EXPECT_EQ(cuda::current_device(), 0);
}

}  // namespace
}  // namespace taut
