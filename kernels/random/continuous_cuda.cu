// Uniform, normal, exponential and Cauchy numbers on CUDA. Products and sums that the CPU rounds
// one by one are not fused here, so that both give the same bits where no logarithm is involved.

#include "kernels/random/fill_cuda.cuh"
#include "kernels/random/random_parts_cuda.h"

namespace taut::kernels {
namespace {

using namespace cuda;

__device__ inline float multiply(float a, float b) { return __fmul_rn(a, b); }
__device__ inline double multiply(double a, double b) { return __dmul_rn(a, b); }
__device__ inline float plus(float a, float b) { return __fadd_rn(a, b); }
__device__ inline double plus(double a, double b) { return __dadd_rn(a, b); }

template <class A, int kCount>
__device__ inline void scale_and_shift(A (&values)[kCount], A factor, A term) {
#pragma unroll
  for (int e = 0; e < kCount; ++e) {
    if (factor != A(1)) values[e] = multiply(values[e], factor);
    if (term != A(0)) values[e] = plus(values[e], term);
  }
}

// Each distribution makes its values from u in [0, 1), in the compute type of T.

template <class T>
struct Uniform {
  using A = Compute<T>;
  A from, to, range;
  explicit Uniform(const UniformArgs& args)
      : from(static_cast<A>(args.from)),
        to(static_cast<A>(args.to)),
        range(static_cast<A>(args.to - args.from)) {}

  // Rounding may reach `to`, in the compute type or on the way to 16 bits.
  template <int kCount>
  __device__ void operator()(A (&values)[kCount]) const {
    scale_and_shift(values, range, from);
    const A highest = widen(narrow<T>(to));
#pragma unroll
    for (int e = 0; e < kCount; ++e) {
      const A rounded = widen(narrow<T>(values[e]));
      values[e] = rounded >= highest ? from : rounded;
    }
  }
};

__device__ inline void sincos_turn(float u, float& sine, float& cosine) {
  sincospif(2.0f * u, &sine, &cosine);
}
__device__ inline void sincos_turn(double u, double& sine, double& cosine) {
  sincospi(2.0 * u, &sine, &cosine);
}

template <class T, bool kIsLog>
struct Normal {
  using A = Compute<T>;
  A mean, deviation;
  explicit Normal(const NormalArgs& args)
      : mean(static_cast<A>(args.mean)), deviation(static_cast<A>(args.std)) {}

  template <int kCount>
  __device__ void operator()(A (&values)[kCount]) const {
#pragma unroll
    for (int e = 0; e < kCount; e += 2) {
      const A radius = sqrt(A(-2) * log(A(1) - values[e]));
      A sine, cosine;
      sincos_turn(values[e + 1], sine, cosine);
      values[e] = multiply(radius, cosine);
      values[e + 1] = multiply(radius, sine);
    }
    scale_and_shift(values, deviation, mean);
    if constexpr (kIsLog) {
#pragma unroll
      for (int e = 0; e < kCount; ++e) values[e] = exp(values[e]);
    }
  }
};

template <class T>
struct Exponential {
  using A = Compute<T>;
  static constexpr A kLeast = sizeof(A) == 8 ? A(0x1p-53) : A(0x1p-24);  // half an epsilon
  A inverse;
  explicit Exponential(const ExponentialArgs& args) : inverse(static_cast<A>(1.0 / args.rate)) {}

  template <int kCount>
  __device__ void operator()(A (&values)[kCount]) const {
#pragma unroll
    for (int e = 0; e < kCount; ++e) {
      const A waited = -log(A(1) - values[e]);
      values[e] = (waited > kLeast ? waited : kLeast) * inverse;
    }
  }
};

template <class T>
struct Cauchy {
  using A = Compute<T>;
  double median, sigma;
  explicit Cauchy(const CauchyArgs& args) : median(args.median), sigma(args.sigma) {}

  template <int kCount>
  __device__ void operator()(A (&values)[kCount]) const {
#pragma unroll
    for (int e = 0; e < kCount; ++e) {
      const double angle = 3.14159265358979323846 * (static_cast<double>(values[e]) - 0.5);
      values[e] = static_cast<A>(plus(median, multiply(sigma, tan(angle))));
    }
  }
};

template <class T, class Make>
__global__ void __launch_bounds__(kThreads)
    fill_kernel(T* out, int64_t n, RandomStream stream, Make make, bool whole) {
  wait_for_stream();
  constexpr int kCount = kPerBlock<T>;
  const int64_t i = stream_block();
  if (i * kCount >= n) return;
  Compute<T> values[kCount];
  unit_values(stream.block(i), values);
  make(values);
  Pack<T, kCount> pack;
#pragma unroll
  for (int e = 0; e < kCount; ++e) pack.values[e] = narrow<T>(values[e]);
  store_block<kCount>(out, i, n, whole, pack);
}

template <class T, class Make>
void fill(const RandomArgs& args, const Make& make) {
  constexpr int kCount = kPerBlock<T>;
  T* out = static_cast<T*>(args.output);
  launch_kernel(fill_kernel<T, Make>, {blocks_for_stream(args.n, kCount), kThreads}, out, args.n,
                RandomStream(args), make, is_aligned(out, Pack<T, kCount>::kAccess));
}

void uniform(const UniformArgs& args) {
  if (args.n == 0) return;
  visit_floating("uniform", args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    fill<T>(args, Uniform<T>(args));
  });
  check_launch("uniform");
}

template <bool kIsLog>
void normal(const NormalArgs& args) {
  if (args.n == 0) return;
  visit_floating("normal", args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    fill<T>(args, Normal<T, kIsLog>(args));
  });
  check_launch("normal");
}

void exponential(const ExponentialArgs& args) {
  if (args.n == 0) return;
  visit_floating("exponential", args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    fill<T>(args, Exponential<T>(args));
  });
  check_launch("exponential");
}

void cauchy(const CauchyArgs& args) {
  if (args.n == 0) return;
  visit_floating("cauchy", args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    fill<T>(args, Cauchy<T>(args));
  });
  check_launch("cauchy");
}

}  // namespace

RandomKernels random_kernels_cuda() {
  RandomKernels table;
  table.uniform = uniform;
  table.normal = normal<false>;
  table.log_normal = normal<true>;
  table.exponential = exponential;
  table.cauchy = cauchy;
  table.randperm = cuda::randperm;
  cuda::fill_discrete(table);
  return table;
}

}  // namespace taut::kernels
