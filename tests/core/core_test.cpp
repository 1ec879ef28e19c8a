// Dtypes, halves, scalars, devices, generators, the allocator and threads.

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <thread>
#include <vector>

#include "taut/core/half.h"
#include "taut/taut.h"

namespace taut {
namespace {

TEST(DType, PromotesByTheLattice) {
  // PyTorch's table (docs, "Tensor Attributes"), but for the two 16-bit floats, which it agrees on
  // too.
  EXPECT_EQ(promote_types(kUInt8, kInt8), kInt16);
  EXPECT_EQ(promote_types(kInt64, kFloat16), kFloat16);
  EXPECT_EQ(promote_types(kFloat16, kBFloat16), kFloat32);
  EXPECT_EQ(promote_types(kBool, kUInt8), kUInt8);
  EXPECT_EQ(promote_types(kInt32, kFloat64), kFloat64);
  for (int a = 0; a < kDTypeCount; ++a) {
    for (int b = 0; b < kDTypeCount; ++b) {
      const DType x = static_cast<DType>(a);
      const DType y = static_cast<DType>(b);
      EXPECT_EQ(promote_types(x, y), promote_types(y, x));
      EXPECT_EQ(promote_types(promote_types(x, y), y), promote_types(x, y));
    }
  }
}

TEST(DType, TensorsWithoutDimsAndNumbersYieldToTensors) {
  const Tensor halves = ones({2}, kFloat16);
  EXPECT_EQ(result_type(halves, ones({}, kFloat64)), kFloat16);
  EXPECT_EQ(result_type(halves, Scalar(1.5)), kFloat16);
  EXPECT_EQ(result_type(ones({2}, kInt32), Scalar(1.5)), kFloat32);
  EXPECT_EQ(result_type(ones({2}, kInt32), ones({}, kFloat64)), kFloat64);
  EXPECT_EQ(result_type(ones({2}, kBool), Scalar(2)), kInt64);
  EXPECT_EQ(result_type(ones({2}, kInt8), ones({3, 2}, kInt64)), kInt64);
}

TEST(Half, ConvertsEveryPatternBothWays) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const Float16 half = Float16::from_bits(static_cast<uint16_t>(bits));
    const float wide = half;
    if (std::isnan(wide)) {
      EXPECT_TRUE(std::isnan(static_cast<float>(Float16(wide))));
      continue;
    }
    EXPECT_EQ(Float16(wide).bits, bits);
    // The value by definition: sign, exponent and mantissa.
    const int exponent = (bits >> 10) & 31;
    const int mantissa = bits & 1023;
    const double magnitude = exponent == 31  ? INFINITY
                             : exponent == 0 ? std::ldexp(mantissa, -24)
                                             : std::ldexp(1024 + mantissa, exponent - 25);
    EXPECT_EQ(static_cast<double>(wide), (bits & 0x8000) != 0 ? -magnitude : magnitude);
  }
}

TEST(Half, RoundsToNearestTiesToEven) {
  EXPECT_EQ(static_cast<float>(Float16(2049.0f)), 2048.0f);
  EXPECT_EQ(static_cast<float>(Float16(2051.0f)), 2052.0f);
  EXPECT_EQ(static_cast<float>(Float16(65519.0f)), 65504.0f);
  EXPECT_TRUE(std::isinf(static_cast<float>(Float16(65520.0f))));
  EXPECT_EQ(static_cast<float>(Float16(std::ldexp(1.5f, -25))), std::ldexp(1.0f, -24));
  EXPECT_EQ(static_cast<float>(BFloat16(1.00390625f)), 1.0f);
  EXPECT_EQ(static_cast<float>(BFloat16(1.01171875f)), 1.015625f);
}

TEST(Scalar, KeepsItsKind) {
  EXPECT_TRUE(Scalar(true).is_boolean());
  EXPECT_TRUE(Scalar(3).is_integral());
  EXPECT_TRUE(Scalar(3.0f).is_floating_point());
  EXPECT_EQ(Scalar(int64_t{1} << 60).to_int64(), int64_t{1} << 60);
  EXPECT_THROW(Scalar(1e30).to_int64(), ValueError);
  EXPECT_THROW(Scalar(NAN).to_int64(), ValueError);
}

TEST(Scalar, KnowsWhichDTypesHoldIt) {
  for (const DType dtype : {kInt8, kInt16, kInt32, kInt64, kUInt8}) {
    const auto [lowest, highest] = integer_range(dtype);
    const double above = static_cast<double>(highest / 2 + 1) * 2;
    EXPECT_TRUE(can_hold(dtype, lowest) && can_hold(dtype, highest)) << name(dtype);
    EXPECT_TRUE(can_hold(dtype, static_cast<double>(lowest))) << name(dtype);
    EXPECT_TRUE(can_hold(dtype, std::nextafter(above, 0))) << name(dtype);
    EXPECT_FALSE(can_hold(dtype, above)) << name(dtype);
    EXPECT_FALSE(can_hold(dtype, NAN) || can_hold(dtype, -INFINITY)) << name(dtype);
  }
  EXPECT_FALSE(can_hold(kInt8, 128) || can_hold(kInt8, -129) || can_hold(kUInt8, 256));
  EXPECT_TRUE(can_hold(kUInt8, -255));
  EXPECT_FALSE(can_hold(kUInt8, -256) || can_hold(kUInt8, -0.5));
  EXPECT_TRUE(can_hold(kFloat16, 65504) && can_hold(kFloat16, INFINITY) && can_hold(kFloat16, NAN));
  EXPECT_FALSE(can_hold(kFloat16, 65505) || can_hold(kFloat32, 1e39) ||
               can_hold(kBFloat16, 3.4e38));
  EXPECT_TRUE(can_hold(kFloat64, 1e308) && can_hold(kBool, 7));
  EXPECT_EQ(tensor({1, -1}, kUInt8)[1].item<int64_t>(), 255);
  EXPECT_THROW(tensor({1, 300}, kInt8), ValueError);
  EXPECT_THROW(tensor({1.0, NAN}, kInt32), ValueError);
  EXPECT_THROW(full({2}, 300, kInt8), ValueError);
}

TEST(Device, ReadsAndPrints) {
  EXPECT_EQ(Device("cuda:3").index(), 3);
  EXPECT_EQ(Device("cpu").str(), "cpu");
  EXPECT_EQ(Device("cuda").str(), "cuda:0");
  for (const char* bad : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cpu:1", "cuda:999"}) {
    EXPECT_THROW(Device{bad}, DeviceError) << bad;
  }
}

TEST(Device, CudaWithoutCudaIsAClearError) {
  if (cuda::is_available()) GTEST_SKIP() << "there is a GPU";
  EXPECT_THROW(zeros({2}, TensorOptions(kCUDA)), DeviceError);
  EXPECT_THROW(ones({2}).cuda(), DeviceError);
}

TEST(Generator, StateRestoresTheStream) {
  manual_seed(5);
  const Tensor first = rand({10});
  const GeneratorState state = default_generator().state();
  const Tensor second = randn({10});
  default_generator().set_state(state);
  EXPECT_TRUE(equal(randn({10}), second));
  manual_seed(5);
  EXPECT_TRUE(equal(rand({10}), first));
  Generator own(5);
  EXPECT_TRUE(equal(rand({10}, {}, &own), first));
}

TEST(Generator, ThreadsDoNotChangeTheNumbers) {
  const int before = get_num_threads();
  manual_seed(9);
  set_num_threads(1);
  const Tensor one = randn({100000});
  manual_seed(9);
  set_num_threads(3);
  const Tensor three = randn({100000});
  set_num_threads(before);
  EXPECT_TRUE(equal(one, three));
}

TEST(Allocator, AlignsAndCountsAndReuses) {
  const MemoryStats before = memory_stats();
  {
    const Tensor small = empty({3});
    const Tensor large = empty({1 << 20});
    EXPECT_EQ(reinterpret_cast<uintptr_t>(small.data_ptr()) % 64, 0u);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(large.data_ptr()) % (2 << 20), 0u);
    EXPECT_GE(memory_stats().allocated, before.allocated + (4 << 20));
  }
  EXPECT_EQ(memory_stats().allocated, before.allocated);
#if !defined(__SANITIZE_ADDRESS__)
  const int64_t asked = memory_stats().system_allocations;
  for (int i = 0; i < 100; ++i) empty({1 << 20});
  EXPECT_EQ(memory_stats().system_allocations, asked);
#endif
  empty_cache();
  EXPECT_LE(memory_stats().reserved, before.reserved);
}

TEST(Allocator, FreesFromOtherThreads) {
  const int64_t storages = live_storages();
  std::vector<Tensor> made(64);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&made, t] {
      for (size_t i = t; i < made.size(); i += 4)
        made[i] = full({static_cast<int64_t>(i) * 50 + 1}, 1.0);
    });
  }
  for (std::thread& thread : threads) thread.join();
  threads.clear();
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&made, t] {
      for (size_t i = (t + 1) % 4; i < made.size(); i += 4) made[i] = Tensor();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(live_storages(), storages);
}

TEST(Allocator, SaysWhatItCouldNotGive) {
  try {
    empty({int64_t{1} << 50}, kFloat64);
    FAIL() << "nothing was thrown";
  } catch (const OutOfMemoryError& error) {
    EXPECT_NE(std::string(error.what()).find("9007199254740992"), std::string::npos)
        << error.what();
  }
  // Systems that promise more than they have would end the process at the first write.
  EXPECT_THROW(zeros({int64_t{1} << 45}, kUInt8), OutOfMemoryError);
  EXPECT_EQ(ones({2}).sum().item<double>(), 2);
}

TEST(Ops, RunOnManyThreadsAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&wrong, t] {
      for (int i = 0; i < 50; ++i) {
        const Tensor x = full({257}, t + 1.0).requires_grad_();
        (x * x).sum().backward();
        if (x.grad()[3].item<double>() != 2.0 * (t + 1)) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong.load(), 0);
}

}  // namespace
}  // namespace taut
