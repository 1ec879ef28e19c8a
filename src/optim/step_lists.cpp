#include "src/optim/step_lists.h"

#include "taut/autograd/grad_mode.h"
#include "taut/ops/ops.h"

namespace taut::optim {

void StepList::add(const Tensor& param, const Tensor& grad, Values& state) {
  originals_.push_back(param);
  params_.push_back(contiguous(param.detach()));
  grads_.push_back(contiguous(taut::to(grad.detach(), param.dtype())));
  states_.push_back(&state);
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

const int64_t* StepList::count_steps() {
  for (Values* state : states_) {
    const int64_t step = state->contains("step") ? state->integer("step") + 1 : 1;
    state->set("step", step);
    steps_.push_back(step);
  }
  return steps_.data();
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
    Values& state = optimizer.state_of(param);
    const int64_t key = key_of == nullptr ? 0 : key_of(state);
    StepList* fitting = nullptr;
    for (StepList& list : lists) {
      if (list.fits(param, key)) fitting = &list;
    }
    if (fitting == nullptr) {
      fitting = &lists.emplace_back(param.dtype(), param.device(), key);
    }
    fitting->add(param, grad, state);
  }
  return lists;
}

}  // namespace taut::optim
