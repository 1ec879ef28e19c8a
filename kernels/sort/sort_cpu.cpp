// Sorting rows and selecting from them. Descending order is the ascending order of complemented
// keys, which keeps equal elements in their order.

#include <limits>

#include "kernels/api/visit_dtype.h"
#include "kernels/sort/keyed_row.h"
#include "kernels/sort/sort_kernels.h"
#include "taut/base/parallel.h"

namespace taut::kernels::sort_cpu {
namespace {

// Elements of rows that a thread should at least have; sorting costs about ten times a copy.
constexpr int64_t kSortGrain = 4 * 1024;

// Positions in a row are 32 bits.
constexpr int64_t kLongestRow = std::numeric_limits<uint32_t>::max();

template <class T>
struct RowScratch {
  using K = Key<T>;
  explicit RowScratch(int64_t n)
      : row(new Keyed<K>[static_cast<size_t>(n)]), values(new T[static_cast<size_t>(n)]) {}

  // Takes a row in: keys, ascending in the order wanted, and a copy of the values.
  void load(const T* input, int64_t step, int64_t n, bool descending) {
    const K flip = descending ? static_cast<K>(~K(0)) : K(0);
    for (int64_t i = 0; i < n; ++i) {
      const T value = input[i * step];
      values[static_cast<size_t>(i)] = value;
      row[static_cast<size_t>(i)] = {static_cast<K>(key_of(value) ^ flip),
                                     static_cast<uint32_t>(i)};
    }
  }

  std::unique_ptr<Keyed<K>[]> row;
  std::unique_ptr<T[]> values;
  RowSorter<K> sorter;
};

// Where the results of a row go.
template <class T>
struct RowResult {
  T* values;
  int64_t values_step;
  int64_t* indices;
  int64_t indices_step;

  void write(const RowScratch<T>& scratch, int64_t n) const {
    for (int64_t i = 0; i < n; ++i) {
      const uint32_t position = scratch.row[static_cast<size_t>(i)].position;
      if (values != nullptr) values[i * values_step] = scratch.values[position];
      if (indices != nullptr) indices[i * indices_step] = position;
    }
  }
};

template <class T, class Args>
RowResult<T> result_of(const Args& args, const RowOffsets& rows, int64_t row) {
  RowResult<T> result{};
  if (args.values != nullptr) {
    result.values = static_cast<T*>(args.values) + rows.offset(row, args.values_strides);
    result.values_step = rows.step(args.values_strides);
  }
  if (args.indices != nullptr) {
    result.indices = args.indices + rows.offset(row, args.indices_strides);
    result.indices_step = rows.step(args.indices_strides);
  }
  return result;
}

// Calls body(scratch, row, input of the row) for every row.
template <class T, class Args, class Body>
void for_rows(const Args& args, const RowOffsets& rows, const Body& body) {
  const int64_t n = rows.length();
  TAUT_CHECK(n <= kLongestRow, NotImplementedError, "sort: not implemented for rows of more than ",
             kLongestRow, " elements; got ", n);
  const int64_t grain = std::max<int64_t>(1, kSortGrain / std::max<int64_t>(1, n));
  parallel_for(rows.count(), grain, [&](int64_t begin, int64_t end) {
    RowScratch<T> scratch(n);
    for (int64_t row = begin; row < end; ++row) {
      body(scratch, row, static_cast<const T*>(args.input) + rows.offset(row, args.input_strides));
    }
  });
}

// Brings the k first of a row to its front, in order iff `sorted`. With few of many a heap of the k
// best so far is almost never touched.
template <class K>
void select_first(Keyed<K>* row, int64_t n, int64_t k, bool sorted) {
  if (k == 0) return;
  if (k * 8 < n && k <= 1024) {
    std::make_heap(row, row + k);
    for (int64_t i = k; i < n; ++i) {
      if (row[i].key >= row[0].key) continue;
      std::pop_heap(row, row + k);
      row[k - 1] = row[i];
      std::push_heap(row, row + k);
    }
  } else if (k < n) {
    std::nth_element(row, row + k - 1, row + n);
  }
  if (sorted) std::sort(row, row + k);
}

template <class T>
int64_t count_nans(const RowScratch<T>& scratch, int64_t n) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; ++i) count += is_nan(scratch.values[static_cast<size_t>(i)]);
  return count;
}

// The rank, from 0, of the element that a kth_value or median is.
template <class T>
int64_t rank_of(const PickArgs& args, const RowScratch<T>& scratch, int64_t n) {
  if (args.mode == PickMode::kth_value) return args.k - 1;
  const int64_t numbers = n - count_nans(scratch, n);
  if (args.mode == PickMode::median && numbers < n) return numbers;
  return std::max<int64_t>(0, numbers - 1) / 2;
}

// Positions of the most frequent key: the last of the longest run, the first run of equal length.
template <class K>
int64_t mode_position(const Keyed<K>* row, int64_t n) {
  int64_t best = 0;
  int64_t longest = 0;
  int64_t start = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (row[i].key != row[start].key) start = i;
    if (i - start + 1 > longest) {
      longest = i - start + 1;
      best = i;
    }
  }
  return best;
}

}  // namespace

void sort(const SortArgs& args) {
  const RowOffsets rows(args.size, args.dim);
  visit_dtype(All{}, args.dtype, "sort", [&]<class T>(Tag<T>) {
    for_rows<T>(args, rows, [&](RowScratch<T>& scratch, int64_t row, const T* input) {
      const int64_t n = rows.length();
      scratch.load(input, rows.step(args.input_strides), n, args.descending);
      scratch.sorter.sort(scratch.row.get(), n);
      result_of<T>(args, rows, row).write(scratch, n);
    });
  });
}

void topk(const TopKArgs& args) {
  const RowOffsets rows(args.size, args.dim);
  visit_dtype(All{}, args.dtype, "topk", [&]<class T>(Tag<T>) {
    for_rows<T>(args, rows, [&](RowScratch<T>& scratch, int64_t row, const T* input) {
      const int64_t n = rows.length();
      scratch.load(input, rows.step(args.input_strides), n, args.largest);
      select_first(scratch.row.get(), n, args.k, args.sorted);
      result_of<T>(args, rows, row).write(scratch, args.k);
    });
  });
}

void pick(const PickArgs& args) {
  const RowOffsets rows(args.size, args.dim);
  if (rows.length() == 0) return;
  visit_dtype(All{}, args.dtype, "kthvalue", [&]<class T>(Tag<T>) {
    for_rows<T>(args, rows, [&](RowScratch<T>& scratch, int64_t row, const T* input) {
      const int64_t n = rows.length();
      auto* keys = scratch.row.get();
      scratch.load(input, rows.step(args.input_strides), n, false);
      int64_t at = 0;
      if (args.mode == PickMode::mode) {
        scratch.sorter.sort(keys, n);
        at = mode_position(keys, n);
      } else {
        at = rank_of(args, scratch, n);
        std::nth_element(keys, keys + at, keys + n);
      }
      std::swap(keys[0], keys[at]);
      result_of<T>(args, rows, row).write(scratch, 1);
    });
  });
}

}  // namespace taut::kernels::sort_cpu
