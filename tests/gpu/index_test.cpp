// Indexed reads and writes and masks on CUDA against the CPU: duplicates, runs longer than a chunk,
// layouts with and without lanes, indices out of range.

#include <initializer_list>
#include <string_view>

#include "tests/gpu/agreement.h"

namespace taut::testing {
namespace {

class CudaIndex : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cuda::is_available()) GTEST_SKIP() << "no GPU";
    manual_seed(17);
  }
};

Tensor numbers(const Dims& shape, DType dtype) {
  return randint(dtype == kUInt8 || dtype == kBool ? 0 : -3, 4, shape).to(dtype);
}

TEST_F(CudaIndex, ReadsEveryDtypeAndWidth) {
  for (const DType dtype : dtypes_to_test()) {
    for (const int64_t width : {1, 3, 4, 8, 17, 64}) {
      const Tensor x = numbers({50, width}, dtype);
      const Tensor at = randint(50, {211});
      const std::string what = taut::concat(dtype, " width ", width);
      expect_equal(index_select(x.cuda(), 0, at.cuda()), index_select(x, 0, at), what);
      const Tensor columns = randint(width, {9});
      expect_equal(index_select(x.cuda(), 1, columns.cuda()), index_select(x, 1, columns), what);
      const Tensor each = randint(50, {30, width});
      expect_equal(gather(x.cuda(), 0, each.cuda()), gather(x, 0, each), what);
    }
  }
}

TEST_F(CudaIndex, ReadsWithSeveralIndicesAndAnyStrides) {
  const Tensor x = randn({6, 7, 8, 9});
  const Tensor gpu = x.cuda();
  const Tensor first = randint(-6, 6, {4, 1}), second = randint(-8, 8, {5});
  const auto both = [&](const Tensor& t, const Tensor& a, const Tensor& b) {
    return index(t, std::vector<TensorIndex>{a, indexing::Slice(), b});
  };
  expect_equal(both(gpu, first.cuda(), second.cuda()), both(x, first, second), "two indices");
  const Tensor view = x.permute({2, 1, 0, 3}), gpu_view = gpu.permute({2, 1, 0, 3});
  expect_equal(both(gpu_view, second.cuda(), first.cuda()), both(view, second, first), "permuted");
  const Tensor odd = x.slice(3, 1, 9), gpu_odd = gpu.slice(3, 1, 9);
  const Tensor at = randint(7, {20});
  expect_equal(index_select(gpu_odd, 1, at.cuda()), index_select(odd, 1, at), "off by one");
  expect_equal(take(gpu, at.cuda()), take(x, at), "take");
}

struct PutCase {
  const char* name;
  Dims shape;
  int64_t dim;
  int64_t count;     // entries of the index
  int64_t distinct;  // values that they take
};

const PutCase kPutCases[] = {
    {"scalars, few duplicates", {1000}, 0, 500, 1000},
    {"scalars, one target", {40}, 0, 5000, 1},
    {"scalars, long runs", {40}, 0, 3001, 7},
    {"rows in packs", {64, 32}, 0, 700, 64},
    {"rows in packs, long runs", {16, 64}, 0, 1000, 3},
    {"odd rows", {33, 13}, 0, 300, 20},
    {"columns", {20, 30}, 1, 400, 30},
    {"the middle", {5, 40, 12}, 1, 333, 9},
    {"nothing", {5, 4}, 0, 0, 5},
};

TEST_F(CudaIndex, AddsRowsInEveryDtype) {
  for (const PutCase& row : kPutCases) {
    for (const DType dtype : dtypes_to_test()) {
      const Tensor self = numbers(row.shape, dtype);
      Dims source_shape = row.shape;
      source_shape[static_cast<int>(row.dim)] = row.count;
      const Tensor source = numbers(source_shape, dtype);
      const Tensor at = randint(row.distinct, {row.count});
      // Halves hold whole numbers up to 256 exactly; rounding at each step makes the CPU differ.
      const bool is_half = is_reduced_floating_point(dtype);
      const Tensor exact =
          is_half ? index_add(self.to(kFloat32), row.dim, at, source.to(kFloat32)).to(dtype)
                  : index_add(self, row.dim, at, source);
      expect_close(index_add(self.cuda(), row.dim, at.cuda(), source.cuda()), exact,
                   is_half ? tolerance_of(dtype) : 0.0, taut::concat(row.name, " ", dtype));
    }
  }
}

TEST_F(CudaIndex, KeepsTheLastOfWhatGoesToOnePlace) {
  for (const PutCase& row : kPutCases) {
    const Tensor self = randn(row.shape);
    Dims source_shape = row.shape;
    source_shape[static_cast<int>(row.dim)] = row.count;
    const Tensor source = randn(source_shape);
    const Tensor at = randint(row.distinct, {row.count});
    expect_equal(index_copy(self.cuda(), row.dim, at.cuda(), source.cuda()),
                 index_copy(self, row.dim, at, source), row.name);
    if (row.count == 0) continue;
    const Tensor each = randint(row.distinct, source_shape);
    expect_equal(scatter(self.cuda(), row.dim, each.cuda(), source.cuda()),
                 scatter(self, row.dim, each, source), row.name);
  }
}

TEST_F(CudaIndex, ReducesInEveryMode) {
  for (const PutCase& row : kPutCases) {
    if (row.count == 0) continue;
    const std::vector<DType> dtypes =
        first_under_tool<DType>(2, {kFloat16, kInt32, kFloat32, kFloat64, kInt8, kUInt8});
    for (const DType dtype : dtypes) {
      const Tensor self = numbers(row.shape, dtype);
      Dims source_shape = row.shape;
      source_shape[static_cast<int>(row.dim)] = row.count;
      const Tensor source = numbers(source_shape, dtype);
      const Tensor at = randint(row.distinct, source_shape);
      for (const std::string_view mode : {"sum", "prod", "mean", "amax", "amin"}) {
        // The CPU rounds halves, and overflows, at each step.
        const bool rounds = dtype == kFloat16 && mode != "amax" && mode != "amin";
        if (rounds && (mode == "prod" || row.count > 8 * row.distinct)) continue;
        for (const bool include_self : {true, false}) {
          const Tensor on_gpu =
              scatter_reduce(self.cuda(), row.dim, at.cuda(), source.cuda(), mode, include_self);
          expect_close(on_gpu, scatter_reduce(self, row.dim, at, source, mode, include_self),
                       is_floating_point(dtype) ? 2 * tolerance_of(dtype) : 0.0,
                       taut::concat(row.name, " ", dtype, " ", std::string(mode)));
        }
      }
    }
  }
}

TEST_F(CudaIndex, PutsThroughSeveralIndices) {
  const Tensor x = randn({6, 7, 8});
  const Tensor gpu = x.cuda();
  const Tensor first = randint(-6, 6, {40}), second = randint(8, {40});
  const Tensor value = randn({40, 7});
  const auto both = [&](const Tensor& t, const Tensor& a, const Tensor& b, const Tensor& v,
                        bool accumulate) {
    return index_put(t, std::vector<TensorIndex>{a, indexing::Slice(), b}, v, accumulate);
  };
  for (const bool accumulate : {false, true}) {
    expect_close(both(gpu, first.cuda(), second.cuda(), value.cuda(), accumulate),
                 both(x, first, second, value, accumulate), 1e-5, "index_put");
    expect_close(both(gpu.transpose(0, 2), second.cuda(), first.cuda(), value.cuda(), accumulate),
                 both(x.transpose(0, 2), second, first, value, accumulate), 1e-5, "transposed");
    const Tensor one = tensor({2.5}).to(kFloat32);
    expect_close(both(gpu, first.cuda(), second.cuda(), one.cuda(), accumulate),
                 both(x, first, second, one, accumulate), 1e-5, "broadcast");
  }
}

TEST_F(CudaIndex, SumsTheGradientOfAnEmbedding) {
  const struct {
    int64_t rows, width, count;
  } cases[] = {{100, 64, 1000}, {7, 64, 3000}, {50, 13, 400}, {1000, 8, 30}, {3, 1, 2000}};
  for (const DType dtype : floating_dtypes_to_test()) {
    for (const auto& [rows, width, count] : cases) {
      for (const bool by_frequency : {false, true}) {
        const Tensor at = randint(rows, {count});
        const Tensor weight = randn({rows, width}).to(dtype);
        const Tensor grad = randn({count, width}).to(dtype);
        const Tensor on_cpu = weight.clone().requires_grad_();
        const Tensor on_gpu = weight.cuda().requires_grad_();
        nn::functional::embedding(at, on_cpu, 1, by_frequency).backward(grad);
        nn::functional::embedding(at.cuda(), on_gpu, 1, by_frequency).backward(grad.cuda());
        const std::string what = taut::concat(dtype, " ", rows, " x ", width);
        expect_close(on_gpu.grad(), on_cpu.grad(), 10 * tolerance_of(dtype), what);
        const Tensor again = weight.cuda().requires_grad_();
        nn::functional::embedding(at.cuda(), again, 1, by_frequency).backward(grad.cuda());
        expect_same_bits(again.grad(), on_gpu.grad(), what);
      }
    }
  }
}

TEST_F(CudaIndex, ListsAndSelectsByMasks) {
  for (const Dims& shape :
       {Dims{}, Dims{0, 3}, Dims{1}, Dims{2048}, Dims{2049}, Dims{70000}, Dims{13, 7, 31}}) {
    for (const DType dtype : dtypes_to_test()) {
      const Tensor x = numbers(shape, dtype);
      const Tensor mask = randint(2, shape).to(kBool);
      const std::string what = taut::concat(dtype, " ", shape);
      expect_equal(nonzero(x.cuda()), nonzero(x), what);
      expect_equal(masked_select(x.cuda(), mask.cuda()), masked_select(x, mask), what);
      const Tensor source = numbers({x.numel() + 5}, dtype);
      expect_equal(masked_scatter(x.cuda(), mask.cuda(), source.cuda()),
                   masked_scatter(x, mask, source), what);
    }
  }
  const Tensor x = ones({10}), mask = ones({10}).to(kBool);
  EXPECT_THROW(masked_scatter(x.cuda(), mask.cuda(), ones({3}).cuda()), ValueError);
  expect_equal(nonzero(tensor({0.0, -0.0, 1.0}).cuda()), nonzero(tensor({0.0, -0.0, 1.0})), "-0");
}

TEST_F(CudaIndex, ReportsAnIndexOutOfRangeAtTheNextSynchronisation) {
  const Tensor x = randn({5, 4}).cuda();
  const Tensor bad = tensor({1, 5, 2}).cuda();
  const auto expect_fault = [](const char* op) {
    try {
      cuda::synchronize();
      ADD_FAILURE() << op << ": nothing was thrown";
    } catch (const IndexError& error) {
      const std::string message = error.what();
      EXPECT_NE(message.find(op), std::string::npos) << message;
      EXPECT_NE(message.find("index 5"), std::string::npos) << message;
    }
    cuda::synchronize();
    const Tensor sound = tensor({1, 0}).cuda();
    expect_equal(index_select(arange(3).cuda(), 0, sound), tensor({1, 0}), "the next op");
  };
  index_select(x, 0, bad);
  expect_fault("index_select");
  index_add(x, 0, bad, ones({3, 4}).cuda());
  expect_fault("index_add");
  index_copy(x, 0, bad, ones({3, 4}).cuda());
  expect_fault("index_copy");
  nn::functional::embedding(bad, x);
  expect_fault("embedding");
}

}  // namespace
}  // namespace taut::testing
