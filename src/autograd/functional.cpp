#include "taut/autograd/functional.h"

#include "taut/autograd/backward.h"
#include "taut/autograd/grad_mode.h"
#include "taut/autograd/record.h"
#include "taut/ops/ops.h"

namespace taut::autograd {
namespace {

// Inputs that start histories of their own; those of the caller stay as they are when the result
// must be differentiable in them.
Tensors fresh_inputs(const char* name, const Tensors& inputs, bool create_graph) {
  Tensors result;
  for (const Tensor& input : inputs) {
    TAUT_CHECK(input.defined() && input.is_floating_point(), DTypeError, name,
               ": inputs must be floating tensors");
    if (create_graph && requires_grad(input)) {
      result.push_back(view_as(input, input));
    } else {
      result.push_back(input.detach().requires_grad_());
    }
  }
  return result;
}

void check_direction(const char* name, TensorList v, const Tensors& like, const char* of) {
  TAUT_CHECK(v.size() == like.size(), ValueError, name, ": v has ", v.size(), " tensors; expected ",
             like.size(), ", one for each of the ", of);
  for (size_t i = 0; i < v.size(); ++i) {
    TAUT_CHECK(v[i].shape() == like[i].shape(), ShapeError, name, ": v[", i, "] has shape ",
               v[i].shape(), "; expected ", like[i].shape());
  }
}

Tensors ones_for_single(const char* name, const Tensors& like, const char* of) {
  TAUT_CHECK(like.size() == 1 && like[0].numel() == 1, ValueError, name,
             ": v can be left out only for one tensor of one element; got ", like.size(), " ", of);
  return {ones_like(like[0].detach())};
}

void detach_unless(bool create_graph, Tensors& tensors) {
  if (create_graph) return;
  for (Tensor& tensor : tensors) tensor = tensor.detach();
}

Tensors gradients(const Tensors& outputs, const Tensors& inputs, TensorList v, bool create_graph) {
  Tensors chosen;
  Tensors directions;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!requires_grad(outputs[i])) continue;
    chosen.push_back(outputs[i]);
    directions.push_back(v[i]);
  }
  if (chosen.empty()) {
    Tensors zeros_only;
    for (const Tensor& input : inputs) zeros_only.push_back(zeros_like(input.detach()));
    return zeros_only;
  }
  return grad(chosen, inputs, directions, /*retain_graph=*/true, create_graph,
              /*allow_unused=*/true, /*materialize_grads=*/true);
}

Dims joined(const Dims& a, const Dims& b) {
  Dims result = a;
  for (int64_t size : b) result.push_back(size);
  return result;
}

}  // namespace

std::pair<Tensors, Tensors> vjp(const TensorFunction& function, Tensors inputs, TensorList v,
                                bool create_graph) {
  const EnableGradGuard enable_grad;
  const Tensors fresh = fresh_inputs("vjp", inputs, create_graph);
  Tensors outputs = function(fresh);
  Tensors direction(v.begin(), v.end());
  if (v.empty()) direction = ones_for_single("vjp", outputs, "outputs");
  check_direction("vjp", direction, outputs, "outputs");
  Tensors result = gradients(outputs, fresh, direction, create_graph);
  detach_unless(create_graph, outputs);
  return {std::move(outputs), std::move(result)};
}

std::pair<Tensors, Tensors> jvp(const TensorFunction& function, Tensors inputs, TensorList v,
                                bool create_graph) {
  const EnableGradGuard enable_grad;
  const Tensors fresh = fresh_inputs("jvp", inputs, create_graph);
  Tensors direction(v.begin(), v.end());
  if (v.empty()) direction = ones_for_single("jvp", fresh, "inputs");
  check_direction("jvp", direction, fresh, "inputs");
  Tensors outputs = function(fresh);
  // u -> u^T J is linear in u, and its derivative in the direction v is J v.
  Tensors u;
  for (const Tensor& output : outputs) {
    u.push_back(zeros_like(output.detach()).requires_grad_());
  }
  const Tensors by_input = gradients(outputs, fresh, u, /*create_graph=*/true);
  Tensors result = gradients(by_input, u, direction, create_graph);
  detach_unless(create_graph, outputs);
  return {std::move(outputs), std::move(result)};
}

std::vector<Tensors> jacobian(const TensorFunction& function, Tensors inputs, bool create_graph) {
  const EnableGradGuard enable_grad;
  const Tensors fresh = fresh_inputs("jacobian", inputs, create_graph);
  const Tensors outputs = function(fresh);
  std::vector<Tensors> result;
  for (const Tensor& output : outputs) {
    std::vector<Tensors> rows(fresh.size());
    const Tensor flat = reshape(output, {-1});
    for (int64_t i = 0; i < output.numel(); ++i) {
      const Tensor element = select(flat, 0, i);
      const Tensor one = ones_like(element.detach());
      Tensors row = gradients({element}, fresh, {&one, 1}, create_graph);
      for (size_t k = 0; k < fresh.size(); ++k) rows[k].push_back(std::move(row[k]));
    }
    Tensors blocks;
    for (size_t k = 0; k < fresh.size(); ++k) {
      const Dims shape = joined(output.shape(), fresh[k].shape());
      blocks.push_back(rows[k].empty() ? zeros(shape, fresh[k].options())
                                       : reshape(stack(rows[k]), shape));
    }
    result.push_back(std::move(blocks));
  }
  return result;
}

std::vector<Tensors> hessian(const TensorFunction& function, Tensors inputs, bool create_graph) {
  const EnableGradGuard enable_grad;
  const Tensors fresh = fresh_inputs("hessian", inputs, create_graph);
  const TensorFunction gradient = [&](TensorList given) {
    const Tensors outputs = function(given);
    TAUT_CHECK(
        outputs.size() == 1 && outputs[0].numel() == 1, ValueError,
        "hessian: expected one output of one element; got ", outputs.size(), " outputs",
        outputs.empty() ? std::string() : concat(", the first of shape ", outputs[0].shape()));
    const Tensor one = ones_like(outputs[0].detach());
    return gradients(outputs, Tensors(given.begin(), given.end()), {&one, 1},
                     /*create_graph=*/true);
  };
  return jacobian(gradient, fresh, create_graph);
}

}  // namespace taut::autograd
