#include "taut/nn/modules/linear.h"

#include <cmath>

#include "taut/nn/init.h"
#include "taut/ops/ops.h"

namespace taut::nn {

Linear::Linear(int64_t in_features_in, int64_t out_features_in, bool with_bias,
               const TensorOptions& options)
    : in_features(in_features_in), out_features(out_features_in) {
  register_parameter("weight", weight, empty({out_features, in_features}, options));
  register_parameter("bias", bias, with_bias ? empty({out_features}, options) : Tensor());
  reset_parameters();
}

void Linear::reset_parameters() {
  init::kaiming_uniform_(weight, std::sqrt(5.0));
  if (!bias.defined()) return;
  const double bound = in_features > 0 ? 1.0 / std::sqrt(static_cast<double>(in_features)) : 0.0;
  init::uniform_(bias, -bound, bound);
}

Tensor Linear::forward(const Tensor& input) { return functional::linear(input, weight, bias); }

std::string Linear::extra_repr() const {
  return concat("in_features=", in_features, ", out_features=", out_features,
                ", bias=", bias.defined());
}

Bilinear::Bilinear(int64_t in1, int64_t in2, int64_t out, bool with_bias,
                   const TensorOptions& options)
    : in1_features(in1), in2_features(in2), out_features(out) {
  register_parameter("weight", weight, empty({out, in1, in2}, options));
  register_parameter("bias", bias, with_bias ? empty({out}, options) : Tensor());
  reset_parameters();
}

void Bilinear::reset_parameters() {
  const double bound = 1.0 / std::sqrt(static_cast<double>(in1_features));
  init::uniform_(weight, -bound, bound);
  if (bias.defined()) init::uniform_(bias, -bound, bound);
}

Tensor Bilinear::forward(const Tensor& input1, const Tensor& input2) {
  const Tensor result = einsum("...i,oij,...j->...o", {input1, weight, input2});
  return bias.defined() ? result + bias : result;
}

Tensors Bilinear::forward_many(TensorList inputs) {
  TAUT_CHECK(inputs.size() == 2, ValueError, "Bilinear: expected 2 inputs; got ", inputs.size());
  return {forward(inputs[0], inputs[1])};
}

std::string Bilinear::extra_repr() const {
  return concat("in1_features=", in1_features, ", in2_features=", in2_features,
                ", out_features=", out_features, ", bias=", bias.defined());
}

Flatten::Flatten(int64_t start, int64_t end) : start_dim(start), end_dim(end) {}

Tensor Flatten::forward(const Tensor& input) { return flatten(input, start_dim, end_dim); }

std::string Flatten::extra_repr() const {
  return concat("start_dim=", start_dim, ", end_dim=", end_dim);
}

Unflatten::Unflatten(int64_t dim_in, const Dims& size) : dim(dim_in), unflattened_size(size) {}

Tensor Unflatten::forward(const Tensor& input) { return unflatten(input, dim, unflattened_size); }

std::string Unflatten::extra_repr() const {
  return concat("dim=", dim, ", unflattened_size=", unflattened_size);
}

}  // namespace taut::nn
