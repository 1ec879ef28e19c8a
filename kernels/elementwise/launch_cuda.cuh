#pragma once
// From a functor to its CUDA kernels: the same functors as on the CPU, on scalars.

#include <type_traits>

#include "kernels/api/cuda_launch.cuh"
#include "kernels/api/functor.h"
#include "kernels/api/pointwise.h"
#include "kernels/api/scalar_math.h"
#include "kernels/api/strided_loop.h"

namespace taut::kernels {

/// Launches one functor, or its derivative, on operands of any strides and dtypes.
using CudaLaunch = void (*)(const PointwiseArgs& args);

/// The launchers of one functor: [derivative][compute dtype], null where it has none.
struct CudaFunctor {
  CudaLaunch launches[1 + kMaxPointwiseInputs][kDTypeCount] = {};
};
struct CudaFunctorTable {
  CudaFunctor functors[kPointwiseCount];
};

/// One file for each theme adds its functors.
void add_exponential_launches(CudaFunctorTable& table);

namespace cuda {

template <class F>
F make_functor(const double* parameters) {
  if constexpr (requires { F::from(parameters); }) {
    return F::from(parameters);
  } else {
    return F{};
  }
}

constexpr int count_bits(unsigned bits) {
  return static_cast<int>((bits & 1) + ((bits >> 1) & 1) + ((bits >> 2) & 1) + ((bits >> 3) & 1));
}

// What a kernel computes from its operands: the functor (kDerivative 0) or a derivative of it.
template <class F, int kDerivative>
struct Body {
  F functor;

  static constexpr int operands() {
    if constexpr (kDerivative == 0)
      return F::arity;
    else
      return 1 + count_bits(F::needs[kDerivative - 1]);
  }

  template <class T>
  __device__ auto operator()(const T* x) const {
    if constexpr (kDerivative == 0) {
      if constexpr (operands() == 1)
        return functor(x[0]);
      else if constexpr (operands() == 2)
        return functor(x[0], x[1]);
      else
        return functor(x[0], x[1], x[2]);
    } else if constexpr (kDerivative == 1) {
      if constexpr (operands() == 1)
        return functor.template vjp_a<T>(x[0]);
      else if constexpr (operands() == 2)
        return functor.template vjp_a<T>(x[0], x[1]);
      else if constexpr (operands() == 3)
        return functor.template vjp_a<T>(x[0], x[1], x[2]);
      else
        return functor.template vjp_a<T>(x[0], x[1], x[2], x[3]);
    } else if constexpr (kDerivative == 2) {
      if constexpr (operands() == 1)
        return functor.template vjp_b<T>(x[0]);
      else if constexpr (operands() == 2)
        return functor.template vjp_b<T>(x[0], x[1]);
      else if constexpr (operands() == 3)
        return functor.template vjp_b<T>(x[0], x[1], x[2]);
      else
        return functor.template vjp_b<T>(x[0], x[1], x[2], x[3]);
    } else {
      if constexpr (operands() == 1)
        return functor.template vjp_c<T>(x[0]);
      else if constexpr (operands() == 2)
        return functor.template vjp_c<T>(x[0], x[1]);
      else if constexpr (operands() == 3)
        return functor.template vjp_c<T>(x[0], x[1], x[2]);
      else
        return functor.template vjp_c<T>(x[0], x[1], x[2], x[3]);
    }
  }
};

template <int kOperands>
struct Pointers {
  void* out;
  const void* in[kOperands];
};

// 16 bytes of consecutive elements, loaded and stored as one.
template <class T>
struct alignas(16) Pack {
  static constexpr int kCount = 16 / static_cast<int>(sizeof(T));
  T values[kCount];
};

// All operands contiguous, of T and aligned to 16 bytes.
template <class B, class T>
__global__ void pointwise_packed_kernel(B body, Pointers<B::operands()> pointers, int64_t packs) {
  constexpr int kOperands = B::operands();
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < packs; i += step) {
    Pack<T> in[kOperands];
    for (int k = 0; k < kOperands; ++k) in[k] = static_cast<const Pack<T>*>(pointers.in[k])[i];
    Pack<T> out;
    for (int e = 0; e < Pack<T>::kCount; ++e) {
      T x[kOperands];
      for (int k = 0; k < kOperands; ++k) x[k] = in[k].values[e];
      out.values[e] = static_cast<T>(body(x));
    }
    static_cast<Pack<T>*>(pointers.out)[i] = out;
  }
}

template <int kOperands>
struct Dtypes {
  DType out;
  DType in[kOperands];
};

// Any strides and dtypes; computes in T.
template <class B, class T>
__global__ void pointwise_strided_kernel(B body, Pointers<B::operands()> pointers,
                                         Dtypes<B::operands()> dtypes,
                                         StridedIndex<1 + B::operands()> index, int64_t begin,
                                         int64_t n) {
  constexpr int kOperands = B::operands();
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = begin + int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) {
    int64_t at[1 + kOperands];
    index.offsets(i, at);
    T x[kOperands];
    for (int k = 0; k < kOperands; ++k) x[k] = load_as<T>(pointers.in[k], dtypes.in[k], at[k + 1]);
    store_as(pointers.out, dtypes.out, at[0], body(x));
  }
}

inline bool is_aligned(const void* data) { return reinterpret_cast<uintptr_t>(data) % 16 == 0; }

template <class F, int kDerivative, class T>
void launch(const PointwiseArgs& args) {
  using B = Body<F, kDerivative>;
  constexpr int kOperands = B::operands();
  const B body{make_functor<F>(args.parameters)};
  PointwiseArgs plan = args;
  StridedLoop loop{plan.shape, {}, 1 + kOperands};
  for (int k = 0; k <= kOperands; ++k) loop.strides[k] = &plan.operands[k].strides;
  simplify(loop);
  const int64_t n = loop.shape.numel();
  if (n == 0) return;

  Pointers<kOperands> pointers{plan.operands[0].data, {}};
  Dtypes<kOperands> dtypes{plan.operands[0].dtype, {}};
  StridedIndex<1 + kOperands> index{loop.shape.rank(), {}, {}};
  bool packed = loop.shape.rank() <= 1;
  for (int k = 0; k <= kOperands; ++k) {
    const PointwiseOperand& operand = plan.operands[k];
    if (k > 0) {
      pointers.in[k - 1] = operand.data;
      dtypes.in[k - 1] = operand.dtype;
    }
    for (int i = 0; i < loop.shape.rank(); ++i) index.strides[k][i] = operand.strides[i];
    packed = packed && operand.dtype == args.compute && is_aligned(operand.data) &&
             (loop.shape.rank() == 0 || operand.strides[0] == 1);
  }
  for (int i = 0; i < loop.shape.rank(); ++i) index.shape[i] = loop.shape[i];

  const cudaStream_t stream = cuda::stream();
  int64_t done = 0;
  if (packed) {
    const int64_t packs = n / Pack<T>::kCount;
    done = packs * Pack<T>::kCount;
    if (packs > 0) {
      pointwise_packed_kernel<B, T>
          <<<blocks_for(packs), kThreads, 0, stream>>>(body, pointers, packs);
    }
  }
  if (done < n) {
    pointwise_strided_kernel<B, T>
        <<<blocks_for(n - done), kThreads, 0, stream>>>(body, pointers, dtypes, index, done, n);
  }
  check_launch("pointwise");
}

template <class F>
void add_functor(CudaFunctorTable& table, Pointwise op) {
  CudaFunctor& functor = table.functors[static_cast<int>(op)];
  constexpr int kSingle = static_cast<int>(DType::float32);
  constexpr int kDouble = static_cast<int>(DType::float64);
  functor.launches[0][kSingle] = &launch<F, 0, float>;
  functor.launches[0][kDouble] = &launch<F, 0, double>;
  if constexpr (F::domain == Domain::numeric || F::domain == Domain::arithmetic) {
    functor.launches[0][static_cast<int>(DType::int32)] = &launch<F, 0, int32_t>;
    functor.launches[0][static_cast<int>(DType::int64)] = &launch<F, 0, int64_t>;
  }
  if constexpr (F::derivative == Derivative::given) {
    functor.launches[1][kSingle] = &launch<F, 1, float>;
    functor.launches[1][kDouble] = &launch<F, 1, double>;
    if constexpr (F::arity > 1) {
      functor.launches[2][kSingle] = &launch<F, 2, float>;
      functor.launches[2][kDouble] = &launch<F, 2, double>;
    }
  }
}

}  // namespace cuda
}  // namespace taut::kernels
