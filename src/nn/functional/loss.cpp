#include "taut/nn/functional/loss.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "src/ops/autocast.h"
#include "src/ops/check_range.h"
#include "src/ops/dispatch.h"
#include "src/ops/pointwise.h"
#include "taut/autograd/autocast_mode.h"
#include "taut/autograd/record.h"
#include "taut/base/trace.h"
#include "taut/nn/functional/activation.h"
#include "taut/nn/functional/softmax.h"
#include "taut/ops/ops.h"

namespace taut::nn::functional {
namespace {

using ops::apply;
using ops::Pointwise;

Tensor reduce(const Tensor& losses, Reduction reduction) {
  switch (reduction) {
    case Reduction::none: return losses;
    case Reduction::mean: return mean(losses);
    case Reduction::sum: return sum(losses);
  }
  return losses;
}

void check_same_shape(const char* op, const Tensor& input, const Tensor& target) {
  TAUT_CHECK(input.shape() == target.shape(), ShapeError, op, ": target has shape ", target.shape(),
             "; expected that of the input, ", input.shape());
}

Tensor weighted(const Tensor& losses, const Tensor& weight) {
  return weight.defined() ? mul(losses, weight) : losses;
}

}  // namespace

Reduction parse_reduction(std::string_view text) {
  if (text == "none") return Reduction::none;
  if (text == "mean") return Reduction::mean;
  TAUT_CHECK(text == "sum", ValueError, "reduction: expected \"none\", \"mean\" or \"sum\"; got \"",
             text, "\"");
  return Reduction::sum;
}

Tensor mse_loss(const Tensor& input, const Tensor& target, Reduction reduction) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return mse_loss(x...); }, input, target,
                           reduction);
  }
  return reduce(apply(Pointwise::SquaredError, {input, target}), reduction);
}
Tensor l1_loss(const Tensor& input, const Tensor& target, Reduction reduction) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return l1_loss(x...); }, input, target,
                           reduction);
  }
  return reduce(apply(Pointwise::AbsoluteError, {input, target}), reduction);
}
Tensor smooth_l1_loss(const Tensor& input, const Tensor& target, Reduction reduction, double beta) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return smooth_l1_loss(x...); }, input, target,
                           reduction, beta);
  }
  TAUT_CHECK(beta >= 0, ValueError, "smooth_l1_loss: beta cannot be negative; got ", beta);
  if (beta == 0) return l1_loss(input, target, reduction);
  return reduce(apply(Pointwise::SmoothL1, {input, target}, {beta}), reduction);
}
Tensor huber_loss(const Tensor& input, const Tensor& target, Reduction reduction, double delta) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return huber_loss(x...); }, input, target,
                           reduction, delta);
  }
  TAUT_CHECK(delta > 0, ValueError, "huber_loss: delta must be positive; got ", delta);
  return reduce(apply(Pointwise::Huber, {input, target}, {delta}), reduction);
}

Tensor binary_cross_entropy(const Tensor& input, const Tensor& target, const Tensor& weight,
                            Reduction reduction) {
  check_same_shape("binary_cross_entropy", input, target);
  TAUT_CHECK(!ops::is_autocast() || !is_autocast_enabled(input.device().type()), DTypeError,
             "binary_cross_entropy: is not safe under autocast, because the gradient of a "
             "probability may leave the range of 16-bit floats; give the values before the sigmoid "
             "to binary_cross_entropy_with_logits, or leave autocast for this loss");
  const Tensor losses = weighted(apply(Pointwise::BinaryCrossEntropy, {input, target}), weight);
  // After the shapes, which a GPU would refuse before it has looked at the values.
  if (input.is_floating_point()) {
    ops::check_range("binary_cross_entropy", "probabilities in 0..1", input, 0, 1);
  }
  return reduce(losses, reduction);
}

Tensor binary_cross_entropy_with_logits(const Tensor& input, const Tensor& target,
                                        const Tensor& weight, Reduction reduction,
                                        const Tensor& pos_weight) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return binary_cross_entropy_with_logits(x...); },
                           input, target, weight, reduction, pos_weight);
  }
  check_same_shape("binary_cross_entropy_with_logits", input, target);
  if (!pos_weight.defined()) {
    return reduce(weighted(apply(Pointwise::BinaryCrossEntropyWithLogits, {input, target}), weight),
                  reduction);
  }
  // (1 - t) x - (1 + (p - 1) t) log sigmoid(x)
  const Tensor factor = add(mul(sub(pos_weight, 1), target), 1);
  const Tensor losses = sub(mul(rsub(target, 1), input), mul(factor, logsigmoid(input)));
  return reduce(weighted(losses, weight), reduction);
}

namespace {

using autograd::BackwardContext;

// Logits as (rows, classes): the class dim, second or only, goes last.
Tensor as_rows(const Tensor& input) {
  if (input.dim() == 1) return unsqueeze(input, 0);
  if (input.dim() == 2) return input;
  const int64_t classes = input.size(1);
  return reshape(movedim(input, {1}, {-1}), {-1, classes});
}

void check_classes(const char* op, const Tensor& input, const Tensor& target,
                   const Tensor& weight) {
  ops::check_defined(op, "input", input);
  ops::check_defined(op, "target", target);
  ops::check_same_device(op, input, target);
  TAUT_CHECK(input.is_floating_point(), DTypeError, op, ": input must be floating; got ",
             input.dtype());
  TAUT_CHECK(input.dim() >= 1, ShapeError, op, ": input needs a class dim; got shape ()");
  TAUT_CHECK(target.dtype() == kInt64 || target.dtype() == kInt32 || target.dtype() == kUInt8,
             DTypeError, op, ": class indices must be int64; got ", target.dtype());
  Dims expected = input.shape();
  expected.erase(input.dim() == 1 ? 0 : 1);
  TAUT_CHECK(target.shape() == expected, ShapeError, op, ": input of shape ", input.shape(),
             " takes a target of shape ", expected, "; got ", target.shape());
  if (weight.defined()) {
    ops::check_same_device(op, input, weight);
    const int64_t classes = input.size(input.dim() == 1 ? 0 : 1);
    TAUT_CHECK(weight.dim() == 1 && weight.size(0) == classes, ShapeError, op,
               ": weight must have one entry for each of ", classes, " classes; got shape ",
               weight.shape());
  }
}

struct CrossEntropyAttributes {
  int64_t ignore_index;
  double label_smoothing;
  Reduction reduction;
};

const void* data_or_null(const Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr() : nullptr;
}

// The derivative as ops, for differentiating it again:
// g ((1 - e) w[y] (p - onehot) + e / C (W p - w)), zero for ignored rows.
Tensor composed_gradient(const BackwardContext& context, const Tensor& logits,
                         const Tensor& targets, const Tensor& weight, const Tensor& sums) {
  const auto& at = context.attributes<CrossEntropyAttributes>();
  const int64_t classes = logits.size(1);
  const Tensor kept = ne(targets, at.ignore_index);
  const Tensor safe = unsqueeze(where(kept, targets, Scalar(0)), 1);
  const Tensor one_hot =
      to(eq(arange(classes, TensorOptions(kInt64).device(logits.device())), safe), logits.dtype());
  const Tensor probabilities = taut::softmax(logits, 1);
  Tensor class_weight = weight.defined() ? weight : ones({classes}, logits.options());
  const Tensor row_weight = sum(one_hot * class_weight, {1}, /*keepdim=*/true);
  Tensor slope = (probabilities - one_hot) * row_weight * (1.0 - at.label_smoothing);
  if (at.label_smoothing > 0) {
    slope = slope + (probabilities * sum(class_weight) - class_weight) *
                        (at.label_smoothing / static_cast<double>(classes));
  }
  Tensor grad = context.grad();
  if (at.reduction == Reduction::none) grad = unsqueeze(reshape(grad, {-1}), 1);
  if (at.reduction == Reduction::mean) grad = grad / to(select(sums, 0, 1), logits.dtype());
  return where(unsqueeze(kept, 1), slope * grad, Scalar(0.0));
}

void cross_entropy_backward(BackwardContext& context) {
  if (!context.needs(0)) return;
  const auto& at = context.attributes<CrossEntropyAttributes>();
  // Before there is another reference to them. Logits are the largest tensor of a language model:
  // where nobody will see them again the gradient takes their place.
  Tensor grad_logits = is_grad_enabled() ? Tensor() : context.reusable(0);
  const Tensor logits = context.saved(0);
  const Tensor targets = context.saved(1);
  const Tensor weight = context.saved(2);
  const Tensor log_sum_exp = context.saved(3);
  const Tensor sums = context.saved(4);
  if (is_grad_enabled()) {
    context.set(0, composed_gradient(context, logits, targets, weight, sums));
    return;
  }
  const Tensor grad = contiguous(to(context.grad(), compute_dtype(logits.dtype())));
  if (!grad_logits.defined()) grad_logits = empty_like(logits);
  kernels::CrossEntropyBackwardArgs args;
  args.logits = logits.data_ptr();
  args.targets = targets.data_ptr<int64_t>();
  args.weight = data_or_null(weight);
  args.log_sum_exp = log_sum_exp.data_ptr();
  args.grad_losses = grad.data_ptr();
  args.grad_stride = at.reduction == Reduction::none ? 1 : 0;
  args.divisor = at.reduction == Reduction::mean
                     ? static_cast<const char*>(sums.data_ptr()) + item_size(sums.dtype())
                     : nullptr;
  args.grad_logits = grad_logits.data_ptr();
  args.dtype = logits.dtype();
  args.rows = logits.size(0);
  args.classes = logits.size(1);
  args.ignore_index = at.ignore_index;
  args.label_smoothing = at.label_smoothing;
  if (grad_logits.numel() > 0) ops::kernels_of(logits).softmax.cross_entropy_backward(args);
  context.set(0, grad_logits);
}

// `loss_dtype`: of what comes out when the losses are reduced.
Tensor fused_cross_entropy(const Tensor& input, const Tensor& target, const Tensor& weight,
                           int64_t ignore_index, Reduction reduction, double label_smoothing,
                           DType loss_dtype) {
  const TraceScope scope(ScopeKind::op, "cross_entropy");
  const Tensor logits = contiguous(as_rows(input));
  Tensor targets, class_weight;
  {
    const NoGradGuard no_grad;
    targets = contiguous(to(reshape(target, {-1}), kInt64));
    if (weight.defined()) class_weight = contiguous(to(weight.detach(), logits.dtype()));
  }
  const int64_t rows = logits.size(0);
  const DType compute = compute_dtype(logits.dtype());
  Tensor log_sum_exp = empty({rows}, TensorOptions(compute).device(logits.device()));
  Tensor sums = zeros({2}, TensorOptions(compute).device(logits.device()));
  Tensor losses = empty(target.shape(), logits.options());
  kernels::CrossEntropyArgs args;
  args.logits = logits.data_ptr();
  args.targets = targets.data_ptr<int64_t>();
  args.weight = data_or_null(class_weight);
  args.losses = losses.data_ptr();
  args.log_sum_exp = log_sum_exp.data_ptr();
  args.sums = sums.data_ptr();
  args.dtype = logits.dtype();
  args.rows = rows;
  args.classes = logits.size(1);
  args.ignore_index = ignore_index;
  args.label_smoothing = label_smoothing;
  if (rows > 0) {
    const auto result = ops::kernels_of(logits).softmax.cross_entropy(args);
    TAUT_CHECK(result.invalid_row < 0, IndexError, "cross_entropy: target ",
               targets.data_ptr<int64_t>()[result.invalid_row], " at position ", result.invalid_row,
               " is no class; expected 0..", logits.size(1) - 1);
  }
  Tensor output = losses;
  if (reduction != Reduction::none) {
    const NoGradGuard no_grad;
    const Tensor total = select(sums, 0, 0);
    output =
        to(clone(reduction == Reduction::sum ? total : total / select(sums, 0, 1)), loss_dtype);
  }
  return autograd::record("cross_entropy", {logits, targets}, output,
                          {logits, targets, class_weight, log_sum_exp, sums},
                          cross_entropy_backward,
                          CrossEntropyAttributes{ignore_index, label_smoothing, reduction});
}

// Targets as probabilities: -sum over classes of t log p, smoothed first.
Tensor soft_cross_entropy(const Tensor& input, const Tensor& target, const Tensor& weight,
                          Reduction reduction, double label_smoothing) {
  TAUT_CHECK(input.shape() == target.shape(), ShapeError,
             "cross_entropy: target probabilities have shape ", target.shape(),
             "; expected that of the input, ", input.shape());
  const int at = input.dim() == 1 ? 0 : 1;
  const int64_t classes = input.size(at);
  Tensor goal = target;
  if (label_smoothing > 0) {
    goal = goal * (1.0 - label_smoothing) + label_smoothing / static_cast<double>(classes);
  }
  Tensor log_probabilities = taut::log_softmax(input, at);
  if (weight.defined()) {
    Dims shape = Dims::filled(input.dim(), 1);
    shape[at] = classes;
    log_probabilities = log_probabilities * reshape(weight, shape);
  }
  const Tensor losses = neg(sum(goal * log_probabilities, Dims{at}));
  if (reduction != Reduction::mean) return reduce(losses, reduction);
  return sum(losses) / static_cast<double>(std::max<int64_t>(losses.numel(), 1));
}

// Whether the kernels, which compute 16-bit logits in float32, need no copy of them in float32 to
// give autocast's loss. Logits are the largest tensor of a language model.
bool is_float32_inside(const Tensor& input, const Tensor& target, const Tensor& weight,
                       Reduction reduction) {
  return input.defined() && is_reduced_floating_point(input.dtype()) && target.defined() &&
         !target.is_floating_point() && !weight.defined() && reduction != Reduction::none &&
         is_autocast_enabled(input.device().type());
}

}  // namespace

Tensor cross_entropy(const Tensor& input, const Tensor& target, const Tensor& weight,
                     int64_t ignore_index, Reduction reduction, double label_smoothing) {
  const bool float32_inside =
      ops::is_autocast() && is_float32_inside(input, target, weight, reduction);
  if (ops::is_autocast() && !float32_inside) {
    return ops::in_float32([](const auto&... x) { return cross_entropy(x...); }, input, target,
                           weight, ignore_index, reduction, label_smoothing);
  }
  TAUT_CHECK(label_smoothing >= 0 && label_smoothing <= 1, ValueError,
             "cross_entropy: label_smoothing must be in 0..1; got ", label_smoothing);
  if (target.defined() && input.defined() && target.is_floating_point()) {
    return soft_cross_entropy(input, target, weight, reduction, label_smoothing);
  }
  check_classes("cross_entropy", input, target, weight);
  const DType loss_dtype = float32_inside ? kFloat32 : input.dtype();
  return fused_cross_entropy(input, target, weight, ignore_index, reduction, label_smoothing,
                             loss_dtype);
}

Tensor nll_loss(const Tensor& input, const Tensor& target, const Tensor& weight,
                int64_t ignore_index, Reduction reduction) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return nll_loss(x...); }, input, target, weight,
                           ignore_index, reduction);
  }
  check_classes("nll_loss", input, target, weight);
  const Tensor rows = as_rows(input);
  const int64_t classes = rows.size(1);
  const Tensor targets = to(reshape(target, {-1}), kInt64);
  const Tensor kept = ne(targets, ignore_index);
  const Tensor valid =
      logical_or(logical_not(kept), logical_and(ge(targets, 0), lt(targets, classes)));
  if (rows.device().is_cpu() && targets.numel() > 0) {
    const Tensor bad = logical_not(valid);
    if (any(bad).item().to_bool()) {
      const int64_t at = argmax(to(bad, kUInt8)).item<int64_t>();
      TAUT_CHECK(false, IndexError, "nll_loss: target ", select(targets, 0, at).item<int64_t>(),
                 " at position ", at, " is no class; expected 0..", classes - 1);
    }
  }
  const Tensor known = where(kept, targets, Scalar(0));
  if (rows.is_cuda()) ops::check_indices_later("nll_loss", known, classes);
  const Tensor safe = unsqueeze(known, 1);
  const Tensor one_hot = eq(arange(classes, TensorOptions(kInt64).device(rows.device())), safe);
  const Tensor picked = sum(where(one_hot, rows, Scalar(0.0)), {1});
  Tensor row_weight = to(kept, rows.dtype());
  if (weight.defined()) {
    row_weight = row_weight *
                 sum(where(one_hot, expand(unsqueeze(weight, 0), rows.shape()), Scalar(0.0)), {1});
  }
  Tensor losses = where(kept, neg(picked) * row_weight, Scalar(0.0));
  switch (reduction) {
    case Reduction::none: return reshape(losses, target.shape());
    case Reduction::sum: return sum(losses);
    case Reduction::mean: return sum(losses) / sum(row_weight);
  }
  return losses;
}

Tensor kl_div(const Tensor& input, const Tensor& target, Reduction reduction, bool log_target,
              bool batch_mean) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return kl_div(x...); }, input, target, reduction,
                           log_target, batch_mean);
  }
  const Tensor losses =
      log_target ? exp(target) * (target - input) : xlogy(target, target) - target * input;
  if (!batch_mean) return reduce(losses, reduction);
  TAUT_CHECK(input.dim() > 0, ShapeError, "kl_div: batchmean needs a batch dim");
  return sum(losses) / static_cast<double>(std::max<int64_t>(input.size(0), 1));
}

Tensor poisson_nll_loss(const Tensor& input, const Tensor& target, bool log_input, bool full,
                        double eps, Reduction reduction) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return poisson_nll_loss(x...); }, input, target,
                           log_input, full, eps, reduction);
  }
  Tensor losses = log_input ? exp(input) - target * input : input - target * log(input + eps);
  if (full) {
    // Stirling's approximation of log(target!), for targets above 1.
    const Tensor stirling =
        target * log(target) - target + log(target * (2.0 * 3.14159265358979323846)) * 0.5;
    losses = losses + where(target > 1, stirling, Scalar(0.0));
  }
  return reduce(losses, reduction);
}

Tensor gaussian_nll_loss(const Tensor& input, const Tensor& target, const Tensor& var, bool full,
                         double eps, Reduction reduction) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return gaussian_nll_loss(x...); }, input, target,
                           var, full, eps, reduction);
  }
  Tensor spread = var;
  if (!(var.shape() == input.shape()) && var.dim() + 1 == input.dim()) spread = unsqueeze(var, -1);
  // Held above eps, without that touching the gradient.
  spread = spread + (clamp(spread.detach(), Scalar(eps)) - spread.detach());
  const Tensor difference = input - target;
  Tensor losses = (log(spread) + difference * difference / spread) * 0.5;
  // After the shapes, which a GPU would refuse before it has looked at the values.
  if (var.is_floating_point()) {
    ops::check_range("gaussian_nll_loss", "variances that are not negative", var, 0,
                     std::numeric_limits<double>::infinity());
  }
  if (full) losses = losses + 0.5 * std::log(2.0 * 3.14159265358979323846);
  return reduce(losses, reduction);
}

Tensor soft_margin_loss(const Tensor& input, const Tensor& target, Reduction reduction) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return soft_margin_loss(x...); }, input, target,
                           reduction);
  }
  return reduce(softplus(neg(target) * input), reduction);
}

Tensor hinge_embedding_loss(const Tensor& input, const Tensor& target, double margin,
                            Reduction reduction) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return hinge_embedding_loss(x...); }, input,
                           target, margin, reduction);
  }
  const Tensor negative_part =
      where(eq(target, 1), Scalar(0.0), clamp(rsub(input, margin), Scalar(0)));
  const Tensor positive_part = where(eq(target, -1), Scalar(0.0), input);
  return reduce(negative_part + positive_part, reduction);
}

Tensor margin_ranking_loss(const Tensor& input1, const Tensor& input2, const Tensor& target,
                           double margin, Reduction reduction) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return margin_ranking_loss(x...); }, input1,
                           input2, target, margin, reduction);
  }
  return reduce(clamp(neg(target) * (input1 - input2) + margin, Scalar(0)), reduction);
}

Tensor cosine_embedding_loss(const Tensor& input1, const Tensor& input2, const Tensor& target,
                             double margin, Reduction reduction) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return cosine_embedding_loss(x...); }, input1,
                           input2, target, margin, reduction);
  }
  const Tensor similarity = cosine_similarity(input1, input2, input1.dim() - 1);
  const Tensor apart = where(eq(target, -1), clamp(similarity - margin, Scalar(0)), Scalar(0.0));
  const Tensor together = where(eq(target, 1), rsub(similarity, 1), Scalar(0.0));
  return reduce(apart + together, reduction);
}

Tensor triplet_margin_loss(const Tensor& anchor, const Tensor& positive, const Tensor& negative,
                           double margin, double p, double eps, bool swap, Reduction reduction) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return triplet_margin_loss(x...); }, anchor,
                           positive, negative, margin, p, eps, swap, reduction);
  }
  const Tensor near = pairwise_distance(anchor, positive, p, eps);
  Tensor far = pairwise_distance(anchor, negative, p, eps);
  if (swap) far = minimum(far, pairwise_distance(positive, negative, p, eps));
  return reduce(clamp(near - far + margin, Scalar(0)), reduction);
}

Tensor cosine_similarity(const Tensor& x1, const Tensor& x2, int64_t dim, double eps) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return cosine_similarity(x...); }, x1, x2, dim,
                           eps);
  }
  const Tensor norm1 = clamp_min(linalg::vector_norm(x1, 2.0, {dim}, /*keepdim=*/true), eps);
  const Tensor norm2 = clamp_min(linalg::vector_norm(x2, 2.0, {dim}, /*keepdim=*/true), eps);
  return sum(x1 / norm1 * (x2 / norm2), {dim});
}

Tensor pairwise_distance(const Tensor& x1, const Tensor& x2, double p, double eps, bool keepdim) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return pairwise_distance(x...); }, x1, x2, p, eps,
                           keepdim);
  }
  return linalg::vector_norm(x1 - x2 + eps, p, {-1}, keepdim);
}

Tensor normalize(const Tensor& input, double p, int64_t dim, double eps) {
  return input / clamp_min(linalg::vector_norm(input, p, {dim}, /*keepdim=*/true), eps);
}

}  // namespace taut::nn::functional
