#pragma once
// Normalisation layers. The functions and their sources: taut/nn/functional/norm.h.

#include <optional>

#include "taut/nn/module.h"
#include "taut/nn/modules/size_arg.h"

namespace taut::nn {

/// What norms with running statistics have in common.
class TAUT_API NormBase : public Module {
 public:
  std::string extra_repr() const override;
  void reset_running_stats();
  void reset_parameters();

  int64_t num_features;
  double eps;
  std::optional<double> momentum;
  bool affine;
  bool track_running_stats;
  Tensor weight;               // undefined unless affine; starts at 1
  Tensor bias;                 // undefined unless affine; starts at 0
  Tensor running_mean;         // undefined unless track_running_stats
  Tensor running_var;          // undefined unless track_running_stats
  Tensor num_batches_tracked;  // int64, without dims; undefined unless track_running_stats

 protected:
  NormBase(int64_t num_features, double eps, std::optional<double> momentum, bool affine,
           bool track_running_stats, const TensorOptions& options);
};

/// In training with the batch's statistics, which move running_mean and running_var by `momentum`
/// (by 1 / number of batches when it is empty, so that they are plain averages); in eval mode with
/// those, or the batch's without track_running_stats.
class TAUT_API BatchNormBase : public NormBase {
 public:
  Tensor forward(const Tensor& input) override;

 protected:
  using NormBase::NormBase;
  /// Of batch_norm, and of what is fused with it.
  using Function = Tensor (*)(const Tensor& input, const Tensor& running_mean,
                              const Tensor& running_var, const Tensor& weight, const Tensor& bias,
                              bool training, double momentum, double eps, const Tensor& residual);
  Tensor run(Function function, const Tensor& input, const Tensor& residual);
  /// @throws ShapeError unless the input's rank is one that the layer takes.
  virtual void check_input(const Tensor& input) const = 0;
};

/// (batch, features) or (batch, features, length).
class TAUT_API BatchNorm1d : public BatchNormBase {
 public:
  explicit BatchNorm1d(int64_t num_features, double eps = 1e-5,
                       std::optional<double> momentum = 0.1, bool affine = true,
                       bool track_running_stats = true, const TensorOptions& options = {});

 protected:
  void check_input(const Tensor& input) const override;
};

/// (batch, features, height, width).
class TAUT_API BatchNorm2d : public BatchNormBase {
 public:
  explicit BatchNorm2d(int64_t num_features, double eps = 1e-5,
                       std::optional<double> momentum = 0.1, bool affine = true,
                       bool track_running_stats = true, const TensorOptions& options = {});

 protected:
  void check_input(const Tensor& input) const override;
};

/// (batch, features, depth, height, width).
class TAUT_API BatchNorm3d : public BatchNormBase {
 public:
  explicit BatchNorm3d(int64_t num_features, double eps = 1e-5,
                       std::optional<double> momentum = 0.1, bool affine = true,
                       bool track_running_stats = true, const TensorOptions& options = {});

 protected:
  void check_input(const Tensor& input) const override;
};

/// BatchNorm2d and the relu behind it, as one op: relu(norm(input)), or relu(norm(input) +
/// residual) as at the end of a residual block. Has the parameters and buffers of BatchNorm2d.
class TAUT_API BatchNormReLU2d : public BatchNorm2d {
 public:
  using BatchNorm2d::BatchNorm2d;
  Tensor forward(const Tensor& input) override { return forward(input, Tensor()); }
  /// residual: like input.
  Tensor forward(const Tensor& input, const Tensor& residual);
  /// Of an input, or of input and residual. @throws ValueError for another number of tensors.
  Tensors forward_many(TensorList inputs) override;
};

/// Over the last dims, whose sizes are normalized_shape. With `recompute` the output is not kept
/// for backward but made again from the input.
class TAUT_API LayerNorm : public Module {
 public:
  explicit LayerNorm(const SizeArg& normalized_shape, double eps = 1e-5,
                     bool elementwise_affine = true, bool bias = true,
                     const TensorOptions& options = {}, bool recompute = false);
  /// For LayerNorm({3, 4}), which would otherwise also read as a copy of LayerNorm(3, 4).
  LayerNorm(std::initializer_list<int64_t> shape, double eps_in = 1e-5, bool affine = true,
            bool with_bias = true, const TensorOptions& options = {}, bool recompute_in = false)
      : LayerNorm(SizeArg(shape), eps_in, affine, with_bias, options, recompute_in) {}
  Tensor forward(const Tensor& input) override;
  std::string extra_repr() const override;
  void reset_parameters();

  Dims normalized_shape;
  double eps;
  bool elementwise_affine;
  bool recompute;
  Tensor weight;
  Tensor bias;
};

/// Over the last dims, by their root mean square. `recompute` as for LayerNorm.
class TAUT_API RMSNorm : public Module {
 public:
  explicit RMSNorm(const SizeArg& normalized_shape, std::optional<double> eps = {},
                   bool elementwise_affine = true, const TensorOptions& options = {},
                   bool recompute = false);
  RMSNorm(std::initializer_list<int64_t> shape, std::optional<double> eps_in = {},
          bool affine = true, const TensorOptions& options = {}, bool recompute_in = false)
      : RMSNorm(SizeArg(shape), eps_in, affine, options, recompute_in) {}
  Tensor forward(const Tensor& input) override;
  std::string extra_repr() const override;
  void reset_parameters();

  Dims normalized_shape;
  std::optional<double> eps;
  bool elementwise_affine;
  bool recompute;
  Tensor weight;
};

/// Over num_groups groups of channels and what follows.
class TAUT_API GroupNorm : public Module {
 public:
  GroupNorm(int64_t num_groups, int64_t num_channels, double eps = 1e-5, bool affine = true,
            const TensorOptions& options = {});
  Tensor forward(const Tensor& input) override;
  std::string extra_repr() const override;
  void reset_parameters();

  int64_t num_groups;
  int64_t num_channels;
  double eps;
  bool affine;
  Tensor weight;
  Tensor bias;
};

/// Each channel of each sample by itself. With track_running_stats, training moves running_mean and
/// running_var by `momentum` (not at all when it is empty) and eval mode uses them;
/// num_batches_tracked stays 0, as in PyTorch.
class TAUT_API InstanceNormBase : public NormBase {
 public:
  Tensor forward(const Tensor& input) override;

 protected:
  InstanceNormBase(int spatial, int64_t num_features, double eps, std::optional<double> momentum,
                   bool affine, bool track_running_stats, const TensorOptions& options);

 private:
  int spatial_;
};

class TAUT_API InstanceNorm1d : public InstanceNormBase {
 public:
  explicit InstanceNorm1d(int64_t num_features, double eps = 1e-5,
                          std::optional<double> momentum = 0.1, bool affine = false,
                          bool track_running_stats = false, const TensorOptions& options = {});
};

class TAUT_API InstanceNorm2d : public InstanceNormBase {
 public:
  explicit InstanceNorm2d(int64_t num_features, double eps = 1e-5,
                          std::optional<double> momentum = 0.1, bool affine = false,
                          bool track_running_stats = false, const TensorOptions& options = {});
};

class TAUT_API InstanceNorm3d : public InstanceNormBase {
 public:
  explicit InstanceNorm3d(int64_t num_features, double eps = 1e-5,
                          std::optional<double> momentum = 0.1, bool affine = false,
                          bool track_running_stats = false, const TensorOptions& options = {});
};

}  // namespace taut::nn
