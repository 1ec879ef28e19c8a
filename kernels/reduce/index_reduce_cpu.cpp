#include "kernels/api/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/reduce/index_reduce_cpu.cpp"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <limits>

#include "kernels/api/simd_rows-inl.h"
#include "kernels/reduce/reduce_parts.h"
#include "kernels/reduce/reduce_plan.h"
#include "taut/base/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

constexpr int64_t kGrain = 32768;
// A row is searched in pieces whose places fit any index type.
constexpr int64_t kLeaf = 4096;
// Shorter rows are left to a plain loop.
constexpr int64_t kShortest = 8;
constexpr int64_t kTileCols = 512;
constexpr int64_t kMostPieces = 64;

// A NaN beats every number; ties keep what came first.
template <bool kIsMax, class A>
bool is_better(A x, A best) {
  return (kIsMax ? x > best : x < best) || (x != x && best == best);
}

template <class A>
struct Place {
  A value = A();
  int64_t index = 0;
};

template <bool kIsMax, class T>
struct IndexReducer {
  using A = compute_t<T>;
  using Best = Place<A>;

  // Narrower integers have too many lanes for their places.
  static constexpr bool kHasVectors = is_floating_point(dtype_of<T>) || sizeof(T) >= 4;

  // The place of the extremum of n >= 1 elements.
  static HWY_NOINLINE Best row(const T* x, int64_t n, int64_t stride) {
    if constexpr (kHasVectors) {
      if (stride == 1 && n >= kShortest) return contiguous_row(x, n);
    } else {
      if (stride == 1) return narrow_row(x, n);
    }
    Best best{static_cast<A>(x[0]), 0};
    for (int64_t i = 1; i < n; ++i) {
      const A value = static_cast<A>(x[i * stride]);
      if (is_better<kIsMax>(value, best.value)) best = {value, i};
    }
    return best;
  }

  // Neighbouring columns at once; Index is as wide as A so that the compiler vectorises the loop.
  static HWY_NOINLINE void block(const T* x, int64_t rows, int64_t stride, int64_t cols, A* values,
                                 int64_t* indices) {
    using Index = std::conditional_t<sizeof(A) == 8, int64_t, int32_t>;
    Index at[kTileCols] = {};
    A widened[kTileCols];
    for (int64_t c = 0; c < cols; ++c) values[c] = static_cast<A>(x[c]);
    for (int64_t r = 1; r < rows; ++r) {
      const T* row = x + r * stride;
      const A* current;
      if constexpr (std::is_same_v<A, T>) {
        current = row;
      } else {
        const Lanes<T> d;
        for_vectors(d, cols, [&](auto load, auto store) { store(load(row), widened); });
        current = widened;
      }
      take_better(current, cols, static_cast<Index>(r), values, at);
    }
    for (int64_t c = 0; c < cols; ++c) indices[c] = at[c];
  }

 private:
  template <class Index>
  static void take_better(const A* HWY_RESTRICT x, int64_t cols, Index r, A* HWY_RESTRICT values,
                          Index* HWY_RESTRICT at) {
    for (int64_t c = 0; c < cols; ++c) {
      const A value = x[c], best = values[c];
      const bool takes =
          (kIsMax ? value > best : value < best) | ((value != value) & (best == best));
      values[c] = takes ? value : best;
      at[c] = takes ? r : at[c];
    }
  }

  static Best contiguous_row(const T* x, int64_t n) {
    Best best{};
    for (int64_t begin = 0; begin < n; begin += kLeaf) {
      Best found = leaf(x + begin, std::min(kLeaf, n - begin));
      found.index += begin;
      if (begin == 0 || is_better<kIsMax>(found.value, best.value)) best = found;
    }
    return best;
  }

  // The compiler vectorises the search for the value; its first place is found after.
  static Best narrow_row(const T* x, int64_t n) {
    T best = x[0];
    for (int64_t i = 1; i < n; ++i) best = (kIsMax ? x[i] > best : x[i] < best) ? x[i] : best;
    return {best, std::find(x, x + n, best) - x};
  }

  using D = Lanes<T>;
  using Position = hn::RebindToSigned<D>;
  using Coordinate = hn::TFromD<Position>;

  // A page ahead, where the hardware by itself stops at the end of each.
  static constexpr int64_t kAhead = static_cast<int64_t>(4096 / sizeof(T));

  static constexpr A worst() {
    using Limits = std::numeric_limits<A>;
    if constexpr (is_floating_point(dtype_of<T>)) {
      return kIsMax ? -Limits::infinity() : Limits::infinity();
    } else {
      return kIsMax ? Limits::lowest() : Limits::max();
    }
  }

  // The extremum of each lane so far and where it was.
  struct LaneBest {
    hn::Vec<D> value;
    hn::Vec<Position> at;

    HWY_INLINE void take(hn::Vec<D> x, hn::Vec<Position> position) {
      const auto is_new = kIsMax ? hn::Gt(x, value) : hn::Lt(x, value);
      value = hn::IfThenElse(is_new, x, value);
      at = hn::IfThenElse(hn::RebindMask(Position(), is_new), position, at);
    }
  };

  static Best leaf(const T* x, int64_t n) {
    const D d;
    const Position position;
    const int64_t step = static_cast<int64_t>(hn::Lanes(d));
    constexpr A kWorst = worst();
    auto at = hn::Iota(position, Coordinate(0));
    const auto next = hn::Set(position, static_cast<Coordinate>(step));
    auto is_nan = hn::Ne(hn::Zero(d), hn::Zero(d));
    const auto look = [&](hn::Vec<D> v) HWY_ATTR {
      if constexpr (is_floating_point(dtype_of<T>)) is_nan = hn::Or(is_nan, hn::IsNaN(v));
      return v;
    };
    LaneBest best{hn::Set(d, kWorst), at}, other = best;
    int64_t i = 0;
    for (; i + 2 * step <= n; i += 2 * step) {
      hwy::Prefetch(x + i + kAhead);
      hwy::Prefetch(x + i + step + kAhead);
      best.take(look(load_as(d, x + i)), at);
      at = hn::Add(at, next);
      other.take(look(load_as(d, x + i + step)), at);
      at = hn::Add(at, next);
    }
    if (i + step <= n) {
      best.take(look(load_as(d, x + i)), at);
      at = hn::Add(at, next);
      i += step;
    }
    if (i < n) other.take(look(load_first(d, x + i, n - i, kWorst)), at);
    if (HWY_UNLIKELY(!hn::AllFalse(d, is_nan))) return first_nan(x);
    return first_of(best, other, x);
  }

  // Lanes that saw nothing better than the worst value still point at their first element, so that
  // the least place among equals is right even when all are the worst.
  static Best first_of(const LaneBest& best, const LaneBest& other, const T* x) {
    const D d;
    const Position position;
    const auto high = kIsMax ? hn::MaxOfLanes(d, hn::Max(best.value, other.value))
                             : hn::MinOfLanes(d, hn::Min(best.value, other.value));
    const auto never = hn::Set(position, std::numeric_limits<Coordinate>::max());
    const auto place = [&](const LaneBest& lanes) HWY_ATTR {
      const auto is_high = hn::RebindMask(position, hn::Eq(lanes.value, high));
      return hn::IfThenElse(is_high, lanes.at, never);
    };
    const auto least = hn::MinOfLanes(position, hn::Min(place(best), place(other)));
    const int64_t index = static_cast<int64_t>(hn::GetLane(least));
    return {static_cast<A>(x[index]), index};
  }

  static Best first_nan(const T* x) {
    int64_t i = 0;
    while (static_cast<A>(x[i]) == static_cast<A>(x[i])) ++i;
    return {std::numeric_limits<A>::quiet_NaN(), i};
  }
};

template <bool kIsMax, class T>
class IndexReduction {
 public:
  using Kernel = IndexReducer<kIsMax, T>;
  using A = typename Kernel::A;
  using Best = typename Kernel::Best;

  explicit IndexReduction(const IndexReduceArgs& args)
      : args_(args), input_(static_cast<const T*>(args.input)) {}

  void run() const {
    if (args_.dim < 0) return over_all();
    const ReducePlan plan =
        plan_reduction(args_.shape, args_.strides, 1u << args_.dim, /*keeps_direction=*/true);
    if (plan.outputs == 0) return;
    const bool has_columns = !plan.is_rowwise && plan.kept_strides.back() == 1;
    const bool has_short_index = plan.count <= std::numeric_limits<int32_t>::max();
    has_columns&& has_short_index ? by_columns(plan) : by_rows(plan);
  }

 private:
  void write(Best best, int64_t at) const {
    if (args_.values != nullptr) static_cast<T*>(args_.values)[at] = static_cast<T>(best.value);
    if (args_.indices != nullptr) args_.indices[at] = best.index;
  }

  void by_rows(const ReducePlan& plan) const {
    const int64_t stride = plan.reduced_shape.empty() ? 1 : plan.reduced_strides.back();
    const int64_t grain = std::max<int64_t>(1, kGrain / plan.count);
    if (plan.outputs == 1) {
      return over_rows(plan.reduced_shape, plan.reduced_strides);
    }
    parallel_for(plan.outputs, grain, [&](int64_t begin, int64_t end) {
      Odometer from(plan.kept_shape, plan.kept_strides, begin);
      Odometer to(plan.kept_shape, plan.output_strides, begin);
      for (int64_t i = begin; i < end; ++i, from.next(), to.next()) {
        write(Kernel::row(input_ + from.offset(), plan.count, stride), to.offset());
      }
    });
  }

  void by_columns(const ReducePlan& plan) const {
    Dims outer = plan.kept_shape;
    const int64_t cols = outer.back();
    outer.erase(outer.rank() - 1);
    const int64_t tiles = (cols + kTileCols - 1) / kTileCols;
    const int64_t width = (cols + tiles - 1) / tiles;
    const int64_t grain = std::max<int64_t>(1, kGrain / (plan.count * width));
    parallel_for(outer.numel() * tiles, grain, [&](int64_t begin, int64_t end) {
      A values[kTileCols];
      int64_t indices[kTileCols];
      for (int64_t task = begin; task < end; ++task) {
        const Odometer from(outer, plan.kept_strides, task / tiles);
        const Odometer to(outer, plan.output_strides, task / tiles);
        const int64_t first = task % tiles * width;
        const int64_t count = std::min(width, cols - first);
        Kernel::block(input_ + from.offset() + first, plan.count, plan.reduced_strides.back(),
                      count, values, indices);
        for (int64_t c = 0; c < count; ++c) {
          write({values[c], indices[c]}, to.offset() + (first + c) * plan.output_strides.back());
        }
      }
    });
  }

  // Dims that lie end to end are merged, but not reordered: the index counts in their order.
  void over_all() const {
    Dims shape, strides;
    for (int d = 0; d < args_.shape.rank(); ++d) {
      if (args_.shape[d] == 1) continue;
      if (!shape.empty() && strides.back() == args_.shape[d] * args_.strides[d]) {
        shape.back() *= args_.shape[d];
        strides.back() = args_.strides[d];
      } else {
        shape.push_back(args_.shape[d]);
        strides.push_back(args_.strides[d]);
      }
    }
    over_rows(shape, strides);
  }

  // One output from all elements of a multi-index, in pieces of whole rows or parts of a row.
  void over_rows(const Dims& shape, const Dims& strides) const {
    const int64_t row = shape.empty() ? 1 : shape.back();
    const int64_t stride = shape.empty() ? 1 : strides.back();
    Dims outer = shape;
    if (!outer.empty()) outer.erase(outer.rank() - 1);
    const int64_t leaves_per_row = (row + kGrain - 1) / kGrain;
    const int64_t leaves = leaves_per_row * outer.numel();
    const int64_t pieces =
        std::clamp<int64_t>(outer.numel() * row / kGrain, 1, std::min(leaves, kMostPieces));
    Best partial[kMostPieces];
    parallel_for(pieces, 1, [&](int64_t begin, int64_t end) {
      for (int64_t piece = begin; piece < end; ++piece) {
        partial[piece] = over_leaves(outer, strides, row, stride, leaves * piece / pieces,
                                     leaves * (piece + 1) / pieces);
      }
    });
    Best best = partial[0];
    for (int64_t p = 1; p < pieces; ++p) {
      if (is_better<kIsMax>(partial[p].value, best.value)) best = partial[p];
    }
    write(best, 0);
  }

  Best over_leaves(const Dims& outer, const Dims& strides, int64_t row, int64_t stride,
                   int64_t begin, int64_t end) const {
    const int64_t leaves_per_row = (row + kGrain - 1) / kGrain;
    Odometer from(outer, strides, begin / leaves_per_row);
    Best best{};
    for (int64_t leaf = begin; leaf < end; ++leaf) {
      const int64_t start = leaf % leaves_per_row * kGrain;
      Best found = Kernel::row(input_ + from.offset() + start * stride,
                               std::min(kGrain, row - start), stride);
      found.index += leaf / leaves_per_row * row + start;
      if (leaf == begin || is_better<kIsMax>(found.value, best.value)) best = found;
      if (leaf % leaves_per_row == leaves_per_row - 1) from.next();
    }
    return best;
  }

  const IndexReduceArgs& args_;
  const T* input_;
};

template <bool kIsMax>
void index_reduce(const IndexReduceArgs& args) {
  const DType dtype = args.dtype == kBool ? kUInt8 : args.dtype;
  visit_dtype(Arithmetic{}, dtype, kIsMax ? "max" : "min",
              [&]<class T>(Tag<T>) { IndexReduction<kIsMax, T>(args).run(); });
}

void fill_index(ReduceKernels& table) {
  table.max = index_reduce<true>;
  table.min = index_reduce<false>;
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {

HWY_EXPORT(fill_index);
void fill_index_kernels(ReduceKernels& table) { HWY_DYNAMIC_DISPATCH(fill_index)(table); }

}  // namespace taut::kernels
#endif
