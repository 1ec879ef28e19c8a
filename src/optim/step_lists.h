#pragma once
// What the kernels of optimizer steps take: the parameters of a group as lists of pointers.

#include <vector>

#include "kernels/api/optim.h"
#include "src/optim/small_state.h"
#include "taut/optim/optimizer.h"

namespace taut::optim {

class StepList;

/// What an optimizer has of its own in a step.
struct StepRule {
  /// Calls the kernel for a list, with the options of its group.
  void (*launch)(StepList& list, const Values& options);
  /// What the parameters of a list must agree in, beside dtype and device. May be null.
  int64_t (*key_of)(const Values& state) = nullptr;
};

/// The parameters of a group that have a gradient and share dtype, device and `key`, for one call
/// of a kernel. A parameter that does not lie in one piece is worked on in a copy, which finish()
/// writes back.
///
/// Where the group has "master_weights", 16-bit parameters are stepped in float32: the masters and
/// the other state are float32, and the parameter gets the rounded result.
///
/// Of a step that is captured the list is kept, see src/optim/captured_step.h. At the capture it
/// counts no step and makes no state: what the kernel gets then is replaced before it ever runs.
class StepList {
 public:
  StepList(Optimizer& optimizer, const Tensor& param, int64_t key, bool has_masters,
           kernels::StateFormat format);

  bool fits(const Tensor& param, int64_t key, kernels::StateFormat format) const {
    return param.dtype() == dtype_ && param.device() == device_ && key == key_ && format == format_;
  }
  void add(const Tensor& param, const Tensor& grad, size_t place);

  Device device() const { return device_; }
  int64_t key() const { return key_; }
  /// Fills the fields that all steps share.
  void fill(kernels::ParamList& list);
  /// Pointers to one state tensor of every parameter, made by `start` (zeros) where it is not
  /// there; a plain one.
  void* const* slot(const char* name, double start = 0.0);
  /// The same in the format that the group asks for; `is_signed`: there may be negative numbers.
  void* const* small_slot(const char* name, bool is_signed);
  /// Counts one more step of every parameter.
  void count_steps(kernels::ParamList& list);
  /// Whether a gradient scaler calls the step off; waits for the device. @throws CudaError for a
  /// step that is captured or replayed.
  bool is_called_off() const;
  /// Tells a profiler the bytes of the step: gradients are read, all else is read and written.
  void trace() const;
  /// Writes copies back and raises the versions of the parameters.
  void finish();

  /// The launches from here on are noted, and do not count.
  void begin_capture(cuda::CapturedLaunches& launches);
  /// Lets go of the tensors that the graph's memory holds; their addresses remain.
  void end_capture();
  /// Prepares for the host's part of one more step. @throws CudaError when a parameter's memory is
  /// another than at the capture.
  void begin_replay(Optimizer& optimizer, const StepRule& rule);

 private:
  enum class Stage { eager, captured, replayed };
  void gather();
  /// The order in memory that a parameter is stepped in, its gradient and its states with it.
  MemoryFormat order_of(const Tensor& param) const;
  Tensor in_order_of(const Tensor& param, const Tensor& tensor) const;
  /// The float32 values of the parameters, made of them where they are not there.
  void* const* masters();
  /// The dtype that the kernel steps in.
  DType step_dtype() const { return has_masters_ ? kFloat32 : dtype_; }
  /// One state tensor of every parameter, made by `make(parameter)` where it is not there, and by
  /// `adapt(state, parameter)` where it came from elsewhere.
  template <class Make, class Adapt>
  void* const* state_tensors(const char* name, const Make& make, const Adapt& adapt);

  Optimizer* optimizer_;
  DType dtype_;
  bool has_masters_;
  bool writes_low_;  // the kernels write the parameters beside the masters
  Device device_;
  int64_t key_;
  kernels::StateFormat format_;
  Stage stage_ = Stage::eager;
  cuda::CapturedLaunches* launches_ = nullptr;
  Tensors originals_;
  Tensors params_;  // contiguous
  Tensors grads_;   // contiguous, of the parameters' dtype or, where the kernels want it, float32
  std::vector<Values*> states_;
  std::vector<int64_t> places_;  // of the parameters in the optimizer
  Tensor grad_factor_, found_inf_, skipped_steps_;
  kernels::StepControl control_;
  std::vector<void*> param_pointers_;
  std::vector<const void*> grad_pointers_;
  std::vector<int64_t> sizes_;
  std::vector<int64_t> steps_;
  std::vector<std::vector<void*>> slots_;
};

/// Sorts the parameters of a group that have a gradient into lists.
TAUT_API std::vector<StepList> make_step_lists(Optimizer& optimizer, const ParamGroup& group,
                                               const StepRule& rule);

}  // namespace taut::optim
