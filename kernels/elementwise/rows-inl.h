// From a functor to its loops, for one instruction set; see kernels/elementwise/rows.h.

#if defined(TAUT_KERNELS_ELEMENTWISE_ROWS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TAUT_KERNELS_ELEMENTWISE_ROWS_INL_H
#undef TAUT_KERNELS_ELEMENTWISE_ROWS_INL_H
#else
#define TAUT_KERNELS_ELEMENTWISE_ROWS_INL_H
#endif

#include <hwy/cache_control.h>

#include <algorithm>
#include <type_traits>

#include "kernels/api/scalar_math.h"
#include "kernels/api/visit_dtype.h"
#include "kernels/elementwise/rows.h"
#include "kernels/elementwise/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels::HWY_NAMESPACE {

template <class V>
HWY_INLINE V lit(double value) {
  return static_cast<V>(value);
}

template <class F>
HWY_INLINE F make_functor(const double* parameters) {
  if constexpr (requires { F::from(parameters); }) {
    return F::from(parameters);
  } else {
    return F{};
  }
}

// The functor itself, as a loop body of `arity` operands.
template <class F>
struct Forward {
  F functor;
  static constexpr int operands = F::arity;
  template <class V>
  HWY_INLINE auto operator()(const V* x) const {
    if constexpr (F::arity == 1)
      return functor(x[0]);
    else if constexpr (F::arity == 2)
      return functor(x[0], x[1]);
    else
      return functor(x[0], x[1], x[2]);
  }
};

constexpr int count_bits(unsigned bits) {
  return static_cast<int>((bits & 1) + ((bits >> 1) & 1) + ((bits >> 2) & 1) + ((bits >> 3) & 1));
}

// Its derivative by input kInput, whose operands are the gradient and what it needs.
template <class F, int kInput>
struct Gradient {
  F functor;
  static constexpr int operands = 1 + count_bits(F::needs[kInput]);
  template <class V>
  HWY_INLINE V operator()(const V* x) const {
    if constexpr (kInput == 0) {
      if constexpr (operands == 1)
        return functor.template vjp_a<V>(x[0]);
      else if constexpr (operands == 2)
        return functor.template vjp_a<V>(x[0], x[1]);
      else if constexpr (operands == 3)
        return functor.template vjp_a<V>(x[0], x[1], x[2]);
      else
        return functor.template vjp_a<V>(x[0], x[1], x[2], x[3]);
    } else if constexpr (kInput == 1) {
      if constexpr (operands == 1)
        return functor.template vjp_b<V>(x[0]);
      else if constexpr (operands == 2)
        return functor.template vjp_b<V>(x[0], x[1]);
      else if constexpr (operands == 3)
        return functor.template vjp_b<V>(x[0], x[1], x[2]);
      else
        return functor.template vjp_b<V>(x[0], x[1], x[2], x[3]);
    } else {
      if constexpr (operands == 1)
        return functor.template vjp_c<V>(x[0]);
      else if constexpr (operands == 2)
        return functor.template vjp_c<V>(x[0], x[1]);
      else if constexpr (operands == 3)
        return functor.template vjp_c<V>(x[0], x[1], x[2]);
      else
        return functor.template vjp_c<V>(x[0], x[1], x[2], x[3]);
    }
  }
};

template <class T, class Out, class Body>
void scalar_row(char* const* pointers, int64_t n, Body body) {
  constexpr int kOperands = Body::operands;
  Out* HWY_RESTRICT out = reinterpret_cast<Out*>(pointers[0]);
  const T* in[kOperands];
  for (int k = 0; k < kOperands; ++k) in[k] = reinterpret_cast<const T*>(pointers[k + 1]);
  for (int64_t i = 0; i < n; ++i) {
    T x[kOperands];
    for (int k = 0; k < kOperands; ++k) x[k] = in[k][i];
    out[i] = static_cast<Out>(body(x));
  }
}

// The first `n` lanes from memory, the others 1. Only the memory of those lanes is touched.
template <class D, class T>
HWY_INLINE hn::Vec<D> load_some(D d, const T* from, size_t n) {
#if HWY_TARGET <= HWY_AVX2
  const auto mask = hn::FirstN(d, n);
  return hn::IfThenElse(mask, hn::MaskedLoad(mask, d, from), hn::Set(d, T(1)));
#else
  HWY_ALIGN T buffer[HWY_MAX_BYTES / sizeof(T)];
  hn::Store(hn::Set(d, T(1)), d, buffer);
  for (size_t i = 0; i < n; ++i) buffer[i] = from[i];
  return hn::Load(d, buffer);
#endif
}

template <class D, class T>
HWY_INLINE void store_some(D d, hn::Vec<D> values, T* to, size_t n) {
#if HWY_TARGET <= HWY_AVX2
  hn::BlendedStore(values, hn::FirstN(d, n), d, to);
#else
  HWY_ALIGN T buffer[HWY_MAX_BYTES / sizeof(T)];
  hn::Store(values, d, buffer);
  for (size_t i = 0; i < n; ++i) to[i] = buffer[i];
#endif
}

// The last elements go through a full vector too, so that an element's value does not depend on
// where it stands.
template <class T, class Body>
void simd_row(char* const* pointers, int64_t n, Body body) {
  using D = hn::ScalableTag<T>;
  const D d;
  constexpr int kOperands = Body::operands;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  T* out = reinterpret_cast<T*>(pointers[0]);
  const T* in[kOperands];
  for (int k = 0; k < kOperands; ++k) in[k] = reinterpret_cast<const T*>(pointers[k + 1]);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    Simd<T> x[kOperands];
    for (int k = 0; k < kOperands; ++k) x[k] = Simd<T>(hn::LoadU(d, in[k] + i));
    hn::StoreU(body(x).v, d, out + i);
  }
  if (i < n) {
    const size_t rest = static_cast<size_t>(n - i);
    Simd<T> x[kOperands];
    for (int k = 0; k < kOperands; ++k) x[k] = Simd<T>(load_some(d, in[k] + i, rest));
    store_some(d, body(x).v, out + i, rest);
  }
}

// How many of the n elements from `to` on must be made before a whole vector may be streamed: all,
// where the memory of somebody else begins between two elements' places.
template <class T>
int64_t elements_to_alignment(const T* to, int64_t n) {
  constexpr uintptr_t kAlignment = hn::MaxLanes(hn::ScalableTag<T>()) * sizeof(T);
  const uintptr_t missing = -reinterpret_cast<uintptr_t>(to) % kAlignment;
  if (missing % sizeof(T) != 0) return n;
  return std::min(n, static_cast<int64_t>(missing / sizeof(T)));
}

// The same past the caches. What is read is fetched ahead: a function that takes long fills the
// processor's window with few elements, and its own fetching stops at the end of a page.
template <class T, class Body>
void streamed_simd_row(char* const* pointers, int64_t n, Body body) {
  using D = hn::ScalableTag<T>;
  const D d;
  constexpr int kOperands = Body::operands;
  constexpr int64_t kAhead = static_cast<int64_t>(2048 / sizeof(T));
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  T* const out = reinterpret_cast<T*>(pointers[0]);
  const int64_t head = elements_to_alignment(out, n);
  simd_row<T>(pointers, head, body);
  int64_t i = head;
  for (; i + lanes <= n; i += lanes) {
    Simd<T> x[kOperands];
    for (int k = 0; k < kOperands; ++k) {
      const T* in = reinterpret_cast<const T*>(pointers[k + 1]) + i;
      hwy::Prefetch(in + kAhead);
      x[k] = Simd<T>(hn::LoadU(d, in));
    }
    hn::Stream(body(x).v, d, out + i);
  }
  char* rest[1 + kOperands];
  for (int k = 0; k <= kOperands; ++k) rest[k] = pointers[k] + i * static_cast<int64_t>(sizeof(T));
  simd_row<T>(rest, n - i, body);
}

template <class F, class T>
void streamed_row(char* const* pointers, int64_t n, const double* parameters) {
  streamed_simd_row<T>(pointers, n, Forward<F>{make_functor<F>(parameters)});
}

template <class F, class T>
void forward_row(char* const* pointers, int64_t n, const double* parameters) {
  const Forward<F> body{make_functor<F>(parameters)};
  if constexpr (F::domain == Domain::compare) {
    scalar_row<T, bool>(pointers, n, body);
  } else if constexpr (std::is_floating_point_v<T> && F::vectorized) {
    simd_row<T>(pointers, n, body);
  } else if constexpr (std::is_same_v<T, bool>) {
    scalar_row<uint8_t, bool>(pointers, n, body);  // 1 + 1 is true
  } else {
    scalar_row<T, T>(pointers, n, body);
  }
}

template <class F, int kInput, class T>
void gradient_row(char* const* pointers, int64_t n, const double* parameters) {
  const Gradient<F, kInput> body{make_functor<F>(parameters)};
  if constexpr (F::vectorized) {
    simd_row<T>(pointers, n, body);
  } else {
    scalar_row<T, T>(pointers, n, body);
  }
}

template <class F, class... Ts>
void add_forward(FunctorRows& functor, TypeList<Ts...>) {
  ((functor.rows[0][static_cast<int>(dtype_of<Ts>)] = &forward_row<F, Ts>), ...);
}

template <class F, int kInput>
void add_gradient(FunctorRows& functor) {
  if constexpr (kInput < F::arity) {
    RowFn(&rows)[kDTypeCount] = functor.rows[kInput + 1];
    rows[static_cast<int>(DType::float32)] = &gradient_row<F, kInput, float>;
    rows[static_cast<int>(DType::float64)] = &gradient_row<F, kInput, double>;
  }
}

template <class F>
void add_functor(RowTable& table, Pointwise op) {
  FunctorRows& functor = table.functors[static_cast<int>(op)];
  functor.gives_bool = F::domain == Domain::compare;
  functor.is_cheap = F::domain != Domain::floating;
  constexpr bool kIntegers = F::domain != Domain::floating;
  constexpr bool kFloats = F::domain != Domain::integral && F::domain != Domain::integer;
  constexpr bool kBool = F::domain == Domain::arithmetic || F::domain == Domain::integral ||
                         F::domain == Domain::compare;
  if constexpr (kFloats) add_forward<F>(functor, Computing{});
  if constexpr (kFloats && F::domain != Domain::compare && F::vectorized) {
    functor.streamed[static_cast<int>(DType::float32)] = &streamed_row<F, float>;
  }
  if constexpr (kIntegers) add_forward<F>(functor, Integral{});
  if constexpr (kBool) add_forward<F>(functor, TypeList<bool>{});
  if constexpr (F::derivative == Derivative::given) {
    add_gradient<F, 0>(functor);
    add_gradient<F, 1>(functor);
    add_gradient<F, 2>(functor);
  }
}

}  // namespace taut::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
