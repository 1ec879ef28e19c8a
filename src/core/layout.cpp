#include "taut/core/layout.h"

#include <algorithm>

namespace taut {
namespace {

// Dims of size above 1, from the largest stride to the smallest.
int order_by_stride(const Layout& layout, int (&order)[kMaxRank]) {
  int count = 0;
  for (int i = 0; i < layout.rank(); ++i) {
    if (layout.shape[i] != 1) order[count++] = i;
  }
  std::stable_sort(order, order + count,
                   [&](int a, int b) { return layout.strides[a] > layout.strides[b]; });
  return count;
}

// A step past the last index is never taken, and its stride may wrap.
int64_t stride_times(int64_t stride, int64_t step) {
  return static_cast<int64_t>(static_cast<uint64_t>(stride) * static_cast<uint64_t>(step));
}

bool has_strides(const Dims& shape, const Dims& strides, const Dims& expected) {
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] != 1 && strides[i] != expected[i]) return false;
  }
  return true;
}

}  // namespace

Dims contiguous_strides(const Dims& shape) {
  Dims strides;
  strides.set_contiguous(shape);
  return strides;
}

Layout Layout::contiguous(const Dims& shape) { return {shape, contiguous_strides(shape), 0}; }

Layout Layout::channels_last(const Dims& shape) {
  Layout result{shape, shape, 0};
  const int rank = shape.rank();
  result.strides[1] = 1;
  int64_t step = std::max<int64_t>(shape[1], 1);
  for (int i = rank - 1; i >= 2; --i) {
    result.strides[i] = step;
    step *= std::max<int64_t>(shape[i], 1);
  }
  result.strides[0] = step;
  return result;
}

bool Layout::is_contiguous() const {
  int64_t expected = 1;
  bool is_packed = true;
  for (int i = rank() - 1; i >= 0; --i) {
    if (shape[i] == 0) return true;  // nothing lies anywhere, whatever the other strides are
    if (shape[i] == 1 || !is_packed) continue;
    is_packed = strides[i] == expected;
    expected *= shape[i];
  }
  return is_packed;
}

bool Layout::is_channels_last() const {
  if (rank() < 3 || rank() > 5) return false;
  if (numel() == 0) return true;
  return has_strides(shape, strides, channels_last(shape).strides);
}

bool Layout::is_dense() const {
  if (numel() == 0) return true;
  int order[kMaxRank];
  const int count = order_by_stride(*this, order);
  int64_t expected = 1;
  for (int i = count - 1; i >= 0; --i) {
    if (strides[order[i]] != expected) return false;
    expected *= shape[order[i]];
  }
  return true;
}

bool Layout::is_non_overlapping() const {
  if (numel() == 0) return true;
  int order[kMaxRank];
  const int count = order_by_stride(*this, order);
  // Sufficient, as in PyTorch: each stride steps over all that the smaller ones span.
  int64_t span = 1;
  for (int i = count - 1; i >= 0; --i) {
    if (strides[order[i]] < span) return false;
    span = strides[order[i]] * (shape[order[i]] - 1) + span;
  }
  return true;
}

int64_t Layout::extent_begin() const {
  int64_t begin = offset;
  for (int i = 0; i < rank(); ++i) {
    if (shape[i] == 0) return offset;
    if (strides[i] < 0) begin += strides[i] * (shape[i] - 1);
  }
  return begin;
}

int64_t Layout::extent_end() const {
  int64_t end = offset + 1;
  for (int i = 0; i < rank(); ++i) {
    if (shape[i] == 0) return offset;
    if (strides[i] > 0) end += strides[i] * (shape[i] - 1);
  }
  return end;
}

Layout Layout::broadcast_to(const char* op, const Dims& target) const {
  const int added = target.rank() - rank();
  TAUT_CHECK(added >= 0, ShapeError, op, ": cannot broadcast ", shape, " to ", target,
             "; the target has fewer dims");
  Layout result{target, Dims::filled(target.rank(), 0), offset};
  for (int i = 0; i < rank(); ++i) {
    const int64_t size = shape[i];
    TAUT_CHECK(size == target[i + added] || size == 1, ShapeError, op, ": cannot broadcast ", shape,
               " to ", target, "; dim ", i, " has size ", size, ", expected 1 or ",
               target[i + added]);
    if (size == target[i + added]) result.strides[i + added] = strides[i];
  }
  return result;
}

Layout Layout::permute(const Dims& order) const {
  Layout result{shape, strides, offset};
  for (int i = 0; i < order.rank(); ++i) {
    result.shape[i] = shape[static_cast<int>(order[i])];
    result.strides[i] = strides[static_cast<int>(order[i])];
  }
  return result;
}

Layout Layout::transpose(int dim0, int dim1) const {
  Layout result = *this;
  if (rank() == 0) return result;
  std::swap(result.shape[dim0], result.shape[dim1]);
  std::swap(result.strides[dim0], result.strides[dim1]);
  return result;
}

Layout Layout::slice(int dim, int64_t start, int64_t end, int64_t step) const {
  Layout result = *this;
  result.shape[dim] = end > start ? (end - start - 1) / step + 1 : 0;
  if (result.shape[dim] > 0) result.offset += start * strides[dim];
  result.strides[dim] = stride_times(strides[dim], step);
  return result;
}

Layout Layout::select(int dim, int64_t position) const {
  Layout result = *this;
  result.offset += position * strides[dim];
  result.shape.erase(dim);
  result.strides.erase(dim);
  return result;
}

Layout Layout::unsqueeze(int dim) const {
  Layout result = *this;
  const int64_t stride = dim < rank() ? shape[dim] * strides[dim] : 1;
  result.shape.insert(dim, 1);
  result.strides.insert(dim, stride);
  return result;
}

Layout Layout::squeeze(int dim) const {
  Layout result = *this;
  result.shape.erase(dim);
  result.strides.erase(dim);
  return result;
}

Layout Layout::diagonal(int dim0, int dim1, int64_t shift) const {
  const int64_t rows = shape[dim0];
  const int64_t cols = shape[dim1];
  const int64_t length = std::max<int64_t>(
      0, shift >= 0 ? std::min(rows, cols - shift) : std::min(rows + shift, cols));
  Layout result = *this;
  if (length > 0) {
    result.offset += shift >= 0 ? shift * strides[dim1] : -shift * strides[dim0];
  }
  const int64_t stride = strides[dim0] + strides[dim1];
  result.shape.erase(std::max(dim0, dim1));
  result.shape.erase(std::min(dim0, dim1));
  result.strides.erase(std::max(dim0, dim1));
  result.strides.erase(std::min(dim0, dim1));
  result.shape.push_back(length);
  result.strides.push_back(stride);
  return result;
}

Layout Layout::unfold(int dim, int64_t size, int64_t step) const {
  Layout result = *this;
  if (rank() == 0) {
    result.shape.push_back(size);
    result.strides.push_back(1);
    return result;
  }
  const int64_t stride = strides[dim];
  result.shape[dim] = (shape[dim] - size) / step + 1;
  result.strides[dim] = stride_times(stride, step);
  result.shape.push_back(size);
  result.strides.push_back(stride);
  return result;
}

// Old dims that follow each other without a gap form a chunk; each chunk must split exactly into a
// run of new dims.
std::optional<Layout> Layout::view(const Dims& target) const {
  Layout result{target, contiguous_strides(target), offset};
  if (is_contiguous()) return result;
  if (rank() == 0) {
    return result;
  }
  int next = target.rank() - 1;
  int64_t chunk_numel = 1;
  int64_t chunk_stride = strides.back();
  for (int i = rank() - 1; i >= 0; --i) {
    chunk_numel *= shape[i];
    const bool chunk_ends =
        i == 0 || (shape[i - 1] != 1 && strides[i - 1] != chunk_numel * chunk_stride);
    if (!chunk_ends) continue;
    int64_t filled = 1;
    while (next >= 0 && (filled < chunk_numel || target[next] == 1)) {
      result.strides[next] = filled * chunk_stride;
      filled *= target[next];
      --next;
    }
    if (filled != chunk_numel) return std::nullopt;
    if (i > 0) {
      chunk_numel = 1;
      chunk_stride = strides[i - 1];
    }
  }
  if (next != -1) return std::nullopt;
  return result;
}

Dims broadcast_shapes(const char* op, const Dims& a, const Dims& b) {
  const Dims& longer = a.rank() >= b.rank() ? a : b;
  const Dims& shorter = a.rank() >= b.rank() ? b : a;
  Dims result = longer;
  const int added = longer.rank() - shorter.rank();
  for (int i = 0; i < shorter.rank(); ++i) {
    const int64_t x = longer[i + added];
    const int64_t y = shorter[i];
    TAUT_CHECK(x == y || x == 1 || y == 1, ShapeError, op, ": shapes do not broadcast; got ", a,
               " and ", b, "; sizes ", x, " and ", y, " meet in dim ", i + added);
    result[i + added] = x == 1 ? y : x;
  }
  return result;
}

int64_t checked_numel(const char* op, const Dims& shape) {
  int64_t product = 1;
  for (int64_t size : shape) {
    TAUT_CHECK(size >= 0, ValueError, op, ": sizes cannot be negative; got ", shape);
    TAUT_CHECK(!__builtin_mul_overflow(product, size, &product), ShapeError, op,
               ": the number of elements overflows; got ", shape);
  }
  return product;
}

Dims infer_size(const char* op, const Dims& target, int64_t numel) {
  Dims result = target;
  int unknown = -1;
  int64_t known = 1;
  for (int i = 0; i < target.rank(); ++i) {
    if (target[i] == -1) {
      TAUT_CHECK(unknown < 0, ShapeError, op, ": only one size can be inferred; got ", target);
      unknown = i;
    } else {
      TAUT_CHECK(target[i] >= 0, ShapeError, op, ": invalid size ", target[i], " in ", target);
      TAUT_CHECK(!__builtin_mul_overflow(known, target[i], &known), ShapeError, op,
                 ": the number of elements overflows; got ", target);
    }
  }
  if (unknown >= 0) {
    TAUT_CHECK(known != 0, ShapeError, op, ": cannot infer the size of dim ", unknown, " of ",
               target, " from ", numel, " elements, since the others multiply to 0");
    TAUT_CHECK(numel % known == 0, ShapeError, op, ": ", target, " does not hold ", numel,
               " elements");
    result[unknown] = numel / known;
  } else {
    TAUT_CHECK(known == numel, ShapeError, op, ": ", target, " holds ", known, " elements; got ",
               numel);
  }
  return result;
}

}  // namespace taut
