// Note [Scalers in graphs]
// A replay finds the scale where it lay at the capture: from a capture on the scale and the count
// of good steps are written in place, and they must have been there before. What the host notes of
// a step (unscaled, stepped) holds within the capture that it was noted in, since no replay and no
// capture that was given up notes it again.

#include "taut/amp/grad_scaler.h"

#include "src/core/cuda_runtime.h"
#include "src/ops/tensor_lists.h"
#include "taut/autograd/grad_mode.h"
#include "taut/core/cuda.h"
#include "taut/ops/ops.h"

namespace taut::amp {
namespace {

Tensors gradients_of(const optim::Optimizer& optimizer) {
  Tensors grads;
  for (const optim::ParamGroup& group : optimizer.param_groups()) {
    for (Tensor& grad : ops::gradients_of(group.params)) grads.push_back(std::move(grad));
  }
  return grads;
}

Tensor number_on(Device device, double value) {
  return full({}, value, TensorOptions(kFloat32).device(device));
}

// The number of a device among those found so far, 0 at first.
Tensor number_of(Tensors& numbers, Device device) {
  for (const Tensor& number : numbers) {
    if (number.device() == device) return number;
  }
  return numbers.emplace_back(number_on(device, 0.0));
}

}  // namespace

GradScaler::GradScaler(DeviceType device, const GradScalerOptions& options) : options_(options) {
  if (device == DeviceType::cuda && !cuda::is_available()) options_.enabled = false;
  TAUT_CHECK(!options_.enabled || options.growth_factor > 1.0, ValueError,
             "GradScaler: growth_factor must be above 1; got ", options.growth_factor);
  TAUT_CHECK(!options_.enabled || options.backoff_factor < 1.0, ValueError,
             "GradScaler: backoff_factor must be below 1; got ", options.backoff_factor);
}

void GradScaler::start_on(Device device) {
  if (cuda::current_capture() != 0) {
    if (!scale_.defined()) {
      cuda::refuse_capture(
          "GradScaler: the first scale() makes the scale, which each replay would make anew: it "
          "cannot be captured into a graph; make one step before the capture");
    }
    is_captured_ = true;
  }
  if (scale_.defined()) return;
  scale_ = number_on(device, options_.init_scale);
  growth_tracker_ = number_on(device, loaded_growth_tracker_);
}

void GradScaler::set(Tensor& held, const Tensor& value) {
  if (!held.defined() || !is_captured_) {
    held = value;
    return;
  }
  const NoGradGuard no_grad;
  held.copy_(value);
}

GradScaler::Progress& GradScaler::progress_of(const optim::Optimizer& optimizer) {
  const uint64_t capture = cuda::current_capture();
  if (capture != 0) is_captured_ = true;
  Progress& progress = progress_[&optimizer];
  if (progress.capture == capture) return progress;
  TAUT_CHECK(progress.capture != 0 || progress.stage == Stage::ready, Error,
             "GradScaler: unscale_() was called before the capture of the step began; capture both "
             "or neither");
  progress = Progress();
  progress.capture = capture;
  return progress;
}

Tensor GradScaler::scale(const Tensor& output) {
  if (!is_enabled()) return output;
  start_on(output.device());
  return output * to(scale_, output.device());
}

Tensor GradScaler::inverse_scale() const { return to(reciprocal(to(scale_, kFloat64)), kFloat32); }

void GradScaler::inspect(const optim::Optimizer& optimizer, const Tensor& factor,
                         Progress& progress) const {
  for (const Tensors& list : ops::by_dtype_and_device(gradients_of(optimizer))) {
    const Device device = list[0].device();
    ops::ListScale scale;
    if (factor.defined()) scale.factor_tensor = to(factor, device);
    scale.non_finite = number_of(progress.found_infs, device);
    ops::scale_list(list, scale);
  }
  TAUT_CHECK(!progress.found_infs.empty(), Error,
             "GradScaler: no parameter of the optimizer has a gradient");
}

void GradScaler::unscale_(optim::Optimizer& optimizer) {
  if (!is_enabled()) return;
  Progress& progress = progress_of(optimizer);
  TAUT_CHECK(progress.stage != Stage::unscaled, Error,
             "unscale_: has already been called on this optimizer since the last update()");
  TAUT_CHECK(progress.stage != Stage::stepped, Error, "unscale_: is being called after step()");
  TAUT_CHECK(scale_.defined(), Error, "unscale_: there is no scale before scale() or update()");
  for (const Tensor& grad : gradients_of(optimizer)) {
    TAUT_CHECK(grad.dtype() != kFloat16, ValueError,
               "unscale_: gradients in float16 would vanish; keep the parameters in float32 and "
               "compute under autocast");
  }
  const NoGradGuard no_grad;
  inspect(optimizer, inverse_scale(), progress);
  progress.stage = Stage::unscaled;
}

Tensor GradScaler::combined(const Tensors& found_infs) const {
  Tensor total = to(found_infs[0], scale_.device());
  for (size_t i = 1; i < found_infs.size(); ++i) total = total + to(found_infs[i], total.device());
  return total;
}

GradScaler::Progress& GradScaler::progress_before_step(const optim::Optimizer& optimizer) {
  Progress& progress = progress_of(optimizer);
  TAUT_CHECK(progress.stage != Stage::stepped, Error,
             "step: has already been called since the last update()");
  TAUT_CHECK(scale_.defined(), Error, "step: there is no scale before scale() or update()");
  return progress;
}

void GradScaler::step(optim::Optimizer& optimizer) {
  if (!is_enabled()) {
    optimizer.step();
    return;
  }
  if (!optimizer.takes_control()) {
    step(optimizer, [&] { optimizer.step(); });
    return;
  }
  Progress& progress = progress_before_step(optimizer);
  const NoGradGuard no_grad;
  optim::StepControl control;
  // Gradients that nobody asked to see are divided by the optimizer's kernel, on its way.
  if (progress.stage == Stage::ready) {
    inspect(optimizer, Tensor(), progress);
    control.grad_factor = inverse_scale();
  }
  control.found_inf = combined(progress.found_infs);
  optimizer.controlled_step(control);
  progress.stage = Stage::stepped;
}

void GradScaler::step(optim::Optimizer& optimizer, const Callback<void()>& own_step) {
  if (!is_enabled()) {
    own_step();
    return;
  }
  Progress& progress = progress_before_step(optimizer);
  if (progress.stage == Stage::ready) unscale_(optimizer);
  if (!found_inf(optimizer)) own_step();
  progress.stage = Stage::stepped;
}

bool GradScaler::found_inf(const optim::Optimizer& optimizer) const {
  const auto found = progress_.find(&optimizer);
  if (found == progress_.end() || found->second.found_infs.empty()) return false;
  return combined(found->second.found_infs).item<float>() != 0.0f;
}

void GradScaler::update() {
  if (!is_enabled()) return;
  Tensors found_infs;
  for (const auto& [optimizer, progress] : progress_) {
    if (progress.capture != cuda::current_capture()) continue;
    found_infs.insert(found_infs.end(), progress.found_infs.begin(), progress.found_infs.end());
  }
  TAUT_CHECK(!found_infs.empty(), Error,
             "update: there was no step() or unscale_() since the last update()");
  const NoGradGuard no_grad;
  const Tensor is_bad = ne(combined(found_infs), 0);
  const Tensor good_steps = growth_tracker_ + 1;
  const Tensor is_due = ge(good_steps, options_.growth_interval);
  const Tensor grown = scale_ * options_.growth_factor;
  const Tensor next = where(logical_and(is_due, isfinite(grown)), grown, scale_);
  const Tensor tracker = where(logical_or(is_bad, is_due), Scalar(0.0), good_steps);
  set(scale_, where(is_bad, scale_ * options_.backoff_factor, next));
  set(growth_tracker_, tracker);
  progress_.clear();
}

void GradScaler::update(double new_scale) {
  if (!is_enabled()) return;
  if (scale_.defined()) {
    set(scale_, number_on(scale_.device(), new_scale));
  } else {
    options_.init_scale = new_scale;
  }
  progress_.clear();
}

void GradScaler::update(const Tensor& new_scale) {
  if (!is_enabled()) return;
  TAUT_CHECK(new_scale.defined() && new_scale.numel() == 1 && new_scale.is_floating_point(),
             ValueError, "update: new_scale must be one floating number");
  start_on(new_scale.device());
  set(scale_, reshape(to(new_scale.detach(), scale_.options(), /*copy=*/true), {}));
  progress_.clear();
}

double GradScaler::get_scale() const {
  if (!is_enabled()) return 1.0;
  return scale_.defined() ? scale_.item<double>() : options_.init_scale;
}

optim::Values GradScaler::state_dict() const {
  if (!is_enabled()) return {};
  const double tracker =
      growth_tracker_.defined() ? growth_tracker_.item<double>() : loaded_growth_tracker_;
  return {{"scale", get_scale()},
          {"growth_factor", options_.growth_factor},
          {"backoff_factor", options_.backoff_factor},
          {"growth_interval", options_.growth_interval},
          {"_growth_tracker", static_cast<int64_t>(tracker)}};
}

void GradScaler::load_state_dict(const optim::Values& state) {
  if (!is_enabled()) return;
  TAUT_CHECK(!state.empty(), Error,
             "load_state_dict: the state is empty; was it saved by a disabled GradScaler?");
  GradScalerOptions loaded = options_;
  loaded.init_scale = state.number("scale");
  loaded.growth_factor = state.number("growth_factor");
  loaded.backoff_factor = state.number("backoff_factor");
  loaded.growth_interval = state.integer("growth_interval");
  loaded_growth_tracker_ = state.number("_growth_tracker");
  options_ = loaded;
  if (!scale_.defined()) return;
  set(scale_, number_on(scale_.device(), options_.init_scale));
  set(growth_tracker_, number_on(scale_.device(), loaded_growth_tracker_));
}

}  // namespace taut::amp
