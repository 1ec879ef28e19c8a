#include "taut/nn/utils/clip_grad.h"

#include <cmath>

#include "src/ops/tensor_lists.h"
#include "taut/autograd/grad_mode.h"
#include "taut/ops/ops.h"

namespace taut::nn::utils {
namespace {

// Squares are summed in double, by one launch for each dtype and device.
Tensor euclidean_norm(TensorList tensors) {
  Tensor total;
  for (const Tensors& list : ops::by_dtype_and_device(tensors)) {
    const Tensor squares = to(ops::sum_squares_of_list(list), tensors[0].device());
    total = total.defined() ? total + squares : squares;
  }
  return to(sqrt(total), tensors[0].dtype());
}

bool are_floating(TensorList tensors) {
  for (const Tensor& tensor : tensors) {
    if (!tensor.is_floating_point()) return false;
  }
  return true;
}

void multiply(const Tensors& tensors, const Tensor& factor) {
  for (const Tensors& list : ops::by_dtype_and_device(tensors)) {
    // The kernel reads its factor in float32, which is too coarse here.
    if (list[0].dtype() == kFloat64) {
      for (const Tensor& tensor : list) tensor.mul_(to(factor, tensor.options()));
      continue;
    }
    const Tensor there = to(factor, TensorOptions(kFloat32).device(list[0].device()));
    ops::scale_list(list, {.factor_tensor = there});
  }
}

}  // namespace

Tensor get_total_norm(TensorList tensors, double norm_type) {
  const NoGradGuard no_grad;
  if (tensors.empty()) return tensor(0.0);
  if (norm_type == 2.0 && are_floating(tensors)) return euclidean_norm(tensors);
  // The norm of the norms, all in the first tensor's dtype and place.
  Tensors norms;
  for (const Tensor& one : tensors) {
    norms.push_back(to(linalg::vector_norm(one, norm_type), tensors[0].options()));
  }
  return linalg::vector_norm(stack(norms), norm_type);
}

Tensor clip_grad_norm_(TensorList parameters, double max_norm, double norm_type,
                       bool error_if_nonfinite) {
  const NoGradGuard no_grad;
  const Tensors grads = ops::gradients_of(parameters);
  Tensor total = get_total_norm(grads, norm_type);
  TAUT_CHECK(!error_if_nonfinite || std::isfinite(total.item<double>()), ValueError,
             "clip_grad_norm_: the norm of the gradients is ", total.item<double>());
  // Without a look at the norm, so that a device need not be waited for.
  const Tensor scale = clamp(reciprocal(total + 1e-6) * max_norm, {}, Scalar(1.0));
  multiply(grads, scale);
  return total;
}

void clip_grad_value_(TensorList parameters, double clip_value) {
  const NoGradGuard no_grad;
  for (const Tensor& grad : ops::gradients_of(parameters)) grad.clamp_(-clip_value, clip_value);
}

Tensor parameters_to_vector(TensorList parameters) {
  Tensors flat;
  for (const Tensor& parameter : parameters) flat.push_back(parameter.reshape({-1}));
  return cat(flat);
}

void vector_to_parameters(const Tensor& vector, TensorList parameters) {
  int64_t total = 0;
  for (const Tensor& parameter : parameters) total += parameter.numel();
  TAUT_CHECK(vector.dim() == 1 && vector.numel() == total, ShapeError,
             "vector_to_parameters: got shape ", vector.shape(), "; expected (", total, ",)");
  const NoGradGuard no_grad;
  int64_t start = 0;
  for (const Tensor& parameter : parameters) {
    parameter.copy_(vector.narrow(0, start, parameter.numel()).view(parameter.shape()));
    start += parameter.numel();
  }
}

}  // namespace taut::nn::utils
