#pragma once
// Filling parameters before training, in place and off the tape. Each returns its argument.
//   nn::init::kaiming_normal_(layer.weight, 0.0, "fan_out", "relu");
// fan_in and fan_out are the numbers of inputs and outputs of one unit: sizes 1 and 0 of the
// tensor, each times the sizes that follow.

#include <string_view>
#include <utility>

#include "taut/core/generator.h"
#include "taut/core/tensor.h"

namespace taut::nn::init {

TAUT_API const Tensor& constant_(const Tensor& tensor, double value);
TAUT_API const Tensor& zeros_(const Tensor& tensor);
TAUT_API const Tensor& ones_(const Tensor& tensor);
TAUT_API const Tensor& uniform_(const Tensor& tensor, double a = 0.0, double b = 1.0,
                                Generator* generator = nullptr);
TAUT_API const Tensor& normal_(const Tensor& tensor, double mean = 0.0, double std = 1.0,
                               Generator* generator = nullptr);
/// Normal numbers of which none lies outside [a, b], by the inverse of the distribution.
TAUT_API const Tensor& trunc_normal_(const Tensor& tensor, double mean = 0.0, double std = 1.0,
                                     double a = -2.0, double b = 2.0,
                                     Generator* generator = nullptr);
/// Uniform in +-gain sqrt(6 / (fan_in + fan_out)). Glorot and Bengio, 2010.
TAUT_API const Tensor& xavier_uniform_(const Tensor& tensor, double gain = 1.0,
                                       Generator* generator = nullptr);
/// Normal with std gain sqrt(2 / (fan_in + fan_out)).
TAUT_API const Tensor& xavier_normal_(const Tensor& tensor, double gain = 1.0,
                                      Generator* generator = nullptr);
/// Uniform in +-gain sqrt(3 / fan) with the gain of the nonlinearity that follows, `a` its negative
/// slope; mode is "fan_in" or "fan_out". He et al., Delving Deep into Rectifiers, 2015.
TAUT_API const Tensor& kaiming_uniform_(const Tensor& tensor, double a = 0.0,
                                        std::string_view mode = "fan_in",
                                        std::string_view nonlinearity = "leaky_relu",
                                        Generator* generator = nullptr);
/// Normal with std gain / sqrt(fan).
TAUT_API const Tensor& kaiming_normal_(const Tensor& tensor, double a = 0.0,
                                       std::string_view mode = "fan_in",
                                       std::string_view nonlinearity = "leaky_relu",
                                       Generator* generator = nullptr);
/// The identity matrix.
TAUT_API const Tensor& eye_(const Tensor& tensor);
/// Convolution weights that hand each input channel through. Zagoruyko and Komodakis, 2017.
TAUT_API const Tensor& dirac_(const Tensor& tensor, int64_t groups = 1);
/// In each column a share `sparsity` of zeros, the rest normal. Martens, 2010.
TAUT_API const Tensor& sparse_(const Tensor& tensor, double sparsity, double std = 0.01,
                               Generator* generator = nullptr);

/// By how much a nonlinearity shrinks the spread of its input: "linear", "sigmoid", "tanh", "relu",
/// "leaky_relu" (param: the slope, 0.01), "selu", or the name of a convolution.
/// @throws ValueError for any other word.
TAUT_API double calculate_gain(std::string_view nonlinearity, double param = 0.01);
/// fan_in and fan_out. @throws ValueError for fewer than two dims.
TAUT_API std::pair<int64_t, int64_t> calculate_fan_in_and_fan_out(const Tensor& tensor);

}  // namespace taut::nn::init
