#pragma once
// Convolution layers.
//   nn::Conv2d layer(3, 16, 3, {.stride = 2, .padding = 1});
// The functions and their shapes: taut/nn/functional/conv.h.

#include "taut/nn/functional/conv.h"
#include "taut/nn/module.h"
#include "taut/nn/modules/size_arg.h"

namespace taut::nn {

/// Numbers of zeros on both sides, "valid" (none), or "same" (so many that the size stays; stride
/// 1).
class TAUT_API Padding {
 public:
  template <std::integral T>
  Padding(T value) : size_(value) {}
  Padding(std::initializer_list<int64_t> values) : size_(values) {}
  Padding(const Dims& values) : size_(values) {}
  /// @throws ValueError for any word but "same" and "valid".
  Padding(std::string_view word);
  Padding(const char* word) : Padding(std::string_view(word)) {}

  bool is_same() const { return word_ == "same"; }
  /// The word that was given, or empty.
  const std::string& word() const { return word_; }
  const SizeArg& size() const { return size_; }

 private:
  SizeArg size_ = 0;
  std::string word_;
};

struct ConvOptions {
  SizeArg stride = 1;
  Padding padding = 0;
  SizeArg dilation = 1;
  int64_t groups = 1;
  bool bias = true;
  std::string padding_mode = "zeros";  // the only one so far
  TensorOptions options = {};          // dtype and device of the parameters
};

struct ConvTransposeOptions {
  SizeArg stride = 1;
  SizeArg padding = 0;
  SizeArg output_padding = 0;
  int64_t groups = 1;
  bool bias = true;
  SizeArg dilation = 1;
  std::string padding_mode = "zeros";
  TensorOptions options = {};
};

/// What all convolution layers have in common. weight and bias start uniform in +-1 / sqrt(fan_in).
class TAUT_API ConvBase : public Module {
 public:
  std::string extra_repr() const override;
  void reset_parameters();

  int64_t in_channels;
  int64_t out_channels;
  Dims kernel_size;
  Dims stride;
  Dims padding;  // on both sides; with "same" what lies before, or one less
  Dims dilation;
  Dims output_padding;
  int64_t groups;
  bool is_transposed;
  std::string padding_word;  // "same", "valid" or empty
  std::string padding_mode;
  Tensor weight;
  Tensor bias;  // undefined without one

 protected:
  ConvBase(const char* op, int spatial, int64_t in_channels, int64_t out_channels,
           const SizeArg& kernel_size, const ConvOptions& options);
  ConvBase(const char* op, int spatial, int64_t in_channels, int64_t out_channels,
           const SizeArg& kernel_size, const ConvTransposeOptions& options);
  void make_parameters(const char* op, bool with_bias, const TensorOptions& options);
  using ByNumbers = Tensor (*)(const Tensor&, const Tensor&, const Tensor&, const Dims&,
                               const Dims&, const Dims&, int64_t);
  using ByWord = Tensor (*)(const Tensor&, const Tensor&, const Tensor&, const Dims&,
                            functional::PaddingWord, const Dims&, int64_t);
  /// Runs a convolution of taut/nn/functional/conv.h, in the form that the padding asks for.
  Tensor convolve(const Tensor& input, ByNumbers by_numbers, ByWord by_word) const;
};

/// (batch, in_channels, length) to (batch, out_channels, length').
class TAUT_API Conv1d : public ConvBase {
 public:
  Conv1d(int64_t in_channels, int64_t out_channels, const SizeArg& kernel_size,
         const ConvOptions& options = {});
  Tensor forward(const Tensor& input) override;
};

/// (batch, in_channels, height, width) to (batch, out_channels, height', width').
class TAUT_API Conv2d : public ConvBase {
 public:
  Conv2d(int64_t in_channels, int64_t out_channels, const SizeArg& kernel_size,
         const ConvOptions& options = {});
  Tensor forward(const Tensor& input) override;
};

class TAUT_API Conv3d : public ConvBase {
 public:
  Conv3d(int64_t in_channels, int64_t out_channels, const SizeArg& kernel_size,
         const ConvOptions& options = {});
  Tensor forward(const Tensor& input) override;
};

class TAUT_API ConvTranspose1d : public ConvBase {
 public:
  ConvTranspose1d(int64_t in_channels, int64_t out_channels, const SizeArg& kernel_size,
                  const ConvTransposeOptions& options = {});
  Tensor forward(const Tensor& input) override;
};

class TAUT_API ConvTranspose2d : public ConvBase {
 public:
  ConvTranspose2d(int64_t in_channels, int64_t out_channels, const SizeArg& kernel_size,
                  const ConvTransposeOptions& options = {});
  Tensor forward(const Tensor& input) override;
};

class TAUT_API ConvTranspose3d : public ConvBase {
 public:
  ConvTranspose3d(int64_t in_channels, int64_t out_channels, const SizeArg& kernel_size,
                  const ConvTransposeOptions& options = {});
  Tensor forward(const Tensor& input) override;
};

}  // namespace taut::nn
