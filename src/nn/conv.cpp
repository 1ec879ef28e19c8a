#include "taut/nn/modules/conv.h"

#include <algorithm>
#include <cmath>

#include "taut/nn/init.h"
#include "taut/ops/ops.h"

namespace taut::nn {
namespace {

bool all_are(const Dims& dims, int64_t value) {
  return std::all_of(dims.begin(), dims.end(), [value](int64_t n) { return n == value; });
}

}  // namespace

Padding::Padding(std::string_view word) : word_(word) {
  functional::parse_padding(word);  // throws for an unknown one
}

ConvBase::ConvBase(const char* op, int spatial, int64_t in, int64_t out, const SizeArg& kernel,
                   const ConvOptions& options)
    : in_channels(in),
      out_channels(out),
      kernel_size(kernel.expand(op, "kernel_size", spatial)),
      stride(options.stride.expand(op, "stride", spatial)),
      padding(options.padding.size().expand(op, "padding", spatial)),
      dilation(options.dilation.expand(op, "dilation", spatial)),
      output_padding(Dims::filled(spatial, 0)),
      groups(options.groups),
      is_transposed(false),
      padding_word(options.padding.word()),
      padding_mode(options.padding_mode) {
  if (options.padding.is_same()) {
    TAUT_CHECK(all_are(stride, 1), ValueError, op, ": padding \"same\" needs stride 1; got ",
               stride);
    for (int i = 0; i < spatial; ++i) padding[i] = dilation[i] * (kernel_size[i] - 1) / 2;
  }
  make_parameters(op, options.bias, options.options);
}

ConvBase::ConvBase(const char* op, int spatial, int64_t in, int64_t out, const SizeArg& kernel,
                   const ConvTransposeOptions& options)
    : in_channels(in),
      out_channels(out),
      kernel_size(kernel.expand(op, "kernel_size", spatial)),
      stride(options.stride.expand(op, "stride", spatial)),
      padding(options.padding.expand(op, "padding", spatial)),
      dilation(options.dilation.expand(op, "dilation", spatial)),
      output_padding(options.output_padding.expand(op, "output_padding", spatial)),
      groups(options.groups),
      is_transposed(true),
      padding_mode(options.padding_mode) {
  make_parameters(op, options.bias, options.options);
}

void ConvBase::make_parameters(const char* op, bool with_bias, const TensorOptions& options) {
  TAUT_CHECK(groups >= 1, ValueError, op, ": groups must be at least 1; got ", groups);
  TAUT_CHECK(in_channels % groups == 0 && out_channels % groups == 0, ValueError, op,
             ": in_channels and out_channels must be divisible by groups; got ", in_channels, ", ",
             out_channels, " and ", groups);
  TAUT_CHECK(padding_mode == "zeros", NotImplementedError, op, ": padding_mode \"", padding_mode,
             "\" is not there; expected zeros");
  Dims shape = is_transposed ? Dims{in_channels, out_channels / groups}
                             : Dims{out_channels, in_channels / groups};
  for (int64_t taps : kernel_size) shape.push_back(taps);
  register_parameter("weight", weight, empty(shape, options));
  register_parameter("bias", bias, with_bias ? empty({out_channels}, options) : Tensor());
  reset_parameters();
}

void ConvBase::reset_parameters() {
  init::kaiming_uniform_(weight, std::sqrt(5.0));
  if (!bias.defined()) return;
  const int64_t fan_in = init::calculate_fan_in_and_fan_out(weight).first;
  if (fan_in == 0) return;
  const double bound = 1.0 / std::sqrt(static_cast<double>(fan_in));
  init::uniform_(bias, -bound, bound);
}

Tensor ConvBase::convolve(const Tensor& input, ByNumbers by_numbers, ByWord by_word) const {
  if (padding_word == "same") {
    return by_word(input, weight, bias, stride, functional::PaddingWord::same, dilation, groups);
  }
  return by_numbers(input, weight, bias, stride, padding, dilation, groups);
}

std::string ConvBase::extra_repr() const {
  std::string text =
      concat(in_channels, ", ", out_channels, ", kernel_size=", kernel_size, ", stride=", stride);
  if (!padding_word.empty()) {
    text += concat(", padding=", padding_word);
  } else if (!all_are(padding, 0)) {
    text += concat(", padding=", padding);
  }
  if (!all_are(dilation, 1)) text += concat(", dilation=", dilation);
  if (!all_are(output_padding, 0)) text += concat(", output_padding=", output_padding);
  if (groups != 1) text += concat(", groups=", groups);
  if (!bias.defined()) text += ", bias=False";
  return text;
}

Conv1d::Conv1d(int64_t in, int64_t out, const SizeArg& kernel, const ConvOptions& options)
    : ConvBase("Conv1d", 1, in, out, kernel, options) {}
Tensor Conv1d::forward(const Tensor& input) {
  return convolve(input, functional::conv1d, functional::conv1d);
}

Conv2d::Conv2d(int64_t in, int64_t out, const SizeArg& kernel, const ConvOptions& options)
    : ConvBase("Conv2d", 2, in, out, kernel, options) {}
Tensor Conv2d::forward(const Tensor& input) {
  return convolve(input, functional::conv2d, functional::conv2d);
}

Conv3d::Conv3d(int64_t in, int64_t out, const SizeArg& kernel, const ConvOptions& options)
    : ConvBase("Conv3d", 3, in, out, kernel, options) {}
Tensor Conv3d::forward(const Tensor& input) {
  return convolve(input, functional::conv3d, functional::conv3d);
}

ConvTranspose1d::ConvTranspose1d(int64_t in, int64_t out, const SizeArg& kernel,
                                 const ConvTransposeOptions& options)
    : ConvBase("ConvTranspose1d", 1, in, out, kernel, options) {}
Tensor ConvTranspose1d::forward(const Tensor& input) {
  return functional::conv_transpose1d(input, weight, bias, stride, padding, output_padding, groups,
                                      dilation);
}

ConvTranspose2d::ConvTranspose2d(int64_t in, int64_t out, const SizeArg& kernel,
                                 const ConvTransposeOptions& options)
    : ConvBase("ConvTranspose2d", 2, in, out, kernel, options) {}
Tensor ConvTranspose2d::forward(const Tensor& input) {
  return functional::conv_transpose2d(input, weight, bias, stride, padding, output_padding, groups,
                                      dilation);
}

ConvTranspose3d::ConvTranspose3d(int64_t in, int64_t out, const SizeArg& kernel,
                                 const ConvTransposeOptions& options)
    : ConvBase("ConvTranspose3d", 3, in, out, kernel, options) {}
Tensor ConvTranspose3d::forward(const Tensor& input) {
  return functional::conv_transpose3d(input, weight, bias, stride, padding, output_padding, groups,
                                      dilation);
}

}  // namespace taut::nn
