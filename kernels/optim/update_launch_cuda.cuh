#pragma once
// What all launches of optimizer updates share: the word of a gradient scaler, the numbers of a
// step, and launches that belong to captured graphs.

#include "kernels/api/optim.h"
#include "kernels/optim/steps_cuda.cuh"
#include "src/core/cuda/captured_launches.h"

namespace taut::kernels::cuda {

/// The list of parameters in a 16-bit float that are written beside.
constexpr int kLowParam = kMaxLists - 1;

template <class Update>
constexpr bool kHasScalars = requires(const Update& update) { update.scalar(0, 1.0); };

/// What a gradient scaler says, as a kernel takes it.
struct DeviceControl {
  const float* grad_factor;
  const float* found_inf;
  float* skipped_steps;

  __device__ bool is_called_off() const { return found_inf != nullptr && *found_inf != 0.0f; }
};

// Note [Controlled steps]
// The host does not know how many steps a gradient scaler has called off. Under one the first
// thread of a block takes them off the host's count and makes the update's scalars of that. No
// block reads a count in a launch that changes it.
template <int kCapacity>
__device__ inline double real_step(const TensorTable<kCapacity>& table, const ListChunk& chunk,
                                   const DeviceControl& control) {
  const double steps = table.steps[chunk.tensor];
  if (control.skipped_steps == nullptr) return steps;
  return steps - static_cast<double>(control.skipped_steps[table.places[chunk.tensor]]);
}

template <class A, class Update, int kCapacity>
__device__ inline void count_real_steps(const TensorTable<kCapacity>& table, const ListChunk& chunk,
                                        const DeviceControl& control, const Update& update,
                                        A (&scalars)[kMaxScalars]) {
  __shared__ A shared[kMaxScalars];
  if (threadIdx.x == 0) {
    const double steps = real_step(table, chunk, control);
    for (int i = 0; i < kMaxScalars; ++i) shared[i] = static_cast<A>(update.scalar(i, steps));
  }
  __syncthreads();
  for (int i = 0; i < kMaxScalars; ++i) scalars[i] = shared[i];
}

/// The factor of gradients and the update's scalars; false for a step that is called off, which the
/// first block of each tensor counts.
template <class A, class Update, int kCapacity>
__device__ inline bool begin_update(const TensorTable<kCapacity>& table, const ListChunk& chunk,
                                    const DeviceControl& control, const Update& update,
                                    A& grad_factor, A (&scalars)[kMaxScalars]) {
  if (control.is_called_off()) {
    if (control.skipped_steps != nullptr && chunk.begin == 0 && threadIdx.x == 0) {
      control.skipped_steps[table.places[chunk.tensor]] += 1.0f;
    }
    return false;
  }
  grad_factor = control.grad_factor == nullptr ? A(1) : static_cast<A>(*control.grad_factor);
#pragma unroll
  for (int i = 0; i < kMaxScalars; ++i) {
    scalars[i] = static_cast<A>(table.scalars[i][chunk.tensor]);
  }
  if constexpr (kHasScalars<Update>) {
    if (control.skipped_steps != nullptr) count_real_steps(table, chunk, control, update, scalars);
  }
  return true;
}

/// What a table's numbers are made of.
template <class Update>
struct NumberSource {
  const ParamList& list;
  const Update& update;

  static TensorNumbers numbers(const void* context, int64_t i) {
    const auto& self = *static_cast<const NumberSource*>(context);
    const ParamList& list = self.list;
    TensorNumbers result{};
    const int64_t* places = list.control.places != nullptr ? list.control.places : list.places;
    if (places != nullptr) result.place = static_cast<uint32_t>(places[i]);
    if (list.steps == nullptr) return result;
    result.step = static_cast<uint32_t>(list.steps[i]);
    if constexpr (kHasScalars<Update>) {
      for (int which = 0; which < kMaxScalars; ++which) {
        result.scalars[which] = self.update.scalar(which, static_cast<double>(list.steps[i]));
      }
    }
    return result;
  }
};

/// Launches a kernel on the chunks of a table, or hands its arguments to the launch of a captured
/// graph: see Note [Arguments of replays].
template <class... Parameters>
void launch_chunks(taut::cuda::CapturedLaunches* launches, void (*kernel)(Parameters...),
                   uint32_t chunks, const std::type_identity_t<Parameters>&... arguments) {
  if (launches != nullptr && launches->is_replaying()) {
    const void* addresses[] = {&arguments...};
    launches->set_next(reinterpret_cast<const void*>(kernel), chunks, kThreads,
                       const_cast<void**>(addresses));
    return;
  }
  launch_kernel(kernel, {chunks, kThreads}, arguments...);
  if (launches != nullptr) launches->add();
}

inline DeviceControl control_of(const ParamList& list) {
  return {list.control.grad_factor, list.control.found_inf, list.control.skipped_steps};
}

/// Calls launch(table, chunks, tag of G) for the tables of a list; G is the dtype of the gradients
/// and, where it is not T, of the parameters that are written beside.
template <class T, class Update, int kLists, class Launch>
void for_updates(const ParamList& list, const void* const* const (&lists)[kLists],
                 const Update& update, const Launch& launch) {
  static_assert(kLists == Update::kLists);
  const NumberSource<Update> source{list, update};
  const auto run = [&](const auto& all, auto tag) {
    for_list(
        list.sizes, list.count, all,
        [&](const auto& table, uint32_t chunks, int64_t) { launch(table, chunks, tag); },
        &NumberSource<Update>::numbers, &source);
  };
  if (list.low_params == nullptr) return run(lists, TypeTag<T>{});
  if constexpr (std::is_same_v<T, float>) {
    const void* const* with_low[kMaxLists] = {};
    for (int k = 0; k < kLists; ++k) with_low[k] = lists[k];
    with_low[kLowParam] = list.low_params;
    if (list.low_dtype == kBFloat16) {
      run(with_low, TypeTag<__nv_bfloat16>{});
    } else {
      run(with_low, TypeTag<__half>{});
    }
  }
}

/// The updates of SGD and Adam with states that are not plain. See Note [Small state].
void small_sgd(const SgdArgs& args);
void small_adam(const AdamArgs& args);

}  // namespace taut::kernels::cuda
