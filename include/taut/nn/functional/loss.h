#pragma once
// Loss functions. `reduction` says what becomes of the losses of the elements: their mean, their
// sum, or nothing (a tensor of losses).

#include <string_view>

#include "taut/core/tensor.h"

namespace taut::nn::functional {

enum class Reduction : uint8_t { none, mean, sum };
/// "none", "mean" or "sum". @throws ValueError for any other word.
TAUT_API Reduction parse_reduction(std::string_view text);

/// (input - target)^2; the shapes must broadcast.
TAUT_API Tensor mse_loss(const Tensor& input, const Tensor& target,
                         Reduction reduction = Reduction::mean);
/// |input - target|.
TAUT_API Tensor l1_loss(const Tensor& input, const Tensor& target,
                        Reduction reduction = Reduction::mean);
TAUT_API Tensor smooth_l1_loss(const Tensor& input, const Tensor& target,
                               Reduction reduction = Reduction::mean, double beta = 1.0);
TAUT_API Tensor huber_loss(const Tensor& input, const Tensor& target,
                           Reduction reduction = Reduction::mean, double delta = 1.0);
/// -(t log p + (1 - t) log(1 - p)) for probabilities p in [0, 1]. @throws ValueError outside.
TAUT_API Tensor binary_cross_entropy(const Tensor& input, const Tensor& target,
                                     const Tensor& weight = Tensor(),
                                     Reduction reduction = Reduction::mean);
/// The same of sigmoid(input), without its rounding; pos_weight multiplies the positive part.
TAUT_API Tensor binary_cross_entropy_with_logits(const Tensor& input, const Tensor& target,
                                                 const Tensor& weight = Tensor(),
                                                 Reduction reduction = Reduction::mean,
                                                 const Tensor& pos_weight = Tensor());
/// Minus the log-probability of the target class: input (N, C, ...) of log-probabilities, target
/// (N, ...) of int64 classes. Rows whose target is ignore_index count nowhere.
/// @throws IndexError for a class outside [0, C) that names it.
TAUT_API Tensor nll_loss(const Tensor& input, const Tensor& target, const Tensor& weight = Tensor(),
                         int64_t ignore_index = -100, Reduction reduction = Reduction::mean);
/// nll_loss of log_softmax(input) in one pass, for class indices as above, or for class
/// probabilities of the input's shape.
TAUT_API Tensor cross_entropy(const Tensor& input, const Tensor& target,
                              const Tensor& weight = Tensor(), int64_t ignore_index = -100,
                              Reduction reduction = Reduction::mean, double label_smoothing = 0.0);
/// target (log target - input), input in log-probabilities; with log_target the target is too.
/// `batch_mean` divides the sum by the size of dim 0, as the definition has it.
TAUT_API Tensor kl_div(const Tensor& input, const Tensor& target,
                       Reduction reduction = Reduction::mean, bool log_target = false,
                       bool batch_mean = false);
TAUT_API Tensor poisson_nll_loss(const Tensor& input, const Tensor& target, bool log_input = true,
                                 bool full = false, double eps = 1e-8,
                                 Reduction reduction = Reduction::mean);
TAUT_API Tensor gaussian_nll_loss(const Tensor& input, const Tensor& target, const Tensor& var,
                                  bool full = false, double eps = 1e-6,
                                  Reduction reduction = Reduction::mean);
TAUT_API Tensor soft_margin_loss(const Tensor& input, const Tensor& target,
                                 Reduction reduction = Reduction::mean);
TAUT_API Tensor hinge_embedding_loss(const Tensor& input, const Tensor& target, double margin = 1.0,
                                     Reduction reduction = Reduction::mean);
TAUT_API Tensor margin_ranking_loss(const Tensor& input1, const Tensor& input2,
                                    const Tensor& target, double margin = 0.0,
                                    Reduction reduction = Reduction::mean);
TAUT_API Tensor cosine_embedding_loss(const Tensor& input1, const Tensor& input2,
                                      const Tensor& target, double margin = 0.0,
                                      Reduction reduction = Reduction::mean);
TAUT_API Tensor triplet_margin_loss(const Tensor& anchor, const Tensor& positive,
                                    const Tensor& negative, double margin = 1.0, double p = 2.0,
                                    double eps = 1e-6, bool swap = false,
                                    Reduction reduction = Reduction::mean);
/// x1 . x2 / max(|x1| |x2|, eps) along `dim`.
TAUT_API Tensor cosine_similarity(const Tensor& x1, const Tensor& x2, int64_t dim = 1,
                                  double eps = 1e-8);
/// ||x1 - x2 + eps||_p over the last dim.
TAUT_API Tensor pairwise_distance(const Tensor& x1, const Tensor& x2, double p = 2.0,
                                  double eps = 1e-6, bool keepdim = false);
/// input / max(||input||_p, eps) along `dim`.
TAUT_API Tensor normalize(const Tensor& input, double p = 2.0, int64_t dim = 1, double eps = 1e-12);

}  // namespace taut::nn::functional
