#include "kernels/api/matmul.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "tests/kernels/kernel_test.h"

namespace taut::kernels::testing {
namespace {

// A batch of matrices in a buffer, laid out by a random order of dims, with gaps or broadcast.
struct Operand {
  Buffer buffer;
  int64_t row_stride;
  int64_t col_stride;
  Dims batch_strides;

  double at(int64_t offset, int64_t r, int64_t c) const {
    return buffer.get(offset + r * row_stride + c * col_stride);
  }
};

class MatmulTest : public KernelTest {
 protected:
  Operand make(DType dtype, const Dims& batch, int64_t rows, int64_t cols, bool may_broadcast) {
    Dims batch_strides = Dims::filled(batch.rank(), 0);
    const int layout = static_cast<int>(uniform(0, 3));
    const int64_t gap = uniform(0, 2);
    int64_t row_stride = cols + gap;
    int64_t col_stride = 1;
    int64_t size = rows * (cols + gap);
    if (layout == 1) {
      row_stride = 1;
      col_stride = rows + gap;
      size = cols * (rows + gap);
    } else if (layout == 2) {
      row_stride = 2 * cols + 1;
      col_stride = 2;
      size = rows * row_stride;
    }
    if (size == 0) size = 1;
    for (int i = batch.rank() - 1; i >= 0; --i) {
      if (may_broadcast && coin()) continue;
      batch_strides[i] = size;
      size *= std::max<int64_t>(1, batch[i]);
    }
    Operand operand{Buffer(dtype, size, uniform(0, 3)), row_stride, col_stride, batch_strides};
    for (int64_t i = 0; i < size; ++i) {
      operand.buffer.set(i,
                         is_floating_point(dtype) ? normal() : static_cast<double>(uniform(0, 5)));
    }
    return operand;
  }
};

int64_t offset_of(int64_t item, const Dims& batch, const Dims& strides) {
  int64_t offset = 0;
  for (int d = batch.rank() - 1; d >= 0; --d) {
    offset += item % batch[d] * strides[d];
    item /= batch[d];
  }
  return offset;
}

double activate(double x, Activation activation) {
  switch (activation) {
    case Activation::none: return x;
    case Activation::relu: return x < 0 ? 0 : x;
    case Activation::gelu: return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case Activation::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  }
  return 0;
}

GemmArgs arguments(const Operand& a, const Operand& b, Operand& c) {
  GemmArgs args;
  args.dtype = c.buffer.dtype();
  args.a = {a.buffer.data(), a.row_stride, a.col_stride, a.batch_strides};
  args.b = {b.buffer.data(), b.row_stride, b.col_stride, b.batch_strides};
  args.c = {c.buffer.data(), c.row_stride, c.col_stride, c.batch_strides};
  return args;
}

TEST_F(MatmulTest, AgreesWithTheDefinition) {
  const MatmulKernels kernels = matmul_kernels_cpu();
  for (int round = 0; round < 400; ++round) {
    const DType dtype = kAllDTypes[uniform(0, 8)];
    const int64_t limit = round % 4 == 0 ? 70 : 9;
    Dims batch;
    for (int64_t i = uniform(0, 2); i > 0; --i) batch.push_back(uniform(0, 3));
    const int64_t m = uniform(0, 3) == 0 ? 1 : uniform(0, limit);
    const int64_t n = uniform(0, 3) == 0 ? 1 : uniform(0, limit);
    const int64_t k = round % 50 == 1 ? uniform(500, 2100) : uniform(0, limit);
    const Operand a = make(dtype, batch, m, k, true);
    const Operand b = make(dtype, batch, k, n, true);
    const Operand c0 = make(dtype, batch, m, n, false);
    Buffer bias(dtype, n * 2 + 1);
    for (int64_t j = 0; j < bias.size(); ++j) bias.set(j, static_cast<double>(uniform(0, 3)));

    Operand c = c0;
    GemmArgs args = arguments(a, b, c);
    args.m = m;
    args.n = n;
    args.k = k;
    args.batch = batch;
    args.alpha = coin() ? 1 : 2;
    args.beta = coin() ? 0 : 3;
    if (coin()) {
      args.bias = bias.data();
      args.bias_stride = uniform(1, 2);
    }
    if (is_floating_point(dtype)) args.activation = static_cast<Activation>(uniform(0, 3));
    Operand expected = c0;
    for (int64_t item = 0; item < batch.numel(); ++item) {
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          double sum = 0;
          for (int64_t p = 0; p < k; ++p) {
            sum += a.at(offset_of(item, batch, a.batch_strides), i, p) *
                   b.at(offset_of(item, batch, b.batch_strides), p, j);
          }
          const int64_t at = offset_of(item, batch, c.batch_strides);
          double value = args.alpha * sum;
          if (args.beta != 0) value += args.beta * c0.at(at, i, j);
          if (args.bias != nullptr) value += bias.get(j * args.bias_stride);
          value = activate(value, args.activation);
          expected.buffer.set(at + i * c.row_stride + j * c.col_stride, value);
        }
      }
    }
    for (const int threads : {1, 3}) {
      set_num_threads(threads);
      c = c0;
      args.c.data = c.buffer.data();
      kernels.gemm(args);
      for (int64_t i = 0; i < c.buffer.size(); ++i) {
        const double want = expected.buffer.get(i);
        const double bound =
            tolerance(dtype) * (8 + std::abs(want) + std::sqrt(static_cast<double>(k)) * 4);
        ASSERT_NEAR(c.buffer.get(i), want, bound)
            << "round " << round << " m " << m << " n " << n << " k " << k << " dtype "
            << name(dtype) << " threads " << threads << " at " << i << " a " << a.row_stride << ","
            << a.col_stride << " b " << b.row_stride << "," << b.col_stride << " c " << c.row_stride
            << "," << c.col_stride << " batch " << batch.rank() << ":" << batch.numel() << " beta "
            << args.beta << " bias " << (args.bias != nullptr) << " act "
            << static_cast<int>(args.activation) << " ab "
            << (batch.rank() ? a.batch_strides[0] : -1);
      }
    }
  }
}

TEST_F(MatmulTest, ThreadsDoNotChangeABit) {
  const MatmulKernels kernels = matmul_kernels_cpu();
  struct Shape {
    int64_t m, n, k;
  };
  const Shape shapes[] = {{200, 150, 90},  {1, 3000, 700},   {3000, 1, 700}, {3, 900, 1000},
                          {12, 20, 40000}, {257, 129, 1100}, {5, 4000, 300}, {90, 2100, 31}};
  for (const Shape& shape : shapes) {
    for (const DType dtype : {kFloat32, kFloat64, kBFloat16}) {
      const Operand a = make(dtype, {}, shape.m, shape.k, false);
      const Operand b = make(dtype, {}, shape.k, shape.n, false);
      Operand c = make(dtype, {}, shape.m, shape.n, false);
      Operand first = c;
      GemmArgs args = arguments(a, b, c);
      args.m = shape.m;
      args.n = shape.n;
      args.k = shape.k;
      set_num_threads(1);
      kernels.gemm(args);
      for (const int threads : {2, 3, 7}) {
        set_num_threads(threads);
        Operand again = first;
        args.c.data = again.buffer.data();
        kernels.gemm(args);
        EXPECT_TRUE(again.buffer.same_bits(c.buffer))
            << shape.m << " " << shape.n << " " << shape.k << " " << name(dtype);
      }
    }
  }
}

// Whatever is copied or turned on the way.
TEST_F(MatmulTest, LayoutDoesNotChangeABit) {
  const MatmulKernels kernels = matmul_kernels_cpu();
  struct Shape {
    int64_t m, n, k;
  };
  const Shape shapes[] = {{64, 256, 784},  {64, 128, 256},  {33, 2100, 600}, {16, 1030, 70},
                          {5, 40, 50},     {40, 64, 513},   {128, 64, 300},  {256, 784, 64},
                          {100, 300, 40},  {64, 65, 1100},  {7, 2049, 31},   {33, 1044, 600},
                          {40, 130, 2300}, {64, 1536, 300}, {32, 768, 1100}, {1024, 70, 40}};
  for (const Shape& shape : shapes) {
    for (const DType dtype : {kFloat32, kFloat64}) {
      // Twice the same numbers, by rows and by columns.
      const auto both = [&](int64_t rows, int64_t cols) {
        Operand by_rows{Buffer(dtype, rows * cols, 0), cols, 1, {}};
        Operand by_columns{Buffer(dtype, rows * cols, 1), 1, rows, {}};
        for (int64_t i = 0; i < rows * cols; ++i) {
          by_rows.buffer.set(i, normal());
          by_columns.buffer.set(i % cols * rows + i / cols, by_rows.buffer.get(i));
        }
        return std::pair(by_rows, by_columns);
      };
      const auto a = both(shape.m, shape.k), b = both(shape.k, shape.n);
      const Operand fresh{Buffer(dtype, shape.m * shape.n, 0), shape.n, 1, {}};
      std::optional<Operand> first;
      for (const auto* left : {&a.first, &a.second}) {
        for (const auto* right : {&b.first, &b.second}) {
          Operand c = fresh;
          GemmArgs args = arguments(*left, *right, c);
          args.m = shape.m;
          args.n = shape.n;
          args.k = shape.k;
          args.alpha = 1.5;
          kernels.gemm(args);
          if (!first) first = c;
          EXPECT_TRUE(first->buffer.same_bits(c.buffer))
              << shape.m << " " << shape.n << " " << shape.k << " " << name(dtype);
        }
      }
    }
  }
}

TEST_F(MatmulTest, NansPassAndUnreadResultsDoNot) {
  const MatmulKernels kernels = matmul_kernels_cpu();
  float a[] = {1, NAN, 2, 3};
  float b[] = {1, 0, 0, 1};
  float c[] = {NAN, NAN, NAN, NAN};
  GemmArgs args;
  args.m = args.n = args.k = 2;
  args.a = {a, 2, 1, {}};
  args.b = {b, 2, 1, {}};
  args.c = {c, 2, 1, {}};
  args.activation = Activation::relu;
  kernels.gemm(args);
  EXPECT_TRUE(std::isnan(c[0]));
  EXPECT_TRUE(std::isnan(c[1]));
  EXPECT_EQ(c[2], 2);
  EXPECT_EQ(c[3], 3);
}

TEST_F(MatmulTest, Dot) {
  const MatmulKernels kernels = matmul_kernels_cpu();
  for (int round = 0; round < 200; ++round) {
    const DType dtype = kAllDTypes[uniform(0, 8)];
    const int64_t n = round % 20 == 0 ? uniform(60000, 200000) : uniform(0, 100);
    const int64_t a_stride = uniform(1, 2);
    const int64_t b_stride = uniform(0, 2);
    Buffer a(dtype, n * 2 + 1, uniform(0, 3));
    Buffer b(dtype, n * 2 + 1, uniform(0, 3));
    for (int64_t i = 0; i < a.size(); ++i) {
      a.set(i, static_cast<double>(uniform(0, 3)) - (dtype == kUInt8 ? 0 : 2));
      b.set(i, static_cast<double>(uniform(0, 3)));
    }
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += a.get(i * a_stride) * b.get(i * b_stride);
    Buffer want(dtype, 1);
    if (is_floating_point(dtype)) {
      want.set(0, sum);
    } else {
      visit_dtype(Integral{}, dtype, "test", [&]<class T>(Tag<T>) {
        *want.as<T>() = static_cast<T>(static_cast<int64_t>(sum));
      });
    }
    Buffer out(dtype, 1);
    DotArgs args{dtype, n, a.data(), a_stride, b.data(), b_stride, out.data()};
    set_num_threads(round % 2 == 0 ? 1 : 3);
    kernels.dot(args);
    if (out.get(0) == want.get(0)) continue;  // among them sums too large for float16
    EXPECT_NEAR(out.get(0), want.get(0),
                tolerance(dtype) * (1 + std::abs(sum) + std::sqrt(static_cast<double>(n))))
        << name(dtype) << " " << n;
  }
}

}  // namespace
}  // namespace taut::kernels::testing
