#include "taut/autograd/gradcheck.h"

#include <cmath>
#include <random>

#include "taut/autograd/backward.h"
#include "taut/autograd/grad_mode.h"
#include "taut/autograd/record.h"
#include "taut/ops/ops.h"

namespace taut::autograd {
namespace {

Tensors floating_outputs(const TensorFunction& function, TensorList inputs) {
  Tensors result;
  for (Tensor& output : function(inputs)) {
    if (output.defined() && output.is_floating_point()) result.push_back(std::move(output));
  }
  return result;
}

// The elements of a tensor in row-major order.
std::vector<double> elements(const Tensor& tensor) {
  const NoGradGuard no_grad;
  const Tensor flat = to(contiguous(tensor.detach()), TensorOptions(kFloat64).device(kCPU));
  const double* data = flat.data_ptr<double>();
  return {data, data + flat.numel()};
}

// One element of an input, moved and put back.
class Nudge {
 public:
  Nudge(const Tensor& tensor, int64_t position) : tensor_(tensor) {
    int64_t offset = 0;
    for (int i = tensor.dim() - 1; i >= 0; --i) {
      offset += position % tensor.shape()[i] * tensor.strides()[i];
      position /= tensor.shape()[i];
    }
    element_ = as_strided(tensor.detach(), {}, {}, tensor.storage_offset() + offset);
    value_ = element_.item<double>();
  }
  Nudge(const Nudge&) = delete;
  Nudge& operator=(const Nudge&) = delete;
  void set(double by) {
    const NoGradGuard no_grad;
    fill_(element_, value_ + by);
  }
  ~Nudge() { set(0); }

 private:
  Tensor tensor_;
  Tensor element_;
  double value_;
};

// d(all outputs)/d(one element), outputs one after the other.
std::vector<double> difference(const TensorFunction& function, const Tensors& inputs, size_t input,
                               int64_t position, double eps) {
  const auto evaluate = [&] {
    const NoGradGuard no_grad;
    std::vector<double> all;
    for (const Tensor& output : floating_outputs(function, inputs)) {
      const std::vector<double> values = elements(output);
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  };
  Nudge nudge(inputs[input], position);
  nudge.set(eps);
  std::vector<double> up = evaluate();
  nudge.set(-eps);
  const std::vector<double> down = evaluate();
  for (size_t i = 0; i < up.size(); ++i) up[i] = (up[i] - down[i]) / (2 * eps);
  return up;
}

// The row of the Jacobian of one output element: the gradients of every input.
Tensors jacobian_row(const Tensors& outputs, size_t output, int64_t position,
                     const Tensors& wanted) {
  Tensor one_hot = zeros_like(outputs[output].detach());
  {
    const NoGradGuard no_grad;
    fill_(select(reshape(one_hot, {-1}), 0, position), 1.0);
  }
  if (!one_hot.is_contiguous()) {
    one_hot = contiguous(one_hot);
    const NoGradGuard no_grad;
    zero_(one_hot);
    fill_(select(view(one_hot, {-1}), 0, position), 1.0);
  }
  return grad({&outputs[output], 1}, wanted, {&one_hot, 1}, /*retain_graph=*/true,
              /*create_graph=*/false, /*allow_unused=*/true, /*materialize_grads=*/true);
}

bool is_close(double analytic, double numeric, const GradcheckOptions& options) {
  if (std::isnan(analytic) || std::isnan(numeric)) return false;
  return std::abs(analytic - numeric) <= options.atol + options.rtol * std::abs(numeric);
}

bool report(const GradcheckOptions& options, const std::string& message) {
  if (options.raise_exception) throw AutogradError(message);
  return false;
}

}  // namespace

bool gradcheck(const TensorFunction& function, Tensors inputs, const GradcheckOptions& options) {
  std::vector<size_t> positions;
  Tensors wanted;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].defined() || !inputs[i].requires_grad()) continue;
    TAUT_CHECK(inputs[i].dtype() == kFloat64, DTypeError,
               "gradcheck: finite differences need float64; input ", i, " is ", inputs[i].dtype());
    positions.push_back(i);
    wanted.push_back(inputs[i]);
  }
  TAUT_CHECK(!wanted.empty(), ValueError, "gradcheck: no input requires grad");
  const EnableGradGuard enable_grad;
  const Tensors outputs = floating_outputs(function, inputs);

  // analytic[k][row][column]: input k, output element, input element.
  std::vector<std::vector<std::vector<double>>> analytic(wanted.size());
  std::vector<std::pair<size_t, int64_t>> rows;
  for (size_t o = 0; o < outputs.size(); ++o) {
    for (int64_t position = 0; position < outputs[o].numel(); ++position) {
      rows.emplace_back(o, position);
      if (!requires_grad(outputs[o])) {
        for (size_t k = 0; k < wanted.size(); ++k) {
          analytic[k].emplace_back(static_cast<size_t>(wanted[k].numel()), 0.0);
        }
        continue;
      }
      const Tensors row = jacobian_row(outputs, o, position, wanted);
      for (size_t k = 0; k < wanted.size(); ++k) analytic[k].push_back(elements(row[k]));
    }
  }
  for (size_t k = 0; k < wanted.size(); ++k) {
    for (int64_t column = 0; column < wanted[k].numel(); ++column) {
      const std::vector<double> numeric =
          difference(function, inputs, positions[k], column, options.eps);
      for (size_t row = 0; row < rows.size(); ++row) {
        const double exact = analytic[k][row][static_cast<size_t>(column)];
        if (is_close(exact, numeric[row], options)) continue;
        return report(
            options, concat("gradcheck: d(output ", rows[row].first, ", element ", rows[row].second,
                            ") / d(input ", positions[k], ", element ", column, ") is ", exact,
                            " on the tape and ", numeric[row], " by finite differences"));
      }
    }
  }
  return true;
}

bool gradgradcheck(const TensorFunction& function, Tensors inputs,
                   const GradcheckOptions& options) {
  const EnableGradGuard enable_grad;
  const Tensors outputs = floating_outputs(function, inputs);
  std::mt19937_64 random(20240229);
  std::normal_distribution<double> normal;
  Tensors all = inputs;
  std::vector<size_t> differentiable;
  for (size_t o = 0; o < outputs.size(); ++o) {
    if (!requires_grad(outputs[o])) continue;
    differentiable.push_back(o);
    std::vector<double> values(static_cast<size_t>(outputs[o].numel()));
    for (double& value : values) value = normal(random);
    const Tensor drawn = to(tensor(values, kFloat64), outputs[o].device());
    all.push_back(view(drawn, outputs[o].shape()).detach().requires_grad_());
  }
  if (differentiable.empty()) return true;
  const size_t input_count = inputs.size();
  const TensorFunction derivative = [&](TensorList given) {
    const EnableGradGuard record_always;
    const Tensors primal(given.begin(), given.begin() + static_cast<ptrdiff_t>(input_count));
    const Tensors grad_outputs(given.begin() + static_cast<ptrdiff_t>(input_count), given.end());
    const Tensors all_outputs = floating_outputs(function, primal);
    Tensors chosen;
    for (size_t o : differentiable) chosen.push_back(all_outputs[o]);
    Tensors wanted;
    for (const Tensor& input : primal) {
      if (input.defined() && input.requires_grad()) wanted.push_back(input);
    }
    return grad(chosen, wanted, grad_outputs, /*retain_graph=*/true, /*create_graph=*/true,
                /*allow_unused=*/true, /*materialize_grads=*/true);
  };
  return gradcheck(derivative, all, options);
}

}  // namespace taut::autograd
