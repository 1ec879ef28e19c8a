#pragma once
// How tensors are printed: as PyTorch prints them.
//   set_print_options({.precision = 2});  Tensor::str() then writes two digits.

#include <cstdint>
#include <optional>
#include <string>

#include "taut/core/tensor.h"

namespace taut {

struct PrintOptions {
  /// Digits after the point.
  int precision = 4;
  /// Elements from which only the edges are printed, and how many at each edge of a dim.
  int64_t threshold = 1000;
  int64_t edge_items = 3;
  /// Columns of a line.
  int64_t line_width = 80;
  /// Scientific notation always or never; by the values when not given.
  std::optional<bool> scientific;
};

/// Of the whole process.
TAUT_API PrintOptions print_options();
/// @throws ValueError for a negative precision or count.
TAUT_API void set_print_options(const PrintOptions& options);

}  // namespace taut
