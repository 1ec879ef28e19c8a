#include "taut/nn/modules/norm.h"

#include "taut/nn/functional/norm.h"
#include "taut/nn/init.h"
#include "taut/ops/ops.h"

namespace taut::nn {
namespace {

Dims shape_of(const SizeArg& size) { return size.values(); }

void check_rank(const Module& layer, const Tensor& input, int least, int most) {
  TAUT_CHECK(input.dim() >= least && input.dim() <= most, ShapeError, layer.name(), ": expected ",
             least, least == most ? "" : concat(" or ", most), " dims; got shape ", input.shape());
}

}  // namespace

// Norms with running statistics ------------------------------------------------------------------

NormBase::NormBase(int64_t features, double eps_in, std::optional<double> momentum_in,
                   bool affine_in, bool track, const TensorOptions& options)
    : num_features(features),
      eps(eps_in),
      momentum(momentum_in),
      affine(affine_in),
      track_running_stats(track) {
  const auto make = [&](bool wanted) { return wanted ? empty({features}, options) : Tensor(); };
  register_parameter("weight", weight, make(affine));
  register_parameter("bias", bias, make(affine));
  register_buffer("running_mean", running_mean, make(track));
  register_buffer("running_var", running_var, make(track));
  register_buffer("num_batches_tracked", num_batches_tracked,
                  track ? zeros({}, options.dtype(kInt64)) : Tensor());
  reset_running_stats();
  reset_parameters();
}

void NormBase::reset_running_stats() {
  if (!running_mean.defined()) return;
  running_mean.zero_();
  running_var.fill_(1);
  num_batches_tracked.zero_();
}

void NormBase::reset_parameters() {
  if (!affine) return;
  init::ones_(weight);
  init::zeros_(bias);
}

std::string NormBase::extra_repr() const {
  return concat(num_features, ", eps=", eps,
                ", momentum=", momentum ? concat(*momentum) : std::string("None"),
                ", affine=", affine, ", bias=", bias.defined(),
                ", track_running_stats=", track_running_stats);
}

Tensor BatchNormBase::run(Function function, const Tensor& input, const Tensor& residual) {
  check_input(input);
  double factor = momentum.value_or(0.0);
  const bool tracks = is_training() && running_mean.defined();
  if (tracks && !momentum) factor = 1.0 / (num_batches_tracked.item<double>() + 1);
  const bool uses_batch = is_training() || !running_mean.defined();
  Tensor output =
      function(input, running_mean, running_var, weight, bias, uses_batch, factor, eps, residual);
  if (tracks) num_batches_tracked.add_(1);  // only now: a batch that was refused is not counted
  return output;
}

Tensor BatchNormBase::forward(const Tensor& input) {
  const Function batch_norm = [](const Tensor& x, const Tensor& mean, const Tensor& var,
                                 const Tensor& scale, const Tensor& shift, bool training,
                                 double factor, double epsilon, const Tensor&) {
    return functional::batch_norm(x, mean, var, scale, shift, training, factor, epsilon);
  };
  return run(batch_norm, input, Tensor());
}

BatchNorm1d::BatchNorm1d(int64_t features, double eps_in, std::optional<double> momentum_in,
                         bool affine_in, bool track, const TensorOptions& options)
    : BatchNormBase(features, eps_in, momentum_in, affine_in, track, options) {}
void BatchNorm1d::check_input(const Tensor& input) const { check_rank(*this, input, 2, 3); }

BatchNorm2d::BatchNorm2d(int64_t features, double eps_in, std::optional<double> momentum_in,
                         bool affine_in, bool track, const TensorOptions& options)
    : BatchNormBase(features, eps_in, momentum_in, affine_in, track, options) {}
void BatchNorm2d::check_input(const Tensor& input) const { check_rank(*this, input, 4, 4); }

Tensor BatchNormReLU2d::forward(const Tensor& input, const Tensor& residual) {
  return run(functional::batch_norm_relu, input, residual);
}

Tensors BatchNormReLU2d::forward_many(TensorList inputs) {
  TAUT_CHECK(inputs.size() == 1 || inputs.size() == 2, ValueError, name(),
             ": expected input, or input and residual; got ", inputs.size(), " tensors");
  return {forward(inputs[0], inputs.size() == 2 ? inputs[1] : Tensor())};
}

BatchNorm3d::BatchNorm3d(int64_t features, double eps_in, std::optional<double> momentum_in,
                         bool affine_in, bool track, const TensorOptions& options)
    : BatchNormBase(features, eps_in, momentum_in, affine_in, track, options) {}
void BatchNorm3d::check_input(const Tensor& input) const { check_rank(*this, input, 5, 5); }

// Layer, RMS, group and instance norm ------------------------------------------------------------

LayerNorm::LayerNorm(const SizeArg& shape, double eps_in, bool affine, bool with_bias,
                     const TensorOptions& options, bool recompute_in)
    : normalized_shape(shape_of(shape)),
      eps(eps_in),
      elementwise_affine(affine),
      recompute(recompute_in) {
  register_parameter("weight", weight, affine ? empty(normalized_shape, options) : Tensor());
  register_parameter("bias", bias,
                     affine && with_bias ? empty(normalized_shape, options) : Tensor());
  reset_parameters();
}

void LayerNorm::reset_parameters() {
  if (weight.defined()) init::ones_(weight);
  if (bias.defined()) init::zeros_(bias);
}

Tensor LayerNorm::forward(const Tensor& input) {
  return functional::layer_norm(input, normalized_shape, weight, bias, eps, recompute);
}

std::string LayerNorm::extra_repr() const {
  return concat(normalized_shape, ", eps=", eps, ", elementwise_affine=", elementwise_affine,
                ", bias=", bias.defined(), recompute ? ", recompute=True" : "");
}

RMSNorm::RMSNorm(const SizeArg& shape, std::optional<double> eps_in, bool affine,
                 const TensorOptions& options, bool recompute_in)
    : normalized_shape(shape_of(shape)),
      eps(eps_in),
      elementwise_affine(affine),
      recompute(recompute_in) {
  register_parameter("weight", weight, affine ? empty(normalized_shape, options) : Tensor());
  reset_parameters();
}

void RMSNorm::reset_parameters() {
  if (weight.defined()) init::ones_(weight);
}

Tensor RMSNorm::forward(const Tensor& input) {
  return functional::rms_norm(input, normalized_shape, weight, eps, recompute);
}

std::string RMSNorm::extra_repr() const {
  return concat(normalized_shape, ", eps=", eps ? concat(*eps) : std::string("None"),
                ", elementwise_affine=", elementwise_affine, recompute ? ", recompute=True" : "");
}

GroupNorm::GroupNorm(int64_t groups, int64_t channels, double eps_in, bool affine_in,
                     const TensorOptions& options)
    : num_groups(groups), num_channels(channels), eps(eps_in), affine(affine_in) {
  TAUT_CHECK(groups >= 1 && channels % groups == 0, ValueError,
             "GroupNorm: num_channels must be divisible by num_groups; got ", channels, " and ",
             groups);
  register_parameter("weight", weight, affine ? empty({channels}, options) : Tensor());
  register_parameter("bias", bias, affine ? empty({channels}, options) : Tensor());
  reset_parameters();
}

void GroupNorm::reset_parameters() {
  if (!affine) return;
  init::ones_(weight);
  init::zeros_(bias);
}

Tensor GroupNorm::forward(const Tensor& input) {
  return functional::group_norm(input, num_groups, weight, bias, eps);
}

std::string GroupNorm::extra_repr() const {
  return concat(num_groups, ", ", num_channels, ", eps=", eps, ", affine=", affine,
                ", bias=", bias.defined());
}

InstanceNormBase::InstanceNormBase(int spatial, int64_t features, double eps_in,
                                   std::optional<double> momentum_in, bool affine_in, bool track,
                                   const TensorOptions& options)
    : NormBase(features, eps_in, momentum_in, affine_in, track, options), spatial_(spatial) {}

Tensor InstanceNormBase::forward(const Tensor& input) {
  check_rank(*this, input, spatial_ + 1, spatial_ + 2);
  const bool is_sample = input.dim() == spatial_ + 1;
  const Tensor output = functional::instance_norm(
      is_sample ? input.unsqueeze(0) : input, running_mean, running_var, weight, bias,
      is_training() || !running_mean.defined(), momentum.value_or(0.0), eps);
  return is_sample ? output.squeeze(0) : output;
}

InstanceNorm1d::InstanceNorm1d(int64_t features, double eps_in, std::optional<double> momentum_in,
                               bool affine_in, bool track, const TensorOptions& options)
    : InstanceNormBase(1, features, eps_in, momentum_in, affine_in, track, options) {}
InstanceNorm2d::InstanceNorm2d(int64_t features, double eps_in, std::optional<double> momentum_in,
                               bool affine_in, bool track, const TensorOptions& options)
    : InstanceNormBase(2, features, eps_in, momentum_in, affine_in, track, options) {}
InstanceNorm3d::InstanceNorm3d(int64_t features, double eps_in, std::optional<double> momentum_in,
                               bool affine_in, bool track, const TensorOptions& options)
    : InstanceNormBase(3, features, eps_in, momentum_in, affine_in, track, options) {}

}  // namespace taut::nn
