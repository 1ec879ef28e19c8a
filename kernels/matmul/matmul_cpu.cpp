// Matrix products on the CPU: cuts the batch and the matrices into pieces for the threads and picks
// a method for each shape. What decides between methods is the shape alone, never the number of
// threads, so that results repeat; see Note [Products repeat bit for bit].

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "kernels/api/block_gemm.h"
#include "kernels/api/half_rows.h"
#include "kernels/api/matmul.h"
#include "kernels/api/visit_dtype.h"
#include "kernels/matmul/integer_gemm.h"
#include "taut/base/parallel.h"

namespace taut::kernels {
namespace {

// Multiply-adds below which a second thread costs more than it brings (about 10 us on one core).
constexpr int64_t kSerialWork = 512 * 1024;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

template <class T>
struct Matrix {
  T* data;
  int64_t row_stride;
  int64_t col_stride;

  Matrix transposed() const { return {data, col_stride, row_stride}; }
  Matrix block(int64_t row, int64_t col) const {
    return {data + row * row_stride + col * col_stride, row_stride, col_stride};
  }
};

// One product of the batch, and what to do to its result.
template <class T>
struct Problem {
  int64_t m;
  int64_t n;
  int64_t k;
  Matrix<const T> a;
  Matrix<const T> b;
  Matrix<T> c;
  T alpha;
  T beta;
  const T* bias;
  int64_t bias_stride;
  Activation activation;

  bool has_finish() const { return bias != nullptr || activation != Activation::none; }

  // The rows [row, row + rows) and columns [col, col + cols) of the product.
  Problem block(int64_t row, int64_t rows, int64_t col, int64_t cols) const {
    Problem part = *this;
    part.m = rows;
    part.n = cols;
    part.a = a.block(row, 0);
    part.b = b.block(0, col);
    part.c = c.block(row, col);
    if (bias != nullptr) part.bias = bias + col * bias_stride;
    return part;
  }
};

template <class T>
BlockGemm<T> block_of(const Problem<T>& p) {
  BlockGemm<T> block;
  block.m = p.m;
  block.n = p.n;
  block.k = p.k;
  block.a = p.a.data;
  block.a_row_stride = p.a.row_stride;
  block.a_col_stride = p.a.col_stride;
  block.b = p.b.data;
  block.b_row_stride = p.b.row_stride;
  block.b_col_stride = p.b.col_stride;
  block.c = p.c.data;
  block.c_row_stride = p.c.row_stride;
  block.alpha = p.alpha;
  block.beta = p.beta;
  return block;
}

template <class T>
void finish(const Problem<T>& p) {
  if (!p.has_finish()) return;
  GemmFinish<T> finish;
  finish.m = p.m;
  finish.n = p.n;
  finish.c = p.c.data;
  finish.c_row_stride = p.c.row_stride;
  finish.bias = p.bias;
  finish.bias_stride = p.bias_stride;
  finish.activation = p.activation;
  finish_gemm(finish);
}

enum class Method : uint8_t {
  tiles,    // the blocked product
  dots,     // few rows of a with rows of the transposed b: reads b once, in its order
  split_k,  // a small result of a long sum: partial sums of stretches of k, added in order
};

// Rows of a up to which the dot method beats packing b.
constexpr int64_t kDotRows = 4;
// A stretch of k that is worth a partial result.
constexpr int64_t kStretch = 2048;
constexpr int64_t kMostStretches = 32;

template <class T>
Method choose_method(const Problem<T>& p) {
  if (p.m <= kDotRows && p.b.row_stride == 1 && p.a.col_stride == 1 && p.n * p.k > 4096) {
    return Method::dots;
  }
  if (p.k >= 4 * kStretch && p.k >= 8 * std::max(p.m, p.n)) return Method::split_k;
  return Method::tiles;
}

template <class T>
void run_dots(const Problem<T>& p) {
  // As many columns at a time as keep their part of b in the nearer caches for all rows of a.
  const int64_t group = std::max<int64_t>(4, 16 * 1024 / std::max<int64_t>(p.k, 1) / 4 * 4);
  for (int64_t col = 0; col < p.n; col += group) {
    const int64_t cols = std::min(group, p.n - col);
    for (int64_t row = 0; row < p.m; ++row) {
      BlockGemm<T> dots;
      dots.m = cols;
      dots.n = 1;
      dots.k = p.k;
      dots.a = p.b.block(0, col).data;
      dots.a_row_stride = p.b.col_stride;
      dots.a_col_stride = 1;
      dots.b = p.a.block(row, 0).data;
      dots.b_row_stride = 1;
      dots.c = p.c.block(row, col).data;
      dots.c_row_stride = p.c.col_stride;
      dots.alpha = p.alpha;
      dots.beta = p.beta;
      block_gemv(dots);
    }
  }
}

template <class T>
void run_piece(const Problem<T>& p, Method method) {
  if (method == Method::dots) {
    run_dots(p);
  } else {
    block_gemm(block_of(p));
  }
  finish(p);
}

// How many pieces the rows and the columns of a result are cut into.
struct Grid {
  int64_t rows = 1;
  int64_t cols = 1;
};

// At most `pieces` pieces, with the least to read: as square as they come.
Grid choose_grid(int64_t m, int64_t n, int64_t pieces, Method method) {
  if (method == Method::dots) return {1, std::min(pieces, divide_up(n, 16))};
  Grid best;
  double least = INFINITY;
  for (int64_t rows = 1; rows <= pieces; ++rows) {
    const int64_t cols = pieces / rows;
    if (rows > 1 && m / rows < 8) break;
    if (cols > 1 && n / cols < 32) continue;
    const double largest =
        static_cast<double>(divide_up(m, rows)) * static_cast<double>(divide_up(n, cols));
    const double border = static_cast<double>(divide_up(m, rows) + divide_up(n, cols));
    // The border stands for packing and reading, at about a tenth of a multiply-add row each.
    const double cost = largest + 4.0 * border;
    if (cost < least) {
      least = cost;
      best = {rows, cols};
    }
  }
  return best;
}

// A cut of n elements into `parts`, at multiples of `unit`.
int64_t cut(int64_t n, int64_t parts, int64_t part, int64_t unit) {
  const int64_t units = divide_up(n, unit);
  return std::min(n, units * part / parts * unit);
}

template <class T>
int64_t column_unit() {
  const BlockGemmKernels& table = block_gemm_kernels_cpu();
  return sizeof(T) == 4 ? table.column_tile_f32 : table.column_tile_f64;
}

template <class T>
void run_part(const Problem<T>& p, Grid grid, int64_t part, Method method) {
  const int64_t i = part / grid.cols;
  const int64_t j = part % grid.cols;
  const int64_t row = cut(p.m, grid.rows, i, 1);
  const int64_t rows = cut(p.m, grid.rows, i + 1, 1) - row;
  const int64_t unit = method == Method::dots ? 4 : column_unit<T>();
  const int64_t col = cut(p.n, grid.cols, j, unit);
  const int64_t cols = cut(p.n, grid.cols, j + 1, unit) - col;
  if (rows > 0 && cols > 0) run_piece(p.block(row, rows, col, cols), method);
}

// Sums stretches of k, whose number follows from the shape, into buffers of their own.
template <class T>
void run_split_k(const Problem<T>& p) {
  const int64_t stretches = std::min(kMostStretches, p.k / kStretch);
  const int64_t size = p.m * p.n;
  const std::unique_ptr<T[]> partial(new T[static_cast<size_t>(stretches * size)]);
  parallel_for(stretches, 1, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) {
      const int64_t first = p.k * s / stretches;
      Problem<T> part = p;
      part.k = p.k * (s + 1) / stretches - first;
      part.a = p.a.block(0, first);
      part.b = p.b.block(first, 0);
      part.c = {partial.get() + s * size, p.n, 1};
      part.alpha = T(1);
      part.beta = T(0);
      block_gemm(block_of(part));
    }
  });
  parallel_for(p.m, std::max<int64_t>(1, 32 * 1024 / (p.n * stretches)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t row = begin; row < end; ++row) {
                   T* sum = partial.get() + row * p.n;
                   for (int64_t s = 1; s < stretches; ++s) {
                     const T* term = sum + s * size;
                     for (int64_t j = 0; j < p.n; ++j) sum[j] += term[j];
                   }
                   T* c = p.c.data + row * p.c.row_stride;
                   for (int64_t j = 0; j < p.n; ++j) {
                     c[j] = p.beta == T(0) ? p.alpha * sum[j] : p.alpha * sum[j] + p.beta * c[j];
                   }
                 }
                 finish(p.block(begin, end - begin, 0, p.n));
               });
}

// The batch as the loops over it see it: sizes and, for each operand, strides.
struct Batch {
  int rank = 0;
  int64_t count = 1;
  int64_t size[kMaxRank];
  int64_t a[kMaxRank];
  int64_t b[kMaxRank];
  int64_t c[kMaxRank];
};

Batch batch_of(const GemmArgs& args) {
  Batch batch;
  for (int i = 0; i < args.batch.rank(); ++i) {
    batch.count *= args.batch[i];
    if (args.batch[i] == 1) continue;
    batch.size[batch.rank] = args.batch[i];
    batch.a[batch.rank] = args.a.batch_strides[i];
    batch.b[batch.rank] = args.b.batch_strides[i];
    batch.c[batch.rank] = args.c.batch_strides[i];
    ++batch.rank;
  }
  return batch;
}

template <class T>
Problem<T> problem_of(const GemmArgs& args) {
  Problem<T> p;
  p.m = args.m;
  p.n = args.n;
  p.k = args.k;
  p.a = {static_cast<const T*>(args.a.data), args.a.row_stride, args.a.col_stride};
  p.b = {static_cast<const T*>(args.b.data), args.b.row_stride, args.b.col_stride};
  p.c = {static_cast<T*>(args.c.data), args.c.row_stride, args.c.col_stride};
  p.alpha = static_cast<T>(args.alpha);
  p.beta = static_cast<T>(args.beta);
  p.bias = static_cast<const T*>(args.bias);
  p.bias_stride = args.bias_stride;
  p.activation = args.activation;
  return p;
}

// (..., m, k) @ (k, n) is one product when the rows of the batch follow one another in a and in c.
template <class T>
void fold_batch_into_rows(Batch& batch, Problem<T>& p) {
  while (batch.rank > 0) {
    const int last = batch.rank - 1;
    if (batch.b[last] != 0) return;
    if (p.m > 1 &&
        (batch.a[last] != p.m * p.a.row_stride || batch.c[last] != p.m * p.c.row_stride)) {
      return;
    }
    if (p.m == 1) {
      p.a.row_stride = batch.a[last];
      p.c.row_stride = batch.c[last];
    }
    p.m *= batch.size[last];
    batch.count /= batch.size[last];
    --batch.rank;
  }
}

// A single column is a single row of the transposed product, which can read a as it lies; likewise
// a result whose rows are not contiguous but whose columns are.
template <class T>
void turn_if_better(Batch& batch, Problem<T>& p) {
  const bool is_column = p.n == 1 && p.m > 1;
  const bool is_column_major = p.n > 1 && p.c.col_stride != 1 && p.c.row_stride == 1;
  if (!is_column && !(is_column_major && !p.has_finish())) return;
  std::swap(p.m, p.n);
  const Matrix<const T> a = p.a;
  p.a = p.b.transposed();
  p.b = a.transposed();
  std::swap(batch.a, batch.b);
  p.c = p.c.transposed();
  p.bias_stride = 0;
}

template <class T>
Problem<T> item_of(const Batch& batch, const Problem<T>& p, int64_t item) {
  Problem<T> one = p;
  for (int i = batch.rank - 1; i >= 0; --i) {
    const int64_t x = item % batch.size[i];
    item /= batch.size[i];
    one.a.data += x * batch.a[i];
    one.b.data += x * batch.b[i];
    one.c.data += x * batch.c[i];
  }
  return one;
}

template <class T>
void run_batch(const Batch& batch, const Problem<T>& p) {
  const Method method = choose_method(p);
  if (method == Method::split_k) {
    for (int64_t item = 0; item < batch.count; ++item) run_split_k(item_of(batch, p, item));
    return;
  }
  const int64_t work = std::max<int64_t>(1, p.m * p.n * std::max<int64_t>(p.k, 1));
  const int threads = in_parallel_region() ? 1 : get_num_threads();
  if (threads == 1 || batch.count * work < kSerialWork) {
    for (int64_t item = 0; item < batch.count; ++item) run_piece(item_of(batch, p, item), method);
    return;
  }
  const int64_t pieces = batch.count >= 4 * threads ? 1 : divide_up(threads, batch.count);
  const Grid grid =
      choose_grid(p.m, p.n, std::min(pieces, divide_up(work, kSerialWork / 4)), method);
  const int64_t parts = grid.rows * grid.cols;
  const int64_t grain = std::max<int64_t>(1, kSerialWork / 2 * parts / work);
  parallel_for(batch.count * parts, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      run_part(item_of(batch, p, i / parts), grid, i % parts, method);
    }
  });
}

// Copies matrix by matrix when the columns of c are not contiguous, nor its rows.
template <class T>
void run_through_copy(const Batch& batch, const Problem<T>& p) {
  const std::unique_ptr<T[]> copy(new T[static_cast<size_t>(p.m * p.n)]);
  for (int64_t item = 0; item < batch.count; ++item) {
    Problem<T> one = item_of(batch, p, item);
    const Matrix<T> c = one.c;
    one.c = {copy.get(), p.n, 1};
    for (int64_t i = 0; p.beta != T(0) && i < p.m * p.n; ++i) {
      copy[static_cast<size_t>(i)] = *c.block(i / p.n, i % p.n).data;
    }
    run_batch(Batch{}, one);
    for (int64_t i = 0; i < p.m * p.n; ++i) {
      *c.block(i / p.n, i % p.n).data = copy[static_cast<size_t>(i)];
    }
  }
}

template <class T>
void run_floating(const GemmArgs& args) {
  Problem<T> p = problem_of<T>(args);
  Batch batch = batch_of(args);
  if (batch.count == 0 || p.m == 0 || p.n == 0) return;
  if (p.alpha == T(0) || p.k == 0) {
    p.k = 0;
    p.alpha = T(0);
  }
  fold_batch_into_rows(batch, p);
  turn_if_better(batch, p);
  if (p.n == 1) p.c.col_stride = 1;
  if (p.c.col_stride != 1 && (p.has_finish() || choose_method(p) != Method::dots)) {
    run_through_copy(batch, p);
  } else {
    run_batch(batch, p);
  }
}

// The 16-bit floats: operands are widened to float, whole, and the product is rounded once.

struct WideOperand {
  std::unique_ptr<float[]> data;
  MatrixInput view;
};

template <class T>
void widen_line(const T* from, int64_t stride, int64_t n, float* to) {
  if (stride == 1) return widen_row(from, to, n);
  for (int64_t i = 0; i < n; ++i) to[i] = from[i * stride];
}

// A contiguous float copy of an operand, in its own order of rows and columns; broadcast dims stay
// broadcast.
template <class T>
WideOperand widen(const MatrixInput& input, const Dims& batch, int64_t rows, int64_t cols) {
  WideOperand wide;
  const bool by_columns = input.row_stride == 1 && input.col_stride != 1;
  const int64_t lines = by_columns ? cols : rows;
  const int64_t length = by_columns ? rows : cols;
  const int64_t line_stride = by_columns ? input.col_stride : input.row_stride;
  const int64_t step = by_columns ? input.row_stride : input.col_stride;
  int64_t count = 1;
  wide.view.batch_strides = Dims::filled(batch.rank(), 0);
  for (int i = batch.rank() - 1; i >= 0; --i) {
    if (input.batch_strides[i] == 0) continue;
    wide.view.batch_strides[i] = count * lines * length;
    count *= batch[i];
  }
  wide.view.row_stride = by_columns ? 1 : cols;
  wide.view.col_stride = by_columns ? rows : 1;
  wide.data.reset(new float[static_cast<size_t>(std::max<int64_t>(1, count * lines * length))]);
  wide.view.data = wide.data.get();
  const T* from = static_cast<const T*>(input.data);
  parallel_for(count * lines, std::max<int64_t>(1, 32 * 1024 / std::max<int64_t>(1, length)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t i = begin; i < end; ++i) {
                   int64_t item = i / lines;
                   int64_t offset = i % lines * line_stride;
                   for (int d = batch.rank() - 1; d >= 0; --d) {
                     if (input.batch_strides[d] == 0) continue;
                     offset += item % batch[d] * input.batch_strides[d];
                     item /= batch[d];
                   }
                   widen_line(from + offset, step, length, wide.data.get() + i * length);
                 }
               });
  return wide;
}

template <class T>
void run_half(const GemmArgs& args) {
  const int64_t items = args.batch.numel();
  const int64_t size = args.m * args.n;
  if (items == 0 || size == 0) return;
  const WideOperand a = widen<T>(args.a, args.batch, args.m, args.k);
  const WideOperand b = widen<T>(args.b, args.batch, args.k, args.n);
  const std::unique_ptr<float[]> c(new float[static_cast<size_t>(items * size)]);
  const std::unique_ptr<float[]> bias(new float[static_cast<size_t>(args.n)]);
  GemmArgs wide = args;
  wide.dtype = DType::float32;
  wide.a = a.view;
  wide.b = b.view;
  wide.c.data = c.get();
  wide.c.row_stride = args.n;
  wide.c.col_stride = 1;
  int64_t stride = size;
  for (int i = args.batch.rank() - 1; i >= 0; --i) {
    wide.c.batch_strides[i] = stride;
    stride *= args.batch[i];
  }
  if (args.bias != nullptr) {
    widen_line(static_cast<const T*>(args.bias), args.bias_stride, args.n, bias.get());
    wide.bias = bias.get();
    wide.bias_stride = 1;
  }
  T* out = static_cast<T*>(args.c.data);
  const auto row_of_c = [&](int64_t i) {
    int64_t item = i / args.m;
    int64_t offset = i % args.m * args.c.row_stride;
    for (int d = args.batch.rank() - 1; d >= 0; --d) {
      offset += item % args.batch[d] * args.c.batch_strides[d];
      item /= args.batch[d];
    }
    return out + offset;
  };
  const int64_t grain = std::max<int64_t>(1, 32 * 1024 / args.n);
  if (args.beta != 0.0) {
    parallel_for(items * args.m, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        widen_line(static_cast<const T*>(row_of_c(i)), args.c.col_stride, args.n,
                   c.get() + i * args.n);
      }
    });
  }
  run_floating<float>(wide);
  parallel_for(items * args.m, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float* from = c.get() + i * args.n;
      T* to = row_of_c(i);
      if (args.c.col_stride == 1) {
        narrow_row(from, to, args.n);
      } else {
        for (int64_t j = 0; j < args.n; ++j) to[j * args.c.col_stride] = T(from[j]);
      }
    }
  });
}

void gemm(const GemmArgs& args) {
  visit_dtype(Arithmetic{}, args.dtype, "matmul", [&]<class T>(Tag<T>) {
    if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>) {
      run_floating<T>(args);
    } else if constexpr (std::is_integral_v<T>) {
      integer_gemm<T>(args);
    } else {
      run_half<T>(args);
    }
  });
}

// Sums of fixed stretches, added in order, so that threads do not change the result.
template <class T>
T dot_contiguous(const T* a, const T* b, int64_t n) {
  constexpr int64_t kDotStretch = 64 * 1024;
  if (n <= kDotStretch) return block_dot(a, b, n);
  const int64_t stretches = divide_up(n, kDotStretch);
  const std::unique_ptr<T[]> partial(new T[static_cast<size_t>(stretches)]);
  parallel_for(stretches, 1, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) {
      const int64_t first = s * kDotStretch;
      partial[static_cast<size_t>(s)] =
          block_dot(a + first, b + first, std::min(kDotStretch, n - first));
    }
  });
  T sum = T(0);
  for (int64_t s = 0; s < stretches; ++s) sum += partial[static_cast<size_t>(s)];
  return sum;
}

template <class C, class T>
std::unique_ptr<C[]> contiguous_copy(const T* from, int64_t stride, int64_t n) {
  std::unique_ptr<C[]> copy(new C[static_cast<size_t>(std::max<int64_t>(n, 1))]);
  for (int64_t i = 0; i < n; ++i) copy[static_cast<size_t>(i)] = static_cast<C>(from[i * stride]);
  return copy;
}

template <class T>
T dot_floating(const T* a, int64_t a_stride, const T* b, int64_t b_stride, int64_t n) {
  using C = compute_t<T>;
  if constexpr (std::is_same_v<C, T>) {
    if (a_stride == 1 && b_stride == 1) return dot_contiguous(a, b, n);
  }
  const std::unique_ptr<C[]> left = contiguous_copy<C>(a, a_stride, n);
  const std::unique_ptr<C[]> right = contiguous_copy<C>(b, b_stride, n);
  return static_cast<T>(dot_contiguous<C>(left.get(), right.get(), n));
}

void dot(const DotArgs& args) {
  visit_dtype(Arithmetic{}, args.dtype, "dot", [&]<class T>(Tag<T>) {
    const T* a = static_cast<const T*>(args.a);
    const T* b = static_cast<const T*>(args.b);
    T* output = static_cast<T*>(args.output);
    if constexpr (std::is_integral_v<T>) {
      uint64_t sum = 0;  // unsigned, so that overflow wraps
      for (int64_t i = 0; i < args.n; ++i) {
        sum += static_cast<uint64_t>(a[i * args.a_stride]) *
               static_cast<uint64_t>(b[i * args.b_stride]);
      }
      *output = static_cast<T>(sum);
    } else {
      *output = dot_floating(a, args.a_stride, b, args.b_stride, args.n);
    }
  });
}

}  // namespace

MatmulKernels matmul_kernels_cpu() {
  MatmulKernels table;
  table.gemm = gemm;
  table.dot = dot;
  return table;
}

}  // namespace taut::kernels
