#pragma once
// Convolutions (cross-correlations) and their transposes, over one to three spatial dims. Tensors
// are (batch, channels, size...), or (channels, size...) without a batch.

#include <string_view>

#include "taut/core/tensor.h"

namespace taut::nn::functional {

/// output[b, o, p] = bias[o] + sum over c, t of input[b, c, p * stride + t * dilation - padding] *
/// weight[o, c, t]. weight is (out, in / groups, kernel...). stride, padding and dilation have one
/// number for all spatial dims or one for each.
/// @throws ShapeError for sizes that do not fit, ValueError for a stride or dilation under 1.
TAUT_API Tensor conv1d(const Tensor& input, const Tensor& weight, const Tensor& bias = Tensor(),
                       const Dims& stride = {1}, const Dims& padding = {0},
                       const Dims& dilation = {1}, int64_t groups = 1);
TAUT_API Tensor conv2d(const Tensor& input, const Tensor& weight, const Tensor& bias = Tensor(),
                       const Dims& stride = {1}, const Dims& padding = {0},
                       const Dims& dilation = {1}, int64_t groups = 1);
TAUT_API Tensor conv3d(const Tensor& input, const Tensor& weight, const Tensor& bias = Tensor(),
                       const Dims& stride = {1}, const Dims& padding = {0},
                       const Dims& dilation = {1}, int64_t groups = 1);
/// How much padding a convolution needs, in a word: none, or so much that the size stays.
enum class PaddingWord : uint8_t { valid, same };
/// "valid" or "same". @throws ValueError for any other word.
TAUT_API PaddingWord parse_padding(std::string_view word);
/// With padding by word. An odd number of zeros lies with the larger part after the input.
/// @throws ValueError for PaddingWord::same and a stride other than 1.
TAUT_API Tensor conv1d(const Tensor& input, const Tensor& weight, const Tensor& bias,
                       const Dims& stride, PaddingWord padding, const Dims& dilation = {1},
                       int64_t groups = 1);
TAUT_API Tensor conv2d(const Tensor& input, const Tensor& weight, const Tensor& bias,
                       const Dims& stride, PaddingWord padding, const Dims& dilation = {1},
                       int64_t groups = 1);
TAUT_API Tensor conv3d(const Tensor& input, const Tensor& weight, const Tensor& bias,
                       const Dims& stride, PaddingWord padding, const Dims& dilation = {1},
                       int64_t groups = 1);
/// The derivative of a convolution by its input, as an op: weight is (in, out / groups, kernel...).
/// output_padding adds to the size of the output at its end.
TAUT_API Tensor conv_transpose1d(const Tensor& input, const Tensor& weight,
                                 const Tensor& bias = Tensor(), const Dims& stride = {1},
                                 const Dims& padding = {0}, const Dims& output_padding = {0},
                                 int64_t groups = 1, const Dims& dilation = {1});
TAUT_API Tensor conv_transpose2d(const Tensor& input, const Tensor& weight,
                                 const Tensor& bias = Tensor(), const Dims& stride = {1},
                                 const Dims& padding = {0}, const Dims& output_padding = {0},
                                 int64_t groups = 1, const Dims& dilation = {1});
TAUT_API Tensor conv_transpose3d(const Tensor& input, const Tensor& weight,
                                 const Tensor& bias = Tensor(), const Dims& stride = {1},
                                 const Dims& padding = {0}, const Dims& output_padding = {0},
                                 int64_t groups = 1, const Dims& dilation = {1});
/// The windows of a convolution as columns: (batch, channels * taps, positions).
TAUT_API Tensor unfold(const Tensor& input, const Dims& kernel_size, const Dims& dilation = {1},
                       const Dims& padding = {0}, const Dims& stride = {1});
/// The transpose of unfold: columns summed where their windows lie.
TAUT_API Tensor fold(const Tensor& input, const Dims& output_size, const Dims& kernel_size,
                     const Dims& dilation = {1}, const Dims& padding = {0},
                     const Dims& stride = {1});

}  // namespace taut::nn::functional
