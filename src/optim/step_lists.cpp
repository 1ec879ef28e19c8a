#include "src/optim/step_lists.h"

#include "src/core/cuda/captured_launches.h"
#include "src/core/cuda_runtime.h"
#include "src/ops/allocate.h"
#include "src/ops/dispatch.h"
#include "src/optim/step_access.h"
#include "taut/base/trace.h"
#include "taut/core/cuda_graph.h"
#include "taut/ops/ops.h"

namespace taut::optim {

Tensor StepAccess::skipped_steps(Optimizer& optimizer, Device device) {
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

namespace {

Tensor on_device(const Tensor& number, Device device) {
  return number.defined() ? taut::to(number, TensorOptions(kFloat32).device(device)) : Tensor();
}

}  // namespace

StepList::StepList(Optimizer& optimizer, const Tensor& param, int64_t key, bool has_masters,
                   kernels::StateFormat format)
    : optimizer_(&optimizer),
      dtype_(param.dtype()),
      has_masters_(has_masters && is_reduced_floating_point(param.dtype())),
      writes_low_(has_masters_ && ops::kernels_of(param).optim.takes_low_params),
      device_(param.device()),
      key_(key),
      format_(format) {}

void StepList::add(const Tensor& param, const Tensor& grad, size_t place) {
  places_.push_back(static_cast<int64_t>(place));
  states_.push_back(&StepAccess::state(*optimizer_, place));
  originals_.push_back(param);
  params_.push_back(in_order_of(param, param.detach()));
  const DType wanted = has_masters_ && !writes_low_ ? kFloat32 : dtype_;
  grads_.push_back(in_order_of(param, taut::to(grad.detach(), wanted)));
}

MemoryFormat StepList::order_of(const Tensor& param) const {
  // The blocks of a state are cut from the elements in their logical order.
  if (format_ == kernels::StateFormat::blocks8) return MemoryFormat::contiguous;
  return ops::memory_format_of(param);
}

Tensor StepList::in_order_of(const Tensor& param, const Tensor& tensor) const {
  return contiguous(tensor, order_of(param));
}

void StepList::gather() {
  param_pointers_.reserve(params_.size());
  grad_pointers_.reserve(params_.size());
  sizes_.reserve(params_.size());
  for (size_t i = 0; i < params_.size(); ++i) {
    param_pointers_.push_back(params_[i].data_ptr());
    grad_pointers_.push_back(grads_[i].data_ptr());
    sizes_.push_back(params_[i].numel());
  }
  const StepControl* control = StepAccess::control(*optimizer_);
  if (control == nullptr) return;
  grad_factor_ = on_device(control->grad_factor, device_);
  found_inf_ = on_device(control->found_inf, device_);
  if (grad_factor_.defined()) control_.grad_factor = grad_factor_.data_ptr<float>();
  if (found_inf_.defined()) control_.found_inf = found_inf_.data_ptr<float>();
}

void StepList::fill(kernels::ParamList& list) {
  if (param_pointers_.empty()) gather();
  list.params = has_masters_ ? masters() : param_pointers_.data();
  list.grads = grad_pointers_.data();
  list.sizes = sizes_.data();
  list.count = static_cast<int64_t>(sizes_.size());
  list.dtype = step_dtype();
  list.state_format = format_;
  list.places = places_.data();
  if (writes_low_) {
    list.low_params = param_pointers_.data();
    list.low_dtype = dtype_;
  }
  list.control = control_;
  list.launches = launches_;
}

void* const* StepList::slot(const char* name, double start) {
  const DType dtype = step_dtype();
  return state_tensors(
      name,
      [&](const Tensor& param) {
        return in_order_of(param, full(param.shape(), start, param.options().dtype(dtype)));
      },
      [&](const Tensor& state, const Tensor& param) {
        return in_order_of(param, taut::to(state, param.options().dtype(dtype)));
      });
}

void* const* StepList::small_slot(const char* name, bool is_signed) {
  return state_tensors(
      name,
      [&](const Tensor& param) {
        return in_order_of(param, zero_state(param, format_, step_dtype()));
      },
      [&](const Tensor& state, const Tensor& param) {
        return in_order_of(param, in_format(state, param, format_, step_dtype(), is_signed));
      });
}

void* const* StepList::masters() {
  const auto made = [this](const Tensor& state, const Tensor& param) {
    const TensorOptions wanted = TensorOptions(kFloat32).device(param.device());
    return in_order_of(param, taut::to(state.detach(), wanted));
  };
  return state_tensors(
      "master_param", [&](const Tensor& param) { return made(param, param); }, made);
}

template <class Make, class Adapt>
void* const* StepList::state_tensors(const char* name, const Make& make, const Adapt& adapt) {
  if (stage_ == Stage::captured) return param_pointers_.data();
  std::vector<void*>& pointers = slots_.emplace_back();
  pointers.reserve(originals_.size());
  for (size_t i = 0; i < originals_.size(); ++i) {
    const Tensor& param = originals_[i];
    Value* held = states_[i]->find(name);
    const Tensor* tensor = held == nullptr ? nullptr : std::get_if<Tensor>(held);
    const Tensor usable = tensor == nullptr ? make(param) : adapt(*tensor, param);
    TAUT_CHECK(usable.numel() == param.numel() || is_in_blocks(usable, param), ValueError,
               "optimizer.step: the state \"", name, "\" of a parameter of shape ", param.shape(),
               " has shape ", usable.shape());
    if (tensor == nullptr || !usable.is_same(*tensor)) states_[i]->set(name, usable);
    pointers.push_back(usable.data_ptr());
  }
  return pointers.data();
}

void StepList::count_steps(kernels::ParamList& list) {
  if (stage_ == Stage::captured) {
    steps_.assign(states_.size(), 1);
    list.steps = steps_.data();
    return;
  }
  TAUT_CHECK(
      stage_ == Stage::replayed || !device_.is_cuda() || !cuda::is_current_stream_capturing(),
      CudaError,
      "optimizer.step: this optimizer counts its steps on the host, where the replays of a "
      "graph that is not taut's would not find them: it cannot be captured into a graph");
  steps_.reserve(states_.size());
  for (Values* state : states_) {
    const int64_t step = state->contains("step") ? state->integer("step") + 1 : 1;
    state->set("step", step);
    steps_.push_back(step);
  }
  list.steps = steps_.data();
  // Counts that are off stay so in steps without a scaler.
  if (control_.found_inf == nullptr && !StepAccess::has_skipped_steps(*optimizer_)) return;
  skipped_steps_ = StepAccess::skipped_steps(*optimizer_, device_);
  list.control.skipped_steps = skipped_steps_.data_ptr<float>();
  list.control.places = places_.data();
}

bool StepList::is_called_off() const {
  if (control_.found_inf == nullptr) return false;
  if (stage_ != Stage::eager) {
    cuda::refuse_capture(
        "optimizer.step: a first step with momentum and dampening under a gradient scaler waits "
        "for the GPU, which cannot be captured into a graph; make one step before the capture");
  }
  return found_inf_.item<float>() != 0.0f;
}

void StepList::trace() const {
  if (!is_traced()) return;
  double bytes = 0;
  for (const Tensor& grad : grads_) bytes += static_cast<double>(grad.nbytes());
  for (const Tensor& param : params_) bytes += 2 * static_cast<double>(param.nbytes());
  const double state = static_cast<double>(item_size(has_masters_ ? kFloat32 : dtype_));
  for (const int64_t size : sizes_) {
    bytes += 2 * static_cast<double>(slots_.size()) * static_cast<double>(size) * state;
  }
  trace_cost(0, bytes);
}

void StepList::finish() {
  for (size_t i = 0; i < originals_.size(); ++i) {
    if (has_masters_ && !writes_low_) {
      const Value* master = states_[i]->find("master_param");
      originals_[i].detach().copy_(std::get<Tensor>(*master));
      continue;
    }
    // A replay writes its copies back by itself.
    if (stage_ == Stage::replayed || params_[i].storage() == originals_[i].storage()) {
      originals_[i].storage()->bump_version();
    } else {
      originals_[i].detach().copy_(params_[i]);
    }
  }
}

void StepList::begin_capture(cuda::CapturedLaunches& launches) {
  stage_ = Stage::captured;
  launches_ = &launches;
}

void StepList::end_capture() {
  params_.clear();
  grads_.clear();
  grad_factor_ = found_inf_ = Tensor();
}

void StepList::begin_replay(Optimizer& optimizer, const StepRule& rule) {
  stage_ = Stage::replayed;
  if (launches_ != nullptr) launches_->rewind();
  if (param_pointers_.empty()) gather();
  slots_.clear();
  steps_.clear();
  for (size_t i = 0; i < originals_.size(); ++i) {
    const Tensor& param = originals_[i];
    TAUT_CHECK(!param.is_contiguous(order_of(param)) || param.data_ptr() == param_pointers_[i],
               CudaError, "graph: a parameter of shape ", param.shape(),
               " has been moved since its step was captured; capture the step anew");
    states_[i] = &StepAccess::state(optimizer, static_cast<size_t>(places_[i]));
    if (rule.key_of == nullptr) continue;
    const int64_t key = rule.key_of(*states_[i]);
    TAUT_CHECK(i == 0 || key == key_, CudaError,
               "graph: parameters that were stepped together have states of different kinds now; "
               "capture the step anew");
    key_ = key;
  }
}

std::vector<StepList> make_step_lists(Optimizer& optimizer, const ParamGroup& group,
                                      const StepRule& rule) {
  std::vector<StepList> lists;
  const bool has_masters =
      group.options.contains("master_weights") && group.options.flag("master_weights");
  for (const Tensor& param : group.params) {
    const Tensor grad = param.grad();
    if (!grad.defined()) continue;
    const size_t place = StepAccess::place(optimizer, param);
    const int64_t key =
        rule.key_of == nullptr ? 0 : rule.key_of(StepAccess::state(optimizer, place));
    const bool is_raised = has_masters && is_reduced_floating_point(param.dtype());
    const kernels::StateFormat format =
        state_format_of(group.options, param, is_raised ? kFloat32 : param.dtype());
    StepList* fitting = nullptr;
    for (StepList& list : lists) {
      if (list.fits(param, key, format)) fitting = &list;
    }
    if (fitting == nullptr) {
      fitting = &lists.emplace_back(optimizer, param, key, has_masters, format);
    }
    fitting->add(param, grad, place);
  }
  return lists;
}

}  // namespace taut::optim
