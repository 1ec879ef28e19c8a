// Binary search in ascending boundaries.

#include <mutex>

#include "kernels/api/visit_dtype.h"
#include "kernels/sort/sort_kernels.h"
#include "kernels/sort/sort_key.h"
#include "taut/base/parallel.h"

namespace taut::kernels::sort_cpu {
namespace {

// The number of the n boundaries that are < key (right: <= key).
template <class T>
int64_t count_below(const T* boundaries, const int64_t* sorter, int64_t n, Key<T> key, bool right) {
  int64_t low = 0;
  while (n > 0) {
    const int64_t half = n / 2;
    const int64_t at = low + half;
    const Key<T> middle = key_of(boundaries[sorter == nullptr ? at : sorter[at]]);
    const bool below = right ? middle <= key : middle < key;
    low = below ? at + 1 : low;
    n = below ? n - half - 1 : half;
  }
  return low;
}

IndexResult check_sorter(const SearchSortedArgs& args) {
  if (args.sorter == nullptr) return {};
  const int64_t rows = args.boundaries_row_stride == 0 ? 1 : args.rows;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < args.length; ++i) {
      const int64_t at = args.sorter[row * args.boundaries_row_stride + i];
      if (at < 0 || at >= args.length) return {false, at, args.length, row * args.length + i, 0};
    }
  }
  return {};
}

}  // namespace

IndexResult searchsorted(const SearchSortedArgs& args) {
  const IndexResult result = check_sorter(args);
  if (!result.ok) return result;
  visit_dtype(All{}, args.dtype, "searchsorted", [&]<class T>(Tag<T>) {
    const T* values = static_cast<const T*>(args.values);
    parallel_for(args.rows * args.values_per_row, 2 * 1024, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t start = i / args.values_per_row * args.boundaries_row_stride;
        const int64_t count = count_below(static_cast<const T*>(args.boundaries) + start,
                                          args.sorter == nullptr ? nullptr : args.sorter + start,
                                          args.length, key_of(values[i]), args.right);
        if (args.out_int32) {
          static_cast<int32_t*>(args.output)[i] = static_cast<int32_t>(count);
        } else {
          static_cast<int64_t*>(args.output)[i] = count;
        }
      }
    });
  });
  return {};
}

}  // namespace taut::kernels::sort_cpu
