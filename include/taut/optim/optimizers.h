#pragma once
// The optimizers. Formulas and defaults are PyTorch's; kernels/api/optim.h has the formulas in
// full.

#include <optional>

#include "taut/optim/optimizer.h"

namespace taut::optim {

// Note [Master weights]
// The small changes of a step are lost in a 16-bit float. With master_weights an optimizer keeps
// the value of each 16-bit parameter in float32 ("master_param" of its state), and all other state
// with it, and gives the parameter the rounded value after each step. Gradients are read in their
// own dtype. Parameters that are float32 already have no master. Micikevicius et al., Mixed
// Precision Training, 2018.

// state_dtype keeps what SGD and Adam remember of a parameter in fewer bits than the parameter has,
// see Note [Small state]: kBFloat16, or kInt8 for 8 bits in blocks with a scale each (uint8 tensors
// of codes and scales in the state; parameters below 4096 elements keep their state as it is).
// kFloat32 is what float32 parameters and masters have anyway. Steps are computed as ever, and
// parameters and masters are not touched by it.

struct SGDOptions {
  double lr = 1e-3;
  double momentum = 0.0;
  double dampening = 0.0;
  double weight_decay = 0.0;
  bool nesterov = false;
  bool maximize = false;
  bool master_weights = false;  // see Note [Master weights]
  std::optional<DType> state_dtype = {};
};

/// Stochastic gradient descent, with momentum (Sutskever et al., 2013).
class TAUT_API SGD : public Optimizer {
 public:
  explicit SGD(Tensors params, const SGDOptions& options = {})
      : SGD(one_group(std::move(params)), options) {}
  explicit SGD(std::vector<ParamGroup> groups, const SGDOptions& options = {});
  using Optimizer::step;
  void step() override;
  bool takes_control() const override;
};

struct AdamOptions {
  double lr = 1e-3;
  std::pair<double, double> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0.0;
  bool amsgrad = false;
  bool maximize = false;
  bool decoupled_weight_decay = false;  // as in AdamW
  bool master_weights = false;          // see Note [Master weights]
  std::optional<DType> state_dtype = {};
};

/// Kingma and Ba, Adam, 2014; amsgrad: Reddi et al., 2018.
class TAUT_API Adam : public Optimizer {
 public:
  explicit Adam(Tensors params, const AdamOptions& options = {})
      : Adam(one_group(std::move(params)), options) {}
  explicit Adam(std::vector<ParamGroup> groups, const AdamOptions& options = {});
  using Optimizer::step;
  void step() override;
  bool takes_control() const override;
};

struct AdamWOptions {
  double lr = 1e-3;
  std::pair<double, double> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 1e-2;
  bool amsgrad = false;
  bool maximize = false;
  bool master_weights = false;  // see Note [Master weights]
  std::optional<DType> state_dtype = {};
};

/// Adam whose weight decay does not pass through the moments. Loshchilov and Hutter, 2017.
class TAUT_API AdamW : public Adam {
 public:
  explicit AdamW(Tensors params, const AdamWOptions& options = {})
      : AdamW(one_group(std::move(params)), options) {}
  explicit AdamW(std::vector<ParamGroup> groups, const AdamWOptions& options = {});
};

struct RMSpropOptions {
  double lr = 1e-2;
  double alpha = 0.99;
  double eps = 1e-8;
  double weight_decay = 0.0;
  double momentum = 0.0;
  bool centered = false;
  bool maximize = false;
  bool master_weights = false;  // see Note [Master weights]
};

/// Hinton, Neural Networks for Machine Learning, lecture 6e, 2012; centered: Graves, 2013.
class TAUT_API RMSprop : public Optimizer {
 public:
  explicit RMSprop(Tensors params, const RMSpropOptions& options = {})
      : RMSprop(one_group(std::move(params)), options) {}
  explicit RMSprop(std::vector<ParamGroup> groups, const RMSpropOptions& options = {});
  using Optimizer::step;
  void step() override;
  bool takes_control() const override;
};

struct AdagradOptions {
  double lr = 1e-2;
  double lr_decay = 0.0;
  double weight_decay = 0.0;
  double initial_accumulator_value = 0.0;
  double eps = 1e-10;
  bool maximize = false;
  bool master_weights = false;  // see Note [Master weights]
};

/// Duchi, Hazan and Singer, Adaptive Subgradient Methods, 2011.
class TAUT_API Adagrad : public Optimizer {
 public:
  explicit Adagrad(Tensors params, const AdagradOptions& options = {})
      : Adagrad(one_group(std::move(params)), options) {}
  explicit Adagrad(std::vector<ParamGroup> groups, const AdagradOptions& options = {});
  using Optimizer::step;
  void step() override;
  bool takes_control() const override;
};

}  // namespace taut::optim
