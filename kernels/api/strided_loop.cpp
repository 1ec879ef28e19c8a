#include "kernels/api/strided_loop.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

namespace taut::kernels {
namespace {

// Whether dim a belongs outside dim b: the first operand that tells them apart decides.
bool steps_more(const StridedLoop& loop, int a, int b) {
  for (int k = 0; k < loop.count; ++k) {
    const int64_t stride_a = std::abs((*loop.strides[k])[a]);
    const int64_t stride_b = std::abs((*loop.strides[k])[b]);
    if (stride_a == 0 || stride_b == 0 || stride_a == stride_b) continue;
    return stride_a > stride_b;
  }
  return false;
}

void reorder(StridedLoop& loop, const int* order, int rank) {
  const Dims shape = loop.shape;
  loop.shape = Dims();
  for (int i = 0; i < rank; ++i) loop.shape.push_back(shape[order[i]]);
  for (int k = 0; k < loop.count; ++k) {
    const Dims strides = *loop.strides[k];
    *loop.strides[k] = Dims();
    for (int i = 0; i < rank; ++i) loop.strides[k]->push_back(strides[order[i]]);
  }
}

bool merges(const StridedLoop& loop, int outer, int inner) {
  for (int k = 0; k < loop.count; ++k) {
    const Dims& strides = *loop.strides[k];
    if (strides[outer] != strides[inner] * loop.shape[inner]) return false;
  }
  return true;
}

void merge_neighbours(StridedLoop& loop) {
  int kept = 0;
  for (int i = 1; i < loop.shape.rank(); ++i) {
    if (merges(loop, kept, i)) {
      loop.shape[kept] *= loop.shape[i];
    } else {
      ++kept;
      loop.shape[kept] = loop.shape[i];
    }
    for (int k = 0; k < loop.count; ++k) (*loop.strides[k])[kept] = (*loop.strides[k])[i];
  }
  while (loop.shape.rank() > kept + 1) {
    loop.shape.erase(kept + 1);
    for (int k = 0; k < loop.count; ++k) loop.strides[k]->erase(kept + 1);
  }
}

}  // namespace

void simplify(StridedLoop& loop) {
  int order[kMaxRank];
  int rank = 0;
  for (int i = 0; i < loop.shape.rank(); ++i) {
    if (loop.shape[i] != 1) order[rank++] = i;
  }
  // An insertion sort: the order between dims need not be transitive, and ties keep their place.
  for (int i = 1; i < rank; ++i) {
    for (int j = i; j > 0 && steps_more(loop, order[j], order[j - 1]); --j) {
      std::swap(order[j], order[j - 1]);
    }
  }
  reorder(loop, order, rank);
  if (rank > 1) merge_neighbours(loop);
}

}  // namespace taut::kernels
