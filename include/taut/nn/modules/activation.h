#pragma once
// Activation functions as modules; formulas in taut/nn/functional/activation.h. `inplace` is taken
// as in PyTorch; only ReLU saves memory by it, the others compute a new tensor.

#include "taut/nn/module.h"

namespace taut::nn {

class TAUT_API ReLU : public Module {
 public:
  explicit ReLU(bool inplace = false);
  Tensor forward(const Tensor& input) override;
  std::string extra_repr() const override;
  bool inplace;
};

// Those whose only argument is `inplace`, or who have none.
#define TAUT_SIMPLE_ACTIVATION(Name)              \
  class TAUT_API Name : public Module {           \
   public:                                        \
    explicit Name(bool inplace = false);          \
    Tensor forward(const Tensor& input) override; \
    std::string extra_repr() const override;      \
    bool inplace;                                 \
  };
TAUT_SIMPLE_ACTIVATION(ReLU6)
TAUT_SIMPLE_ACTIVATION(SELU)
TAUT_SIMPLE_ACTIVATION(SiLU)
TAUT_SIMPLE_ACTIVATION(Mish)
TAUT_SIMPLE_ACTIVATION(Hardsigmoid)
TAUT_SIMPLE_ACTIVATION(Hardswish)
#undef TAUT_SIMPLE_ACTIVATION

#define TAUT_BARE_ACTIVATION(Name)                \
  class TAUT_API Name : public Module {           \
   public:                                        \
    Tensor forward(const Tensor& input) override; \
  };
TAUT_BARE_ACTIVATION(Sigmoid)
TAUT_BARE_ACTIVATION(Tanh)
TAUT_BARE_ACTIVATION(LogSigmoid)
TAUT_BARE_ACTIVATION(Softsign)
TAUT_BARE_ACTIVATION(Tanhshrink)
#undef TAUT_BARE_ACTIVATION

class TAUT_API LeakyReLU : public Module {
 public:
  explicit LeakyReLU(double negative_slope = 0.01, bool inplace = false);
  Tensor forward(const Tensor& input) override;
  std::string extra_repr() const override;
  double negative_slope;
  bool inplace;
};

class TAUT_API ELU : public Module {
 public:
  explicit ELU(double alpha = 1.0, bool inplace = false);
  Tensor forward(const Tensor& input) override;
  std::string extra_repr() const override;
  double alpha;
  bool inplace;
};

class TAUT_API CELU : public Module {
 public:
  explicit CELU(double alpha = 1.0, bool inplace = false);
  Tensor forward(const Tensor& input) override;
  std::string extra_repr() const override;
  double alpha;
  bool inplace;
};

/// approximate is "none" or "tanh". With `recompute` the output is not kept for backward but made
/// again from the input.
class TAUT_API GELU : public Module {
 public:
  explicit GELU(std::string approximate = "none", bool recompute = false);
  Tensor forward(const Tensor& input) override;
  std::string extra_repr() const override;
  std::string approximate;
  bool recompute;
};

class TAUT_API Softplus : public Module {
 public:
  explicit Softplus(double beta = 1.0, double threshold = 20.0);
  Tensor forward(const Tensor& input) override;
  std::string extra_repr() const override;
  double beta;
  double threshold;
};

class TAUT_API Hardtanh : public Module {
 public:
  explicit Hardtanh(double min_val = -1.0, double max_val = 1.0, bool inplace = false);
  Tensor forward(const Tensor& input) override;
  std::string extra_repr() const override;
  double min_val;
  double max_val;
  bool inplace;
};

class TAUT_API Softshrink : public Module {
 public:
  explicit Softshrink(double lambd = 0.5);
  Tensor forward(const Tensor& input) override;
  std::string extra_repr() const override;
  double lambd;
};

class TAUT_API Hardshrink : public Module {
 public:
  explicit Hardshrink(double lambd = 0.5);
  Tensor forward(const Tensor& input) override;
  std::string extra_repr() const override;
  double lambd;
};

class TAUT_API Threshold : public Module {
 public:
  Threshold(double threshold, double value, bool inplace = false);
  Tensor forward(const Tensor& input) override;
  std::string extra_repr() const override;
  double threshold;
  double value;
  bool inplace;
};

/// A learnt slope for negative inputs: one in all, or one for each channel.
class TAUT_API PReLU : public Module {
 public:
  explicit PReLU(int64_t num_parameters = 1, double init = 0.25, const TensorOptions& options = {});
  Tensor forward(const Tensor& input) override;
  std::string extra_repr() const override;
  int64_t num_parameters;
  Tensor weight;
};

class TAUT_API GLU : public Module {
 public:
  explicit GLU(int64_t dim = -1);
  Tensor forward(const Tensor& input) override;
  std::string extra_repr() const override;
  int64_t dim;
};

/// Softmax and its relatives along `dim`, which must be given.
class TAUT_API Softmax : public Module {
 public:
  explicit Softmax(int64_t dim);
  Tensor forward(const Tensor& input) override;
  std::string extra_repr() const override;
  int64_t dim;
};

class TAUT_API LogSoftmax : public Module {
 public:
  explicit LogSoftmax(int64_t dim);
  Tensor forward(const Tensor& input) override;
  std::string extra_repr() const override;
  int64_t dim;
};

class TAUT_API Softmin : public Module {
 public:
  explicit Softmin(int64_t dim);
  Tensor forward(const Tensor& input) override;
  std::string extra_repr() const override;
  int64_t dim;
};

}  // namespace taut::nn
