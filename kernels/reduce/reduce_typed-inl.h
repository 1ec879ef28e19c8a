// From a reducer with types to the erased one that the driver runs.

#if defined(TAUT_KERNELS_REDUCE_REDUCE_TYPED_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TAUT_KERNELS_REDUCE_REDUCE_TYPED_INL_H_
#undef TAUT_KERNELS_REDUCE_REDUCE_TYPED_INL_H_
#else
#define TAUT_KERNELS_REDUCE_REDUCE_TYPED_INL_H_
#endif

#include "kernels/api/simd_rows-inl.h"
#include "kernels/reduce/reduce_driver.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

/// The erased form of a typed reducer that offers
///   In, Acc, kPlanes, kTileCols, kBlockRows, identity(Acc* state),
///   row(const In* x, n, stride, Acc* state), block(x, rows, row_stride, cols, col_stride, Acc*
///   states, width), merge(Acc* into, const Acc* from), finish(const Acc* state, out)
/// and must outlive it.
template <class Typed>
Reducer reducer_of(const Typed& typed) {
  using In = typename Typed::In;
  using Acc = typename Typed::Acc;
  constexpr int kPlanes = Typed::kPlanes;
  struct Erased {
    static const Typed& of(const void* self) { return *static_cast<const Typed*>(self); }
    static void load(const Acc* states, int64_t width, int64_t c, Acc* state) {
      for (int p = 0; p < kPlanes; ++p) state[p] = states[p * width + c];
    }
    static void identity(const void* self, void* states, int64_t width, int64_t cols) {
      Acc state[kPlanes];
      of(self).identity(state);
      for (int p = 0; p < kPlanes; ++p) {
        for (int64_t c = 0; c < cols; ++c) static_cast<Acc*>(states)[p * width + c] = state[p];
      }
    }
    static void row(const void* self, const void* x, int64_t n, int64_t stride, void* state) {
      of(self).row(static_cast<const In*>(x), n, stride, static_cast<Acc*>(state));
    }
    static void rows(const void* self, const void* x, int64_t n, int64_t stride, int64_t outputs,
                     int64_t step, int64_t out, int64_t out_stride) {
      for (int64_t i = 0; i < outputs; ++i) {
        Acc state[kPlanes];
        of(self).row(static_cast<const In*>(x) + i * step, n, stride, state);
        of(self).finish(state, out + i * out_stride);
      }
    }
    static void block(const void* self, const void* x, int64_t rows, int64_t row_stride,
                      int64_t cols, int64_t col_stride, void* states, int64_t width) {
      of(self).block(static_cast<const In*>(x), rows, row_stride, cols, col_stride,
                     static_cast<Acc*>(states), width);
    }
    static void merge(const void* self, void* into, const void* from, int64_t width, int64_t cols) {
      for (int64_t c = 0; c < cols; ++c) {
        Acc a[kPlanes], b[kPlanes];
        load(static_cast<const Acc*>(into), width, c, a);
        load(static_cast<const Acc*>(from), width, c, b);
        of(self).merge(a, b);
        for (int p = 0; p < kPlanes; ++p) static_cast<Acc*>(into)[p * width + c] = a[p];
      }
    }
    static void finish(const void* self, const void* states, int64_t width, int64_t cols,
                       int64_t out, int64_t out_stride) {
      for (int64_t c = 0; c < cols; ++c) {
        Acc state[kPlanes];
        load(static_cast<const Acc*>(states), width, c, state);
        of(self).finish(state, out + c * out_stride);
      }
    }
  };
  return {&typed,           sizeof(In),        sizeof(Acc),      kPlanes,
          Typed::kTileCols, Typed::kBlockRows, Erased::identity, Erased::row,
          Erased::rows,     Erased::block,     Erased::merge,    Erased::finish};
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#endif
