// Distinct rows: sorted (or taken as they come, when consecutive), then counted run by run.

#include <algorithm>
#include <limits>
#include <memory>
#include <numeric>

#include "kernels/api/visit_dtype.h"
#include "kernels/sort/keyed_row.h"
#include "kernels/sort/sort_kernels.h"

namespace taut::kernels::sort_cpu {
namespace {

template <class T>
bool rows_equal(const T* a, const T* b, int64_t width) {
  for (int64_t j = 0; j < width; ++j) {
    if (is_nan(a[j]) || key_of(a[j]) != key_of(b[j])) return false;
  }
  return true;
}

template <class T>
bool row_less(const T* a, const T* b, int64_t width) {
  for (int64_t j = 0; j < width; ++j) {
    const Key<T> left = key_of(a[j]);
    const Key<T> right = key_of(b[j]);
    if (left != right) return left < right;
  }
  return false;
}

// The positions of the rows in lexicographic order, equal rows in their order.
template <class T>
void sort_positions(const UniqueArgs& args, int64_t* order) {
  const T* input = static_cast<const T*>(args.input);
  if (args.width == 1 && args.n <= std::numeric_limits<uint32_t>::max()) {
    using K = Key<T>;
    const std::unique_ptr<Keyed<K>[]> keys(new Keyed<K>[static_cast<size_t>(args.n)]);
    for (int64_t i = 0; i < args.n; ++i)
      keys[static_cast<size_t>(i)] = {key_of(input[i]), static_cast<uint32_t>(i)};
    RowSorter<K>().sort(keys.get(), args.n);
    for (int64_t i = 0; i < args.n; ++i) order[i] = keys[static_cast<size_t>(i)].position;
    return;
  }
  std::iota(order, order + args.n, int64_t{0});
  std::stable_sort(order, order + args.n, [&](int64_t a, int64_t b) {
    return row_less(input + a * args.width, input + b * args.width, args.width);
  });
}

template <class T>
int64_t count_runs(const UniqueArgs& args, const int64_t* order) {
  const T* input = static_cast<const T*>(args.input);
  int64_t found = 0;
  int64_t previous = -1;
  for (int64_t i = 0; i < args.n; ++i) {
    const int64_t at = order == nullptr ? i : order[i];
    const bool repeats = previous >= 0 && rows_equal(input + previous * args.width,
                                                     input + at * args.width, args.width);
    if (!repeats) {
      args.first[found] = at;
      if (args.counts != nullptr) args.counts[found] = 0;
      ++found;
    }
    if (args.counts != nullptr) ++args.counts[found - 1];
    if (args.inverse != nullptr) args.inverse[at] = found - 1;
    previous = at;
  }
  return found;
}

}  // namespace

int64_t unique(const UniqueArgs& args) {
  int64_t found = 0;
  visit_dtype(All{}, args.dtype, "unique", [&]<class T>(Tag<T>) {
    if (args.consecutive) {
      found = count_runs<T>(args, nullptr);
      return;
    }
    const std::unique_ptr<int64_t[]> order(new int64_t[static_cast<size_t>(args.n)]);
    sort_positions<T>(args, order.get());
    found = count_runs<T>(args, order.get());
  });
  return found;
}

}  // namespace taut::kernels::sort_cpu
