#include "kernels/api/norm.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/kernels/value_buffer.h"

namespace taut::kernels {
namespace {

using test::is_close;
using test::test_seed;
using test::ThreadCount;
using test::tolerance;
using test::ValueBuffer;

constexpr DType kFloats[] = {kFloat32, kFloat64, kFloat16, kBFloat16};
using Values = std::vector<double>;

size_t at(int64_t i) { return static_cast<size_t>(i); }

// Every normalisation is one of sets of elements that share their statistics, with parameters that
// belong to other sets: `set_of` and `parameter_of` say which.
struct Reference {
  int64_t n, sets, parameters;
  std::function<int64_t(int64_t)> set_of, parameter_of;
  bool is_rms = false;

  Values mean = {}, rstd = {}, var = {}, xhat = {}, y = {};
  Values grad_x = {}, grad_weight = {}, grad_bias = {};

  void forward(const ValueBuffer& x, const ValueBuffer* weight, const ValueBuffer* bias,
               double eps) {
    Values count(at(sets)), sum(at(sets));
    mean.assign(at(sets), 0);
    var = rstd = mean;
    xhat.resize(at(n));
    y.resize(at(n));
    for (int64_t i = 0; i < n; ++i) {
      count[at(set_of(i))] += 1;
      sum[at(set_of(i))] += x.get(i);
    }
    for (int64_t s = 0; s < sets; ++s) mean[at(s)] = is_rms ? 0 : sum[at(s)] / count[at(s)];
    for (int64_t i = 0; i < n; ++i) {
      const size_t s = at(set_of(i));
      var[s] += std::pow(x.get(i) - mean[s], 2) / count[s];
    }
    for (int64_t s = 0; s < sets; ++s) rstd[at(s)] = 1 / std::sqrt(var[at(s)] + eps);
    apply(x, weight, bias);
  }
  void apply(const ValueBuffer& x, const ValueBuffer* weight, const ValueBuffer* bias) {
    xhat.resize(at(n));
    y.resize(at(n));
    for (int64_t i = 0; i < n; ++i) {
      const size_t s = at(set_of(i));
      xhat[at(i)] = (x.get(i) - mean[s]) * rstd[s];
      y[at(i)] = xhat[at(i)] * (weight ? weight->get(parameter_of(i)) : 1) +
                 (bias ? bias->get(parameter_of(i)) : 0);
    }
  }
  void backward(const ValueBuffer& g, const ValueBuffer* weight, bool has_statistics) {
    Values count(at(sets)), h_mean(at(sets)), hx_mean(at(sets));
    grad_weight.assign(at(parameters), 0);
    grad_bias = grad_weight;
    grad_x.resize(at(n));
    const auto h = [&](int64_t i) {
      return g.get(i) * (weight ? weight->get(parameter_of(i)) : 1);
    };
    for (int64_t i = 0; i < n; ++i) {
      count[at(set_of(i))] += 1;
      h_mean[at(set_of(i))] += h(i);
      hx_mean[at(set_of(i))] += h(i) * xhat[at(i)];
      grad_weight[at(parameter_of(i))] += g.get(i) * xhat[at(i)];
      grad_bias[at(parameter_of(i))] += g.get(i);
    }
    for (int64_t i = 0; i < n; ++i) {
      const size_t s = at(set_of(i));
      const double mean_h = is_rms || !has_statistics ? 0 : h_mean[s] / count[s];
      const double mean_hx = has_statistics ? hx_mean[s] / count[s] : 0;
      grad_x[at(i)] = rstd[s] * (h(i) - mean_h - xhat[at(i)] * mean_hx);
    }
  }
};

void expect_near(const ValueBuffer& got, const Values& expected, double limit, const char* what) {
  for (int64_t i = 0; i < got.size(); ++i) {
    ASSERT_TRUE(is_close(got.get(i), expected[at(i)], limit))
        << what << " " << name(got.dtype()) << " at " << i << ": got " << got.get(i)
        << ", expected " << expected[at(i)] << ", seed " << test_seed();
  }
}

// With one thread and with three, which must agree in every bit of `out`.
template <class Args>
void run_twice(void (*kernel)(const Args&), const Args& args, const ValueBuffer& out) {
  ThreadCount one(1);
  kernel(args);
  const auto bits = out.raw();
  ThreadCount three(3);
  kernel(args);
  ASSERT_EQ(bits, out.raw());
}

class NormTest : public ::testing::Test {
 protected:
  NormTest() : rng_(test_seed()) { RecordProperty("seed", std::to_string(test_seed())); }
  int64_t below(int64_t n) { return static_cast<int64_t>(rng_() % static_cast<uint64_t>(n)); }
  const NormKernels kernels_ = norm_kernels_cpu();
  std::mt19937_64 rng_;
};

TEST_F(NormTest, LayerAndRmsNorm) {
  for (int round = 0; round < 80; ++round) {
    const DType dtype = kFloats[round % 4], compute = compute_dtype(dtype);
    const DType parameter = round % 3 ? dtype : compute;
    const int64_t rows = round == 7 ? 0 : 1 + below(round % 8 == 0 ? 300 : 20);
    const int64_t cols = 16 + below(round % 10 == 5 ? 9000 : 300);
    const bool is_rms = round % 5 == 0, is_affine = round % 7 != 0;
    const double tol = 4 * tolerance(dtype);
    ValueBuffer x(dtype, rows * cols), y = x, g = x, grad = x;
    ValueBuffer w(parameter, cols), b = w, grad_w = w, grad_b = w, mean(compute, rows), rstd = mean;
    x.fill(rng_, 1, 5);
    g.fill(rng_);
    w.fill(rng_);
    b.fill(rng_);
    LayerNormArgs args;
    args.input = x.data();
    args.output = y.data();
    args.weight = is_affine ? w.data() : nullptr;
    args.bias = is_affine ? b.data() : nullptr;
    args.mean = mean.data();
    args.rstd = rstd.data();
    args.dtype = dtype;
    args.parameter_dtype = parameter;
    args.rows = rows;
    args.cols = cols;
    run_twice(is_rms ? kernels_.rms_norm : kernels_.layer_norm, args, y);
    Reference ref{rows * cols,
                  rows,
                  cols,
                  [=](int64_t i) { return i / cols; },
                  [=](int64_t i) { return i % cols; },
                  is_rms};
    ref.forward(x, is_affine ? &w : nullptr, is_affine && !is_rms ? &b : nullptr, args.eps);
    expect_near(y, ref.y, tol, "y");
    expect_near(rstd, ref.rstd, 1e-4, "rstd");
    if (!is_rms) expect_near(mean, ref.mean, 1e-5, "mean");

    LayerNormBackwardArgs back;
    back.grad_output = g.data();
    back.input = x.data();
    back.mean = mean.data();
    back.rstd = rstd.data();
    back.weight = args.weight;
    back.grad_input = grad.data();
    back.grad_weight = grad_w.data();
    back.grad_bias = is_rms ? nullptr : grad_b.data();
    back.dtype = dtype;
    back.parameter_dtype = parameter;
    back.rows = rows;
    back.cols = cols;
    const auto backward = is_rms ? kernels_.rms_norm_backward : kernels_.layer_norm_backward;
    run_twice(backward, back, grad_w);
    ref.backward(g, is_affine ? &w : nullptr, true);
    expect_near(grad, ref.grad_x, 2 * tol, "grad_x");
    expect_near(grad_w, ref.grad_weight, 10 * tol, "grad_weight");
    if (!is_rms) expect_near(grad_b, ref.grad_bias, 10 * tol, "grad_bias");
    const auto bits = grad.raw();
    back.grad_weight = back.grad_bias = nullptr;
    run_twice(backward, back, grad);
    EXPECT_EQ(bits, grad.raw());
  }
}

// With a residual the kernel is the norm of the sum, to the bits, and the gradient has the sum's
// added.
TEST_F(NormTest, NormsOfSums) {
  for (int round = 0; round < 60; ++round) {
    const DType dtype = kFloats[round % 4];
    const DType narrow = round % 3 == 0 ? kFloat16 : kBFloat16;
    const DType input_dtype = dtype == kFloat32 && round % 8 != 0 ? narrow : dtype;
    const int64_t rows = 1 + below(20), cols = 1 + below(round % 10 == 5 ? 9000 : 300);
    const bool is_rms = round % 5 == 0;
    ValueBuffer x(input_dtype, rows * cols), residual(dtype, rows * cols);
    ValueBuffer sum(dtype, rows * cols), expected_sum = sum, y = sum, expected = sum, g = sum;
    ValueBuffer w(dtype, cols), b = w;
    for (ValueBuffer* buffer : {&x, &residual, &g, &w, &b}) buffer->fill(rng_, 1, 5);
    for (int64_t i = 0; i < rows * cols; ++i) {
      expected_sum.set(i, dtype == kFloat64
                              ? x.get(i) + residual.get(i)
                              : static_cast<double>(static_cast<float>(x.get(i)) +
                                                    static_cast<float>(residual.get(i))));
    }
    ValueBuffer rstd(compute_dtype(dtype), rows), mean = rstd;
    LayerNormArgs args;
    args.weight = w.data();
    args.bias = b.data();
    args.mean = mean.data();
    args.rstd = rstd.data();
    args.dtype = args.parameter_dtype = dtype;
    args.rows = rows;
    args.cols = cols;
    const auto kernel = is_rms ? kernels_.rms_norm : kernels_.layer_norm;
    args.input = expected_sum.data();
    args.output = expected.data();
    kernel(args);
    args.input = x.data();
    args.input_dtype = input_dtype;
    args.residual = residual.data();
    args.sum = sum.data();
    args.output = y.data();
    run_twice(kernel, args, y);
    EXPECT_EQ(sum.raw(), expected_sum.raw()) << name(dtype) << ", seed " << test_seed();
    EXPECT_EQ(y.raw(), expected.raw()) << name(dtype) << ", seed " << test_seed();

    ValueBuffer grad(dtype, rows * cols), grad_alone = grad, more = grad;
    more.fill(rng_, 1, 5);
    LayerNormBackwardArgs back;
    back.grad_output = g.data();
    back.input = sum.data();
    back.mean = mean.data();
    back.rstd = rstd.data();
    back.weight = w.data();
    back.grad_input = grad_alone.data();
    back.dtype = back.parameter_dtype = dtype;
    back.rows = rows;
    back.cols = cols;
    const auto backward = is_rms ? kernels_.rms_norm_backward : kernels_.layer_norm_backward;
    backward(back);
    back.grad_input = grad.data();
    back.grad_sum = more.data();
    run_twice(backward, back, grad);
    Values sums(at(rows * cols));
    for (int64_t i = 0; i < rows * cols; ++i) sums[at(i)] = grad_alone.get(i) + more.get(i);
    expect_near(grad, sums, 2 * tolerance(dtype), "grad_sum");
  }
}

TEST_F(NormTest, GroupNorm) {
  for (int round = 0; round < 48; ++round) {
    const DType dtype = kFloats[round % 4], compute = compute_dtype(dtype);
    const int64_t batch = 1 + below(4), groups = 1 + below(4), channels = groups * (1 + below(4));
    const int64_t spatial = 12 + below(round % 10 == 5 ? 5000 : 50), n = batch * channels * spatial;
    const bool is_affine = round % 7 != 0;
    const double tol = 4 * tolerance(dtype);
    ValueBuffer x(dtype, n), y = x, g = x, grad = x;
    ValueBuffer w(dtype, channels), b = w, grad_w = w, grad_b = w, mean(compute, batch * groups),
                                    rstd = mean;
    x.fill(rng_, 1, 5);
    g.fill(rng_);
    w.fill(rng_);
    b.fill(rng_);
    GroupNormArgs args;
    args.input = x.data();
    args.output = y.data();
    args.weight = is_affine ? w.data() : nullptr;
    args.bias = is_affine ? b.data() : nullptr;
    args.mean = mean.data();
    args.rstd = rstd.data();
    args.dtype = args.parameter_dtype = dtype;
    args.batch = batch;
    args.channels = channels;
    args.spatial = spatial;
    args.groups = groups;
    run_twice(kernels_.group_norm, args, y);
    Reference ref{n, batch * groups, channels,
                  [=](int64_t i) { return i / (channels / groups * spatial); },
                  [=](int64_t i) { return i / spatial % channels; }};
    ref.forward(x, is_affine ? &w : nullptr, is_affine ? &b : nullptr, args.eps);
    expect_near(y, ref.y, tol, "y");
    GroupNormBackwardArgs back;
    back.grad_output = g.data();
    back.input = x.data();
    back.mean = mean.data();
    back.rstd = rstd.data();
    back.weight = args.weight;
    back.grad_input = grad.data();
    back.grad_weight = grad_w.data();
    back.grad_bias = grad_b.data();
    back.dtype = back.parameter_dtype = dtype;
    back.batch = batch;
    back.channels = channels;
    back.spatial = spatial;
    back.groups = groups;
    run_twice(kernels_.group_norm_backward, back, grad);
    ref.backward(g, is_affine ? &w : nullptr, true);
    expect_near(grad, ref.grad_x, 2 * tol, "grad_x");
    expect_near(grad_w, ref.grad_weight, 10 * tol, "grad_weight");
    expect_near(grad_b, ref.grad_bias, 10 * tol, "grad_bias");
  }
}

TEST_F(NormTest, BatchNorm) {
  for (int round = 0; round < 64; ++round) {
    const DType dtype = kFloats[round % 4], compute = compute_dtype(dtype);
    const DType parameter = round % 3 ? dtype : compute;
    const int64_t batch = 8 + below(round % 5 ? 6 : 150),
                  channels = 1 + below(round % 9 ? 12 : 700);
    const int64_t spatial = round % 3 == 0 ? 1 : 1 + below(60), n = batch * channels * spatial;
    const bool is_affine = round % 7 != 0, is_training = round % 4 != 3 && round % 5 != 4;
    const double tol = 4 * tolerance(dtype);
    ValueBuffer x(dtype, n), y = x, g = x, grad = x;
    ValueBuffer w(parameter, channels), b = w, grad_w = w, grad_b = w, running_mean = w,
                                        running_var = w;
    ValueBuffer mean(compute, channels), invstd = mean;
    x.fill(rng_, 1, 5);
    g.fill(rng_);
    w.fill(rng_);
    b.fill(rng_);
    running_mean.fill(rng_);
    running_var.fill(rng_, 0.5, 2);
    const Values old_mean = running_mean.values(), old_var = running_var.values();
    BatchNormArgs args;
    args.input = x.data();
    args.output = y.data();
    args.weight = is_affine ? w.data() : nullptr;
    args.bias = is_affine ? b.data() : nullptr;
    args.running_mean = running_mean.data();
    args.running_var = running_var.data();
    args.saved_mean = mean.data();
    args.saved_invstd = invstd.data();
    args.dtype = dtype;
    args.parameter_dtype = parameter;
    args.batch = batch;
    args.channels = channels;
    args.spatial = spatial;
    args.is_training = is_training;
    {
      ThreadCount threads(1 + round % 3);
      kernels_.batch_norm(args);
    }
    Reference ref{n, channels, channels, [=](int64_t i) { return i / spatial % channels; },
                  [=](int64_t i) { return i / spatial % channels; }};
    ref.forward(x, is_affine ? &w : nullptr, is_affine ? &b : nullptr, args.eps);
    if (is_training) {
      const double count = static_cast<double>(batch * spatial);
      for (int64_t c = 0; c < channels; ++c) {
        EXPECT_TRUE(
            is_close(running_mean.get(c), 0.9 * old_mean[at(c)] + 0.1 * ref.mean[at(c)], tol));
        EXPECT_TRUE(is_close(running_var.get(c),
                             0.9 * old_var[at(c)] + 0.1 * ref.var[at(c)] * count / (count - 1),
                             tol));
      }
    } else {
      ref.mean = old_mean;
      for (int64_t c = 0; c < channels; ++c)
        ref.rstd[at(c)] = 1 / std::sqrt(old_var[at(c)] + args.eps);
      ref.apply(x, is_affine ? &w : nullptr, is_affine ? &b : nullptr);
      EXPECT_EQ(running_mean.values(), old_mean);
    }
    expect_near(y, ref.y, 2 * tol, "y");
    BatchNormBackwardArgs back;
    back.grad_output = g.data();
    back.input = x.data();
    back.weight = args.weight;
    back.saved_mean = mean.data();
    back.saved_invstd = invstd.data();
    back.running_mean = running_mean.data();
    back.running_var = running_var.data();
    back.grad_input = grad.data();
    back.grad_weight = grad_w.data();
    back.grad_bias = grad_b.data();
    back.dtype = dtype;
    back.parameter_dtype = parameter;
    back.batch = batch;
    back.channels = channels;
    back.spatial = spatial;
    back.is_training = is_training;
    run_twice(kernels_.batch_norm_backward, back, grad);
    ref.backward(g, is_affine ? &w : nullptr, is_training);
    expect_near(grad, ref.grad_x, 4 * tol, "grad_x");
    expect_near(grad_w, ref.grad_weight, 10 * tol, "grad_weight");
    expect_near(grad_b, ref.grad_bias, 10 * tol, "grad_bias");
  }
}

}  // namespace
}  // namespace taut::kernels
