#include "taut/nn/modules/loss.h"

#include "taut/base/check.h"

namespace taut::nn {

Tensors Loss::forward_many(TensorList inputs) {
  TAUT_CHECK(inputs.size() == 2, ValueError, name(), ": expected input and target; got ",
             inputs.size(), " tensors");
  return {forward(inputs[0], inputs[1])};
}

Tensors TripleLoss::forward_many(TensorList inputs) {
  TAUT_CHECK(inputs.size() == 3, ValueError, name(), ": expected 3 tensors; got ", inputs.size());
  return {forward(inputs[0], inputs[1], inputs[2])};
}

CrossEntropyLoss::CrossEntropyLoss(const CrossEntropyOptions& options)
    : Loss(options.reduction),
      ignore_index(options.ignore_index),
      label_smoothing(options.label_smoothing) {
  register_buffer("weight", weight, options.weight);
}
Tensor CrossEntropyLoss::forward(const Tensor& input, const Tensor& target) {
  return functional::cross_entropy(input, target, weight, ignore_index, reduction, label_smoothing);
}

NLLLoss::NLLLoss(const NLLLossOptions& options)
    : Loss(options.reduction), ignore_index(options.ignore_index) {
  register_buffer("weight", weight, options.weight);
}
Tensor NLLLoss::forward(const Tensor& input, const Tensor& target) {
  return functional::nll_loss(input, target, weight, ignore_index, reduction);
}

Tensor MSELoss::forward(const Tensor& input, const Tensor& target) {
  return functional::mse_loss(input, target, reduction);
}

Tensor L1Loss::forward(const Tensor& input, const Tensor& target) {
  return functional::l1_loss(input, target, reduction);
}

Tensor SmoothL1Loss::forward(const Tensor& input, const Tensor& target) {
  return functional::smooth_l1_loss(input, target, reduction, beta);
}

Tensor HuberLoss::forward(const Tensor& input, const Tensor& target) {
  return functional::huber_loss(input, target, reduction, delta);
}

BCELoss::BCELoss(const Tensor& weight_in, Reduction reduction_in) : Loss(reduction_in) {
  register_buffer("weight", weight, weight_in);
}
Tensor BCELoss::forward(const Tensor& input, const Tensor& target) {
  return functional::binary_cross_entropy(input, target, weight, reduction);
}

BCEWithLogitsLoss::BCEWithLogitsLoss(const Tensor& weight_in, Reduction reduction_in,
                                     const Tensor& pos_weight_in)
    : Loss(reduction_in) {
  register_buffer("weight", weight, weight_in);
  register_buffer("pos_weight", pos_weight, pos_weight_in);
}
Tensor BCEWithLogitsLoss::forward(const Tensor& input, const Tensor& target) {
  return functional::binary_cross_entropy_with_logits(input, target, weight, reduction, pos_weight);
}

Tensor KLDivLoss::forward(const Tensor& input, const Tensor& target) {
  return functional::kl_div(input, target, reduction, log_target, batch_mean);
}

PoissonNLLLoss::PoissonNLLLoss(bool log_input_in, bool full_in, double eps_in,
                               Reduction reduction_in)
    : Loss(reduction_in), log_input(log_input_in), full(full_in), eps(eps_in) {}
Tensor PoissonNLLLoss::forward(const Tensor& input, const Tensor& target) {
  return functional::poisson_nll_loss(input, target, log_input, full, eps, reduction);
}

Tensor SoftMarginLoss::forward(const Tensor& input, const Tensor& target) {
  return functional::soft_margin_loss(input, target, reduction);
}

Tensor HingeEmbeddingLoss::forward(const Tensor& input, const Tensor& target) {
  return functional::hinge_embedding_loss(input, target, margin, reduction);
}

Tensor GaussianNLLLoss::forward(const Tensor& input, const Tensor& target, const Tensor& var) {
  return functional::gaussian_nll_loss(input, target, var, full, eps, reduction);
}

Tensor MarginRankingLoss::forward(const Tensor& input1, const Tensor& input2,
                                  const Tensor& target) {
  return functional::margin_ranking_loss(input1, input2, target, margin, reduction);
}

Tensor CosineEmbeddingLoss::forward(const Tensor& input1, const Tensor& input2,
                                    const Tensor& target) {
  return functional::cosine_embedding_loss(input1, input2, target, margin, reduction);
}

TripletMarginLoss::TripletMarginLoss(double margin_in, double p_in, double eps_in, bool swap_in,
                                     Reduction reduction_in)
    : TripleLoss(reduction_in), margin(margin_in), p(p_in), eps(eps_in), swap(swap_in) {}
Tensor TripletMarginLoss::forward(const Tensor& anchor, const Tensor& positive,
                                  const Tensor& negative) {
  return functional::triplet_margin_loss(anchor, positive, negative, margin, p, eps, swap,
                                         reduction);
}

}  // namespace taut::nn
