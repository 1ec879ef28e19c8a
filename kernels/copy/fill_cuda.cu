// Fills and ranges on CUDA.

#include "kernels/api/fast_index.cuh"
#include "kernels/api/packs.cuh"
#include "kernels/api/strided_loop.h"
#include "kernels/copy/convert_cuda.cuh"
#include "kernels/copy/fill_cuda.h"

namespace taut::kernels::cuda {
namespace {

// n elements from `target` on, of which the first `head` lie before an address that is a multiple
// of 16. A thread writes 16 bytes; the first threads also write what is left at both ends.
template <class Word>
__global__ void __launch_bounds__(kThreads)
    fill_packed_kernel(Word* target, Word value, int64_t n, int head) {
  cuda::wait_for_stream();
  constexpr int kCount = kPackCount<Word>;
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const int64_t packs = (n - head) / kCount;
  const int64_t tail = head + packs * kCount;
  if (i < packs) {
    Pack<Word, kCount> pack;
#pragma unroll
    for (int e = 0; e < kCount; ++e) pack.values[e] = value;
    store_pack<kCount>(target + head + i * kCount, pack);
  }
  if (i < head) target[i] = value;
  if (i < n - tail) target[tail + i] = value;
}

template <class Word>
__global__ void __launch_bounds__(kThreads)
    fill_strided_kernel(Word* target, Word value, const __grid_constant__ FastIndex<1> index,
                        uint32_t n) {
  cuda::wait_for_stream();
  const uint32_t i = blockIdx.x * kThreads + threadIdx.x;
  if (i >= n) return;
  int64_t at[1];
  index.locate(i, at);
  target[at[0]] = value;
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    arange_kernel(T* target, double start, double step, int64_t n) {
  cuda::wait_for_stream();
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  // Rounded twice, as on the CPU.
  if (i < n) {
    target[i] = convert_element<T>(__dadd_rn(start, __dmul_rn(static_cast<double>(i), step)));
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    arange_integer_kernel(T* target, int64_t start, int64_t step, int64_t n) {
  cuda::wait_for_stream();
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n) target[i] = static_cast<T>(start + i * step);
}

unsigned blocks_of(int64_t threads) {
  return static_cast<unsigned>((threads + kThreads - 1) / kThreads);
}

// The element that `value` becomes in `dtype`, in the lowest bytes.
uint64_t element_bits(DType dtype, const Scalar& value) {
  uint64_t bits = 0;
  const auto put = [&](auto typed) { memcpy(&bits, &typed, sizeof(typed)); };
  switch (dtype) {
    case DType::float32: put(static_cast<float>(value.to_double())); break;
    case DType::float64: put(value.to_double()); break;
    case DType::float16: put(__float2half(static_cast<float>(value.to_double()))); break;
    case DType::bfloat16: put(__float2bfloat16(static_cast<float>(value.to_double()))); break;
    case DType::bool_: put(value.to_bool()); break;
    default: bits = static_cast<uint64_t>(value.to_int64()); break;
  }
  return bits;
}

template <class Word>
void fill_flat(Word* target, Word value, int64_t n) {
  if (value == 0) {
    check("fill", cudaMemsetAsync(target, 0, static_cast<size_t>(n) * sizeof(Word), stream()));
    return;
  }
  const auto past = static_cast<int64_t>(reinterpret_cast<uintptr_t>(target) % 16);
  int64_t head = (16 - past) % 16 / static_cast<int64_t>(sizeof(Word));
  if (head > n) head = n;
  const int64_t packs = (n - head) / kPackCount<Word>;
  // At least as many threads as one end may have elements.
  const int64_t threads = packs > 16 ? packs : 16;
  launch_kernel(fill_packed_kernel<Word>, {blocks_of(threads), kThreads}, target, value, n,
                static_cast<int>(head));
}

template <class Word>
void fill_strided(Word* target, Word value, const Dims& shape, const Dims& strides) {
  const int64_t n = shape.numel();
  if (n <= kMaxItems) {
    launch_kernel(fill_strided_kernel<Word>, {blocks_of(n), kThreads}, target, value,
                  FastIndex<1>(shape, {&strides}), static_cast<uint32_t>(n));
    return;
  }
  int longest = 0;
  for (int i = 1; i < shape.rank(); ++i) {
    if (shape[i] > shape[longest]) longest = i;
  }
  Dims part = shape;
  part[longest] = shape[longest] / 2;
  fill_strided(target, value, part, strides);
  target += part[longest] * strides[longest];
  part[longest] = shape[longest] - part[longest];
  fill_strided(target, value, part, strides);
}

}  // namespace

void fill(const FillArgs& args) {
  Dims strides = args.strides;
  StridedLoop loop{args.shape, {&strides}, 1};
  simplify(loop);
  const int64_t n = loop.shape.numel();
  if (n == 0) return;
  const uint64_t bits = element_bits(args.dtype, args.value);
  const bool flat = loop.shape.rank() == 0 || (loop.shape.rank() == 1 && strides[0] == 1);
  visit_width(args.dtype, [&](auto tag) {
    using Word = typename decltype(tag)::type;
    Word* target = static_cast<Word*>(args.target);
    const Word value = static_cast<Word>(bits);
    flat ? fill_flat(target, value, n) : fill_strided(target, value, loop.shape, strides);
  });
  check_launch("fill");
}

void arange(const ArangeArgs& args) {
  if (args.n == 0) return;
  visit_numeric("arange", args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* target = static_cast<T*>(args.target);
    if constexpr (std::is_integral_v<T>) {
      launch_kernel(arange_integer_kernel<T>, {blocks_of(args.n), kThreads}, target,
                    args.start.to_int64(), args.step.to_int64(), args.n);
    } else {
      launch_kernel(arange_kernel<T>, {blocks_of(args.n), kThreads}, target, args.start.to_double(),
                    args.step.to_double(), args.n);
    }
  });
  check_launch("arange");
}

}  // namespace taut::kernels::cuda
