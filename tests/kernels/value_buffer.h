#pragma once
// Test data of any dtype, read and written as double, at an address that no alignment can be
// expected of.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "kernels/api/visit_dtype.h"
#include "taut/base/parallel.h"

namespace taut::test {

/// The seed of this run: TAUT_TEST_SEED or a fixed one, printed by whoever uses it.
inline uint64_t test_seed() {
  const char* text = std::getenv("TAUT_TEST_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 20261122u;
}

class ValueBuffer {
 public:
  ValueBuffer(DType dtype, int64_t n)
      : dtype_(dtype), n_(n), bytes_(static_cast<size_t>(n) * item_size(dtype) + 64, 0xAB) {}

  // A copy lies somewhere else among the aligned addresses.
  ValueBuffer(const ValueBuffer& other) : ValueBuffer(other.dtype_, other.n_) {
    if (n_ > 0) std::memcpy(data(), other.data(), static_cast<size_t>(n_) * item_size(dtype_));
  }
  ValueBuffer& operator=(ValueBuffer other) {
    dtype_ = other.dtype_;
    n_ = other.n_;
    bytes_.swap(other.bytes_);
    return *this;
  }

  DType dtype() const { return dtype_; }
  int64_t size() const { return n_; }
  // One element past an aligned address.
  void* data() {
    const auto address = reinterpret_cast<uintptr_t>(bytes_.data());
    const uintptr_t aligned = (address + 31) / 32 * 32;
    return reinterpret_cast<void*>(aligned + item_size(dtype_));
  }
  const void* data() const { return const_cast<ValueBuffer*>(this)->data(); }

  double get(int64_t i) const {
    double value = 0;
    kernels::visit_dtype(kernels::All{}, dtype_, "test", [&]<class T>(kernels::Tag<T>) {
      value = static_cast<double>(static_cast<const T*>(data())[i]);
    });
    return value;
  }
  void set(int64_t i, double value) {
    kernels::visit_dtype(kernels::All{}, dtype_, "test", [&]<class T>(kernels::Tag<T>) {
      if constexpr (std::is_same_v<T, bool>) {
        static_cast<T*>(data())[i] = value != 0;
      } else if constexpr (is_floating_point(kernels::dtype_of<T>)) {
        static_cast<T*>(data())[i] = static_cast<T>(static_cast<kernels::compute_t<T>>(value));
      } else {
        static_cast<T*>(data())[i] = static_cast<T>(static_cast<int64_t>(value));
      }
    });
  }
  std::vector<double> values() const {
    std::vector<double> result(static_cast<size_t>(n_));
    for (int64_t i = 0; i < n_; ++i) result[static_cast<size_t>(i)] = get(i);
    return result;
  }
  std::vector<uint8_t> raw() const {
    const auto* from = static_cast<const uint8_t*>(data());
    return {from, from + static_cast<size_t>(n_) * item_size(dtype_)};
  }

  /// Uniform in [low, high]; whole numbers for integers.
  void fill(std::mt19937_64& rng, double low = -2.0, double high = 2.0) {
    const bool is_whole = !is_floating_point(dtype_);
    if (dtype_ == kUInt8) low = std::max(low, 0.0);
    for (int64_t i = 0; i < n_; ++i) {
      double value = std::uniform_real_distribution<double>(low, high)(rng);
      if (is_whole) value = std::round(value);
      set(i, dtype_ == kBool ? static_cast<double>(rng() % 2) : value);
    }
  }

 private:
  DType dtype_;
  int64_t n_;
  std::vector<uint8_t> bytes_;
};

/// Relative to max(1, |value|).
inline double tolerance(DType dtype) {
  switch (dtype) {
    case kFloat32: return 2e-5;
    case kFloat64: return 1e-11;
    case kFloat16: return 2e-3;
    case kBFloat16: return 1.6e-2;
    default: return 0.0;
  }
}

inline bool is_close(double got, double expected, double limit) {
  if (std::isnan(expected)) return std::isnan(got);
  if (std::isinf(expected) || std::isinf(got)) return got == expected;
  return std::fabs(got - expected) <= limit * std::max(1.0, std::fabs(expected));
}

/// Restores the number of threads.
class ThreadCount {
 public:
  explicit ThreadCount(int threads) : before_(get_num_threads()) { set_num_threads(threads); }
  ~ThreadCount() { set_num_threads(before_); }

 private:
  int before_;
};

}  // namespace taut::test
