#pragma once
// The loops of indexed reads and writes over a shape, with the strides of self, of the other tensor
// (output or source) and of one index; several indices are first resolved into one of offsets.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>

#include "kernels/api/index.h"
#include "taut/base/parallel.h"

namespace taut::kernels {

/// Elements that a thread should at least have.
inline constexpr int64_t kIndexGrain = 32 * 1024;

struct IndexWalk {
  int rank = 0;
  int64_t size[kMaxRank];
  int64_t self[kMaxRank];
  int64_t other[kMaxRank];
  int64_t index[kMaxRank];

  int64_t numel() const {
    int64_t product = 1;
    for (int d = 0; d < rank; ++d) product *= size[d];
    return product;
  }
};

/// Drops dims of size 1 and merges neighbours that all three tensors step through as one. The
/// row-major order of the elements stays. At least one dim is left.
inline void collapse(IndexWalk& walk) {
  int rank = 0;
  for (int d = 0; d < walk.rank; ++d) {
    if (walk.size[d] == 1) continue;
    const int last = rank - 1;
    const int64_t n = walk.size[d];
    if (rank > 0 && walk.self[last] == walk.self[d] * n && walk.other[last] == walk.other[d] * n &&
        walk.index[last] == walk.index[d] * n) {
      walk.size[last] *= n;
      walk.self[last] = walk.self[d];
      walk.other[last] = walk.other[d];
      walk.index[last] = walk.index[d];
      continue;
    }
    walk.size[rank] = n;
    walk.self[rank] = walk.self[d];
    walk.other[rank] = walk.other[d];
    walk.index[rank] = walk.index[d];
    ++rank;
  }
  if (rank == 0) {
    walk.size[0] = 1;
    walk.self[0] = walk.other[0] = walk.index[0] = 0;
    rank = 1;
  }
  walk.rank = rank;
}

/// The rows of a walk (all dims but the last), one after the other, with their offsets.
class RowCursor {
 public:
  RowCursor(const IndexWalk& walk, int64_t row) : walk_(walk) {
    for (int d = walk.rank - 2; d >= 0; --d) {
      at_[d] = row % walk.size[d];
      row /= walk.size[d];
      self += at_[d] * walk.self[d];
      other += at_[d] * walk.other[d];
      index += at_[d] * walk.index[d];
    }
  }

  void next() {
    for (int d = walk_.rank - 2; d >= 0; --d) {
      self += walk_.self[d];
      other += walk_.other[d];
      index += walk_.index[d];
      if (++at_[d] < walk_.size[d]) return;
      at_[d] = 0;
      self -= walk_.size[d] * walk_.self[d];
      other -= walk_.size[d] * walk_.other[d];
      index -= walk_.size[d] * walk_.index[d];
    }
  }

  int64_t self = 0;
  int64_t other = 0;
  int64_t index = 0;

 private:
  const IndexWalk& walk_;
  int64_t at_[kMaxRank];
};

/// The bad index of the lowest position that any thread reports.
class FirstBadIndex {
 public:
  void report(int64_t position, int64_t index, int64_t size, int operand) {
    const std::lock_guard lock(mutex_);
    if (!result_.ok && position >= result_.position) return;
    result_ = {false, index, size, position, operand};
  }
  IndexResult result() const { return result_; }

 private:
  std::mutex mutex_;
  IndexResult result_;
};

/// Offsets of self, the indices' part, in row-major order over the dims that any index varies in.
struct ResolvedIndex {
  std::unique_ptr<int64_t[]> offsets;
  int64_t strides[kMaxRank];  // for each dim of size; 0 where no index varies
};

namespace index_detail {

template <class I>
void resolve_range(const Dims& size, int count, const IndexedDim* indices, bool wrap_negative,
                   int64_t begin, int64_t end, int64_t* offsets, FirstBadIndex& bad) {
  for (int64_t i = begin; i < end; ++i) {
    int64_t at[kMaxRank];
    int64_t rest = i;
    for (int d = size.rank() - 1; d >= 0; --d) {
      at[d] = rest % size[d];
      rest /= size[d];
    }
    int64_t offset = 0;
    for (int j = 0; j < count; ++j) {
      const IndexedDim& indexed = indices[j];
      int64_t position = 0;
      for (int d = 0; d < size.rank(); ++d) position += at[d] * indexed.strides[d];
      const int64_t given = static_cast<const I*>(indexed.index)[position];
      const int64_t index = wrap_negative && given < 0 ? given + indexed.dim_size : given;
      if (index < 0 || index >= indexed.dim_size) {
        return bad.report(i, given, indexed.dim_size, j);
      }
      offset += index * indexed.dim_stride;
    }
    offsets[i] = offset;
  }
}

template <class I>
void resolve_single(const I* index, int64_t stride, const IndexedDim& indexed, bool wrap_negative,
                    int64_t begin, int64_t end, int64_t* offsets, FirstBadIndex& bad) {
  for (int64_t i = begin; i < end; ++i) {
    const int64_t given = index[i * stride];
    const int64_t at = wrap_negative && given < 0 ? given + indexed.dim_size : given;
    if (at < 0 || at >= indexed.dim_size) return bad.report(i, given, indexed.dim_size, 0);
    offsets[i] = at * indexed.dim_stride;
  }
}

}  // namespace index_detail

/// Checks all indices and adds up their offsets. A bad one is reported with its position among the
/// dims that indices vary in. `size` has no zero.
template <class I>
IndexResult resolve_indices(const Dims& size, int count, const IndexedDim* indices,
                            bool wrap_negative, ResolvedIndex& resolved) {
  Dims varying = size;
  int64_t stride = 1;
  for (int d = size.rank() - 1; d >= 0; --d) {
    bool varies = false;
    for (int j = 0; j < count; ++j) varies = varies || indices[j].strides[d] != 0;
    if (!varies) varying[d] = 1;
    resolved.strides[d] = varying[d] == 1 ? 0 : stride;
    stride *= varying[d];
  }
  resolved.offsets.reset(new int64_t[static_cast<size_t>(stride)]);
  // One index that is contiguous but for broadcasting needs no coordinates.
  bool contiguous = count == 1;
  for (int d = 0; contiguous && d < size.rank(); ++d) {
    contiguous = resolved.strides[d] == 0 || indices[0].strides[d] == resolved.strides[d];
  }
  FirstBadIndex bad;
  parallel_for(stride, kIndexGrain, [&](int64_t begin, int64_t end) {
    if (contiguous) {
      index_detail::resolve_single(static_cast<const I*>(indices[0].index), int64_t{1}, indices[0],
                                   wrap_negative, begin, end, resolved.offsets.get(), bad);
    } else {
      index_detail::resolve_range<I>(varying, count, indices, wrap_negative, begin, end,
                                     resolved.offsets.get(), bad);
    }
  });
  return bad.result();
}

inline IndexResult resolve_indices(DType index_dtype, const Dims& size, int count,
                                   const IndexedDim* indices, bool wrap_negative,
                                   ResolvedIndex& resolved) {
  return index_dtype == DType::int32
             ? resolve_indices<int32_t>(size, count, indices, wrap_negative, resolved)
             : resolve_indices<int64_t>(size, count, indices, wrap_negative, resolved);
}

}  // namespace taut::kernels
