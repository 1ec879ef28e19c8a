#include "kernels/api/sort.h"

#include <algorithm>
#include <map>

#include "tests/kernels/kernel_test.h"

namespace taut::kernels::testing {
namespace {

// The order that the kernels promise: NaN above all.
bool less(double a, double b) { return std::isnan(b) ? !std::isnan(a) : a < b; }
bool same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

class SortTest : public KernelTest {
 protected:
  void randomize(Buffer& buffer, int64_t distinct) {
    for (int64_t i = 0; i < buffer.size(); ++i) {
      const bool is_signed = buffer.dtype() != kUInt8 && buffer.dtype() != kBool;
      double value = static_cast<double>(uniform(is_signed ? -distinct : 0, distinct));
      if (is_floating_point(buffer.dtype())) {
        value /= 4;
        const int64_t special = uniform(0, 30);
        if (special == 0) value = NAN;
        if (special == 1) value = INFINITY;
        if (special == 2) value = -INFINITY;
        if (special == 3) value = -0.0;
      }
      buffer.set(i, value);
    }
  }
  // A random layout of a tensor of this size: contiguous or its last two dims swapped, with a gap.
  Dims strides_of(const Dims& size, int64_t& elements) {
    Dims strides = Dims::filled(size.rank(), 1);
    elements = coin() ? 1 : 2;
    std::vector<int> order;
    for (int d = 0; d < size.rank(); ++d) order.push_back(d);
    if (coin()) std::shuffle(order.begin(), order.end(), rng);
    for (size_t k = order.size(); k-- > 0;) {
      strides[order[k]] = elements;
      elements *= std::max<int64_t>(1, size[order[k]]);
    }
    return strides;
  }
};

// The row's elements and the offsets of all rows but for `dim`.
std::vector<int64_t> row_offsets(const Dims& size, int dim, const Dims& strides) {
  std::vector<int64_t> offsets = {0};
  for (int d = 0; d < size.rank(); ++d) {
    if (d == dim) continue;
    std::vector<int64_t> next;
    for (const int64_t base : offsets) {
      for (int64_t x = 0; x < size[d]; ++x) next.push_back(base + x * strides[d]);
    }
    offsets = next;
  }
  return offsets;
}

TEST_F(SortTest, SortsTopKsAndPicks) {
  const SortKernels kernels = sort_kernels_cpu();
  for (int round = 0; round < 250; ++round) {
    const DType dtype = kAllDTypes[uniform(0, 9)];
    Dims size;
    for (int64_t r = uniform(1, 3); r > 0; --r) size.push_back(uniform(0, 6));
    const int dim = static_cast<int>(uniform(0, size.rank() - 1));
    if (round % 5 == 0) size[dim] = uniform(100, 1500);
    const int64_t n = size[dim];
    int64_t input_elements = 0;
    const Dims input_strides = strides_of(size, input_elements);
    Buffer input(dtype, input_elements + 1, uniform(0, 3));
    randomize(input, round % 3 == 0 ? 2 : 100);
    const bool descending = coin();
    const int64_t k = uniform(0, n);
    Dims small = size;
    small[dim] = 1;
    Dims top = size;
    top[dim] = k;
    int64_t value_elements = 0;
    const Dims out_strides = strides_of(size, value_elements);

    const auto inputs = row_offsets(size, dim, input_strides);
    const auto outputs = row_offsets(size, dim, out_strides);
    const PickMode mode = static_cast<PickMode>(uniform(0, 3));
    std::vector<int64_t> first_indices;
    for (const int threads : {1, 3}) {
      set_num_threads(threads);
      Buffer values(dtype, value_elements + 1);
      std::vector<int64_t> indices(static_cast<size_t>(value_elements) + 1, -1);
      SortArgs args{dtype,         size,          dim,         descending,     input.data(),
                    input_strides, values.data(), out_strides, indices.data(), out_strides};
      kernels.sort(args);
      if (threads == 1) first_indices = indices;
      EXPECT_EQ(first_indices, indices);
      Buffer top_values(dtype, value_elements + 1);
      std::vector<int64_t> top_indices(static_cast<size_t>(value_elements) + 1, -1);
      const bool sorted = coin();
      kernels.topk({dtype, size, dim, k, descending, sorted, input.data(), input_strides,
                    top_values.data(), out_strides, top_indices.data(), out_strides});
      Buffer picked(dtype, value_elements + 1);
      std::vector<int64_t> picked_indices(static_cast<size_t>(value_elements) + 1, -1);
      if (n > 0) {
        kernels.pick({dtype, mode, n - n / 2, size, dim, input.data(), input_strides, picked.data(),
                      out_strides, picked_indices.data(), out_strides});
      }
      for (size_t row = 0; row < inputs.size(); ++row) {
        const auto at = [&](int64_t i) { return input.get(inputs[row] + i * input_strides[dim]); };
        std::vector<int64_t> order;
        for (int64_t i = 0; i < n; ++i) order.push_back(i);
        std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
          return descending ? less(at(b), at(a)) : less(at(a), at(b));
        });
        for (int64_t i = 0; i < n; ++i) {
          const int64_t to = outputs[row] + i * out_strides[dim];
          ASSERT_EQ(indices[static_cast<size_t>(to)], order[static_cast<size_t>(i)])
              << "round " << round;
          ASSERT_TRUE(same(values.get(to), at(order[static_cast<size_t>(i)])));
        }
        std::vector<int64_t> got;
        for (int64_t i = 0; i < k; ++i) {
          const int64_t to = outputs[row] + i * out_strides[dim];
          got.push_back(top_indices[static_cast<size_t>(to)]);
          ASSERT_TRUE(same(top_values.get(to), at(got.back())));
        }
        std::vector<int64_t> want(order.begin(), order.begin() + k);
        if (!sorted) {
          std::sort(got.begin(), got.end());
          std::sort(want.begin(), want.end());
        }
        ASSERT_EQ(got, want) << "round " << round << " n " << n << " k " << k;
        if (n == 0) continue;

        std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return a < b; });
        std::stable_sort(order.begin(), order.end(),
                         [&](int64_t a, int64_t b) { return less(at(a), at(b)); });
        int64_t numbers = 0;
        while (numbers < n && !std::isnan(at(order[static_cast<size_t>(numbers)]))) ++numbers;
        int64_t expected = 0;
        if (mode == PickMode::kth_value) {
          expected = order[static_cast<size_t>(n - n / 2 - 1)];
        } else if (mode == PickMode::median && numbers < n) {
          expected = order[static_cast<size_t>(numbers)];
        } else if (mode != PickMode::mode) {
          expected = order[static_cast<size_t>(std::max<int64_t>(0, numbers - 1) / 2)];
        } else {
          int64_t longest = 0;
          for (int64_t i = 0; i < n;) {
            int64_t j = i;
            while (j < n &&
                   same(at(order[static_cast<size_t>(j)]), at(order[static_cast<size_t>(i)])))
              ++j;
            if (j - i > longest) {
              longest = j - i;
              expected = order[static_cast<size_t>(j - 1)];
            }
            i = j;
          }
        }
        ASSERT_EQ(picked_indices[static_cast<size_t>(outputs[row])], expected)
            << "mode " << static_cast<int>(mode);
        ASSERT_TRUE(same(picked.get(outputs[row]), at(expected)));
      }
    }
  }
}

TEST_F(SortTest, SearchSorted) {
  const SortKernels kernels = sort_kernels_cpu();
  for (int round = 0; round < 100; ++round) {
    const DType dtype = kAllDTypes[uniform(0, 8)];
    const int64_t rows = uniform(0, 4);
    const int64_t length = uniform(0, 30);
    const int64_t count = uniform(0, 30);
    const bool shared = coin();
    std::vector<std::vector<double>> rows_of(static_cast<size_t>(shared ? 1 : rows));
    Buffer boundaries(dtype, static_cast<int64_t>(rows_of.size()) * length);
    Buffer values(dtype, rows * count);
    randomize(boundaries, 9);
    randomize(values, 9);
    std::vector<int64_t> sorter(static_cast<size_t>(boundaries.size()));
    for (size_t r = 0; r < rows_of.size(); ++r) {
      const int64_t base = static_cast<int64_t>(r) * length;
      for (int64_t i = 0; i < length; ++i) sorter[static_cast<size_t>(base + i)] = i;
      std::stable_sort(sorter.begin() + base, sorter.begin() + base + length,
                       [&](int64_t a, int64_t b) {
                         return less(boundaries.get(base + a), boundaries.get(base + b));
                       });
      for (int64_t i = 0; i < length; ++i)
        rows_of[r].push_back(boundaries.get(base + sorter[static_cast<size_t>(base + i)]));
    }
    SearchSortedArgs args;
    args.dtype = dtype;
    args.rows = rows;
    args.values_per_row = count;
    args.length = length;
    args.boundaries_row_stride = shared ? 0 : length;
    args.right = coin();
    args.boundaries = boundaries.data();
    args.sorter = sorter.data();
    args.values = values.data();
    std::vector<int64_t> output(static_cast<size_t>(rows * count));
    std::vector<int32_t> narrow(output.size());
    args.output = output.data();
    set_num_threads(round % 2 == 0 ? 1 : 3);
    EXPECT_TRUE(kernels.searchsorted(args).ok);
    args.out_int32 = true;
    args.output = narrow.data();
    EXPECT_TRUE(kernels.searchsorted(args).ok);
    for (int64_t i = 0; i < rows * count; ++i) {
      int64_t want = 0;
      for (const double boundary : rows_of[static_cast<size_t>(shared ? 0 : i / count)]) {
        want += args.right ? !less(values.get(i), boundary) : less(boundary, values.get(i));
      }
      ASSERT_EQ(output[static_cast<size_t>(i)], want);
      ASSERT_EQ(narrow[static_cast<size_t>(i)], want);
    }
    if (sorter.empty() || rows == 0) continue;
    sorter.back() = length;
    const IndexResult result = kernels.searchsorted(args);
    EXPECT_FALSE(result.ok);
    EXPECT_EQ(result.index, length);
  }
}

TEST_F(SortTest, Unique) {
  const SortKernels kernels = sort_kernels_cpu();
  for (int round = 0; round < 120; ++round) {
    const DType dtype = kAllDTypes[uniform(0, 9)];
    const int64_t width = coin() ? 1 : uniform(1, 3);
    const int64_t n = round % 10 == 0 ? 2000 : uniform(0, 30);
    Buffer input(dtype, n * width);
    randomize(input, 2);
    const bool consecutive = coin();
    std::vector<int64_t> first(static_cast<size_t>(n));
    std::vector<int64_t> inverse(static_cast<size_t>(n));
    std::vector<int64_t> counts(static_cast<size_t>(n));
    const int64_t found = kernels.unique(
        {dtype, n, width, consecutive, input.data(), first.data(), inverse.data(), counts.data()});
    const auto compare = [&](int64_t a,
                             int64_t b) {  // -1, 0, 1 and 2 for "has NaN, equal otherwise"
      int nan = 0;
      for (int64_t j = 0; j < width; ++j) {
        const double x = input.get(a * width + j);
        const double y = input.get(b * width + j);
        if (less(x, y)) return -1;
        if (less(y, x)) return 1;
        nan |= std::isnan(x) ? 2 : 0;
      }
      return nan;
    };
    std::vector<int64_t> seen(static_cast<size_t>(found), 0);
    for (int64_t i = 0; i < n; ++i) {
      const int64_t u = inverse[static_cast<size_t>(i)];
      ASSERT_LT(u, found);
      if (seen[static_cast<size_t>(u)]++ == 0) {
        ASSERT_EQ(first[static_cast<size_t>(u)], i);
      }
      ASSERT_EQ(compare(i, first[static_cast<size_t>(u)]) & 1, 0);
    }
    for (int64_t u = 0; u < found; ++u) {
      ASSERT_EQ(seen[static_cast<size_t>(u)], counts[static_cast<size_t>(u)]);
      if (u == 0) continue;
      const int order = compare(first[static_cast<size_t>(u - 1)], first[static_cast<size_t>(u)]);
      if (consecutive) {
        ASSERT_NE(order, 0);
      } else {
        ASSERT_TRUE(order == -1 || order == 2);
      }
    }
    EXPECT_EQ(kernels.unique(
                  {dtype, n, width, consecutive, input.data(), first.data(), nullptr, nullptr}),
              found);
  }
}

TEST_F(SortTest, Counting) {
  const SortKernels kernels = sort_kernels_cpu();
  const int64_t input[] = {3, 0, 3, 1, 2, 3};
  const double weights[] = {0.5, 1, 2, 4, 8, 16};
  int64_t counts[5];
  BincountArgs bincount;
  bincount.n = 6;
  bincount.bins = 5;
  bincount.input = input;
  bincount.output = counts;
  EXPECT_TRUE(kernels.bincount(bincount).ok);
  EXPECT_EQ(std::vector<int64_t>(counts, counts + 5), (std::vector<int64_t>{1, 1, 1, 3, 0}));
  double sums[5];
  bincount.weights = weights;
  bincount.weights_dtype = kFloat64;
  bincount.output = sums;
  EXPECT_TRUE(kernels.bincount(bincount).ok);
  EXPECT_EQ(std::vector<double>(sums, sums + 5), (std::vector<double>{1, 4, 8, 18.5, 0}));
  bincount.bins = 3;
  const IndexResult result = kernels.bincount(bincount);
  EXPECT_FALSE(result.ok);
  EXPECT_EQ(result.index, 3);
  EXPECT_EQ(result.position, 0);

  const float values[] = {0, 0.25f, 0.5f, 1, 1.5f, -1, NAN, 0.75f};
  float bins[4];
  HistogramArgs histogram;
  histogram.n = 8;
  histogram.bins = 4;
  histogram.low = 0;
  histogram.high = 1;
  histogram.input = values;
  histogram.output = bins;
  kernels.histogram(histogram);
  EXPECT_EQ(std::vector<float>(bins, bins + 4), (std::vector<float>{1, 1, 1, 2}));
  const float edges[] = {-1, 0, 0.3f, 1, 1.5f};
  const float value_weights[] = {1, 2, 4, 8, 16, 32, 64, 128};
  histogram.edges = edges;
  histogram.weights = value_weights;
  kernels.histogram(histogram);
  EXPECT_EQ(std::vector<float>(bins, bins + 4), (std::vector<float>{32, 3, 132, 24}));
}

}  // namespace
}  // namespace taut::kernels::testing
