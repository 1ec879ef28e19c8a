#include "taut/nn/modules/pool.h"

#include "taut/nn/functional/pool.h"

namespace taut::nn {

MaxPoolBase::MaxPoolBase(int spatial, const SizeArg& kernel, const MaxPoolOptions& options)
    : kernel_size(kernel),
      stride(options.stride.value_or(kernel)),
      padding(options.padding),
      dilation(options.dilation),
      ceil_mode(options.ceil_mode),
      spatial_(spatial) {}

Tensor MaxPoolBase::forward(const Tensor& input) {
  const auto function = spatial_ == 1   ? functional::max_pool1d
                        : spatial_ == 2 ? functional::max_pool2d
                                        : functional::max_pool3d;
  return function(input, kernel_size.values(), stride.values(), padding.values(), dilation.values(),
                  ceil_mode);
}

std::string MaxPoolBase::extra_repr() const {
  return concat("kernel_size=", kernel_size, ", stride=", stride, ", padding=", padding,
                ", dilation=", dilation, ", ceil_mode=", ceil_mode);
}

AvgPoolBase::AvgPoolBase(int spatial, const SizeArg& kernel, const AvgPoolOptions& options)
    : kernel_size(kernel),
      stride(options.stride.value_or(kernel)),
      padding(options.padding),
      ceil_mode(options.ceil_mode),
      count_include_pad(options.count_include_pad),
      divisor_override(options.divisor_override),
      spatial_(spatial) {}

Tensor AvgPoolBase::forward(const Tensor& input) {
  if (spatial_ == 1) {
    return functional::avg_pool1d(input, kernel_size.values(), stride.values(), padding.values(),
                                  ceil_mode, count_include_pad);
  }
  const auto function = spatial_ == 2 ? functional::avg_pool2d : functional::avg_pool3d;
  return function(input, kernel_size.values(), stride.values(), padding.values(), ceil_mode,
                  count_include_pad, divisor_override);
}

std::string AvgPoolBase::extra_repr() const {
  if (spatial_ == 1) {  // PyTorch prints the numbers of this one as lists
    return concat("kernel_size=", kernel_size.values(), ", stride=", stride.values(),
                  ", padding=", padding.values());
  }
  return concat("kernel_size=", kernel_size, ", stride=", stride, ", padding=", padding);
}

Tensor AdaptivePoolBase::forward(const Tensor& input) { return function_(input, output_size); }

std::string AdaptivePoolBase::extra_repr() const { return concat("output_size=", output_size); }

AdaptiveAvgPool1d::AdaptiveAvgPool1d(const functional::AdaptiveSize& size)
    : AdaptivePoolBase(size, functional::adaptive_avg_pool1d) {}
AdaptiveAvgPool2d::AdaptiveAvgPool2d(const functional::AdaptiveSize& size)
    : AdaptivePoolBase(size, functional::adaptive_avg_pool2d) {}
AdaptiveAvgPool3d::AdaptiveAvgPool3d(const functional::AdaptiveSize& size)
    : AdaptivePoolBase(size, functional::adaptive_avg_pool3d) {}
AdaptiveMaxPool1d::AdaptiveMaxPool1d(const functional::AdaptiveSize& size)
    : AdaptivePoolBase(size, functional::adaptive_max_pool1d) {}
AdaptiveMaxPool2d::AdaptiveMaxPool2d(const functional::AdaptiveSize& size)
    : AdaptivePoolBase(size, functional::adaptive_max_pool2d) {}
AdaptiveMaxPool3d::AdaptiveMaxPool3d(const functional::AdaptiveSize& size)
    : AdaptivePoolBase(size, functional::adaptive_max_pool3d) {}

}  // namespace taut::nn
