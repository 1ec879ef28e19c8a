// Strided copies, fills and ranges on the CPU.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/api/convert.h"
#include "kernels/api/copy.h"
#include "kernels/api/streaming.h"
#include "kernels/api/strided_loop.h"
#include "kernels/api/visit_dtype.h"
#include "kernels/copy/transpose.h"
#include "taut/base/parallel.h"

namespace taut::kernels {
namespace {

constexpr int64_t kGrain = 32768;  // elements: below this a second thread costs more than it brings
constexpr int64_t kConvertBlock = 1024;  // elements: two buffers of 8 KiB stay in the first cache
constexpr int64_t kStreamedRun = 1024;   // bytes: shorter runs have too many ends of lines
constexpr int64_t kRowBlock = 16384;     // rows of a transposition that are walked down at once

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

// The runs along the last dim one after the other, without a division for each.
class Runs {
 public:
  Runs(const CopyArgs& args, int64_t position)
      : shape_(args.shape),
        cursor_(locate(args, position, 1)),
        outer_(std::max(args.shape.rank() - 1, 0)) {
    for (int i = outer_ - 1; i >= 0; --i) {
      index_[i] = position % shape_[i];
      position /= shape_[i];
      target_steps_[i] =
          args.target_strides[i] * static_cast<int64_t>(item_size(args.target_dtype));
      source_steps_[i] =
          args.source_strides[i] * static_cast<int64_t>(item_size(args.source_dtype));
    }
  }
  Cursor cursor() const { return cursor_; }
  void next() {
    for (int i = outer_ - 1; i >= 0; --i) {
      cursor_.target += target_steps_[i];
      cursor_.source += source_steps_[i];
      if (++index_[i] < shape_[i]) return;
      cursor_.target -= index_[i] * target_steps_[i];
      cursor_.source -= index_[i] * source_steps_[i];
      index_[i] = 0;
    }
  }

 private:
  const Dims& shape_;
  Cursor cursor_;
  int outer_;
  int64_t index_[kMaxRank];
  int64_t target_steps_[kMaxRank];
  int64_t source_steps_[kMaxRank];
};

// A call of memcpy costs more than a short run.
void copy_bytes(char* target, const char* source, int64_t n) {
  constexpr int64_t kPiece = 16;
  if (n < kPiece || n > 16 * kPiece) {
    std::memcpy(target, source, static_cast<size_t>(n));
    return;
  }
  for (int64_t i = 0; i + kPiece <= n; i += kPiece) std::memcpy(target + i, source + i, kPiece);
  std::memcpy(target + n - kPiece, source + n - kPiece, kPiece);
}

// One run of n elements along the last dim.
void copy_run(const CopyArgs& args, Cursor cursor, int64_t target_stride, int64_t source_stride,
              int64_t n, ConvertFn convert) {
  const size_t target_size = item_size(args.target_dtype);
  const size_t source_size = item_size(args.source_dtype);
  if (convert == nullptr) {
    if (target_stride == 1 && source_stride == 1) {
      copy_bytes(cursor.target, cursor.source, n * static_cast<int64_t>(source_size));
    } else if (target_stride == 1) {
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

// The last two dims as a transposition: the target is contiguous along the last, the source along
// the one before.
void copy_transposed(const CopyArgs& args) {
  const int rank = args.shape.rank();
  const int64_t rows = args.shape[rank - 2];
  const int64_t cols = args.shape[rank - 1];
  const int64_t outer = args.shape.numel() / std::max<int64_t>(rows * cols, 1);
  const size_t size = item_size(args.target_dtype);
  const bool streams = is_streamed(args.shape.numel() * static_cast<int64_t>(size));
  // Blocks of whole steps of columns, of about a grain each.
  const int64_t step = transposition_step(size, streams);
  const int64_t row_block = std::min(rows, kRowBlock);
  const int64_t col_block = step * std::max<int64_t>(1, kGrain / (row_block * step));
  const int64_t row_blocks = (rows + row_block - 1) / row_block;
  const int64_t col_blocks = (cols + col_block - 1) / col_block;
  const int64_t blocks = row_blocks * col_blocks;
  const int64_t target_row = args.target_strides[rank - 2];
  const int64_t source_col = args.source_strides[rank - 1];
  const int64_t grain = std::max<int64_t>(1, kGrain / (row_block * std::min(cols, col_block)));
  parallel_for(outer * blocks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const Cursor cursor = locate(args, block / blocks, 2);
      const int64_t row = block % blocks / col_blocks * row_block;
      const int64_t col = block % col_blocks * col_block;
      const int64_t bytes = static_cast<int64_t>(size);
      transpose({.target = cursor.target + (row * target_row + col) * bytes,
                 .source = cursor.source + (row + col * source_col) * bytes,
                 .rows = std::min(row_block, rows - row),
                 .cols = std::min(col_block, cols - col),
                 .target_row = target_row,
                 .source_col = source_col,
                 .size = size,
                 .streams = streams});
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
    copy_transposed(args);
    return;
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
  const bool streams = convert == nullptr && target_stride == 1 && source_stride == 1 &&
                       is_streamed(n * target_step) && inner * target_step >= kStreamedRun;
  parallel_for(n, kGrain, [&](int64_t begin, int64_t end) {
    Runs runs(args, begin / inner);
    int64_t column = begin % inner;
    while (begin < end) {
      const int64_t length = std::min(inner - column, end - begin);
      Cursor cursor = runs.cursor();
      cursor.target += column * target_step;
      cursor.source += column * source_step;
      if (streams) {
        stream_bytes(cursor.target, cursor.source, length * target_step);
      } else {
        copy_run(args, cursor, target_stride, source_stride, length, convert);
      }
      begin += length;
      column = 0;
      runs.next();
    }
    if (streams) finish_streams();
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
