#pragma once
// What the kernels of optimizer steps take: the parameters of a group as lists of pointers.

#include <vector>

#include "kernels/api/optim.h"
#include "taut/optim/optimizer.h"

namespace taut::optim {

/// The parameters of a group that have a gradient and share dtype, device and `key`, for one call
/// of a kernel. A parameter that does not lie in one piece is worked on in a copy, which finish()
/// writes back.
class StepList {
 public:
  StepList(Optimizer& optimizer, DType dtype, Device device, int64_t key)
      : optimizer_(&optimizer), dtype_(dtype), device_(device), key_(key) {}

  bool fits(const Tensor& param, int64_t key) const {
    return param.dtype() == dtype_ && param.device() == device_ && key == key_;
  }
  void add(const Tensor& param, const Tensor& grad, size_t place);

  Device device() const { return device_; }
  int64_t key() const { return key_; }
  const std::vector<Values*>& states() const { return states_; }
  const Tensors& params() const { return params_; }
  /// Fills the fields that all steps share.
  void fill(kernels::ParamList& list);
  /// Pointers to one state tensor of every parameter, made by `start` (zeros) where it is not
  /// there.
  void* const* slot(const char* name, double start = 0.0);
  /// Counts one more step of every parameter.
  void count_steps(kernels::ParamList& list);
  /// Whether a gradient scaler calls the step off; waits for the device.
  bool is_called_off() const;
  /// Writes copies back and raises the versions of the parameters.
  void finish();

 private:
  Optimizer* optimizer_;
  DType dtype_;
  Device device_;
  int64_t key_;
  Tensors originals_;
  Tensors params_;  // contiguous
  Tensors grads_;   // contiguous, of the parameters' dtype
  std::vector<Values*> states_;
  std::vector<int64_t> places_;  // of the parameters in the optimizer
  Tensor grad_factor_, found_inf_, skipped_steps_;
  std::vector<void*> param_pointers_;
  std::vector<const void*> grad_pointers_;
  std::vector<int64_t> sizes_;
  std::vector<int64_t> steps_;
  std::vector<std::vector<void*>> slots_;
};

/// Sorts the parameters of a group that have a gradient into lists. key_of says what else must
/// agree.
std::vector<StepList> make_step_lists(Optimizer& optimizer, const ParamGroup& group,
                                      int64_t (*key_of)(const Values& state) = nullptr);

}  // namespace taut::optim
