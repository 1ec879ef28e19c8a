// Gated activations on the CPU, of the functors of activation.inl.

#include "kernels/api/gated.h"
#include "kernels/api/simd_targets.h"
#include "kernels/elementwise/quick_gelu.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/gated_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "kernels/api/simd_rows-inl.h"
#include "kernels/elementwise/rows-inl.h"
#include "taut/base/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels::HWY_NAMESPACE {

#include "kernels/elementwise/activation.inl"

// Elements that one thread should at least have: an activation costs tens of cycles.
constexpr int64_t kGatedGrain = 8192;

template <class T, class Activation>
HWY_NOINLINE void gated_row(const T* gate, const T* up, int64_t n, T* output) {
  using V = Simd<compute_t<T>>;
  for_vectors(Lanes<T>(), n, [&](auto load, auto store) {
    store((Activation()(V(load(gate))) * V(load(up))).v, output);
  });
}

template <class T, class Activation>
HWY_NOINLINE void gated_gradient_row(const T* grad, const T* gate, const T* up, int64_t n,
                                     T* grad_gate, T* grad_up) {
  using V = Simd<compute_t<T>>;
  for_vectors(Lanes<T>(), n, [&](auto load, auto store) {
    const V g(load(grad)), x(load(gate));
    store(Activation().template vjp_a<V>(g * V(load(up)), x).v, grad_gate);
    store((g * Activation()(x)).v, grad_up);
  });
}

// Calls run(activation, tag of the dtype).
template <class Run>
void visit_gate(Gate activation, DType dtype, const Run& run) {
  visit_dtype(Floating{}, dtype, "gated activation", [&]<class T>(Tag<T> tag) {
    switch (activation) {
      case Gate::silu: return run(Silu{}, tag);
      case Gate::gelu: return run(Gelu{}, tag);
      case Gate::gelu_tanh: return run(GeluTanh{}, tag);
    }
  });
}

int64_t gated_row_grain(int64_t cols) { return std::max<int64_t>(1, kGatedGrain / cols); }

void gated(const GatedArgs& args) {
  visit_gate(args.activation, args.dtype, [&]<class F, class T>(F, Tag<T>) {
    parallel_for(args.rows, gated_row_grain(args.cols), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        gated_row<T, F>(static_cast<const T*>(args.gate) + r * args.gate_stride,
                        static_cast<const T*>(args.up) + r * args.up_stride, args.cols,
                        static_cast<T*>(args.output) + r * args.cols);
      }
    });
  });
}

void gated_backward(const GatedBackwardArgs& args) {
  visit_gate(args.activation, args.dtype, [&]<class F, class T>(F, Tag<T>) {
    parallel_for(args.rows, gated_row_grain(args.cols), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        gated_gradient_row<T, F>(static_cast<const T*>(args.grad_output) + r * args.cols,
                                 static_cast<const T*>(args.gate) + r * args.gate_stride,
                                 static_cast<const T*>(args.up) + r * args.up_stride, args.cols,
                                 static_cast<T*>(args.grad_gate) + r * args.grad_gate_stride,
                                 static_cast<T*>(args.grad_up) + r * args.grad_up_stride);
      }
    });
  });
}

void fill_gated(GatedKernels& table) {
  table.forward = gated;
  table.backward = gated_backward;
}

}  // namespace taut::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {

HWY_EXPORT(fill_gated);

GatedKernels gated_kernels_cpu() {
  GatedKernels table;
  HWY_DYNAMIC_DISPATCH(fill_gated)(table);
  return table;
}

}  // namespace taut::kernels
#endif
