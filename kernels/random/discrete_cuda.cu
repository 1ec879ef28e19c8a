// Bernoulli, integer and geometric numbers and dropout on CUDA.

#include <cmath>

#include "kernels/random/fill_cuda.cuh"
#include "kernels/random/random_parts_cuda.h"

namespace taut::kernels::cuda {
namespace {

constexpr double kTwo32 = 4294967296.0;
constexpr int kWords = 4;

// ---- Bernoulli ----------------------------------------------------------------------------------

// 1 as it lies in memory; 0 is all zeros in every dtype.
uint64_t bits_of_one(DType dtype) {
  switch (dtype) {
    case DType::float32: return 0x3f800000u;
    case DType::float64: return 0x3ff0000000000000u;
    case DType::float16: return 0x3c00u;
    case DType::bfloat16: return 0x3f80u;
    default: return 1;
  }
}

template <class Word>
__global__ void __launch_bounds__(kThreads)
    bernoulli_kernel(Word* out, int64_t n, RandomStream stream, WordThreshold is_under,
                     const void* probabilities, DType probability_dtype, Word one, bool whole) {
  wait_for_stream();
  const int64_t i = stream_block();
  if (i * kWords >= n) return;
  const PhiloxBlock block = stream.block(i);
  Pack<Word, kWords> pack;
#pragma unroll
  for (int e = 0; e < kWords; ++e) {
    bool is_one = is_under(block.word[e]);
    if (probabilities != nullptr && i * kWords + e < n) {
      const double p = load_as<double>(probabilities, probability_dtype, i * kWords + e);
      is_one = static_cast<double>(block.word[e]) < p * kTwo32;
    }
    pack.values[e] = is_one ? one : Word(0);
  }
  store_block<kWords>(out, i, n, whole, pack);
}

void bernoulli(const BernoulliArgs& args) {
  if (args.n == 0) return;
  visit_width(args.dtype, [&](auto tag) {
    using Word = typename decltype(tag)::type;
    Word* out = static_cast<Word*>(args.output);
    launch_kernel(bernoulli_kernel<Word>, {blocks_for_stream(args.n, kWords), kThreads}, out,
                  args.n, RandomStream(args), WordThreshold(args.p), args.probabilities,
                  args.probability_dtype, static_cast<Word>(bits_of_one(args.dtype)),
                  is_aligned(out, Pack<Word, kWords>::kAccess));
  });
  check_launch("bernoulli");
}

// ---- Integers -----------------------------------------------------------------------------------

template <class T>
__device__ inline T as_value(int64_t value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value != 0;
  } else {
    return narrow<T>(static_cast<Compute<T>>(value));
  }
}

// The upper half of bits * range: Lemire, "Fast random integer generation in an interval" (2019),
// without the rejection. range 0 stands for 2^64.
template <class T, bool kIsWide>
__global__ void __launch_bounds__(kThreads)
    randint_kernel(T* out, int64_t n, RandomStream stream, uint64_t low, uint64_t range,
                   bool whole) {
  wait_for_stream();
  constexpr int kCount = kIsWide ? 2 : 4;
  const int64_t i = stream_block();
  if (i * kCount >= n) return;
  const PhiloxBlock block = stream.block(i);
  Pack<T, kCount> pack;
#pragma unroll
  for (int e = 0; e < kCount; ++e) {
    uint64_t offset;
    if constexpr (kIsWide) {
      const uint64_t bits = wide_bits(block, e);
      offset = range == 0 ? bits : __umul64hi(bits, range);
    } else {
      offset = block.word[e] * range >> 32;
    }
    pack.values[e] = as_value<T>(static_cast<int64_t>(low + offset));
  }
  store_block<kCount>(out, i, n, whole, pack);
}

template <class T, bool kIsWide>
void launch_randint(const RandintArgs& args) {
  constexpr int kCount = kIsWide ? 2 : 4;
  T* out = static_cast<T*>(args.output);
  const auto low = static_cast<uint64_t>(args.low);
  launch_kernel(randint_kernel<T, kIsWide>, {blocks_for_stream(args.n, kCount), kThreads}, out,
                args.n, RandomStream(args), low, static_cast<uint64_t>(args.high) - low,
                is_aligned(out, Pack<T, kCount>::kAccess));
}

void randint(const RandintArgs& args) {
  if (args.n == 0) return;
  visit_all("randint", args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (randint_width(args.low, args.high) == 64) {
      launch_randint<T, true>(args);
    } else {
      launch_randint<T, false>(args);
    }
  });
  check_launch("randint");
}

// ---- Geometric ----------------------------------------------------------------------------------

template <class T>
__global__ void __launch_bounds__(kThreads)
    geometric_kernel(T* out, int64_t n, RandomStream stream, double scale, bool whole) {
  wait_for_stream();
  constexpr int kCount = kPerBlock<T>;
  using U = std::conditional_t<kCount == 2, double, float>;
  const int64_t i = stream_block();
  if (i * kCount >= n) return;
  U u[kCount];
  unit_values(stream.block(i), u);
  Pack<T, kCount> pack;
#pragma unroll
  for (int e = 0; e < kCount; ++e) {
    const double count = fmax(1.0, ceil(log1p(-static_cast<double>(u[e])) * scale));
    if constexpr (std::is_integral_v<T>) {
      pack.values[e] = static_cast<T>(static_cast<int64_t>(count));
    } else {
      pack.values[e] = narrow<T>(static_cast<Compute<T>>(count));
    }
  }
  store_block<kCount>(out, i, n, whole, pack);
}

void geometric(const GeometricArgs& args) {
  if (args.n == 0) return;
  visit_numeric("geometric", args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    constexpr int kCount = kPerBlock<T>;
    T* out = static_cast<T*>(args.output);
    launch_kernel(geometric_kernel<T>, {blocks_for_stream(args.n, kCount), kThreads}, out, args.n,
                  RandomStream(args), 1.0 / std::log1p(-args.p),
                  is_aligned(out, Pack<T, kCount>::kAccess));
  });
  check_launch("geometric");
}

// ---- Dropout ------------------------------------------------------------------------------------

// kWords elements from `first` on, zeros past the end.
template <class T>
__device__ inline Pack<T, kWords> load_words(const T* from, int64_t first, int64_t n, bool whole) {
  if (whole && first + kWords <= n) return load_pack<kWords>(from + first);
  Pack<T, kWords> pack;
#pragma unroll
  for (int e = 0; e < kWords; ++e) {
    pack.values[e] = first + e < n ? from[first + e] : narrow<T>(Compute<T>(0));
  }
  return pack;
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    dropout_kernel(const T* x, const T* residual, T* y, int64_t n, RandomStream stream,
                   WordThreshold keeps, Compute<T> scale, bool whole) {
  wait_for_stream();
  const int64_t i = stream_block();
  const int64_t first = i * kWords;
  if (first >= n) return;
  const Pack<T, kWords> in = load_words(x, first, n, whole);
  Pack<T, kWords> more = {};
  if (residual != nullptr) more = load_words(residual, first, n, whole);
  const PhiloxBlock block = stream.block(i);
  Pack<T, kWords> out;
#pragma unroll
  for (int e = 0; e < kWords; ++e) {
    out.values[e] = narrow<T>(keeps(block.word[e]) ? widen(in.values[e]) * scale : Compute<T>(0));
    if (residual != nullptr) {
      out.values[e] = narrow<T>(widen(out.values[e]) + widen(more.values[e]));
    }
  }
  store_block<kWords>(y, i, n, whole, out);
}

void dropout(const DropoutArgs& args) {
  if (args.n == 0) return;
  visit_floating("dropout", args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* x = static_cast<const T*>(args.input);
    const T* residual = static_cast<const T*>(args.residual);
    T* y = static_cast<T*>(args.output);
    const Compute<T> scale =
        args.p < 1.0 ? static_cast<Compute<T>>(1.0 / (1.0 - args.p)) : Compute<T>(0);
    constexpr int kBytes = Pack<T, kWords>::kAccess;
    const bool whole =
        is_aligned(x, kBytes) && is_aligned(residual, kBytes) && is_aligned(y, kBytes);
    launch_kernel(dropout_kernel<T>, {blocks_for_stream(args.n, kWords), kThreads}, x, residual, y,
                  args.n, RandomStream(args), WordThreshold(1.0 - args.p), scale, whole);
  });
  check_launch("dropout");
}

}  // namespace

void fill_discrete(RandomKernels& table) {
  table.bernoulli = bernoulli;
  table.randint = randint;
  table.geometric = geometric;
  table.dropout = dropout;
}

}  // namespace taut::kernels::cuda
