#pragma once
// Loss functions as modules: loss(input, target). Formulas in taut/nn/functional/loss.h.
// `reduction` is Reduction::mean unless given.
//   nn::CrossEntropyLoss loss({.label_smoothing = 0.1});  loss(logits, classes).backward();

#include "taut/nn/functional/loss.h"
#include "taut/nn/module.h"

namespace taut::nn {

using functional::Reduction;

/// A loss of an input and a target.
class TAUT_API Loss : public Module {
 public:
  using Module::forward;
  virtual Tensor forward(const Tensor& input, const Tensor& target) = 0;
  /// The loss of two tensors. @throws ValueError for another number.
  Tensors forward_many(TensorList inputs) override;

  Reduction reduction;

 protected:
  explicit Loss(Reduction reduction_in) : reduction(reduction_in) {}
};

/// Cross entropy of logits (N, C, ...) and classes (N, ...), or probabilities (N, C, ...).
struct CrossEntropyOptions {
  Tensor weight = {};  // (C,): the weight of each class
  int64_t ignore_index = -100;
  Reduction reduction = Reduction::mean;
  double label_smoothing = 0.0;
};
class TAUT_API CrossEntropyLoss : public Loss {
 public:
  explicit CrossEntropyLoss(const CrossEntropyOptions& options = {});
  using Loss::forward;
  Tensor forward(const Tensor& input, const Tensor& target) override;

  Tensor weight;  // a buffer
  int64_t ignore_index;
  double label_smoothing;
};

/// Of log-probabilities (N, C, ...) and classes (N, ...).
struct NLLLossOptions {
  Tensor weight = {};
  int64_t ignore_index = -100;
  Reduction reduction = Reduction::mean;
};
class TAUT_API NLLLoss : public Loss {
 public:
  explicit NLLLoss(const NLLLossOptions& options = {});
  using Loss::forward;
  Tensor forward(const Tensor& input, const Tensor& target) override;

  Tensor weight;  // a buffer
  int64_t ignore_index;
};

class TAUT_API MSELoss : public Loss {
 public:
  explicit MSELoss(Reduction reduction_in = Reduction::mean) : Loss(reduction_in) {}
  using Loss::forward;
  Tensor forward(const Tensor& input, const Tensor& target) override;
};

class TAUT_API L1Loss : public Loss {
 public:
  explicit L1Loss(Reduction reduction_in = Reduction::mean) : Loss(reduction_in) {}
  using Loss::forward;
  Tensor forward(const Tensor& input, const Tensor& target) override;
};

class TAUT_API SmoothL1Loss : public Loss {
 public:
  explicit SmoothL1Loss(Reduction reduction_in = Reduction::mean, double beta_in = 1.0)
      : Loss(reduction_in), beta(beta_in) {}
  using Loss::forward;
  Tensor forward(const Tensor& input, const Tensor& target) override;
  double beta;
};

class TAUT_API HuberLoss : public Loss {
 public:
  explicit HuberLoss(Reduction reduction_in = Reduction::mean, double delta_in = 1.0)
      : Loss(reduction_in), delta(delta_in) {}
  using Loss::forward;
  Tensor forward(const Tensor& input, const Tensor& target) override;
  double delta;
};

/// Of probabilities.
class TAUT_API BCELoss : public Loss {
 public:
  explicit BCELoss(const Tensor& weight = Tensor(), Reduction reduction = Reduction::mean);
  using Loss::forward;
  Tensor forward(const Tensor& input, const Tensor& target) override;
  Tensor weight;  // a buffer
};

/// Of logits.
class TAUT_API BCEWithLogitsLoss : public Loss {
 public:
  explicit BCEWithLogitsLoss(const Tensor& weight = Tensor(), Reduction reduction = Reduction::mean,
                             const Tensor& pos_weight = Tensor());
  using Loss::forward;
  Tensor forward(const Tensor& input, const Tensor& target) override;
  Tensor weight;      // a buffer
  Tensor pos_weight;  // a buffer
};

/// Of log-probabilities; batch_mean is PyTorch's reduction="batchmean".
class TAUT_API KLDivLoss : public Loss {
 public:
  explicit KLDivLoss(Reduction reduction_in = Reduction::mean, bool log_target_in = false,
                     bool batch_mean_in = false)
      : Loss(reduction_in), log_target(log_target_in), batch_mean(batch_mean_in) {}
  using Loss::forward;
  Tensor forward(const Tensor& input, const Tensor& target) override;
  bool log_target;
  bool batch_mean;
};

class TAUT_API PoissonNLLLoss : public Loss {
 public:
  explicit PoissonNLLLoss(bool log_input = true, bool full = false, double eps = 1e-8,
                          Reduction reduction = Reduction::mean);
  using Loss::forward;
  Tensor forward(const Tensor& input, const Tensor& target) override;
  bool log_input;
  bool full;
  double eps;
};

class TAUT_API SoftMarginLoss : public Loss {
 public:
  explicit SoftMarginLoss(Reduction reduction_in = Reduction::mean) : Loss(reduction_in) {}
  using Loss::forward;
  Tensor forward(const Tensor& input, const Tensor& target) override;
};

class TAUT_API HingeEmbeddingLoss : public Loss {
 public:
  explicit HingeEmbeddingLoss(double margin_in = 1.0, Reduction reduction_in = Reduction::mean)
      : Loss(reduction_in), margin(margin_in) {}
  using Loss::forward;
  Tensor forward(const Tensor& input, const Tensor& target) override;
  double margin;
};

/// A loss of three tensors.
class TAUT_API TripleLoss : public Module {
 public:
  using Module::forward;
  virtual Tensor forward(const Tensor& first, const Tensor& second, const Tensor& third) = 0;
  /// The loss of three tensors. @throws ValueError for another number.
  Tensors forward_many(TensorList inputs) override;

  Reduction reduction;

 protected:
  explicit TripleLoss(Reduction reduction_in) : reduction(reduction_in) {}
};

/// Of input, target and variance.
class TAUT_API GaussianNLLLoss : public TripleLoss {
 public:
  explicit GaussianNLLLoss(bool full_in = false, double eps_in = 1e-6,
                           Reduction reduction_in = Reduction::mean)
      : TripleLoss(reduction_in), full(full_in), eps(eps_in) {}
  using TripleLoss::forward;
  Tensor forward(const Tensor& input, const Tensor& target, const Tensor& var) override;
  bool full;
  double eps;
};

/// Of input1, input2 and a target of 1 or -1.
class TAUT_API MarginRankingLoss : public TripleLoss {
 public:
  explicit MarginRankingLoss(double margin_in = 0.0, Reduction reduction_in = Reduction::mean)
      : TripleLoss(reduction_in), margin(margin_in) {}
  using TripleLoss::forward;
  Tensor forward(const Tensor& input1, const Tensor& input2, const Tensor& target) override;
  double margin;
};

class TAUT_API CosineEmbeddingLoss : public TripleLoss {
 public:
  explicit CosineEmbeddingLoss(double margin_in = 0.0, Reduction reduction_in = Reduction::mean)
      : TripleLoss(reduction_in), margin(margin_in) {}
  using TripleLoss::forward;
  Tensor forward(const Tensor& input1, const Tensor& input2, const Tensor& target) override;
  double margin;
};

/// Of anchor, positive and negative.
class TAUT_API TripletMarginLoss : public TripleLoss {
 public:
  explicit TripletMarginLoss(double margin = 1.0, double p = 2.0, double eps = 1e-6,
                             bool swap = false, Reduction reduction = Reduction::mean);
  using TripleLoss::forward;
  Tensor forward(const Tensor& anchor, const Tensor& positive, const Tensor& negative) override;
  double margin;
  double p;
  double eps;
  bool swap;
};

}  // namespace taut::nn
