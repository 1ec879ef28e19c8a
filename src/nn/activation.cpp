#include "taut/nn/modules/activation.h"

#include "taut/nn/functional/activation.h"
#include "taut/nn/functional/softmax.h"
#include "taut/ops/ops.h"

namespace taut::nn {
namespace {

std::string with_inplace(std::string text, bool inplace) {
  if (!inplace) return text;
  return text.empty() ? "inplace=True" : text + ", inplace=True";
}

}  // namespace

ReLU::ReLU(bool inplace_in) : inplace(inplace_in) {}
Tensor ReLU::forward(const Tensor& input) {
  return inplace ? input.relu_() : functional::relu(input);
}
std::string ReLU::extra_repr() const { return with_inplace("", inplace); }

#define TAUT_SIMPLE_ACTIVATION(Name, function)                                      \
  Name::Name(bool inplace_in) : inplace(inplace_in) {}                              \
  Tensor Name::forward(const Tensor& input) { return functional::function(input); } \
  std::string Name::extra_repr() const { return with_inplace("", inplace); }
TAUT_SIMPLE_ACTIVATION(ReLU6, relu6)
TAUT_SIMPLE_ACTIVATION(SELU, selu)
TAUT_SIMPLE_ACTIVATION(SiLU, silu)
TAUT_SIMPLE_ACTIVATION(Mish, mish)
TAUT_SIMPLE_ACTIVATION(Hardsigmoid, hardsigmoid)
TAUT_SIMPLE_ACTIVATION(Hardswish, hardswish)
#undef TAUT_SIMPLE_ACTIVATION

Tensor Sigmoid::forward(const Tensor& input) { return functional::sigmoid(input); }
Tensor Tanh::forward(const Tensor& input) { return functional::tanh(input); }
Tensor LogSigmoid::forward(const Tensor& input) { return functional::logsigmoid(input); }
Tensor Softsign::forward(const Tensor& input) { return functional::softsign(input); }
Tensor Tanhshrink::forward(const Tensor& input) { return functional::tanhshrink(input); }

LeakyReLU::LeakyReLU(double slope, bool inplace_in) : negative_slope(slope), inplace(inplace_in) {}
Tensor LeakyReLU::forward(const Tensor& input) {
  return functional::leaky_relu(input, negative_slope);
}
std::string LeakyReLU::extra_repr() const {
  return with_inplace(concat("negative_slope=", negative_slope), inplace);
}

ELU::ELU(double alpha_in, bool inplace_in) : alpha(alpha_in), inplace(inplace_in) {}
Tensor ELU::forward(const Tensor& input) { return functional::elu(input, alpha); }
std::string ELU::extra_repr() const { return with_inplace(concat("alpha=", alpha), inplace); }

CELU::CELU(double alpha_in, bool inplace_in) : alpha(alpha_in), inplace(inplace_in) {}
Tensor CELU::forward(const Tensor& input) { return functional::celu(input, alpha); }
std::string CELU::extra_repr() const { return with_inplace(concat("alpha=", alpha), inplace); }

GELU::GELU(std::string approximate_in, bool recompute_in)
    : approximate(std::move(approximate_in)), recompute(recompute_in) {}
Tensor GELU::forward(const Tensor& input) {
  return functional::gelu(input, approximate, recompute);
}
std::string GELU::extra_repr() const {
  return concat("approximate='", approximate, "'", recompute ? ", recompute=True" : "");
}

Softplus::Softplus(double beta_in, double threshold_in) : beta(beta_in), threshold(threshold_in) {}
Tensor Softplus::forward(const Tensor& input) {
  return functional::softplus(input, beta, threshold);
}
std::string Softplus::extra_repr() const {
  return concat("beta=", beta, ", threshold=", threshold);
}

Hardtanh::Hardtanh(double min_in, double max_in, bool inplace_in)
    : min_val(min_in), max_val(max_in), inplace(inplace_in) {
  TAUT_CHECK(min_val < max_val, ValueError, "Hardtanh: min_val must be below max_val; got ",
             min_val, " and ", max_val);
}
Tensor Hardtanh::forward(const Tensor& input) {
  return functional::hardtanh(input, min_val, max_val);
}
std::string Hardtanh::extra_repr() const {
  return with_inplace(concat("min_val=", min_val, ", max_val=", max_val), inplace);
}

Softshrink::Softshrink(double lambd_in) : lambd(lambd_in) {}
Tensor Softshrink::forward(const Tensor& input) { return functional::softshrink(input, lambd); }
std::string Softshrink::extra_repr() const { return concat(lambd); }

Hardshrink::Hardshrink(double lambd_in) : lambd(lambd_in) {}
Tensor Hardshrink::forward(const Tensor& input) { return functional::hardshrink(input, lambd); }
std::string Hardshrink::extra_repr() const { return concat(lambd); }

Threshold::Threshold(double threshold_in, double value_in, bool inplace_in)
    : threshold(threshold_in), value(value_in), inplace(inplace_in) {}
Tensor Threshold::forward(const Tensor& input) {
  return functional::threshold(input, threshold, value);
}
std::string Threshold::extra_repr() const {
  return with_inplace(concat("threshold=", threshold, ", value=", value), inplace);
}

PReLU::PReLU(int64_t count, double init, const TensorOptions& options) : num_parameters(count) {
  register_parameter("weight", weight, taut::full({count}, init, options.dtype(options.dtype())));
}
Tensor PReLU::forward(const Tensor& input) { return functional::prelu(input, weight); }
std::string PReLU::extra_repr() const { return concat("num_parameters=", num_parameters); }

GLU::GLU(int64_t dim_in) : dim(dim_in) {}
Tensor GLU::forward(const Tensor& input) { return functional::glu(input, dim); }
std::string GLU::extra_repr() const { return concat("dim=", dim); }

Softmax::Softmax(int64_t dim_in) : dim(dim_in) {}
Tensor Softmax::forward(const Tensor& input) { return functional::softmax(input, dim); }
std::string Softmax::extra_repr() const { return concat("dim=", dim); }

LogSoftmax::LogSoftmax(int64_t dim_in) : dim(dim_in) {}
Tensor LogSoftmax::forward(const Tensor& input) { return functional::log_softmax(input, dim); }
std::string LogSoftmax::extra_repr() const { return concat("dim=", dim); }

Softmin::Softmin(int64_t dim_in) : dim(dim_in) {}
Tensor Softmin::forward(const Tensor& input) { return functional::softmin(input, dim); }
std::string Softmin::extra_repr() const { return concat("dim=", dim); }

}  // namespace taut::nn
