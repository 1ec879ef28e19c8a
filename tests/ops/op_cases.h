#pragma once
// The table of ops that the generic tests run over: one row an op, with inputs to try it on.

#include <string>
#include <vector>

#include "taut/taut.h"

namespace taut::testing {

struct OpCase {
  std::string name;
  /// Inputs come in float64 or an index dtype; floating ones that require grad are differentiated.
  Callback<Tensors()> inputs;
  Callback<Tensors(TensorList)> call;
  bool has_gradient = true;
  bool has_second_gradient = true;
  /// Also tried with floating inputs in float32, float16 and bfloat16, against float64.
  bool all_floating_dtypes = true;
  /// A reason for a looser comparison of float16 and bfloat16 than the table's.
  double tolerance_factor = 1.0;
};

/// Named in test output, so that a failing draw can be repeated.
uint64_t seed();

/// Where the inputs lie: "cpu", or what TAUT_TEST_DEVICE says, as in "cuda".
Device test_device();
/// The tensor on that device.
inline Tensor here(const Tensor& tensor) { return tensor.to(test_device()); }

/// Draws that keep clear of kinks: numbers in [low, high], at least `apart` from 0 when asked for.
Tensor draw(const Dims& shape, double low = -2, double high = 2, double away_from_zero = 0);
/// Numbers of distinct magnitudes in random order, so that sorting and extremes are stable under
/// small steps.
Tensor draw_distinct(const Dims& shape);
/// Integers in [0, bound).
Tensor draw_indices(const Dims& shape, int64_t bound);

std::vector<OpCase> pointwise_cases();
std::vector<OpCase> reduction_cases();
std::vector<OpCase> shape_cases();
std::vector<OpCase> indexing_cases();
std::vector<OpCase> product_cases();
std::vector<OpCase> order_cases();
std::vector<OpCase> network_cases();

const std::vector<OpCase>& all_cases();

}  // namespace taut::testing
