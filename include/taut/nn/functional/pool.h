#pragma once
// Pooling over the last one to three dims of (batch, channels, size...) or (channels, size...).
// kernel_size, stride (the kernel's size unless given), padding and dilation have one number for
// all spatial dims or one for each.

#include <concepts>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>

#include "taut/core/tensor.h"

namespace taut::nn::functional {

/// The largest element of each window. @throws ValueError for padding above half the kernel.
TAUT_API Tensor max_pool1d(const Tensor& input, const Dims& kernel_size,
                           const std::optional<Dims>& stride = {}, const Dims& padding = {0},
                           const Dims& dilation = {1}, bool ceil_mode = false);
TAUT_API Tensor max_pool2d(const Tensor& input, const Dims& kernel_size,
                           const std::optional<Dims>& stride = {}, const Dims& padding = {0},
                           const Dims& dilation = {1}, bool ceil_mode = false);
TAUT_API Tensor max_pool3d(const Tensor& input, const Dims& kernel_size,
                           const std::optional<Dims>& stride = {}, const Dims& padding = {0},
                           const Dims& dilation = {1}, bool ceil_mode = false);
/// The same with the position of each maximum in its flattened plane, as int64.
TAUT_API std::pair<Tensor, Tensor> max_pool_with_indices(int spatial_dims, const Tensor& input,
                                                         const Dims& kernel_size,
                                                         const std::optional<Dims>& stride = {},
                                                         const Dims& padding = {0},
                                                         const Dims& dilation = {1},
                                                         bool ceil_mode = false);
/// The mean of each window; count_include_pad counts padding as zeros, divisor_override divides by
/// a number of its own.
TAUT_API Tensor avg_pool1d(const Tensor& input, const Dims& kernel_size,
                           const std::optional<Dims>& stride = {}, const Dims& padding = {0},
                           bool ceil_mode = false, bool count_include_pad = true);
TAUT_API Tensor avg_pool2d(const Tensor& input, const Dims& kernel_size,
                           const std::optional<Dims>& stride = {}, const Dims& padding = {0},
                           bool ceil_mode = false, bool count_include_pad = true,
                           std::optional<int64_t> divisor_override = {});
TAUT_API Tensor avg_pool3d(const Tensor& input, const Dims& kernel_size,
                           const std::optional<Dims>& stride = {}, const Dims& padding = {0},
                           bool ceil_mode = false, bool count_include_pad = true,
                           std::optional<int64_t> divisor_override = {});
/// The output size of an adaptive pool: one number for all spatial dims, or one for each; nullopt
/// (or -1) keeps the input's size, as in adaptive_avg_pool2d(x, {std::nullopt, 7}).
class TAUT_API AdaptiveSize {
 public:
  AdaptiveSize() : AdaptiveSize(std::nullopt) {}
  template <std::integral T>
  AdaptiveSize(T size) : values_{static_cast<int64_t>(size)} {}
  AdaptiveSize(std::nullopt_t) : values_{-1} {}
  AdaptiveSize(std::initializer_list<std::optional<int64_t>> sizes) : is_list_(true) {
    for (const std::optional<int64_t>& size : sizes) values_.push_back(size.value_or(-1));
  }
  AdaptiveSize(const Dims& sizes) : values_(sizes), is_list_(true) {}

  /// With -1 for what is kept.
  const Dims& values() const { return values_; }
  bool is_list() const { return is_list_; }

 private:
  Dims values_;
  bool is_list_ = false;
};

/// Printed as in Python: 3, None or (None, 7).
TAUT_API void append(std::string& message, const AdaptiveSize& size);

/// As many windows as output_size says, each as even as can be.
TAUT_API Tensor adaptive_avg_pool1d(const Tensor& input, const AdaptiveSize& output_size);
TAUT_API Tensor adaptive_avg_pool2d(const Tensor& input, const AdaptiveSize& output_size);
TAUT_API Tensor adaptive_avg_pool3d(const Tensor& input, const AdaptiveSize& output_size);
TAUT_API Tensor adaptive_max_pool1d(const Tensor& input, const AdaptiveSize& output_size);
TAUT_API Tensor adaptive_max_pool2d(const Tensor& input, const AdaptiveSize& output_size);
TAUT_API Tensor adaptive_max_pool3d(const Tensor& input, const AdaptiveSize& output_size);
TAUT_API std::pair<Tensor, Tensor> adaptive_max_pool_with_indices(int spatial_dims,
                                                                  const Tensor& input,
                                                                  const AdaptiveSize& output_size);

}  // namespace taut::nn::functional
