#include "kernels/api/conv.h"

#include <algorithm>
#include <functional>

#include "tests/kernels/kernel_test.h"

namespace taut::kernels::testing {
namespace {

// Calls visit(output position, tap, input position) for all reads inside of the image.
void visit_reads(const ConvShape& s, const std::function<void(int64_t, int64_t, int64_t)>& visit) {
  const int rank = s.input_size.rank();
  for (int64_t o = 0; o < s.output_size.numel(); ++o) {
    for (int64_t t = 0; t < s.kernel_size.numel(); ++t) {
      int64_t rest_o = o;
      int64_t rest_t = t;
      int64_t at = 0;
      int64_t step = 1;
      bool inside = true;
      for (int d = rank - 1; d >= 0; --d) {
        const int64_t x = rest_o % s.output_size[d] * s.stride[d] +
                          rest_t % s.kernel_size[d] * s.dilation[d] - s.padding[d];
        rest_o /= s.output_size[d];
        rest_t /= s.kernel_size[d];
        inside = inside && x >= 0 && x < s.input_size[d];
        at += x * step;
        step *= s.input_size[d];
      }
      if (inside) visit(o, t, at);
    }
  }
}

class ConvTest : public KernelTest {
 protected:
  ConvShape random_shape() {
    ConvShape s;
    const int rank = static_cast<int>(uniform(1, 3));
    s.groups = coin() ? 1 : uniform(1, 3);
    s.batch = uniform(0, 4);
    s.in_channels = s.groups * uniform(1, coin() ? 3 : 20);
    s.out_channels = s.groups * uniform(1, coin() ? 3 : 40);
    const bool pointwise = uniform(0, 5) == 0;
    for (int d = 0; d < rank; ++d) {
      const int64_t kernel = pointwise ? 1 : uniform(1, 4);
      const int64_t stride = pointwise ? 1 : uniform(1, 3);
      const int64_t dilation = uniform(1, 2);
      const int64_t padding = pointwise ? 0 : uniform(0, 3);
      const int64_t span = dilation * (kernel - 1) + 1;
      const int64_t input =
          std::max<int64_t>({1, span - 2 * padding, uniform(1, rank == 3 ? 6 : 12)});
      s.input_size.push_back(input);
      s.output_size.push_back((input + 2 * padding - span) / stride + 1 +
                              (pointwise || uniform(0, 4) > 0 ? 0 : 1));
      s.kernel_size.push_back(kernel);
      s.stride.push_back(stride);
      s.padding.push_back(padding);
      s.dilation.push_back(dilation);
    }
    return s;
  }
  void randomize(Buffer& buffer) {
    for (int64_t i = 0; i < buffer.size(); ++i)
      buffer.set(i, static_cast<double>(uniform(-8, 8)) / 8);
  }
  void expect_near(const Buffer& got, const std::vector<double>& want, int64_t terms) {
    for (int64_t i = 0; i < got.size(); ++i) {
      const double value = want[static_cast<size_t>(i)];
      ASSERT_NEAR(got.get(i), value,
                  tolerance(got.dtype()) *
                      (1 + std::abs(value) + 0.2 * std::sqrt(static_cast<double>(terms))))
          << "at " << i << " " << name(got.dtype());
    }
  }
  // Runs on one thread and on three, which must agree.
  void run_both(Buffer& result, const std::function<void(void*)>& kernel) {
    Buffer other = result;
    set_num_threads(1);
    kernel(result.data());
    set_num_threads(3);
    kernel(other.data());
    ASSERT_TRUE(result.same_bits(other));
  }
};

TEST_F(ConvTest, AgreesWithTheDefinition) {
  const ConvKernels kernels = conv_kernels_cpu();
  for (int round = 0; round < 200; ++round) {
    const ConvShape s = random_shape();
    const DType dtype = kAllDTypes[uniform(0, 3)];
    const int64_t in = s.in_channels / s.groups;
    const int64_t out = s.out_channels / s.groups;
    const int64_t taps = s.kernel_size.numel();
    const int64_t ip = s.input_size.numel();
    const int64_t op = s.output_size.numel();
    Buffer input(dtype, s.batch * s.in_channels * ip, uniform(0, 3));
    Buffer weight(dtype, s.out_channels * in * taps, uniform(0, 3));
    Buffer bias(dtype, std::max(s.out_channels, s.in_channels));
    Buffer output(dtype, s.batch * s.out_channels * op, uniform(0, 3));
    Buffer grad_input(dtype, input.size());
    Buffer grad_weight(dtype, weight.size());
    Buffer grad_bias(dtype, s.out_channels);
    Buffer grad(dtype, output.size());
    randomize(input);
    randomize(weight);
    randomize(bias);
    randomize(grad);
    const bool has_bias = coin();
    const Activation activation = static_cast<Activation>(uniform(0, 3) / 2);
    SCOPED_TRACE(concat("round ", round, " in ", s.in_channels, " out ", s.out_channels, " groups ",
                        s.groups, " batch ", s.batch, " input ", s.input_size, " output ",
                        s.output_size, " kernel ", s.kernel_size, " stride ", s.stride, " padding ",
                        s.padding, " dilation ", s.dilation));
    run_both(output, [&](void* to) {
      kernels.forward({.dtype = dtype,
                       .shape = s,
                       .input = input.data(),
                       .weight = weight.data(),
                       .bias = has_bias ? bias.data() : nullptr,
                       .output = to,
                       .activation = activation});
    });
    run_both(grad_input, [&](void* to) {
      kernels.backward_input({.dtype = dtype,
                              .shape = s,
                              .grad_output = grad.data(),
                              .weight = weight.data(),
                              .bias = has_bias ? bias.data() : nullptr,
                              .grad_input = to});
    });
    run_both(grad_weight, [&](void* to) {
      kernels.backward_weight({.dtype = dtype,
                               .shape = s,
                               .input = input.data(),
                               .grad_output = grad.data(),
                               .grad_weight = to});
    });
    run_both(grad_bias, [&](void* to) {
      kernels.backward_weight({.dtype = dtype,
                               .shape = s,
                               .input = input.data(),
                               .grad_output = grad.data(),
                               .grad_bias = to});
    });

    std::vector<double> want_output(static_cast<size_t>(output.size()), 0.0);
    std::vector<double> want_input(static_cast<size_t>(input.size()), 0.0);
    std::vector<double> want_weight(static_cast<size_t>(weight.size()), 0.0);
    std::vector<double> want_bias(static_cast<size_t>(s.out_channels), 0.0);
    for (int64_t b = 0; b < s.batch; ++b) {
      for (int64_t o = 0; o < s.out_channels; ++o) {
        const int64_t group = o / out;
        const int64_t out_at = (b * s.out_channels + o) * op;
        for (int64_t p = 0; p < op; ++p) {
          want_bias[static_cast<size_t>(o)] += grad.get(out_at + p);
          if (has_bias) want_output[static_cast<size_t>(out_at + p)] = bias.get(o);
        }
        for (int64_t c = 0; c < in; ++c) {
          const int64_t in_at = (b * s.in_channels + group * in + c) * ip;
          visit_reads(s, [&](int64_t p, int64_t t, int64_t at) {
            const int64_t w = (o * in + c) * taps + t;
            want_output[static_cast<size_t>(out_at + p)] += input.get(in_at + at) * weight.get(w);
            want_input[static_cast<size_t>(in_at + at)] += grad.get(out_at + p) * weight.get(w);
            want_weight[static_cast<size_t>(w)] += grad.get(out_at + p) * input.get(in_at + at);
          });
        }
      }
    }
    for (int64_t i = 0; has_bias && i < input.size(); ++i) {
      want_input[static_cast<size_t>(i)] += bias.get(i / ip % s.in_channels);
    }
    for (double& value : want_output) {
      if (activation == Activation::relu) value = std::max(value, 0.0);
    }
    expect_near(output, want_output, in * taps);
    expect_near(grad_input, want_input, out * taps);
    expect_near(grad_weight, want_weight, s.batch * op);
    expect_near(grad_bias, want_bias, s.batch * op);
    if (HasFatalFailure()) return;
  }
}

// The same numbers in the same order of additions, so the same bits; only the gradient of a
// depthwise weight is summed in another order.
TEST_F(ConvTest, ChannelsLastGivesTheSame) {
  const ConvKernels kernels = conv_kernels_cpu();
  // Turns (outer, channels, inner) to (outer, inner, channels), or back.
  const auto turned = [](const Buffer& from, int64_t channels, int64_t inner, bool to_last) {
    Buffer to(from.dtype(), from.size());
    for (int64_t i = 0; i < from.size(); ++i) {
      const int64_t image = i / (channels * inner) * (channels * inner);
      const int64_t first = image + i % (channels * inner) / inner * inner + i % inner;
      const int64_t last = image + i % inner * channels + i % (channels * inner) / inner;
      to_last ? to.set(last, from.get(first)) : to.set(first, from.get(last));
    }
    return to;
  };
  for (int round = 0; round < 300; ++round) {
    ConvShape s = random_shape();
    const bool is_depthwise = uniform(0, 4) == 0;
    if (is_depthwise) s.groups = s.in_channels = s.out_channels = uniform(2, 70);
    const DType dtype = kAllDTypes[uniform(0, 3)];
    const int64_t in = s.in_channels / s.groups;
    const int64_t taps = s.kernel_size.numel();
    const int64_t ip = s.input_size.numel();
    const int64_t op = s.output_size.numel();
    Buffer input(dtype, s.batch * s.in_channels * ip);
    Buffer weight(dtype, s.out_channels * in * taps);
    Buffer bias(dtype, std::max(s.out_channels, s.in_channels));
    Buffer output(dtype, s.batch * s.out_channels * op);
    Buffer grad(dtype, output.size());
    Buffer grad_input(dtype, input.size());
    Buffer grad_weight(dtype, weight.size());
    Buffer grad_bias(dtype, s.out_channels);
    for (Buffer* buffer : {&input, &weight, &bias, &grad}) randomize(*buffer);
    const void* bias_data = coin() ? bias.data() : nullptr;
    const Activation activation = static_cast<Activation>(uniform(0, 3) / 2);
    SCOPED_TRACE(concat("round ", round, " ", name(dtype), " in ", s.in_channels, " out ",
                        s.out_channels, " groups ", s.groups, " batch ", s.batch, " input ",
                        s.input_size, " output ", s.output_size, " kernel ", s.kernel_size,
                        " stride ", s.stride, " padding ", s.padding, " dilation ", s.dilation));
    const auto run_all = [&](bool last, const Buffer& x, const Buffer& w, const Buffer& g,
                             Buffer* results[4]) {
      run_both(*results[0], [&](void* to) {
        kernels.forward({.dtype = dtype,
                         .shape = s,
                         .channels_last = last,
                         .input = x.data(),
                         .weight = w.data(),
                         .bias = bias_data,
                         .output = to,
                         .activation = activation});
      });
      run_both(*results[1], [&](void* to) {
        kernels.backward_input({.dtype = dtype,
                                .shape = s,
                                .channels_last = last,
                                .grad_output = g.data(),
                                .weight = w.data(),
                                .bias = bias_data,
                                .grad_input = to});
      });
      run_both(*results[2], [&](void* to) {
        kernels.backward_weight({.dtype = dtype,
                                 .shape = s,
                                 .channels_last = last,
                                 .input = x.data(),
                                 .grad_output = g.data(),
                                 .grad_weight = to});
      });
      run_both(*results[3], [&](void* to) {
        kernels.backward_weight({.dtype = dtype,
                                 .shape = s,
                                 .channels_last = last,
                                 .input = x.data(),
                                 .grad_output = g.data(),
                                 .grad_bias = to});
      });
    };
    Buffer* planar[] = {&output, &grad_input, &grad_weight, &grad_bias};
    run_all(false, input, weight, grad, planar);
    Buffer last_output = output, last_input = grad_input, last_weight = grad_weight,
           last_bias = grad_bias;
    Buffer* last[] = {&last_output, &last_input, &last_weight, &last_bias};
    run_all(true, turned(input, s.in_channels, ip, true), turned(weight, in, taps, true),
            turned(grad, s.out_channels, op, true), last);
    if (HasFatalFailure()) return;
    EXPECT_TRUE(output.same_bits(turned(last_output, s.out_channels, op, false)));
    EXPECT_TRUE(grad_input.same_bits(turned(last_input, s.in_channels, ip, false)));
    EXPECT_TRUE(grad_bias.same_bits(last_bias));
    const Buffer other_weight = turned(last_weight, in, taps, false);
    if (s.groups == s.in_channels && s.groups == s.out_channels) {
      std::vector<double> want;
      for (int64_t i = 0; i < grad_weight.size(); ++i) want.push_back(grad_weight.get(i));
      expect_near(other_weight, want, s.batch * op);
    } else {
      EXPECT_TRUE(grad_weight.same_bits(other_weight));
    }
    if (HasFailure()) return;
  }
}

TEST_F(ConvTest, UnfoldAndFold) {
  const ConvKernels kernels = conv_kernels_cpu();
  for (int round = 0; round < 60; ++round) {
    const ConvShape s = random_shape();
    const DType dtype = kAllDTypes[uniform(0, 3)];
    const int64_t taps = s.kernel_size.numel();
    const int64_t ip = s.input_size.numel();
    const int64_t op = s.output_size.numel();
    const int64_t planes = s.batch * s.in_channels;
    Buffer image(dtype, planes * ip);
    Buffer columns(dtype, planes * taps * op);
    randomize(image);
    run_both(columns, [&](void* to) { kernels.unfold({dtype, s, image.data(), to}); });
    std::vector<double> want(static_cast<size_t>(columns.size()), 0.0);
    std::vector<double> folded(static_cast<size_t>(image.size()), 0.0);
    for (int64_t plane = 0; plane < planes; ++plane) {
      visit_reads(s, [&](int64_t p, int64_t t, int64_t at) {
        const int64_t i = (plane * taps + t) * op + p;
        want[static_cast<size_t>(i)] = image.get(plane * ip + at);
        folded[static_cast<size_t>(plane * ip + at)] += image.get(plane * ip + at);
      });
    }
    expect_near(columns, want, 1);
    Buffer result(dtype, image.size());
    run_both(result, [&](void* to) { kernels.fold({dtype, s, columns.data(), to}); });
    expect_near(result, folded, taps);
  }
}

}  // namespace
}  // namespace taut::kernels::testing
