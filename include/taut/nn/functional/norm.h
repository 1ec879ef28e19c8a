#pragma once
// Normalisations: each shifts and scales to mean 0 and variance 1, then by weight and bias.
//
// With `recompute` the ops that save an output for backward save no memory for it: it is made again
// from the input, to the same bits (Note [Recomputation]).

#include <optional>
#include <utility>

#include "taut/core/tensor.h"

namespace taut::nn::functional {

/// Over the last dims, whose sizes are normalized_shape; weight and bias of that shape.
/// Ba, Kiros and Hinton, Layer Normalization, 2016.
TAUT_API Tensor layer_norm(const Tensor& input, const Dims& normalized_shape,
                           const Tensor& weight = Tensor(), const Tensor& bias = Tensor(),
                           double eps = 1e-5, bool recompute = false);
/// input / sqrt(mean(input^2) + eps) * weight; eps is the dtype's epsilon unless given.
/// Zhang and Sennrich, Root Mean Square Layer Normalization, 2019.
TAUT_API Tensor rms_norm(const Tensor& input, const Dims& normalized_shape,
                         const Tensor& weight = Tensor(), std::optional<double> eps = {},
                         bool recompute = false);
/// The norm of input + residual and the sum itself, in one pass; backward is one pass, too. What
/// PyTorch's users write as `sum = input + residual; output = layer_norm(sum, ...)`, to the same
/// numbers. input and residual broadcast and promote as under `+`; a 16-bit input of a float32
/// residual is not converted first. In a network whose residual stream is x:
///   std::tie(h, x) = F::add_layer_norm(attention(h), x, {width}, norm2->weight, norm2->bias);
/// @throws ShapeError, DTypeError or DeviceError when the tensors do not go together.
TAUT_API std::pair<Tensor, Tensor> add_layer_norm(const Tensor& input, const Tensor& residual,
                                                  const Dims& normalized_shape,
                                                  const Tensor& weight = Tensor(),
                                                  const Tensor& bias = Tensor(), double eps = 1e-5,
                                                  bool recompute = false);
/// The same with rms_norm.
TAUT_API std::pair<Tensor, Tensor> add_rms_norm(const Tensor& input, const Tensor& residual,
                                                const Dims& normalized_shape,
                                                const Tensor& weight = Tensor(),
                                                std::optional<double> eps = {},
                                                bool recompute = false);
/// Over each of num_groups groups of channels (dim 1) and what follows. Wu and He, 2018.
TAUT_API Tensor group_norm(const Tensor& input, int64_t num_groups, const Tensor& weight = Tensor(),
                           const Tensor& bias = Tensor(), double eps = 1e-5);
/// Over the batch and what follows the channels (dim 1). In training from the batch, whose
/// statistics move running_mean and running_var by `momentum`; otherwise from those. Ioffe and
/// Szegedy, 2015.
/// @throws ValueError for training on one value a channel.
TAUT_API Tensor batch_norm(const Tensor& input, const Tensor& running_mean,
                           const Tensor& running_var, const Tensor& weight = Tensor(),
                           const Tensor& bias = Tensor(), bool training = false,
                           double momentum = 0.1, double eps = 1e-5);
/// relu(batch_norm(input) + residual), without a residual relu(batch_norm(input)): one op on GPUs
/// where the channels lie side by side (channels_last), else the same in steps. What stands between
/// is not rounded to the dtype there. residual: of input's shape and dtype.
TAUT_API Tensor batch_norm_relu(const Tensor& input, const Tensor& running_mean,
                                const Tensor& running_var, const Tensor& weight = Tensor(),
                                const Tensor& bias = Tensor(), bool training = false,
                                double momentum = 0.1, double eps = 1e-5,
                                const Tensor& residual = Tensor());
/// Over what follows the channels, for each sample alone. The means of the samples' statistics move
/// running_mean and running_var by `momentum`; without use_input_stats those are used instead, and
/// stay.
/// @throws ValueError for one value a channel and sample.
TAUT_API Tensor instance_norm(const Tensor& input, const Tensor& running_mean = Tensor(),
                              const Tensor& running_var = Tensor(), const Tensor& weight = Tensor(),
                              const Tensor& bias = Tensor(), bool use_input_stats = true,
                              double momentum = 0.1, double eps = 1e-5);

}  // namespace taut::nn::functional
