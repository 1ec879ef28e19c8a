#pragma once
// From a functor to its CUDA kernels: the same functors as on the CPU, on scalars. Each theme is a
// file that adds its functors to the table; pointwise_cuda.cu launches what it finds there.

#include <type_traits>

#include "kernels/api/pointwise.h"
#include "kernels/elementwise/kernels_cuda.cuh"

namespace taut::kernels {

/// The kernels of one functor, or derivative of it, for one compute dtype; null where there is
/// none. See Note [Four kernels for a functor].
struct PointwiseKernelSet {
  const void* flat = nullptr;    // operands of float32
  const void* flat16 = nullptr;  // operands of one 16-bit float
  const void* packed = nullptr;
  const void* element = nullptr;
  int packed_count = 1;  // elements of an item of `packed`
  int inputs = 0;
  bool gives_bool = false;
  /// Makes the kernels' first argument, a functor with its parameters.
  void (*make_body)(const double* parameters, void* body) = nullptr;
};

/// [derivative][compute dtype]; null where the functor has none.
struct PointwiseFunctorSets {
  const PointwiseKernelSet* sets[1 + kMaxPointwiseInputs][kDTypeCount] = {};
};
struct PointwiseTable {
  PointwiseFunctorSets functors[kPointwiseCount];
};

/// One file for each theme adds its functors.
void add_activation_kernels(PointwiseTable& table);
void add_arithmetic_kernels(PointwiseTable& table);
void add_bitwise_kernels(PointwiseTable& table);
void add_compare_kernels(PointwiseTable& table);
void add_exponential_kernels(PointwiseTable& table);
void add_loss_kernels(PointwiseTable& table);
void add_rounding_kernels(PointwiseTable& table);
void add_special_kernels(PointwiseTable& table);
void add_trigonometry_kernels(PointwiseTable& table);

namespace cuda {

constexpr size_t kBodyBytes = kMaxPointwiseParameters * sizeof(double);

template <class B, class F>
void make_body(const double* parameters, void* body) {
  static_assert(sizeof(B) <= kBodyBytes && std::is_trivially_copyable_v<B>);
  const B made{make_functor<F>(parameters)};
  memcpy(body, &made, sizeof(made));
}

template <class... Args>
const void* address_of(void (*kernel)(Args...)) {
  return reinterpret_cast<const void*>(kernel);
}

// Elements of an item of the packed kernel, 1 where T has none.
template <class F, class T>
constexpr int packed_count() {
  if (!F::vectorized) return 1;
  if (std::is_same_v<T, float> || std::is_same_v<T, int32_t>) return 4;
  return std::is_same_v<T, uint8_t> ? 8 : 1;
}

template <class F, int kDerivative, class T, bool kToBool>
const PointwiseKernelSet* kernel_set() {
  using B = Body<F, kDerivative, kToBool>;
  static const PointwiseKernelSet set = [] {
    constexpr int kCount = packed_count<F, T>();
    PointwiseKernelSet result;
    if constexpr (std::is_same_v<T, float> && F::vectorized) {
      result.flat = address_of(&flat_kernel<B, true>);
      result.flat16 = address_of(&flat_kernel<B, false>);
    }
    if constexpr (kCount > 1) result.packed = address_of(&packed_kernel<B, T, kCount>);
    result.element = address_of(&element_kernel<B, T>);
    result.packed_count = kCount;
    result.inputs = B::operands();
    result.gives_bool = B::gives_bool;
    result.make_body = &make_body<B, F>;
    return result;
  }();
  return &set;
}

template <class F, int kDerivative, class T, bool kToBool = false>
void add_set(PointwiseFunctorSets& functor, DType dtype) {
  functor.sets[kDerivative][static_cast<int>(dtype)] = kernel_set<F, kDerivative, T, kToBool>();
}

template <class F, int kDerivative>
void add_derivative(PointwiseFunctorSets& functor) {
  if constexpr (kDerivative <= F::arity) {
    add_set<F, kDerivative, float>(functor, DType::float32);
    add_set<F, kDerivative, double>(functor, DType::float64);
  }
}

template <class F>
void add_functor(PointwiseTable& table, Pointwise op) {
  PointwiseFunctorSets& functor = table.functors[static_cast<int>(op)];
  constexpr bool kIntegers = F::domain != Domain::floating;
  constexpr bool kFloats = F::domain != Domain::integral && F::domain != Domain::integer;
  constexpr bool kBool = F::domain == Domain::arithmetic || F::domain == Domain::integral ||
                         F::domain == Domain::compare;
  if constexpr (kFloats) add_derivative<F, 0>(functor);
  if constexpr (kIntegers) {
    add_set<F, 0, int8_t>(functor, DType::int8);
    add_set<F, 0, int16_t>(functor, DType::int16);
    add_set<F, 0, int32_t>(functor, DType::int32);
    add_set<F, 0, int64_t>(functor, DType::int64);
    add_set<F, 0, uint8_t>(functor, DType::uint8);
  }
  if constexpr (kBool) add_set<F, 0, uint8_t, true>(functor, DType::bool_);
  if constexpr (F::derivative == Derivative::given) {
    add_derivative<F, 1>(functor);
    add_derivative<F, 2>(functor);
    add_derivative<F, 3>(functor);
  }
}

}  // namespace cuda
}  // namespace taut::kernels
