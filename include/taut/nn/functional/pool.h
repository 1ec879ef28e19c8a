#pragma once
// Pooling over the last one to three dims of (batch, channels, size...) or (channels, size...).
// kernel_size, stride (the kernel's size unless given), padding and dilation have one number for
// all spatial dims or one for each.

#include <optional>
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
/// As many windows as output_size says, each as even as can be; -1 keeps a size.
TAUT_API Tensor adaptive_avg_pool1d(const Tensor& input, const Dims& output_size);
TAUT_API Tensor adaptive_avg_pool2d(const Tensor& input, const Dims& output_size);
TAUT_API Tensor adaptive_avg_pool3d(const Tensor& input, const Dims& output_size);
TAUT_API Tensor adaptive_max_pool1d(const Tensor& input, const Dims& output_size);
TAUT_API Tensor adaptive_max_pool2d(const Tensor& input, const Dims& output_size);
TAUT_API Tensor adaptive_max_pool3d(const Tensor& input, const Dims& output_size);
TAUT_API std::pair<Tensor, Tensor> adaptive_max_pool_with_indices(int spatial_dims,
                                                                  const Tensor& input,
                                                                  const Dims& output_size);

}  // namespace taut::nn::functional
