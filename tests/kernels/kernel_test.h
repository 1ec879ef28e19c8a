#pragma once
// What the tests of kernels share: seeded random values, every dtype as double, thread counts.

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/api/visit_dtype.h"
#include "taut/base/parallel.h"
#include "taut/core/dims.h"
#include "taut/core/dtype.h"
#include "taut/core/half.h"

namespace taut::kernels::testing {

/// One generator a test, seeded by TAUT_TEST_SEED or 1; a failing test prints the seed.
class KernelTest : public ::testing::Test {
 protected:
  KernelTest() {
    const char* text = std::getenv("TAUT_TEST_SEED");
    seed_ = text != nullptr ? static_cast<unsigned>(std::atoi(text)) : 1u;
    rng.seed(seed_);
  }
  ~KernelTest() override {
    set_num_threads(1);
    if (HasFailure()) std::printf("TAUT_TEST_SEED=%u\n", seed_);
  }
  int64_t uniform(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(rng);
  }
  double normal() { return std::normal_distribution<double>()(rng); }
  bool coin() { return uniform(0, 1) == 1; }

  std::mt19937_64 rng;

 private:
  unsigned seed_ = 1;
};

inline const DType kAllDTypes[] = {kFloat32, kFloat64, kFloat16, kBFloat16, kInt8,
                                   kInt16,   kInt32,   kInt64,   kUInt8,    kBool};

/// Elements of any dtype, read and written as double. `shift` moves the first off its alignment by
/// that many elements.
class Buffer {
 public:
  Buffer(DType dtype, int64_t n, int64_t shift = 0)
      : dtype_(dtype),
        n_(n),
        bytes_(static_cast<size_t>(n + shift) * item_size(dtype) + 1, 0x5a),
        offset_(static_cast<size_t>(shift) * item_size(dtype)) {}

  DType dtype() const { return dtype_; }
  int64_t size() const { return n_; }
  void* data() { return bytes_.data() + offset_; }
  const void* data() const { return bytes_.data() + offset_; }
  template <class T>
  T* as() {
    return static_cast<T*>(data());
  }

  double get(int64_t i) const {
    double result = 0;
    visit_dtype(All{}, dtype_, "test", [&]<class T>(Tag<T>) {
      T value;
      std::memcpy(&value, static_cast<const char*>(data()) + static_cast<size_t>(i) * sizeof(T),
                  sizeof(T));
      result = static_cast<double>(value);
    });
    return result;
  }
  void set(int64_t i, double value) {
    visit_dtype(All{}, dtype_, "test", [&]<class T>(Tag<T>) {
      T stored;
      if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>) {
        stored = T(static_cast<float>(value));
      } else if constexpr (std::is_same_v<T, bool>) {
        stored = value != 0;
      } else {
        stored = static_cast<T>(value);
      }
      std::memcpy(static_cast<char*>(data()) + static_cast<size_t>(i) * sizeof(T), &stored,
                  sizeof(T));
    });
  }
  bool same_bits(const Buffer& other) const { return bytes_ == other.bytes_; }

 private:
  DType dtype_;
  int64_t n_;
  std::vector<unsigned char> bytes_;
  size_t offset_;
};

inline double tolerance(DType dtype) {
  switch (dtype) {
    case DType::float32: return 2e-5;
    case DType::float64: return 1e-11;
    case DType::float16: return 4e-3;
    case DType::bfloat16: return 3e-2;
    default: return 0.0;
  }
}

}  // namespace taut::kernels::testing
