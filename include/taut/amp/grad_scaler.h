#pragma once
// GradScaler: small gradients vanish in float16, so that the loss is multiplied by a large number
// before backward, and gradients are divided by it before they are used. A step whose gradients
// are not finite is skipped and makes the number smaller; a long run of good ones makes it larger.
// Micikevicius et al., "Mixed precision training" (2018). bfloat16 has the range of float32 and
// needs no scaling.
//   amp::GradScaler scaler;
//   ...
//   scaler.scale(loss).backward();
//   scaler.step(optimizer);
//   scaler.update();
// The host learns nothing of the gradients, and so never waits for the device: the number, the
// verdict on the gradients and the count of good steps are tensors there. A cuda::Graph captures
// them whole: unscale_, step and update of the same steps, once scale() was called before.

#include <map>
#include <optional>

#include "taut/optim/optimizer.h"

namespace taut::amp {

struct GradScalerOptions {
  double init_scale = 65536.0;
  double growth_factor = 2.0;
  double backoff_factor = 0.5;
  int64_t growth_interval = 2000;  // good steps in a row before the scale grows
  bool enabled = true;
};

class TAUT_API GradScaler {
 public:
  /// One for "cuda" is disabled on a machine without a GPU.
  /// @throws ValueError for factors that do not make the scale grow and shrink.
  explicit GradScaler(DeviceType device = DeviceType::cuda, const GradScalerOptions& options = {});

  /// output * scale; the output as it is when disabled.
  Tensor scale(const Tensor& output);
  /// Divides the gradients of the optimizer's parameters by the scale, so that they may be clipped
  /// or looked at before step(). @throws Error when that was done since the last update(), or after
  /// the step; ValueError for gradients in float16.
  void unscale_(optim::Optimizer& optimizer);
  /// optimizer.step() with gradients divided by the scale, unless one of them is not finite.
  /// @throws Error for a second step without update() between, and when there is no gradient.
  void step(optim::Optimizer& optimizer);
  /// The same with a step of the caller's own, whose gradients have been divided by the scale.
  /// Waits for the device.
  void step(optim::Optimizer& optimizer, const Callback<void()>& own_step);
  /// Adapts the scale to what the steps since the last update() found.
  /// @throws Error when there was none.
  void update();
  /// Sets the scale instead.
  void update(double new_scale);
  void update(const Tensor& new_scale);

  /// Whether a gradient was not finite in the last unscale_() or step() of the optimizer; waits for
  /// the device.
  bool found_inf(const optim::Optimizer& optimizer) const;
  /// The scale, 1 when disabled; waits for the device.
  double get_scale() const;
  double get_growth_factor() const { return options_.growth_factor; }
  double get_backoff_factor() const { return options_.backoff_factor; }
  int64_t get_growth_interval() const { return options_.growth_interval; }
  void set_growth_factor(double factor) { options_.growth_factor = factor; }
  void set_backoff_factor(double factor) { options_.backoff_factor = factor; }
  void set_growth_interval(int64_t interval) { options_.growth_interval = interval; }
  bool is_enabled() const { return options_.enabled; }

  /// PyTorch's names: scale, growth_factor, backoff_factor, growth_interval, _growth_tracker; empty
  /// when disabled. Waits for the device.
  optim::Values state_dict() const;
  /// @throws Error for an empty state.
  void load_state_dict(const optim::Values& state);

 private:
  enum class Stage { ready, unscaled, stepped };
  struct Progress {
    Stage stage = Stage::ready;
    Tensors found_infs;    // 0-dim, float32, one for each device
    uint64_t capture = 0;  // of a graph, in which it was made; see Note [Scalers in graphs]
  };

  void start_on(Device device);
  // Gives the scale or the count of good steps another value.
  void set(Tensor& held, const Tensor& value);
  Progress& progress_of(const optim::Optimizer& optimizer);
  Progress& progress_before_step(const optim::Optimizer& optimizer);
  // Looks for what is not finite in the gradients, and multiplies them by the factor if there is
  // one.
  void inspect(const optim::Optimizer& optimizer, const Tensor& factor, Progress& progress) const;
  Tensor inverse_scale() const;
  Tensor combined(const Tensors& found_infs) const;

  GradScalerOptions options_;
  // Undefined before the first use; 0-dim, float32.
  Tensor scale_;
  Tensor growth_tracker_;
  double loaded_growth_tracker_ = 0.0;
  // Whether a graph reads and writes the two where they lie.
  bool is_captured_ = false;
  std::map<const optim::Optimizer*, Progress> progress_;
};

}  // namespace taut::amp
