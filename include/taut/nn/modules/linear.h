#pragma once
// Linear layers, and modules that only reshape.
//   nn::Linear layer(784, 10);  Tensor y = layer(x);  // (..., 784) to (..., 10)

#include "taut/nn/module.h"

namespace taut::nn {

/// Its input.
class TAUT_API Identity : public Module {
 public:
  Tensor forward(const Tensor& input) override { return input; }
};

/// input (..., in_features) times weight (out_features, in_features) transposed, plus bias. Both
/// start uniform in +-1 / sqrt(in_features).
class TAUT_API Linear : public Module {
 public:
  Linear(int64_t in_features, int64_t out_features, bool bias = true,
         const TensorOptions& options = {});
  Tensor forward(const Tensor& input) override;
  std::string extra_repr() const override;
  void reset_parameters();

  int64_t in_features;
  int64_t out_features;
  Tensor weight;
  Tensor bias;  // undefined without one
};

/// input1 (..., in1) times weight (out, in1, in2) times input2 (..., in2), plus bias.
class TAUT_API Bilinear : public Module {
 public:
  Bilinear(int64_t in1_features, int64_t in2_features, int64_t out_features, bool bias = true,
           const TensorOptions& options = {});
  using Module::forward;
  Tensor forward(const Tensor& input1, const Tensor& input2);
  Tensors forward_many(TensorList inputs) override;
  std::string extra_repr() const override;
  void reset_parameters();

  int64_t in1_features;
  int64_t in2_features;
  int64_t out_features;
  Tensor weight;
  Tensor bias;
};

/// Dims start_dim to end_dim as one.
class TAUT_API Flatten : public Module {
 public:
  explicit Flatten(int64_t start_dim = 1, int64_t end_dim = -1);
  Tensor forward(const Tensor& input) override;
  std::string extra_repr() const override;

  int64_t start_dim;
  int64_t end_dim;
};

/// One dim as several.
class TAUT_API Unflatten : public Module {
 public:
  Unflatten(int64_t dim, const Dims& unflattened_size);
  Tensor forward(const Tensor& input) override;
  std::string extra_repr() const override;

  int64_t dim;
  Dims unflattened_size;
};

}  // namespace taut::nn
