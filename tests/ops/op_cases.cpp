#include "tests/ops/op_cases.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>

namespace taut::testing {

uint64_t seed() {
  static const uint64_t value = [] {
    const char* given = std::getenv("TAUT_TEST_SEED");
    return given == nullptr ? uint64_t{20260101} : std::strtoull(given, nullptr, 10);
  }();
  return value;
}

Device test_device() {
  static const Device device = [] {
    const char* given = std::getenv("TAUT_TEST_DEVICE");
    return Device(given == nullptr ? "cpu" : given);
  }();
  return device;
}

namespace {

std::mt19937_64& random_engine() {
  static std::mt19937_64 engine(seed());
  return engine;
}

Tensor from_values(const std::vector<double>& values, const Dims& shape) {
  return here(tensor(values, kFloat64)).view(shape).clone().requires_grad_();
}

}  // namespace

Tensor draw(const Dims& shape, double low, double high, double away_from_zero) {
  std::uniform_real_distribution<double> uniform(low, high);
  std::vector<double> values(static_cast<size_t>(shape.numel()));
  for (double& value : values) {
    do {
      value = uniform(random_engine());
    } while (std::abs(value) < away_from_zero);
  }
  return from_values(values, shape);
}

Tensor draw_distinct(const Dims& shape) {
  std::vector<double> values(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = (static_cast<double>(i) + 0.7 - static_cast<double>(values.size()) / 2) * 0.3;
  }
  std::shuffle(values.begin(), values.end(), random_engine());
  return from_values(values, shape);
}

Tensor draw_indices(const Dims& shape, int64_t bound) {
  std::uniform_int_distribution<int64_t> uniform(0, bound - 1);
  std::vector<int64_t> values(static_cast<size_t>(shape.numel()));
  for (int64_t& value : values) value = uniform(random_engine());
  return here(tensor(values)).view(shape);
}

const std::vector<OpCase>& all_cases() {
  static const std::vector<OpCase> cases = [] {
    std::vector<OpCase> all;
    for (auto part : {pointwise_cases(), reduction_cases(), shape_cases(), indexing_cases(),
                      product_cases(), order_cases(), network_cases()}) {
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }();
  return cases;
}

}  // namespace taut::testing
