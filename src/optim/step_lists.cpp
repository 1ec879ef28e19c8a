#include "src/optim/step_lists.h"

#include "taut/autograd/grad_mode.h"
#include "taut/core/cuda_graph.h"
#include "taut/ops/ops.h"

namespace taut::optim {

/// What of an optimizer its steps see.
struct StepAccess {
  static const StepControl* control(const Optimizer& optimizer) { return optimizer.control_; }
  static size_t place(const Optimizer& optimizer, const Tensor& param) {
    return optimizer.position_of(param);
  }
  static Values& state(Optimizer& optimizer, size_t place) {
    return optimizer.states_[place].second;
  }
  static bool has_skipped_steps(const Optimizer& optimizer) {
    return !optimizer.skipped_steps_.empty();
  }
  /// The counts of called off steps on a device, one for each parameter.
  static Tensor skipped_steps(Optimizer& optimizer, Device device) {
    const auto wanted = static_cast<int64_t>(optimizer.states_.size());
    Tensor* found = nullptr;
    for (Tensor& skipped : optimizer.skipped_steps_) {
      if (skipped.device() == device) found = &skipped;
    }
    if (found == nullptr) {
      found = &optimizer.skipped_steps_.emplace_back(
          zeros({wanted}, TensorOptions(kFloat32).device(device)));
    } else if (found->numel() < wanted) {  // parameters were added
      *found = cat({*found, zeros({wanted - found->numel()}, found->options())});
    }
    return *found;
  }
};

namespace {

Tensor on_device(const Tensor& number, Device device) {
  return number.defined() ? taut::to(number, TensorOptions(kFloat32).device(device)) : Tensor();
}

}  // namespace

void StepList::add(const Tensor& param, const Tensor& grad, size_t place) {
  places_.push_back(static_cast<int64_t>(place));
  states_.push_back(&StepAccess::state(*optimizer_, place));
  originals_.push_back(param);
  params_.push_back(contiguous(param.detach()));
  grads_.push_back(contiguous(taut::to(grad.detach(), param.dtype())));
}

void StepList::fill(kernels::ParamList& list) {
  for (size_t i = 0; i < params_.size(); ++i) {
    param_pointers_.push_back(params_[i].data_ptr());
    grad_pointers_.push_back(grads_[i].data_ptr());
    sizes_.push_back(params_[i].numel());
  }
  list.params = param_pointers_.data();
  list.grads = grad_pointers_.data();
  list.sizes = sizes_.data();
  list.count = static_cast<int64_t>(sizes_.size());
  list.dtype = dtype_;
  list.control = {};
  const StepControl* control = StepAccess::control(*optimizer_);
  if (control == nullptr) return;
  grad_factor_ = on_device(control->grad_factor, device_);
  found_inf_ = on_device(control->found_inf, device_);
  if (grad_factor_.defined()) list.control.grad_factor = grad_factor_.data_ptr<float>();
  if (found_inf_.defined()) list.control.found_inf = found_inf_.data_ptr<float>();
}

void* const* StepList::slot(const char* name, double start) {
  std::vector<void*>& pointers = slots_.emplace_back();
  pointers.reserve(params_.size());
  for (size_t i = 0; i < params_.size(); ++i) {
    Value* held = states_[i]->find(name);
    const Tensor* tensor = held == nullptr ? nullptr : std::get_if<Tensor>(held);
    Tensor usable;
    if (tensor == nullptr) {
      usable = full(params_[i].shape(), start, params_[i].options());
    } else {
      // A state that came from elsewhere may lie otherwise.
      usable = contiguous(taut::to(*tensor, params_[i].options()));
    }
    if (tensor == nullptr || !usable.is_same(*tensor)) states_[i]->set(name, usable);
    pointers.push_back(usable.data_ptr());
  }
  return pointers.data();
}

void StepList::count_steps(kernels::ParamList& list) {
  TAUT_CHECK(
      !device_.is_cuda() || !cuda::is_current_stream_capturing(), CudaError,
      "optimizer.step: this optimizer counts its steps on the host, where a replay would not "
      "find them: it cannot be captured into a graph");
  for (Values* state : states_) {
    const int64_t step = state->contains("step") ? state->integer("step") + 1 : 1;
    state->set("step", step);
    steps_.push_back(step);
  }
  list.steps = steps_.data();
  // Counts that are off stay so in steps without a scaler.
  if (!found_inf_.defined() && !StepAccess::has_skipped_steps(*optimizer_)) return;
  skipped_steps_ = StepAccess::skipped_steps(*optimizer_, device_);
  list.control.skipped_steps = skipped_steps_.data_ptr<float>();
  list.control.places = places_.data();
}

bool StepList::is_called_off() const {
  return found_inf_.defined() && found_inf_.item<float>() != 0.0f;
}

void StepList::finish() {
  for (size_t i = 0; i < params_.size(); ++i) {
    if (params_[i].storage() == originals_[i].storage()) {
      originals_[i].storage()->bump_version();
    } else {
      originals_[i].detach().copy_(params_[i]);
    }
  }
}

std::vector<StepList> make_step_lists(Optimizer& optimizer, const ParamGroup& group,
                                      int64_t (*key_of)(const Values& state)) {
  std::vector<StepList> lists;
  for (const Tensor& param : group.params) {
    const Tensor grad = param.grad();
    if (!grad.defined()) continue;
    const size_t place = StepAccess::place(optimizer, param);
    const int64_t key = key_of == nullptr ? 0 : key_of(StepAccess::state(optimizer, place));
    StepList* fitting = nullptr;
    for (StepList& list : lists) {
      if (list.fits(param, key)) fitting = &list;
    }
    if (fitting == nullptr) {
      fitting = &lists.emplace_back(optimizer, param.dtype(), param.device(), key);
    }
    fitting->add(param, grad, place);
  }
  return lists;
}

}  // namespace taut::optim
