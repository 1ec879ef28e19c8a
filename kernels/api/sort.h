#pragma once
// Sorting, selection and counting. The order is that of numbers, NaN above all and equal to itself,
// -0 equal to 0, false below true; sorts are stable in both directions.

#include <cstdint>

#include "kernels/api/index_result.h"
#include "taut/base/macros.h"
#include "taut/core/dims.h"
#include "taut/core/dtype.h"

namespace taut::kernels {

/// Sorts along `dim` of a tensor of shape `size`, any strides. values (of `dtype`) and indices
/// (int64, where along dim each value stood) are of the same shape; either may be null. values may
/// be the input itself. All dtypes, here and below unless said otherwise.
struct SortArgs {
  DType dtype = DType::float32;
  Dims size;
  int dim = 0;
  bool descending = false;
  const void* input = nullptr;
  Dims input_strides;
  void* values = nullptr;
  Dims values_strides;
  int64_t* indices = nullptr;
  Dims indices_strides;
};

/// The k largest (or smallest) along `dim`, 0 <= k <= size[dim]; in order iff `sorted`. Of equals
/// the first are taken, and come in the order in which they stood. values and indices have size k
/// along dim; neither is null.
struct TopKArgs {
  DType dtype = DType::float32;
  Dims size;  // of the input
  int dim = 0;
  int64_t k = 0;
  bool largest = true;
  bool sorted = true;
  const void* input = nullptr;
  Dims input_strides;
  void* values = nullptr;
  Dims values_strides;
  int64_t* indices = nullptr;
  Dims indices_strides;
};

enum class PickMode : uint8_t {
  kth_value,   // the k-th smallest, k from 1; of equals the first in their order
  median,      // the lower median; NaN when there is one, then the first NaN
  nan_median,  // the lower median of what is not NaN; the first NaN when nothing else is there
  mode,        // the most frequent, the smallest of those; its last position
};

/// One element of each row along `dim`, which has at least one. values and indices have size 1
/// along dim (their strides there are not read); neither is null.
struct PickArgs {
  DType dtype = DType::float32;
  PickMode mode = PickMode::kth_value;
  int64_t k = 1;
  Dims size;  // of the input
  int dim = 0;
  const void* input = nullptr;
  Dims input_strides;
  void* values = nullptr;
  Dims values_strides;
  int64_t* indices = nullptr;
  Dims indices_strides;
};

/// For each value v of row r the number of elements of row r of `boundaries`, which ascends, that
/// are < v (right: <= v). values: (rows, values_per_row) contiguous; boundaries: rows of `length`,
/// row_stride apart (0: one row for all), of the same dtype. sorter (int64, laid out like
/// boundaries; may be null) names the ascending order of boundaries; it is bounds-checked.
/// output: (rows, values_per_row), int64, or int32 iff out_int32.
struct SearchSortedArgs {
  const char* op = "";  // for reports of faults, as in IndexGetArgs
  DType dtype = DType::float32;
  int64_t rows = 0;
  int64_t values_per_row = 0;
  int64_t length = 0;
  int64_t boundaries_row_stride = 0;
  bool right = false;
  bool out_int32 = false;
  const void* boundaries = nullptr;
  const int64_t* sorter = nullptr;
  const void* values = nullptr;
  void* output = nullptr;
};

/// Finds the distinct rows of a contiguous (n, width) tensor; width is 1 for flat unique. Returns
/// their number u. first[i], i < u: the first position of the i-th distinct row, in lexicographic
/// order (consecutive: of the i-th run of equal rows, in order); counts[i]: how often it occurs;
/// inverse[j], j < n: which distinct row stands at j. All are int64 with room for n; each but first
/// may be null. A NaN equals nothing, not even itself.
struct UniqueArgs {
  DType dtype = DType::float32;
  int64_t n = 0;
  int64_t width = 1;
  bool consecutive = false;
  const void* input = nullptr;
  int64_t* first = nullptr;
  int64_t* inverse = nullptr;
  int64_t* counts = nullptr;
};

/// output[v] = the number of i with input[i] == v, or the sum of their weights, in order.
/// input: contiguous, n elements of an integral dtype, all in [0, bins) or the result says which is
/// not. weights: float32 or float64 (weights_dtype), or null. output: bins elements, of
/// weights_dtype, or int64 without weights.
struct BincountArgs {
  const char* op = "";  // for reports of faults, as in IndexGetArgs
  DType dtype = DType::int64;
  DType weights_dtype = DType::float32;
  int64_t n = 0;
  int64_t bins = 0;
  const void* input = nullptr;
  const void* weights = nullptr;
  void* output = nullptr;
};

/// output[b] = the number (or the summed weight) of the inputs in bin b: [edges[b], edges[b+1]),
/// the last bin closed above. Without edges the bins are equal parts of [low, high]. Inputs outside
/// of the bins and NaN count nowhere. edges: bins + 1 of `dtype`, ascending, or null; weights, of
/// `dtype`, or null; output: bins, of `dtype`. dtype: Arithmetic with neither edges nor weights,
/// else float32, float64.
struct HistogramArgs {
  DType dtype = DType::float32;
  int64_t n = 0;
  int64_t bins = 0;
  double low = 0.0;
  double high = 0.0;  // > low
  const void* input = nullptr;
  const void* edges = nullptr;
  const void* weights = nullptr;
  void* output = nullptr;
};

struct SortKernels {
  void (*sort)(const SortArgs& args) = nullptr;
  void (*topk)(const TopKArgs& args) = nullptr;
  void (*pick)(const PickArgs& args) = nullptr;
  IndexResult (*searchsorted)(const SearchSortedArgs& args) = nullptr;
  int64_t (*unique)(const UniqueArgs& args) = nullptr;
  IndexResult (*bincount)(const BincountArgs& args) = nullptr;
  void (*histogram)(const HistogramArgs& args) = nullptr;
};

TAUT_API SortKernels sort_kernels_cpu();
SortKernels sort_kernels_cuda();

}  // namespace taut::kernels
