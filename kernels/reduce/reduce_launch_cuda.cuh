#pragma once
// From the plan of a reduction to its launches: by rows or by columns, in one pass or, where there
// are too few outputs to fill the chip, in splits that a second launch combines.

#include "kernels/reduce/reduce_kernels_cuda.cuh"
#include "kernels/reduce/reduce_plan.h"

namespace taut::kernels::cuda {

inline ReduceLayout layout_of(const ReducePlan& plan) {
  ReduceLayout layout{};
  layout.kept_rank = plan.kept_shape.rank();
  layout.reduced_rank = plan.reduced_shape.rank();
  layout.outputs = plan.outputs;
  layout.count = plan.count;
  for (int d = 0; d < layout.kept_rank; ++d) {
    layout.kept_shape[d] = plan.kept_shape[d];
    layout.kept_strides[d] = plan.kept_strides[d];
    layout.output_strides[d] = plan.output_strides[d];
  }
  for (int d = 0; d < layout.reduced_rank; ++d) {
    layout.reduced_shape[d] = plan.reduced_shape[d];
    layout.reduced_strides[d] = plan.reduced_strides[d];
  }
  return layout;
}

inline bool is_multiple(int64_t value, int64_t of) { return value % of == 0; }

/// Whether slices can be read in packs: a single contiguous run, wherever it begins, or runs that
/// all begin and end at packs.
inline bool has_packs(const ReduceLayout& layout, const void* input, int pack, size_t item) {
  if (layout.reduced_rank == 0 || pack == 1) return false;
  const int last = layout.reduced_rank - 1;
  if (layout.reduced_strides[last] != 1) return false;
  if (layout.reduced_rank == 1) return true;
  bool fits = reinterpret_cast<uintptr_t>(input) % (static_cast<size_t>(pack) * item) == 0 &&
              is_multiple(layout.reduced_shape[last], pack);
  for (int d = 0; d < last; ++d) fits = fits && is_multiple(layout.reduced_strides[d], pack);
  for (int d = 0; d < layout.kept_rank; ++d) {
    fits = fits && is_multiple(layout.kept_strides[d], pack);
  }
  return fits;
}

/// Whether `cols` neighbouring columns can be read as one everywhere.
inline bool has_column_packs(const ReduceLayout& layout, const void* input, int cols, size_t item) {
  const int last = layout.kept_rank - 1;
  bool fits = layout.kept_strides[last] == 1 && is_multiple(layout.kept_shape[last], cols) &&
              reinterpret_cast<uintptr_t>(input) % (static_cast<size_t>(cols) * item) == 0;
  for (int d = 0; d < last; ++d) fits = fits && is_multiple(layout.kept_strides[d], cols);
  for (int d = 0; d < layout.reduced_rank; ++d) {
    fits = fits && is_multiple(layout.reduced_strides[d], cols);
  }
  return fits;
}

/// The largest power of two up to n and `most`.
inline int power_of_two_below(int64_t n, int most) {
  int result = 1;
  while (result * 2 <= most && result * 2 <= n) result *= 2;
  return result;
}

inline int64_t resident_blocks() { return int64_t{kResidentBlocks} * multiprocessors(); }

/// In how many splits to cut each of `tiles`, whose work can be cut in `possible` at most. A single
/// wave of blocks when there are few tiles, pieces that even out when there are more.
inline int splits_for(int64_t tiles, int64_t possible) {
  const int64_t resident = resident_blocks();
  if (tiles >= 4 * resident) return 1;
  const int64_t wanted =
      tiles <= resident / 16 ? resident / tiles : ceil_divide(4 * resident, tiles);
  const int64_t splits = wanted < possible ? wanted : possible;
  return splits < 1 ? 1 : static_cast<int>(splits);
}

inline unsigned grid_of(int64_t blocks) {
  return static_cast<unsigned>(blocks < kMaxBlocks ? blocks : kMaxBlocks);
}

template <class R>
class Reduction {
 public:
  using In = typename R::In;
  using State = typename R::State;

  /// Loads of a thread that a split is worth.
  static constexpr int64_t kLeastLoads = R::kInFlight < 4 ? 2 * R::kInFlight : 8;

  Reduction(const char* op, const ReducePlan& plan, const void* input, const R& reducer)
      : op_(op),
        layout_(layout_of(plan)),
        input_(static_cast<const In*>(input) + plan.offset),
        reducer_(reducer) {}

  void run(bool is_rowwise) {
    if (layout_.outputs == 0) return;
    if (layout_.count == 0) return combine(1, 0, nullptr);
    is_rowwise ? run_rows() : run_columns();
  }

 private:
  void run_rows() {
    constexpr int kPack = kPackOf<R>;
    const bool packed = has_packs(layout_, input_, kPack, sizeof(In));
    const int64_t units = packed ? ceil_divide(layout_.count, kPack) : layout_.count;
    // A warp needs no barriers: a block for a slice pays where warps would be few, or their slices
    // so long that the last ones keep the chip waiting.
    const int64_t resident_warps = resident_blocks() * (kThreads / kWarp);
    const bool is_long =
        units >= 64 * kWarp || (units >= 2 * kWarp && layout_.outputs < 2 * resident_warps);
    const int group = is_long ? kThreads : power_of_two_below(units, kWarp);
    const int64_t tiles = ceil_divide(layout_.outputs, kThreads / group);
    const int splits = is_long ? splits_for(tiles, units / (kThreads * kLeastLoads)) : 1;
    launch_in_splits(tiles, splits, [&](dim3 grid, State* partial) {
      if constexpr (kPack > 1) {
        if (packed && layout_.reduced_rank == 1) return launch_runs(grid, group, partial);
        if (packed) return launch_rows<SliceAccess::packs>(grid, in_packs(kPack), group, partial);
      }
      launch_rows<SliceAccess::elements>(grid, layout_, group, partial);
    });
  }

  void launch_runs(dim3 grid, int group, State* partial) {
    constexpr SliceAccess kRun = SliceAccess::run;
    if (group == kThreads) return launch_rows<kRun, kThreads>(grid, layout_, group, partial);
    if (group == kWarp) return launch_rows<kRun, kWarp>(grid, layout_, group, partial);
    launch_rows<kRun>(grid, layout_, group, partial);
  }

  template <SliceAccess kAccess, int kGroup = 0>
  void launch_rows(dim3 grid, const ReduceLayout& layout, int group, State* partial) {
    launch_kernel(reduce_rows_kernel<R, kAccess, kGroup>, {grid, kThreads}, reducer_, layout,
                  input_, group, partial);
  }

  // The last reduced dim in packs; `count` stays the number of elements.
  ReduceLayout in_packs(int pack) const {
    ReduceLayout result = layout_;
    const int last = result.reduced_rank - 1;
    result.reduced_shape[last] /= pack;
    result.reduced_strides[last] = pack;
    return result;
  }

  void run_columns() {
    constexpr int kMostStates = sizeof(State) <= 4 ? 8 : 4;  // of a thread
    constexpr int kWide = kPackOf<R> < kMostStates ? kPackOf<R> : kMostStates;
    const bool wide = kWide > 1 && has_column_packs(layout_, input_, kWide, sizeof(In));
    const int64_t width = wide ? kWide : 1;
    const int64_t cols = layout_.kept_shape[layout_.kept_rank - 1];
    const int64_t packs = ceil_divide(cols, width);
    int lanes = power_of_two_below(packs, kWarp);
    if (lanes < packs && lanes < kWarp) lanes *= 2;
    const auto tiles_of = [&](int64_t across) {
      return layout_.outputs / cols * ceil_divide(packs, across);
    };
    // Few rows: threads stand side by side instead of below each other, while that fills the chip.
    while (lanes < kThreads && layout_.count < kThreads / lanes * kLeastLoads &&
           tiles_of(2 * lanes) >= resident_blocks()) {
      lanes *= 2;
    }
    const int64_t tiles = tiles_of(lanes);
    const int splits = splits_for(tiles, layout_.count / (kThreads / lanes * kLeastLoads));
    launch_in_splits(tiles, splits, [&](dim3 grid, State* partial) {
      if constexpr (kWide > 1) {
        if (wide) {
          launch_kernel(reduce_columns_kernel<R, kWide>, {grid, kThreads}, reducer_, layout_,
                        input_, lanes, partial);
          return;
        }
      }
      launch_kernel(reduce_columns_kernel<R, 1>, {grid, kThreads}, reducer_, layout_, input_, lanes,
                    partial);
    });
  }

  template <class Launch>
  void launch_in_splits(int64_t tiles, int splits, const Launch& launch) {
    const dim3 grid(grid_of(tiles), static_cast<unsigned>(splits));
    if (splits == 1) {
      launch(grid, nullptr);
      check_launch(op_);
      return;
    }
    const taut::cuda::Scratch partial(static_cast<size_t>(layout_.outputs) *
                                      static_cast<size_t>(splits) * sizeof(State));
    launch(grid, partial.as<State>());
    check_launch(op_);
    combine(power_of_two_below(splits, kThreads), splits, partial.as<State>());
  }

  void combine(int group, int splits, const State* partial) {
    if (group > kWarp) group = kThreads;
    const int64_t blocks = ceil_divide(layout_.outputs, kThreads / group);
    launch_kernel(combine_splits_kernel<R>, {grid_of(blocks), kThreads}, reducer_, layout_, group,
                  splits, partial);
    check_launch(op_);
  }

  const char* op_;
  ReduceLayout layout_;
  const In* input_;
  R reducer_;
};

/// Reduces `input` (the tensor's first element) into every output of the plan.
template <class R>
void run_reduction(const char* op, const ReducePlan& plan, const void* input, const R& reducer) {
  Reduction<R>(op, plan, input, reducer).run(plan.is_rowwise);
}

/// Calls body(TypeTag<T>) with the type of an integral dtype; bool is read as the bytes that it is.
template <class Body>
void visit_integers(const char* op, DType dtype, const Body& body) {
  switch (dtype) {
    case DType::int8: return body(TypeTag<int8_t>{});
    case DType::int16: return body(TypeTag<int16_t>{});
    case DType::int32: return body(TypeTag<int32_t>{});
    case DType::int64: return body(TypeTag<int64_t>{});
    case DType::uint8:
    case DType::bool_: return body(TypeTag<uint8_t>{});
    default: taut::detail::raise<DTypeError>(op, ": expected an integral dtype; got ", dtype);
  }
}

/// Calls body(TypeTag<T>) with the type of any dtype, bool as above.
template <class Body>
void visit_elements(const char* op, DType dtype, const Body& body) {
  if (is_floating_point(dtype)) return visit_floating(op, dtype, body);
  visit_integers(op, dtype, body);
}

}  // namespace taut::kernels::cuda
