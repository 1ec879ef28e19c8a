#include "taut/nn/init.h"

#include <cmath>

#include "taut/autograd/grad_mode.h"
#include "taut/ops/ops.h"

namespace taut::nn::init {
namespace {

double fan_of(const Tensor& tensor, std::string_view mode) {
  const auto [fan_in, fan_out] = calculate_fan_in_and_fan_out(tensor);
  TAUT_CHECK(mode == "fan_in" || mode == "fan_out", ValueError, "init: unknown mode \"", mode,
             "\"; expected fan_in or fan_out");
  return static_cast<double>(mode == "fan_in" ? fan_in : fan_out);
}

double kaiming_std(const Tensor& tensor, double a, std::string_view mode,
                   std::string_view nonlinearity) {
  return calculate_gain(nonlinearity, a) / std::sqrt(fan_of(tensor, mode));
}

double xavier_std(const Tensor& tensor, double gain) {
  const auto [fan_in, fan_out] = calculate_fan_in_and_fan_out(tensor);
  return gain * std::sqrt(2.0 / static_cast<double>(fan_in + fan_out));
}

// The distribution function of the standard normal distribution.
double normal_cdf(double x) { return 0.5 * (1.0 + std::erf(x / std::sqrt(2.0))); }

}  // namespace

std::pair<int64_t, int64_t> calculate_fan_in_and_fan_out(const Tensor& tensor) {
  TAUT_CHECK(tensor.dim() >= 2, ValueError,
             "init: fan_in and fan_out need a tensor of at least 2 dims; got shape ",
             tensor.shape());
  int64_t field = 1;
  for (int i = 2; i < tensor.dim(); ++i) field *= tensor.size(i);
  return {tensor.size(1) * field, tensor.size(0) * field};
}

double calculate_gain(std::string_view nonlinearity, double param) {
  if (nonlinearity == "linear" || nonlinearity == "sigmoid" || nonlinearity.starts_with("conv")) {
    return 1.0;
  }
  if (nonlinearity == "tanh") return 5.0 / 3.0;
  if (nonlinearity == "relu") return std::sqrt(2.0);
  if (nonlinearity == "leaky_relu") return std::sqrt(2.0 / (1.0 + param * param));
  if (nonlinearity == "selu") return 0.75;
  TAUT_CHECK(false, ValueError, "calculate_gain: unknown nonlinearity \"", nonlinearity, "\"");
  return 1.0;
}

const Tensor& constant_(const Tensor& tensor, double value) {
  const NoGradGuard no_grad;
  return tensor.fill_(value);
}

const Tensor& zeros_(const Tensor& tensor) { return constant_(tensor, 0.0); }
const Tensor& ones_(const Tensor& tensor) { return constant_(tensor, 1.0); }

const Tensor& uniform_(const Tensor& tensor, double a, double b, Generator* generator) {
  const NoGradGuard no_grad;
  return taut::uniform_(tensor, a, b, generator);
}

const Tensor& normal_(const Tensor& tensor, double mean, double std, Generator* generator) {
  const NoGradGuard no_grad;
  return taut::normal_(tensor, mean, std, generator);
}

const Tensor& trunc_normal_(const Tensor& tensor, double mean, double std, double a, double b,
                            Generator* generator) {
  const NoGradGuard no_grad;
  const double low = normal_cdf((a - mean) / std);
  const double high = normal_cdf((b - mean) / std);
  taut::uniform_(tensor, 2 * low - 1, 2 * high - 1, generator);
  tensor.erfinv_();
  tensor.mul_(std * std::sqrt(2.0));
  tensor.add_(mean);
  return tensor.clamp_(a, b);
}

const Tensor& xavier_uniform_(const Tensor& tensor, double gain, Generator* generator) {
  const double bound = std::sqrt(3.0) * xavier_std(tensor, gain);
  return init::uniform_(tensor, -bound, bound, generator);
}

const Tensor& xavier_normal_(const Tensor& tensor, double gain, Generator* generator) {
  return init::normal_(tensor, 0.0, xavier_std(tensor, gain), generator);
}

const Tensor& kaiming_uniform_(const Tensor& tensor, double a, std::string_view mode,
                               std::string_view nonlinearity, Generator* generator) {
  if (tensor.numel() == 0) return tensor;
  const double bound = std::sqrt(3.0) * kaiming_std(tensor, a, mode, nonlinearity);
  return init::uniform_(tensor, -bound, bound, generator);
}

const Tensor& kaiming_normal_(const Tensor& tensor, double a, std::string_view mode,
                              std::string_view nonlinearity, Generator* generator) {
  if (tensor.numel() == 0) return tensor;
  return init::normal_(tensor, 0.0, kaiming_std(tensor, a, mode, nonlinearity), generator);
}

const Tensor& eye_(const Tensor& tensor) {
  TAUT_CHECK(tensor.dim() == 2, ValueError, "eye_: expected a tensor of 2 dims; got shape ",
             tensor.shape());
  const NoGradGuard no_grad;
  return tensor.copy_(eye(tensor.size(0), tensor.size(1), tensor.options()));
}

const Tensor& dirac_(const Tensor& tensor, int64_t groups) {
  TAUT_CHECK(tensor.dim() >= 3 && tensor.dim() <= 5, ValueError,
             "dirac_: expected a tensor of 3 to 5 dims; got shape ", tensor.shape());
  TAUT_CHECK(groups >= 1 && tensor.size(0) % groups == 0, ValueError,
             "dirac_: dim 0 must be divisible by groups; got ", tensor.size(0), " and ", groups);
  const NoGradGuard no_grad;
  tensor.zero_();
  Tensor taps = tensor;  // the middle tap of every channel
  while (taps.dim() > 2) taps = taps.select(2, taps.size(2) / 2);
  const int64_t out = tensor.size(0) / groups;
  for (int64_t g = 0; g < groups; ++g) taps.narrow(0, g * out, out).diagonal().fill_(1);
  return tensor;
}

const Tensor& sparse_(const Tensor& tensor, double sparsity, double std, Generator* generator) {
  TAUT_CHECK(tensor.dim() == 2, ValueError, "sparse_: expected a tensor of 2 dims; got shape ",
             tensor.shape());
  const NoGradGuard no_grad;
  const int64_t rows = tensor.size(0);
  const auto zeros = static_cast<int64_t>(std::ceil(sparsity * static_cast<double>(rows)));
  taut::normal_(tensor, 0.0, std, generator);
  for (int64_t column = 0; column < tensor.size(1); ++column) {
    const Tensor chosen = randperm(rows, tensor.device(), generator).narrow(0, 0, zeros);
    index_fill_(tensor.select(1, column), 0, chosen, 0);
  }
  return tensor;
}

}  // namespace taut::nn::init
