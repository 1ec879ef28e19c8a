#include "kernels/api/pool.h"

#include <algorithm>

#include "tests/kernels/kernel_test.h"

namespace taut::kernels::testing {
namespace {

// One window of a reference: the flat positions of a plane that it covers, in order.
struct Window {
  std::vector<int64_t> inside;
  double divisor = 1;  // of average pooling
};

class PoolTest : public KernelTest {
 protected:
  PoolShape random_shape(bool dilated, bool two_by_two) {
    const int rank = two_by_two ? 2 : static_cast<int>(uniform(1, 3));
    PoolShape shape;
    for (int d = 0; d < rank; ++d) {
      const int64_t kernel = two_by_two ? 2 : uniform(1, 4);
      const int64_t stride = two_by_two ? 2 : uniform(1, 3);
      const int64_t dilation = dilated && !two_by_two ? uniform(1, 2) : 1;
      const int64_t padding = two_by_two ? 0 : uniform(0, kernel / 2);
      const int64_t span = dilation * (kernel - 1) + 1;
      const int64_t input = std::max<int64_t>(span - padding, uniform(1, two_by_two ? 70 : 12));
      int64_t output = (input + 2 * padding - span) / stride + 1;
      // ceil_mode: a last window that starts inside of the input or its left padding.
      if (coin() && !two_by_two && output * stride < input + padding) ++output;
      shape.input_size.push_back(input);
      shape.output_size.push_back(output);
      shape.kernel_size.push_back(kernel);
      shape.stride.push_back(stride);
      shape.padding.push_back(padding);
      shape.dilation.push_back(dilation);
    }
    return shape;
  }
  void randomize(Buffer& buffer) {
    for (int64_t i = 0; i < buffer.size(); ++i) {
      buffer.set(i, is_floating_point(buffer.dtype()) ? static_cast<double>(uniform(-8, 8)) / 4
                                                      : static_cast<double>(uniform(0, 9)));
    }
    for (int k = 0; is_floating_point(buffer.dtype()) && buffer.size() > 0 && k < 3; ++k) {
      const double specials[] = {NAN, INFINITY, -INFINITY};
      if (coin()) buffer.set(uniform(0, buffer.size() - 1), specials[k]);
    }
  }
};

// The elements [begin, end) by step along one dim, and the padded size.
struct Span {
  std::vector<int64_t> inside;
  int64_t padded = 0;
};

Span span_of(const PoolShape& s, int d, int64_t out) {
  Span span;
  const int64_t start = out * s.stride[d] - s.padding[d];
  for (int64_t t = 0; t < s.kernel_size[d]; ++t) {
    const int64_t at = start + t * s.dilation[d];
    if (at >= 0 && at < s.input_size[d]) span.inside.push_back(at);
    if (at < s.input_size[d] + s.padding[d]) ++span.padded;
  }
  return span;
}

Span adaptive_span(int64_t in, int64_t out_size, int64_t out) {
  Span span;
  const int64_t end = static_cast<int64_t>(
      std::ceil(static_cast<double>((out + 1) * in) / static_cast<double>(out_size)));
  for (int64_t at = out * in / out_size; at < end; ++at) span.inside.push_back(at);
  return span;
}

template <class SpanFn>
std::vector<Window> windows(const Dims& input, const Dims& output, bool include_pad,
                            int64_t override, const SpanFn& span) {
  std::vector<Window> result;
  for (int64_t i = 0; i < output.numel(); ++i) {
    Window window;
    window.inside = {0};
    double padded = 1;
    int64_t rest = i;
    int64_t divide = output.numel();
    for (int d = 0; d < input.rank(); ++d) {
      divide /= output[d];
      const Span s = span(d, rest / divide);
      rest %= divide;
      padded *= static_cast<double>(s.padded);
      std::vector<int64_t> next;
      for (const int64_t base : window.inside) {
        for (const int64_t at : s.inside) next.push_back(base * input[d] + at);
      }
      window.inside = next;
    }
    window.divisor = include_pad ? padded : static_cast<double>(window.inside.size());
    if (override != 0) window.divisor = static_cast<double>(override);
    result.push_back(window);
  }
  return result;
}

bool same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

void check_max(const std::vector<Window>& reference, int64_t planes, int64_t plane,
               const Buffer& input, const Buffer& output, const std::vector<int64_t>& indices) {
  for (int64_t p = 0; p < planes; ++p) {
    for (size_t i = 0; i < reference.size(); ++i) {
      int64_t best = -1;
      double largest = 0;
      for (const int64_t at : reference[i].inside) {
        const double value = input.get(p * plane + at);
        if (best < 0 || value > largest || std::isnan(value)) {
          best = at;
          largest = value;
        }
      }
      const int64_t out = p * static_cast<int64_t>(reference.size()) + static_cast<int64_t>(i);
      ASSERT_EQ(indices[static_cast<size_t>(out)], best) << "output " << out;
      if (best >= 0) {
        ASSERT_TRUE(same(output.get(out), largest));
      }
    }
  }
}

TEST_F(PoolTest, Max) {
  const PoolKernels kernels = pool_kernels_cpu();
  for (int round = 0; round < 200; ++round) {
    const PoolShape shape = random_shape(true, round % 4 == 0);
    const DType dtype = kAllDTypes[uniform(0, 8)];
    const int64_t planes = uniform(0, 4);
    const int64_t in = shape.input_size.numel();
    const int64_t out = shape.output_size.numel();
    Buffer input(dtype, planes * in, uniform(0, 3));
    randomize(input);
    Buffer output(dtype, planes * out, uniform(0, 3));
    std::vector<int64_t> indices(static_cast<size_t>(planes * out));
    set_num_threads(round % 2 == 0 ? 1 : 3);
    MaxPoolArgs args{dtype, planes, shape, input.data(), output.data(), indices.data()};
    kernels.max_pool(args);
    const auto reference = windows(shape.input_size, shape.output_size, false, 0,
                                   [&](int d, int64_t o) { return span_of(shape, d, o); });
    check_max(reference, planes, in, input, output, indices);
    Buffer again = output;
    args.output = again.data();
    args.indices = nullptr;
    kernels.max_pool(args);
    EXPECT_TRUE(again.same_bits(output));
    if (!is_floating_point(dtype)) continue;

    Buffer grad(dtype, planes * out);
    for (int64_t i = 0; i < grad.size(); ++i) grad.set(i, static_cast<double>(uniform(-4, 4)));
    Buffer grad_input(dtype, planes * in);
    EXPECT_TRUE(
        kernels
            .max_pool_backward(
                {dtype, planes, in, out, {}, grad.data(), indices.data(), grad_input.data()})
            .ok);
    std::vector<double> want(static_cast<size_t>(planes * in), 0.0);
    for (int64_t i = 0; i < planes * out; ++i) {
      if (indices[static_cast<size_t>(i)] < 0) continue;
      want[static_cast<size_t>(i / out * in + indices[static_cast<size_t>(i)])] += grad.get(i);
    }
    for (int64_t i = 0; i < planes * in; ++i)
      ASSERT_EQ(grad_input.get(i), want[static_cast<size_t>(i)]);
  }
}

TEST_F(PoolTest, BadIndicesOfTheBackwardAreReported) {
  const float grad[] = {1, 1};
  const int64_t indices[] = {0, 4};
  float grad_input[8];
  const IndexResult result =
      pool_kernels_cpu().max_pool_backward({kFloat32, 2, 4, 1, {}, grad, indices, grad_input});
  EXPECT_FALSE(result.ok);
  EXPECT_EQ(result.index, 4);
  EXPECT_EQ(result.position, 1);
}

void check_sums(const std::vector<Window>& reference, int64_t planes, int64_t plane,
                const Buffer& input, const Buffer& output) {
  for (int64_t p = 0; p < planes; ++p) {
    for (size_t i = 0; i < reference.size(); ++i) {
      double sum = 0;
      for (const int64_t at : reference[i].inside) sum += input.get(p * plane + at);
      sum /= reference[i].divisor;
      const double got =
          output.get(p * static_cast<int64_t>(reference.size()) + static_cast<int64_t>(i));
      if (std::isnan(sum)) {
        ASSERT_TRUE(std::isnan(got));
      } else if (std::isinf(sum)) {
        ASSERT_EQ(got, sum);
      } else {
        ASSERT_NEAR(got, sum, tolerance(input.dtype()) * (1 + std::abs(sum)));
      }
    }
  }
}

void check_gradients(const std::vector<Window>& reference, int64_t planes, int64_t plane,
                     const Buffer& grad_output, const Buffer& grad_input) {
  std::vector<double> want(static_cast<size_t>(planes * plane), 0.0);
  for (int64_t p = 0; p < planes; ++p) {
    for (size_t i = 0; i < reference.size(); ++i) {
      const double grad =
          grad_output.get(p * static_cast<int64_t>(reference.size()) + static_cast<int64_t>(i));
      for (const int64_t at : reference[i].inside) {
        want[static_cast<size_t>(p * plane + at)] += grad / reference[i].divisor;
      }
    }
  }
  for (size_t i = 0; i < want.size(); ++i) {
    ASSERT_NEAR(grad_input.get(static_cast<int64_t>(i)), want[i],
                tolerance(grad_input.dtype()) * (2 + std::abs(want[i])));
  }
}

TEST_F(PoolTest, Average) {
  const PoolKernels kernels = pool_kernels_cpu();
  for (int round = 0; round < 150; ++round) {
    const PoolShape shape = random_shape(false, round % 5 == 0);
    const DType dtype = kAllDTypes[uniform(0, 3)];
    const int64_t planes = uniform(0, 4);
    const bool include_pad = coin();
    const int64_t override = coin() ? 0 : uniform(1, 9);
    Buffer input(dtype, planes * shape.input_size.numel(), uniform(0, 3));
    randomize(input);
    Buffer output(dtype, planes * shape.output_size.numel());
    set_num_threads(round % 2 == 0 ? 1 : 3);
    kernels.avg_pool({dtype, planes, shape, include_pad, override, input.data(), output.data()});
    const auto reference = windows(shape.input_size, shape.output_size, include_pad, override,
                                   [&](int d, int64_t o) { return span_of(shape, d, o); });
    bool empty = false;
    for (const Window& window : reference) empty = empty || window.inside.empty();
    if (empty) continue;
    check_sums(reference, planes, shape.input_size.numel(), input, output);

    Buffer grad(dtype, output.size());
    for (int64_t i = 0; i < grad.size(); ++i) grad.set(i, static_cast<double>(uniform(-4, 4)));
    Buffer grad_input(dtype, input.size());
    kernels.avg_pool_backward(
        {dtype, planes, shape, include_pad, override, grad.data(), grad_input.data()});
    check_gradients(reference, planes, shape.input_size.numel(), grad, grad_input);
  }
}

TEST_F(PoolTest, Adaptive) {
  const PoolKernels kernels = pool_kernels_cpu();
  for (int round = 0; round < 100; ++round) {
    Dims in;
    Dims out;
    for (int64_t d = uniform(1, 3); d > 0; --d) {
      in.push_back(uniform(1, 11));
      out.push_back(uniform(1, 7));
    }
    const DType dtype = kAllDTypes[uniform(0, 3)];
    const int64_t planes = uniform(0, 4);
    Buffer input(dtype, planes * in.numel(), uniform(0, 3));
    randomize(input);
    Buffer output(dtype, planes * out.numel());
    std::vector<int64_t> indices(static_cast<size_t>(output.size()));
    const auto reference = windows(
        in, out, false, 0, [&](int d, int64_t o) { return adaptive_span(in[d], out[d], o); });
    set_num_threads(round % 2 == 0 ? 1 : 3);
    kernels.adaptive_avg_pool({dtype, planes, in, out, input.data(), output.data()});
    check_sums(reference, planes, in.numel(), input, output);
    kernels.adaptive_max_pool(
        {dtype, planes, in, out, input.data(), output.data(), indices.data()});
    check_max(reference, planes, in.numel(), input, output, indices);
    Buffer grad(dtype, output.size());
    for (int64_t i = 0; i < grad.size(); ++i) grad.set(i, static_cast<double>(uniform(-4, 4)));
    Buffer grad_input(dtype, input.size());
    kernels.adaptive_avg_pool_backward({dtype, planes, in, out, grad.data(), grad_input.data()});
    check_gradients(reference, planes, in.numel(), grad, grad_input);
  }
}

// Planes one after the other, (groups, inner, plane), brought side by side, (groups, plane, inner),
// or back.
template <class Get, class Set>
void turn(int64_t size, int64_t inner, int64_t plane, bool side_by_side, const Get& get,
          const Set& set) {
  for (int64_t i = 0; i < size; ++i) {
    const int64_t group = i / (inner * plane) * (inner * plane);
    const int64_t beside = group + i % plane * inner + i / plane % inner;
    side_by_side ? set(beside, get(i)) : set(i, get(beside));
  }
}
Buffer turned(const Buffer& from, int64_t inner, int64_t plane, bool side_by_side) {
  Buffer to(from.dtype(), from.size());
  turn(
      from.size(), inner, plane, side_by_side, [&](int64_t i) { return from.get(i); },
      [&](int64_t i, double value) { to.set(i, value); });
  return to;
}
std::vector<int64_t> turned(const std::vector<int64_t>& from, int64_t inner, int64_t plane,
                            bool side_by_side) {
  std::vector<int64_t> to(from.size());
  turn(
      static_cast<int64_t>(from.size()), inner, plane, side_by_side,
      [&](int64_t i) { return from[static_cast<size_t>(i)]; },
      [&](int64_t i, int64_t value) { to[static_cast<size_t>(i)] = value; });
  return to;
}

void expect_same(const Buffer& got, const Buffer& want, double tolerance) {
  for (int64_t i = 0; i < got.size(); ++i) {
    if (same(got.get(i), want.get(i))) continue;
    ASSERT_NEAR(got.get(i), want.get(i), tolerance * (2 + std::abs(want.get(i)))) << "at " << i;
  }
}

TEST_F(PoolTest, PlanesSideBySideGiveTheSame) {
  const PoolKernels kernels = pool_kernels_cpu();
  for (int round = 0; round < 200; ++round) {
    const bool is_adaptive = round % 3 == 0;
    const PoolShape shape = random_shape(round % 3 == 1, round % 5 == 0);
    const Dims& in_size = shape.input_size;
    const Dims& out_size = shape.output_size;
    const int64_t in = in_size.numel();
    const int64_t out = out_size.numel();
    const int64_t inner = coin() ? uniform(2, 9) : uniform(60, 140);
    const int64_t planes = inner * uniform(0, 3);
    const DType dtype = kAllDTypes[uniform(0, round % 3 == 1 ? 8 : 3)];
    SCOPED_TRACE(concat("round ", round, " ", name(dtype), " planes ", planes, " inner ", inner,
                        " input ", in_size, " output ", out_size));
    set_num_threads(round % 2 == 0 ? 1 : 3);
    Buffer input(dtype, planes * in);
    randomize(input);
    const Buffer beside = turned(input, inner, in, true);
    Buffer output(dtype, planes * out), got(dtype, planes * out);
    std::vector<int64_t> indices(static_cast<size_t>(planes * out)), got_indices = indices;
    if (is_adaptive) {
      kernels.adaptive_max_pool(
          {dtype, planes, in_size, out_size, input.data(), output.data(), indices.data()});
      kernels.adaptive_max_pool(
          {dtype, planes, in_size, out_size, beside.data(), got.data(), got_indices.data(), inner});
    } else {
      kernels.max_pool({dtype, planes, shape, input.data(), output.data(), indices.data()});
      kernels.max_pool(
          {dtype, planes, shape, beside.data(), got.data(), got_indices.data(), inner});
    }
    expect_same(turned(got, inner, out, false), output, 0);
    ASSERT_EQ(turned(got_indices, inner, out, false), indices);
    if (!is_floating_point(dtype)) continue;

    Buffer grad(dtype, planes * out);
    for (int64_t i = 0; i < grad.size(); ++i) grad.set(i, static_cast<double>(uniform(-4, 4)));
    const Buffer grad_beside = turned(grad, inner, out, true);
    Buffer grad_input(dtype, planes * in), got_input(dtype, planes * in);
    kernels.max_pool_backward(
        {dtype, planes, in, out, {}, grad.data(), indices.data(), grad_input.data()});
    EXPECT_TRUE(kernels
                    .max_pool_backward({dtype,
                                        planes,
                                        in,
                                        out,
                                        {},
                                        grad_beside.data(),
                                        got_indices.data(),
                                        got_input.data(),
                                        inner})
                    .ok);
    expect_same(turned(got_input, inner, in, false), grad_input, 0);

    const bool include_pad = coin();
    const int64_t override = coin() ? 0 : uniform(1, 9);
    if (is_adaptive) {
      kernels.adaptive_avg_pool({dtype, planes, in_size, out_size, input.data(), output.data()});
      kernels.adaptive_avg_pool(
          {dtype, planes, in_size, out_size, beside.data(), got.data(), inner});
      kernels.adaptive_avg_pool_backward(
          {dtype, planes, in_size, out_size, grad.data(), grad_input.data()});
      kernels.adaptive_avg_pool_backward(
          {dtype, planes, in_size, out_size, grad_beside.data(), got_input.data(), inner});
    } else if (shape.dilation == Dims::filled(in_size.rank(), 1)) {
      kernels.avg_pool({dtype, planes, shape, include_pad, override, input.data(), output.data()});
      kernels.avg_pool(
          {dtype, planes, shape, include_pad, override, beside.data(), got.data(), inner});
      // A window of no elements is 0 / 0, whose gradient goes nowhere.
      kernels.avg_pool_backward(
          {dtype, planes, shape, include_pad, override, grad.data(), grad_input.data()});
      kernels.avg_pool_backward({dtype, planes, shape, include_pad, override, grad_beside.data(),
                                 got_input.data(), inner});
    } else {
      continue;
    }
    expect_same(turned(got, inner, out, false), output, 0);
    expect_same(turned(got_input, inner, in, false), grad_input, tolerance(dtype));
    if (HasFailure()) return;
  }
}

TEST_F(PoolTest, BadIndicesOfPlanesSideBySideAreReported) {
  const float grad[] = {1, 1, 1, 1};
  const int64_t indices[] = {0, 3, 4, -1};
  float grad_input[8];
  const IndexResult result =
      pool_kernels_cpu().max_pool_backward({kFloat32, 2, 4, 2, {}, grad, indices, grad_input, 2});
  EXPECT_FALSE(result.ok);
  EXPECT_EQ(result.index, 4);
  EXPECT_EQ(result.position, 2);
}

}  // namespace
}  // namespace taut::kernels::testing
