#pragma once
// Pooling layers. The functions and their shapes: taut/nn/functional/pool.h.
//   nn::MaxPool2d pool(3, {.stride = 2, .padding = 1});

#include <optional>

#include "taut/nn/functional/pool.h"
#include "taut/nn/module.h"
#include "taut/nn/modules/size_arg.h"

namespace taut::nn {

struct MaxPoolOptions {
  std::optional<SizeArg> stride = {};  // the kernel's size unless given
  SizeArg padding = 0;
  SizeArg dilation = 1;
  bool ceil_mode = false;
};

struct AvgPoolOptions {
  std::optional<SizeArg> stride = {};  // the kernel's size unless given
  SizeArg padding = 0;
  bool ceil_mode = false;
  bool count_include_pad = true;
  std::optional<int64_t> divisor_override = {};  // not for AvgPool1d
};

class TAUT_API MaxPoolBase : public Module {
 public:
  Tensor forward(const Tensor& input) override;
  std::string extra_repr() const override;

  SizeArg kernel_size;
  SizeArg stride;
  SizeArg padding;
  SizeArg dilation;
  bool ceil_mode;

 protected:
  MaxPoolBase(int spatial, const SizeArg& kernel_size, const MaxPoolOptions& options);

 private:
  int spatial_;
};

class TAUT_API MaxPool1d : public MaxPoolBase {
 public:
  explicit MaxPool1d(const SizeArg& kernel, const MaxPoolOptions& options = {})
      : MaxPoolBase(1, kernel, options) {}
};
class TAUT_API MaxPool2d : public MaxPoolBase {
 public:
  explicit MaxPool2d(const SizeArg& kernel, const MaxPoolOptions& options = {})
      : MaxPoolBase(2, kernel, options) {}
};
class TAUT_API MaxPool3d : public MaxPoolBase {
 public:
  explicit MaxPool3d(const SizeArg& kernel, const MaxPoolOptions& options = {})
      : MaxPoolBase(3, kernel, options) {}
};

class TAUT_API AvgPoolBase : public Module {
 public:
  Tensor forward(const Tensor& input) override;
  std::string extra_repr() const override;

  SizeArg kernel_size;
  SizeArg stride;
  SizeArg padding;
  bool ceil_mode;
  bool count_include_pad;
  std::optional<int64_t> divisor_override;

 protected:
  AvgPoolBase(int spatial, const SizeArg& kernel_size, const AvgPoolOptions& options);

 private:
  int spatial_;
};

class TAUT_API AvgPool1d : public AvgPoolBase {
 public:
  explicit AvgPool1d(const SizeArg& kernel, const AvgPoolOptions& options = {})
      : AvgPoolBase(1, kernel, options) {}
};
class TAUT_API AvgPool2d : public AvgPoolBase {
 public:
  explicit AvgPool2d(const SizeArg& kernel, const AvgPoolOptions& options = {})
      : AvgPoolBase(2, kernel, options) {}
};
class TAUT_API AvgPool3d : public AvgPoolBase {
 public:
  explicit AvgPool3d(const SizeArg& kernel, const AvgPoolOptions& options = {})
      : AvgPoolBase(3, kernel, options) {}
};

/// As many windows as output_size says; nullopt (None) keeps the input's.
class TAUT_API AdaptivePoolBase : public Module {
 public:
  Tensor forward(const Tensor& input) override;
  std::string extra_repr() const override;

  functional::AdaptiveSize output_size;

 protected:
  AdaptivePoolBase(const functional::AdaptiveSize& size,
                   Tensor (*function)(const Tensor&, const functional::AdaptiveSize&))
      : output_size(size), function_(function) {}

 private:
  Tensor (*function_)(const Tensor&, const functional::AdaptiveSize&);
};

class TAUT_API AdaptiveAvgPool1d : public AdaptivePoolBase {
 public:
  explicit AdaptiveAvgPool1d(const functional::AdaptiveSize& size);
};
class TAUT_API AdaptiveAvgPool2d : public AdaptivePoolBase {
 public:
  explicit AdaptiveAvgPool2d(const functional::AdaptiveSize& size);
};
class TAUT_API AdaptiveAvgPool3d : public AdaptivePoolBase {
 public:
  explicit AdaptiveAvgPool3d(const functional::AdaptiveSize& size);
};
class TAUT_API AdaptiveMaxPool1d : public AdaptivePoolBase {
 public:
  explicit AdaptiveMaxPool1d(const functional::AdaptiveSize& size);
};
class TAUT_API AdaptiveMaxPool2d : public AdaptivePoolBase {
 public:
  explicit AdaptiveMaxPool2d(const functional::AdaptiveSize& size);
};
class TAUT_API AdaptiveMaxPool3d : public AdaptivePoolBase {
 public:
  explicit AdaptiveMaxPool3d(const functional::AdaptiveSize& size);
};

}  // namespace taut::nn
