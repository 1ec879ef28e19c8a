#include "kernels/reduce/reduce_driver.h"

#include <algorithm>
#include <memory>

#include "taut/base/parallel.h"

namespace taut::kernels {
namespace {

// Elements that one thread should at least have, and that one piece of a split reduction has.
constexpr int64_t kGrain = 32768;
// Reductions into fewer outputs than this are split into pieces.
constexpr int64_t kManyTasks = 16;
constexpr int64_t kMostPieces = 64;
// Room for any reducer's state.
constexpr size_t kStateBytes = 32;

struct alignas(8) State {
  std::byte bytes[kStateBytes];
};

/// Pairwise combination of a sequence as it comes (cascade summation): level k holds 2^k items.
class Cascade {
 public:
  explicit Cascade(const Reducer& reducer) : reducer_(reducer) {}

  void push(State state) {
    int level = 0;
    for (; (count_ >> level & 1u) != 0; ++level) {
      reducer_.merge(reducer_.self, &levels_[level], &state, 1, 1);
      state = levels_[level];
    }
    levels_[level] = state;
    ++count_;
  }

  State result() const {
    State total;
    reducer_.identity(reducer_.self, &total, 1, 1);
    for (int level = 63; level >= 0; --level) {
      if ((count_ >> level & 1u) != 0) {
        reducer_.merge(reducer_.self, &total, &levels_[level], 1, 1);
      }
    }
    return total;
  }

 private:
  const Reducer& reducer_;
  uint64_t count_ = 0;
  State levels_[64];
};

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Into how many pieces each of `tasks` reductions over `units` units is cut.
int64_t piece_count(int64_t tasks, int64_t units, int64_t elements_per_task) {
  if (tasks >= kManyTasks || elements_per_task < 2 * kGrain) return 1;
  return std::min({units, kMostPieces / tasks, elements_per_task / kGrain});
}

int64_t task_grain(int64_t elements_per_task) {
  return std::max<int64_t>(1, kGrain / std::max<int64_t>(1, elements_per_task));
}

Dims without_last(Dims dims) {
  dims.erase(dims.rank() - 1);
  return dims;
}

class RowReduction {
 public:
  RowReduction(const ReducePlan& plan, const std::byte* input, const Reducer& reducer)
      : plan_(plan), input_(input), reducer_(reducer) {
    if (!plan.reduced_shape.empty()) {
      row_ = plan.reduced_shape.back();
      stride_ = plan.reduced_strides.back();
      outer_shape_ = without_last(plan.reduced_shape);
      outer_strides_ = without_last(plan.reduced_strides);
    }
    leaves_per_row_ = divide_up(row_, kReduceLeaf);
    leaves_ = leaves_per_row_ * (plan.count / row_);
  }

  void run() {
    const int64_t pieces = piece_count(plan_.outputs, leaves_, plan_.count);
    if (pieces > 1) return run_split(pieces);
    parallel_for(plan_.outputs, task_grain(plan_.count), [&](int64_t begin, int64_t end) {
      if (leaves_ == 1) return run_single_leaves(begin, end);
      Odometer from(plan_.kept_shape, plan_.kept_strides, begin);
      Odometer to(plan_.kept_shape, plan_.output_strides, begin);
      for (int64_t i = begin; i < end; ++i, from.next(), to.next()) {
        const State state = reduce_leaves(from.offset(), 0, leaves_);
        reducer_.finish(reducer_.self, &state, 1, 1, to.offset(), 1);
      }
    });
  }

 private:
  const std::byte* at(int64_t offset) const { return input_ + offset * reducer_.item_size; }

  // Runs along the innermost kept dim, one call for each.
  void run_single_leaves(int64_t begin, int64_t end) const {
    const bool is_single = plan_.kept_shape.empty();
    const int64_t inner = is_single ? 1 : plan_.kept_shape.back();
    const int64_t step = is_single ? 0 : plan_.kept_strides.back();
    const int64_t out_stride = is_single ? 0 : plan_.output_strides.back();
    const Dims outer = is_single ? Dims() : without_last(plan_.kept_shape);
    Odometer from(outer, plan_.kept_strides, begin / inner);
    Odometer to(outer, plan_.output_strides, begin / inner);
    for (int64_t i = begin; i < end; from.next(), to.next()) {
      const int64_t first = i % inner;
      const int64_t count = std::min(inner - first, end - i);
      reducer_.rows(reducer_.self, at(from.offset() + first * step), row_, stride_, count, step,
                    to.offset() + first * out_stride, out_stride);
      i += count;
    }
  }

  void run_split(int64_t pieces) {
    State partial[kMostPieces];  // (outputs, pieces)
    parallel_for(plan_.outputs * pieces, 1, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        const int64_t piece = task % pieces;
        const Odometer from(plan_.kept_shape, plan_.kept_strides, task / pieces);
        partial[task] =
            reduce_leaves(from.offset(), leaves_ * piece / pieces, leaves_ * (piece + 1) / pieces);
      }
    });
    Odometer to(plan_.kept_shape, plan_.output_strides, 0);
    for (int64_t output = 0; output < plan_.outputs; ++output, to.next()) {
      Cascade cascade(reducer_);
      for (int64_t p = 0; p < pieces; ++p) cascade.push(partial[output * pieces + p]);
      const State state = cascade.result();
      reducer_.finish(reducer_.self, &state, 1, 1, to.offset(), 1);
    }
  }

  State reduce_leaves(int64_t offset, int64_t begin, int64_t end) const {
    Cascade cascade(reducer_);
    Odometer outer(outer_shape_, outer_strides_, begin / leaves_per_row_);
    int64_t leaf = begin % leaves_per_row_;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t start = leaf * kReduceLeaf;
      State state;
      reducer_.row(reducer_.self, at(offset + outer.offset() + start * stride_),
                   std::min(kReduceLeaf, row_ - start), stride_, &state);
      cascade.push(state);
      if (++leaf == leaves_per_row_) {
        leaf = 0;
        outer.next();
      }
    }
    return cascade.result();
  }

  const ReducePlan& plan_;
  const std::byte* input_;
  const Reducer& reducer_;
  int64_t row_ = 1;
  int64_t stride_ = 1;
  Dims outer_shape_, outer_strides_;
  int64_t leaves_per_row_ = 1;
  int64_t leaves_ = 1;
};

class ColumnReduction {
 public:
  ColumnReduction(const ReducePlan& plan, const std::byte* input, const Reducer& reducer)
      : plan_(plan),
        input_(input),
        reducer_(reducer),
        outer_kept_(without_last(plan.kept_shape)),
        outer_reduced_(without_last(plan.reduced_shape)),
        cols_(plan.kept_shape.back()),
        col_stride_(plan.kept_strides.back()),
        rows_(plan.reduced_shape.back()),
        row_stride_(plan.reduced_strides.back()) {
    // Narrow rows that lie end to end are taken several at once, as one wide row; what is
    // accumulated apart so is folded together at the end.
    const bool is_dense = col_stride_ == 1 && row_stride_ == cols_;
    if (is_dense && cols_ <= reducer.tile_cols / 4) {
      fold_ = std::min(rows_, reducer.tile_cols / cols_);
    }
    wide_cols_ = cols_ * fold_;
    wide_rows_ = rows_ / fold_;
    tile_ = std::min(wide_cols_, reducer.tile_cols);
    tiles_ = divide_up(wide_cols_, tile_);
    blocks_ = divide_up(wide_rows_, reducer.block_rows);
    units_ = outer_reduced_.numel() * blocks_;
    state_bytes_ = reducer.planes * tile_ * reducer.accumulator_size;
  }

  void run() {
    const int64_t tasks = outer_kept_.numel() * tiles_;
    const int64_t elements = plan_.count / fold_ * tile_;
    const int64_t pieces = piece_count(tasks, units_, elements);
    if (pieces > 1) return run_split(tasks, pieces, elements);
    parallel_for(tasks, task_grain(elements), [&](int64_t begin, int64_t end) {
      const std::unique_ptr<std::byte[]> states(new std::byte[state_bytes_]);
      for (int64_t task = begin; task < end; ++task) {
        reduce_units(task, 0, units_, states.get());
        finish_tile(task, states.get());
      }
    });
  }

 private:
  void run_split(int64_t tasks, int64_t pieces, int64_t elements) {
    const std::unique_ptr<std::byte[]> partial(new std::byte[tasks * pieces * state_bytes_]);
    parallel_for(tasks * pieces, task_grain(elements / pieces), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t piece = i % pieces;
        reduce_units(i / pieces, units_ * piece / pieces, units_ * (piece + 1) / pieces,
                     partial.get() + i * state_bytes_);
      }
    });
    for (int64_t task = 0; task < tasks; ++task) {
      std::byte* states = partial.get() + task * pieces * state_bytes_;
      for (int64_t p = 1; p < pieces; ++p) {
        reducer_.merge(reducer_.self, states, states + p * state_bytes_, tile_, tile_);
      }
      finish_tile(task, states);
    }
  }

  void reduce_units(int64_t task, int64_t begin, int64_t end, std::byte* states) const {
    const Odometer kept(outer_kept_, plan_.kept_strides, task / tiles_);
    const int64_t first_col = task % tiles_ * tile_;
    const int64_t cols = std::min(tile_, wide_cols_ - first_col);
    const int64_t offset = kept.offset() + first_col * col_stride_;
    reducer_.identity(reducer_.self, states, tile_, tile_);

    const int64_t stride = row_stride_ * fold_;
    Odometer outer(outer_reduced_, plan_.reduced_strides, begin / blocks_);
    int64_t block = begin % blocks_;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = block * reducer_.block_rows;
      add_block(offset + outer.offset() + row * stride,
                std::min(reducer_.block_rows, wide_rows_ - row), cols, states);
      if (++block < blocks_) continue;
      const int64_t left_rows = rows_ - wide_rows_ * fold_;
      if (left_rows > 0) {
        add_block(offset + outer.offset() + wide_rows_ * stride, 1, left_rows * cols_, states);
      }
      block = 0;
      outer.next();
    }
  }

  void add_block(int64_t offset, int64_t rows, int64_t cols, std::byte* states) const {
    reducer_.block(reducer_.self, input_ + offset * reducer_.item_size, rows, row_stride_ * fold_,
                   cols, col_stride_, states, tile_);
  }

  void finish_tile(int64_t task, std::byte* states) const {
    for (int64_t f = 1; f < fold_; ++f) {
      reducer_.merge(reducer_.self, states, states + f * cols_ * reducer_.accumulator_size, tile_,
                     cols_);
    }
    const Odometer to(outer_kept_, plan_.output_strides, task / tiles_);
    const int64_t out_stride = plan_.output_strides.back();
    const int64_t first_col = task % tiles_ * tile_;
    const int64_t cols = fold_ > 1 ? cols_ : std::min(tile_, wide_cols_ - first_col);
    reducer_.finish(reducer_.self, states, tile_, cols, to.offset() + first_col * out_stride,
                    out_stride);
  }

  const ReducePlan& plan_;
  const std::byte* input_;
  const Reducer& reducer_;
  Dims outer_kept_, outer_reduced_;
  int64_t cols_, col_stride_, rows_, row_stride_;
  int64_t fold_ = 1;
  int64_t wide_cols_, wide_rows_, tile_, tiles_, blocks_, units_, state_bytes_;
};

}  // namespace

void run_reduction(const ReducePlan& plan, const void* input, const Reducer& reducer) {
  if (plan.outputs == 0) return;
  if (plan.count == 0) {
    State empty;
    reducer.identity(reducer.self, &empty, 1, 1);
    for (int64_t i = 0; i < plan.outputs; ++i) {
      reducer.finish(reducer.self, &empty, 1, 1, i, 1);
    }
    return;
  }
  const auto* x = static_cast<const std::byte*>(input) + plan.offset * reducer.item_size;
  if (plan.is_rowwise) {
    RowReduction(plan, x, reducer).run();
  } else {
    ColumnReduction(plan, x, reducer).run();
  }
}

}  // namespace taut::kernels
