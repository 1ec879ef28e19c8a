#include "kernels/api/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/rotary/rotary_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "kernels/api/rotary.h"
#include "kernels/api/simd_rows-inl.h"
#include "taut/base/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

// Elements that one thread should at least have.
constexpr int64_t kGrain = 32768;

// Pairs of a number and the one half a row further; `sign` of the sines is -1 for the inverse.
template <class T, class A>
HWY_NOINLINE void rotate_halves(const T* x, const A* cos, const A* sin, int64_t half, A sign,
                                T* y) {
  const Lanes<T> d;
  const auto signs = hn::Set(d, sign);
  const T* second = x + half;
  T* out = y + half;
  for_vectors(d, half, [&](auto load, auto store) {
    const auto a = load(x), b = load(second);
    const auto c = load(cos), s = hn::Mul(signs, load(sin));
    store(hn::NegMulAdd(b, s, hn::Mul(a, c)), y);
    store(hn::MulAdd(a, s, hn::Mul(b, c)), out);
  });
}

template <class T, class A>
HWY_NOINLINE void rotate_neighbours(const T* x, const A* cos, const A* sin, int64_t half, A sign,
                                    T* y) {
  for (int64_t i = 0; i < half; ++i) {
    const A a = static_cast<A>(x[2 * i]), b = static_cast<A>(x[2 * i + 1]);
    const A c = cos[i], s = sign * sin[i];
    y[2 * i] = static_cast<T>(a * c - b * s);
    y[2 * i + 1] = static_cast<T>(b * c + a * s);
  }
}

template <class T>
void rotate_rows(const RotaryArgs& args, int64_t begin, int64_t end) {
  using A = compute_t<T>;
  const int64_t half = args.rotary_width / 2;
  const A sign = args.is_inverse ? A(-1) : A(1);
  const HeadStrides &from = args.input_strides, &to = args.output_strides;
  for (int64_t row = begin; row < end; ++row) {
    const int64_t head = row % args.heads, place = row / args.heads;
    const int64_t position = place % args.positions, batch = place / args.positions;
    const T* x = static_cast<const T*>(args.input) + batch * from.batch + position * from.position +
                 head * from.head;
    T* y =
        static_cast<T*>(args.output) + batch * to.batch + position * to.position + head * to.head;
    const A* cos = static_cast<const A*>(args.cos) + position * half;
    const A* sin = static_cast<const A*>(args.sin) + position * half;
    if (args.is_interleaved) {
      rotate_neighbours(x, cos, sin, half, sign, y);
    } else {
      rotate_halves(x, cos, sin, half, sign, y);
    }
    std::copy(x + args.rotary_width, x + args.width, y + args.rotary_width);
  }
}

void rotate(const RotaryArgs& args) {
  const int64_t rows = args.batch * args.positions * args.heads;
  const int64_t grain = std::max<int64_t>(1, kGrain / args.width);
  visit_dtype(Floating{}, args.dtype, "rotary_embedding", [&]<class T>(Tag<T>) {
    parallel_for(rows, grain,
                 [&](int64_t begin, int64_t end) { rotate_rows<T>(args, begin, end); });
  });
}

void fill_rotary(RotaryKernels& table) { table.rotate = rotate; }

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {

HWY_EXPORT(fill_rotary);

RotaryKernels rotary_kernels_cpu() {
  RotaryKernels table;
  HWY_DYNAMIC_DISPATCH(fill_rotary)(table);
  return table;
}

}  // namespace taut::kernels
#endif
