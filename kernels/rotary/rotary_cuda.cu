// Rotary position embedding on CUDA: a thread for a pack of pairs of one head, or for a pack of the
// numbers that are not turned.

#include "kernels/api/fast_index.cuh"
#include "kernels/api/packs.cuh"
#include "kernels/api/rotary.h"

namespace taut::kernels::cuda {
namespace {

template <class T>
struct Rotary {
  const T* input;
  T* output;
  const Compute<T>* cos;
  const Compute<T>* sin;
  HeadStrides from, to;
  int64_t count;           // of items of all rows, a thread each
  int64_t items_of_row;    // packs of pairs first, then packs of the rest
  int64_t items_of_pairs;  // among these
  int64_t heads, positions, half;
  Compute<T> sign;  // of the sines
  Divider by_row, by_head, by_position;
};

// kPack pairs from the `pair`-th on: two packs half a row apart, or one run of neighbours.
template <int kPack, bool kIsInterleaved, class T>
__device__ inline void rotate_pairs(const Rotary<T>& of, const T* row, T* out, int64_t position,
                                    int64_t pair) {
  using A = Compute<T>;
  const int64_t at = kIsInterleaved ? 2 * pair : pair;
  const int64_t second = at + (kIsInterleaved ? kPack : of.half);
  // Widened, and so waited for, when all loads are under way.
  const Pack<T, kPack> first_words = load_pack<kPack>(row + at);
  const Pack<T, kPack> second_words = load_pack<kPack>(row + second);
  A cos[kPack], sin[kPack], x[2][kPack];
  load_widened<kPack>(of.cos + position * of.half + pair, cos);
  load_widened<kPack>(of.sin + position * of.half + pair, sin);
  widen_words<T>(first_words, x[0]);
  widen_words<T>(second_words, x[1]);
#pragma unroll
  for (int e = 0; e < kPack; ++e) {
    A& a = kIsInterleaved ? x[2 * e / kPack][2 * e % kPack] : x[0][e];
    A& b = kIsInterleaved ? x[(2 * e + 1) / kPack][(2 * e + 1) % kPack] : x[1][e];
    const A s = of.sign * sin[e];
    const A turned = a * cos[e] - b * s;
    b = b * cos[e] + a * s;
    a = turned;
  }
  store_narrowed<kPack>(out + at, x[0]);
  store_narrowed<kPack>(out + second, x[1]);
}

template <class T, int kPack, bool kIsInterleaved>
__global__ void __launch_bounds__(kThreads) rotary_kernel(const __grid_constant__ Rotary<T> of) {
  wait_for_stream();
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= of.count) return;
  const int64_t row = of.by_row.quotient(i), item = i - row * of.items_of_row;
  const int64_t place = of.by_head.quotient(row), head = row - place * of.heads;
  const int64_t batch = of.by_position.quotient(place);
  const int64_t position = place - batch * of.positions;
  const T* x = of.input + batch * of.from.batch + position * of.from.position + head * of.from.head;
  T* y = of.output + batch * of.to.batch + position * of.to.position + head * of.to.head;
  if (item < of.items_of_pairs) {
    rotate_pairs<kPack, kIsInterleaved>(of, x, y, position, item * kPack);
  } else {
    const int64_t at = 2 * of.half + (item - of.items_of_pairs) * kPack;
    store_pack<kPack>(y + at, load_pack<kPack>(x + at));
  }
}

// Whether every row of an array begins at a whole pack.
bool has_packs(const void* data, const HeadStrides& strides, int64_t pack) {
  return is_aligned(data) && strides.batch % pack == 0 && strides.position % pack == 0 &&
         strides.head % pack == 0;
}

template <class T>
Rotary<T> rotary_of(const RotaryArgs& args, int64_t pack) {
  using A = Compute<T>;
  const int64_t half = args.rotary_width / 2, rest = args.width - args.rotary_width;
  const int64_t places = args.batch * args.positions, rows = places * args.heads;
  const int64_t items = half / pack + rest / pack;
  return {static_cast<const T*>(args.input),
          static_cast<T*>(args.output),
          static_cast<const A*>(args.cos),
          static_cast<const A*>(args.sin),
          args.input_strides,
          args.output_strides,
          rows * items,
          items,
          half / pack,
          args.heads,
          args.positions,
          half,
          args.is_inverse ? A(-1) : A(1),
          Divider(items, rows * items),
          Divider(args.heads, rows),
          Divider(args.positions, places)};
}

void rotate(const RotaryArgs& args) {
  visit_floating("rotary_embedding", args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    constexpr int kPack = kPackCount<T>;
    const bool packs = args.rotary_width % (2 * kPack) == 0 && args.width % kPack == 0 &&
                       is_aligned(args.cos) && is_aligned(args.sin) &&
                       has_packs(args.input, args.input_strides, kPack) &&
                       has_packs(args.output, args.output_strides, kPack);
    const Rotary<T> of = rotary_of<T>(args, packs ? kPack : 1);
    const auto kernel =
        args.is_interleaved
            ? (packs ? &rotary_kernel<T, kPack, true> : &rotary_kernel<T, 1, true>)
            : (packs ? &rotary_kernel<T, kPack, false> : &rotary_kernel<T, 1, false>);
    const auto blocks = static_cast<unsigned>((of.count + kThreads - 1) / kThreads);
    launch_kernel(kernel, {blocks, kThreads}, of);
  });
  check_launch("rotary_embedding");
}

}  // namespace
}  // namespace taut::kernels::cuda

namespace taut::kernels {

RotaryKernels rotary_kernels_cuda() { return {.rotate = cuda::rotate}; }

}  // namespace taut::kernels
