// Strided copies, fills and ranges on the CPU.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/api/convert.h"
#include "kernels/api/copy.h"
#include "kernels/api/strided_loop.h"
#include "kernels/api/visit_dtype.h"
#include "taut/base/parallel.h"

namespace taut::kernels {
namespace {

constexpr int64_t kGrain = 32768;  // elements: below this a second thread costs more than it brings
constexpr int64_t kConvertBlock = 1024;  // elements: two buffers of 8 KiB stay in the first cache
constexpr int64_t kTile = 32;            // elements a side of a transposed tile

struct Cursor {
  char* target;
  const char* source;
};

// Where the element at linear index `position` over all dims but the last `inner` ones lies.
Cursor locate(const CopyArgs& args, int64_t position, int inner) {
  int64_t target = 0;
  int64_t source = 0;
  for (int i = args.shape.rank() - inner - 1; i >= 0; --i) {
    const int64_t index = position % args.shape[i];
    position /= args.shape[i];
    target += index * args.target_strides[i];
    source += index * args.source_strides[i];
  }
  return {
      static_cast<char*>(args.target) + target * static_cast<int64_t>(item_size(args.target_dtype)),
      static_cast<const char*>(args.source) +
          source * static_cast<int64_t>(item_size(args.source_dtype))};
}

// One run of n elements along the last dim.
void copy_run(const CopyArgs& args, Cursor cursor, int64_t target_stride, int64_t source_stride,
              int64_t n, ConvertFn convert) {
  const size_t target_size = item_size(args.target_dtype);
  const size_t source_size = item_size(args.source_dtype);
  if (convert == nullptr) {
    if (target_stride == 1) {
      gather_row(cursor.target, cursor.source, source_stride, n, source_size);
    } else if (source_stride == 1) {
      scatter_row(cursor.target, target_stride, cursor.source, n, target_size);
    }
    if (target_stride == 1 || source_stride == 1) return;
  }
  if (convert != nullptr && target_stride == 1 && source_stride == 1) {
    convert(cursor.target, cursor.source, n);
    return;
  }
  alignas(64) char gathered[kConvertBlock * 8];
  alignas(64) char converted[kConvertBlock * 8];
  for (int64_t begin = 0; begin < n; begin += kConvertBlock) {
    const int64_t length = std::min(kConvertBlock, n - begin);
    gather_row(gathered, cursor.source + begin * source_stride * static_cast<int64_t>(source_size),
               source_stride, length, source_size);
    char* ready = gathered;
    if (convert != nullptr) {
      convert(converted, gathered, length);
      ready = converted;
    }
    scatter_row(cursor.target + begin * target_stride * static_cast<int64_t>(target_size),
                target_stride, ready, length, target_size);
  }
}

template <class T>
void transpose_tile(T* target, const T* source, int64_t rows, int64_t cols, int64_t target_row,
                    int64_t source_col) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) target[r * target_row + c] = source[r + c * source_col];
  }
}

// The last two dims as a transposition: the target is contiguous along the last, the source along
// the one before. Tiles keep both within the first cache.
template <class T>
void copy_transposed(const CopyArgs& args) {
  const int rank = args.shape.rank();
  const int64_t rows = args.shape[rank - 2];
  const int64_t cols = args.shape[rank - 1];
  const int64_t target_row = args.target_strides[rank - 2];
  const int64_t source_col = args.source_strides[rank - 1];
  const int64_t outer = args.shape.numel() / std::max<int64_t>(rows * cols, 1);
  const int64_t row_tiles = (rows + kTile - 1) / kTile;
  const int64_t grain = std::max<int64_t>(1, kGrain / (kTile * cols));
  parallel_for(outer * row_tiles, grain, [&](int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; ++tile) {
      const Cursor cursor = locate(args, tile / row_tiles, 2);
      const int64_t row = tile % row_tiles * kTile;
      T* target = reinterpret_cast<T*>(cursor.target) + row * target_row;
      const T* source = reinterpret_cast<const T*>(cursor.source) + row;
      for (int64_t col = 0; col < cols; col += kTile) {
        transpose_tile(target + col, source + col * source_col, std::min(kTile, rows - row),
                       std::min(kTile, cols - col), target_row, source_col);
      }
    }
  });
}

bool is_transposition(const CopyArgs& args) {
  const int rank = args.shape.rank();
  return rank >= 2 && args.target_dtype == args.source_dtype &&
         args.target_strides[rank - 1] == 1 && args.source_strides[rank - 1] != 1 &&
         args.source_strides[rank - 2] == 1;
}

// Brings the source's contiguous dim next to the last, where copy_transposed expects it.
void bring_source_run_inside(CopyArgs& args) {
  const int rank = args.shape.rank();
  if (rank < 3 || args.target_dtype != args.source_dtype) return;
  if (args.target_strides[rank - 1] != 1 || args.source_strides[rank - 1] == 1) return;
  for (int i = 0; i < rank - 2; ++i) {
    if (args.source_strides[i] != 1) continue;
    std::swap(args.shape[i], args.shape[rank - 2]);
    std::swap(args.target_strides[i], args.target_strides[rank - 2]);
    std::swap(args.source_strides[i], args.source_strides[rank - 2]);
    return;
  }
}

void copy(const CopyArgs& given) {
  CopyArgs args = given;
  const int64_t n = args.shape.numel();
  if (n == 0) return;
  StridedLoop loop{args.shape, {&args.target_strides, &args.source_strides}, 2};
  simplify(loop);
  args.shape = loop.shape;
  bring_source_run_inside(args);
  if (is_transposition(args)) {
    switch (item_size(args.target_dtype)) {
      case 1: copy_transposed<uint8_t>(args); return;
      case 2: copy_transposed<uint16_t>(args); return;
      case 4: copy_transposed<uint32_t>(args); return;
      default: copy_transposed<uint64_t>(args); return;
    }
  }
  const ConvertFn convert = args.target_dtype == args.source_dtype
                                ? nullptr
                                : convert_row(args.source_dtype, args.target_dtype);
  const int rank = args.shape.rank();
  const int64_t inner = rank == 0 ? 1 : args.shape.back();
  const int64_t target_stride = rank == 0 ? 1 : args.target_strides.back();
  const int64_t source_stride = rank == 0 ? 1 : args.source_strides.back();
  const int64_t target_step = target_stride * static_cast<int64_t>(item_size(args.target_dtype));
  const int64_t source_step = source_stride * static_cast<int64_t>(item_size(args.source_dtype));
  parallel_for(n, kGrain, [&](int64_t begin, int64_t end) {
    while (begin < end) {
      const int64_t column = begin % inner;
      const int64_t length = std::min(inner - column, end - begin);
      Cursor cursor = locate(args, begin / inner, rank == 0 ? 0 : 1);
      cursor.target += column * target_step;
      cursor.source += column * source_step;
      copy_run(args, cursor, target_stride, source_stride, length, convert);
      begin += length;
    }
  });
}

template <class T>
T element_of(const Scalar& value) {
  if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>) {
    return T(static_cast<float>(value.to_double()));
  } else if constexpr (std::is_same_v<T, bool>) {
    return value.to_bool();
  } else if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(value.to_int64());
  } else {
    return static_cast<T>(value.to_double());
  }
}

template <class T>
void fill_strided(const FillArgs& args, T value) {
  Dims strides = args.strides;
  StridedLoop loop{args.shape, {&strides}, 1};
  simplify(loop);
  const int64_t n = loop.shape.numel();
  const int rank = loop.shape.rank();
  const int64_t inner = rank == 0 ? 1 : loop.shape.back();
  const int64_t step = rank == 0 ? 1 : strides.back();
  T* target = static_cast<T*>(args.target);
  parallel_for(n, kGrain, [&](int64_t begin, int64_t end) {
    while (begin < end) {
      const int64_t column = begin % inner;
      const int64_t length = std::min(inner - column, end - begin);
      int64_t position = begin / inner;
      int64_t offset = column * step;
      for (int i = rank - 2; i >= 0; --i) {
        offset += position % loop.shape[i] * strides[i];
        position /= loop.shape[i];
      }
      if (step == 1) {
        std::fill_n(target + offset, length, value);
      } else {
        for (int64_t i = 0; i < length; ++i) target[offset + i * step] = value;
      }
      begin += length;
    }
  });
}

void fill(const FillArgs& args) {
  visit_dtype(All{}, args.dtype, "fill",
              [&]<class T>(Tag<T>) { fill_strided<T>(args, element_of<T>(args.value)); });
}

void arange(const ArangeArgs& args) {
  visit_dtype(Arithmetic{}, args.dtype, "arange", [&]<class T>(Tag<T>) {
    T* target = static_cast<T*>(args.target);
    parallel_for(args.n, kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        if constexpr (std::is_integral_v<T>) {
          target[i] = static_cast<T>(args.start.to_int64() + i * args.step.to_int64());
        } else {
          target[i] = static_cast<T>(static_cast<compute_t<T>>(
              args.start.to_double() + static_cast<double>(i) * args.step.to_double()));
        }
      }
    });
  });
}

}  // namespace

CopyKernels copy_kernels_cpu() { return {.copy = copy, .fill = fill, .arange = arange}; }

}  // namespace taut::kernels
