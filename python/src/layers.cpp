// The layers and losses that C++ has, as Python classes.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "adaptive_size.h"
#include "module_binding.h"
#include "taut/nn/modules/activation.h"
#include "taut/nn/modules/conv.h"
#include "taut/nn/modules/dropout.h"
#include "taut/nn/modules/embedding.h"
#include "taut/nn/modules/linear.h"
#include "taut/nn/modules/loss.h"
#include "taut/nn/modules/norm.h"
#include "taut/nn/modules/pool.h"

namespace py = pybind11;
using namespace py::literals;

namespace taut::python {
namespace {

/// A class whose constructor takes what the C++ one takes, in the same order.
template <class M, class... A, class... Names>
Layer<M> layer(py::module_& module, const char* name, const Names&... names) {
  Layer<M> type(module, name);
  type.def(py::init([](A... arguments) { return new Hosted<M>(std::forward<A>(arguments)...); }),
           names...);
  return type;
}

/// The same with dtype and device of the parameters at the end.
template <class M, class... A, class... Names>
Layer<M> sized_layer(py::module_& module, const char* name, const Names&... names) {
  Layer<M> type(module, name);
  type.def(py::init([](A... arguments, DeviceOpt device, DTypeOpt dtype) {
             return new Hosted<M>(std::forward<A>(arguments)..., make_options(dtype, device));
           }),
           names..., "device"_a = py::none(), "dtype"_a = py::none());
  return type;
}

/// The same with `recompute` behind them.
template <class M, class... A, class... Names>
Layer<M> recomputing_layer(py::module_& module, const char* name, const Names&... names) {
  Layer<M> type(module, name);
  type.def(py::init([](A... arguments, DeviceOpt device, DTypeOpt dtype, bool recompute) {
             return new Hosted<M>(std::forward<A>(arguments)..., make_options(dtype, device),
                                  recompute);
           }),
           names..., "device"_a = py::none(), "dtype"_a = py::none(), "recompute"_a = false);
  return type;
}

void bind_activations(py::module_& m) {
#define TAUT_INPLACE_LAYER(Name) layer<nn::Name, bool>(m, #Name, "inplace"_a = false);
  TAUT_INPLACE_LAYER(ReLU)
  TAUT_INPLACE_LAYER(ReLU6)
  TAUT_INPLACE_LAYER(SELU)
  TAUT_INPLACE_LAYER(SiLU)
  TAUT_INPLACE_LAYER(Mish)
  TAUT_INPLACE_LAYER(Hardsigmoid)
  TAUT_INPLACE_LAYER(Hardswish)
#undef TAUT_INPLACE_LAYER
  layer<nn::Sigmoid>(m, "Sigmoid");
  layer<nn::Tanh>(m, "Tanh");
  layer<nn::LogSigmoid>(m, "LogSigmoid");
  layer<nn::Softsign>(m, "Softsign");
  layer<nn::Tanhshrink>(m, "Tanhshrink");
  layer<nn::LeakyReLU, double, bool>(m, "LeakyReLU", "negative_slope"_a = 0.01,
                                     "inplace"_a = false);
  layer<nn::ELU, double, bool>(m, "ELU", "alpha"_a = 1.0, "inplace"_a = false);
  layer<nn::CELU, double, bool>(m, "CELU", "alpha"_a = 1.0, "inplace"_a = false);
  layer<nn::GELU, std::string, bool>(m, "GELU", "approximate"_a = "none", "recompute"_a = false);
  layer<nn::Softplus, double, double>(m, "Softplus", "beta"_a = 1.0, "threshold"_a = 20.0);
  layer<nn::Hardtanh, double, double, bool>(m, "Hardtanh", "min_val"_a = -1.0, "max_val"_a = 1.0,
                                            "inplace"_a = false);
  layer<nn::Softshrink, double>(m, "Softshrink", "lambd"_a = 0.5);
  layer<nn::Hardshrink, double>(m, "Hardshrink", "lambd"_a = 0.5);
  layer<nn::Threshold, double, double, bool>(m, "Threshold", "threshold"_a, "value"_a,
                                             "inplace"_a = false);
  sized_layer<nn::PReLU, int64_t, double>(m, "PReLU", "num_parameters"_a = 1, "init"_a = 0.25);
  layer<nn::GLU, int64_t>(m, "GLU", "dim"_a = -1);
  layer<nn::Softmax, int64_t>(m, "Softmax", "dim"_a);
  layer<nn::LogSoftmax, int64_t>(m, "LogSoftmax", "dim"_a);
  layer<nn::Softmin, int64_t>(m, "Softmin", "dim"_a);
}

void bind_linear(py::module_& m) {
  Layer<nn::Identity>(m, "Identity").def(py::init([](const py::args&, const py::kwargs&) {
    return new Hosted<nn::Identity>();
  }));
  sized_layer<nn::Linear, int64_t, int64_t, bool>(m, "Linear", "in_features"_a, "out_features"_a,
                                                  "bias"_a = true)
      .def("reset_parameters", &nn::Linear::reset_parameters, "Draws weight and bias anew.");
  sized_layer<nn::Bilinear, int64_t, int64_t, int64_t, bool>(
      m, "Bilinear", "in1_features"_a, "in2_features"_a, "out_features"_a, "bias"_a = true);
  layer<nn::Flatten, int64_t, int64_t>(m, "Flatten", "start_dim"_a = 1, "end_dim"_a = -1);
  layer<nn::Unflatten, int64_t, const Dims&>(m, "Unflatten", "dim"_a, "unflattened_size"_a);
  layer<nn::Dropout, double, bool>(m, "Dropout", "p"_a = 0.5, "inplace"_a = false);
  layer<nn::Dropout2d, double, bool>(m, "Dropout2d", "p"_a = 0.5, "inplace"_a = false);
  sized_layer<nn::Embedding, int64_t, int64_t, DimOpt, bool>(
      m, "Embedding", "num_embeddings"_a, "embedding_dim"_a, "padding_idx"_a = py::none(),
      "scale_grad_by_freq"_a = false);
}

template <class M>
void bind_conv(py::module_& m, const char* name) {
  Layer<M>(m, name).def(
      py::init([](int64_t in_channels, int64_t out_channels, const nn::SizeArg& kernel_size,
                  const nn::SizeArg& stride, const nn::Padding& padding,
                  const nn::SizeArg& dilation, int64_t groups, bool bias, std::string padding_mode,
                  DeviceOpt device, DTypeOpt dtype) {
        return new Hosted<M>(in_channels, out_channels, kernel_size,
                             nn::ConvOptions{stride, padding, dilation, groups, bias,
                                             std::move(padding_mode), make_options(dtype, device)});
      }),
      "in_channels"_a, "out_channels"_a, "kernel_size"_a, "stride"_a = 1, "padding"_a = 0,
      "dilation"_a = 1, "groups"_a = 1, "bias"_a = true, "padding_mode"_a = "zeros",
      "device"_a = py::none(), "dtype"_a = py::none());
}

template <class M>
void bind_conv_transpose(py::module_& m, const char* name) {
  Layer<M>(m, name).def(
      py::init([](int64_t in_channels, int64_t out_channels, const nn::SizeArg& kernel_size,
                  const nn::SizeArg& stride, const nn::SizeArg& padding,
                  const nn::SizeArg& output_padding, int64_t groups, bool bias,
                  const nn::SizeArg& dilation, std::string padding_mode, DeviceOpt device,
                  DTypeOpt dtype) {
        return new Hosted<M>(
            in_channels, out_channels, kernel_size,
            nn::ConvTransposeOptions{stride, padding, output_padding, groups, bias, dilation,
                                     std::move(padding_mode), make_options(dtype, device)});
      }),
      "in_channels"_a, "out_channels"_a, "kernel_size"_a, "stride"_a = 1, "padding"_a = 0,
      "output_padding"_a = 0, "groups"_a = 1, "bias"_a = true, "dilation"_a = 1,
      "padding_mode"_a = "zeros", "device"_a = py::none(), "dtype"_a = py::none());
}

void bind_convolutions(py::module_& m) {
  bind_conv<nn::Conv1d>(m, "Conv1d");
  bind_conv<nn::Conv2d>(m, "Conv2d");
  bind_conv<nn::Conv3d>(m, "Conv3d");
  bind_conv_transpose<nn::ConvTranspose1d>(m, "ConvTranspose1d");
  bind_conv_transpose<nn::ConvTranspose2d>(m, "ConvTranspose2d");
  bind_conv_transpose<nn::ConvTranspose3d>(m, "ConvTranspose3d");
}

void bind_normalizations(py::module_& m) {
  using Momentum = std::optional<double>;
#define TAUT_BATCH_NORM(Name)                                                            \
  sized_layer<nn::Name, int64_t, double, Momentum, bool, bool>(                          \
      m, #Name, "num_features"_a, "eps"_a = 1e-5, "momentum"_a = 0.1, "affine"_a = true, \
      "track_running_stats"_a = true);
  TAUT_BATCH_NORM(BatchNorm1d)
  TAUT_BATCH_NORM(BatchNorm2d)
  TAUT_BATCH_NORM(BatchNorm3d)
  TAUT_BATCH_NORM(BatchNormReLU2d)
#undef TAUT_BATCH_NORM
  recomputing_layer<nn::LayerNorm, const nn::SizeArg&, double, bool, bool>(
      m, "LayerNorm", "normalized_shape"_a, "eps"_a = 1e-5, "elementwise_affine"_a = true,
      "bias"_a = true);
  recomputing_layer<nn::RMSNorm, const nn::SizeArg&, std::optional<double>, bool>(
      m, "RMSNorm", "normalized_shape"_a, "eps"_a = py::none(), "elementwise_affine"_a = true);
  sized_layer<nn::GroupNorm, int64_t, int64_t, double, bool>(
      m, "GroupNorm", "num_groups"_a, "num_channels"_a, "eps"_a = 1e-5, "affine"_a = true);
#define TAUT_INSTANCE_NORM(Name)                                                          \
  sized_layer<nn::Name, int64_t, double, Momentum, bool, bool>(                           \
      m, #Name, "num_features"_a, "eps"_a = 1e-5, "momentum"_a = 0.1, "affine"_a = false, \
      "track_running_stats"_a = false);
  TAUT_INSTANCE_NORM(InstanceNorm1d)
  TAUT_INSTANCE_NORM(InstanceNorm2d)
  TAUT_INSTANCE_NORM(InstanceNorm3d)
#undef TAUT_INSTANCE_NORM
}

nn::SizeArg read_size(const py::object& object) {
  py::detail::type_caster<nn::SizeArg> caster;
  if (!caster.load(object, true)) {
    throw py::type_error(std::string("stride: expected an int or ints; got a ") +
                         Py_TYPE(object.ptr())->tp_name);
  }
  return caster.value;
}

void bind_pools(py::module_& m) {
#define TAUT_MAX_POOL(Name)                                                                  \
  Layer<nn::Name>(m, #Name).def(                                                             \
      py::init([](const nn::SizeArg& kernel_size, const py::object& stride,                  \
                  const nn::SizeArg& padding, const nn::SizeArg& dilation, bool ceil_mode) { \
        nn::MaxPoolOptions options;                                                          \
        if (!stride.is_none()) options.stride = read_size(stride);                           \
        options.padding = padding;                                                           \
        options.dilation = dilation;                                                         \
        options.ceil_mode = ceil_mode;                                                       \
        return new Hosted<nn::Name>(kernel_size, options);                                   \
      }),                                                                                    \
      "kernel_size"_a, "stride"_a = py::none(), "padding"_a = 0, "dilation"_a = 1,           \
      "ceil_mode"_a = false);
  TAUT_MAX_POOL(MaxPool1d)
  TAUT_MAX_POOL(MaxPool2d)
  TAUT_MAX_POOL(MaxPool3d)
#undef TAUT_MAX_POOL
#define TAUT_AVG_POOL(Name)                                                             \
  Layer<nn::Name>(m, #Name).def(                                                        \
      py::init([](const nn::SizeArg& kernel_size, const py::object& stride,             \
                  const nn::SizeArg& padding, bool ceil_mode, bool count_include_pad,   \
                  DimOpt divisor_override) {                                            \
        nn::AvgPoolOptions options;                                                     \
        if (!stride.is_none()) options.stride = read_size(stride);                      \
        options.padding = padding;                                                      \
        options.ceil_mode = ceil_mode;                                                  \
        options.count_include_pad = count_include_pad;                                  \
        options.divisor_override = divisor_override;                                    \
        return new Hosted<nn::Name>(kernel_size, options);                              \
      }),                                                                               \
      "kernel_size"_a, "stride"_a = py::none(), "padding"_a = 0, "ceil_mode"_a = false, \
      "count_include_pad"_a = true, "divisor_override"_a = py::none());
  TAUT_AVG_POOL(AvgPool1d)
  TAUT_AVG_POOL(AvgPool2d)
  TAUT_AVG_POOL(AvgPool3d)
#undef TAUT_AVG_POOL
#define TAUT_ADAPTIVE_POOL(Name) \
  layer<nn::Name, const nn::functional::AdaptiveSize&>(m, #Name, "output_size"_a);
  TAUT_ADAPTIVE_POOL(AdaptiveAvgPool1d)
  TAUT_ADAPTIVE_POOL(AdaptiveAvgPool2d)
  TAUT_ADAPTIVE_POOL(AdaptiveAvgPool3d)
  TAUT_ADAPTIVE_POOL(AdaptiveMaxPool1d)
  TAUT_ADAPTIVE_POOL(AdaptiveMaxPool2d)
  TAUT_ADAPTIVE_POOL(AdaptiveMaxPool3d)
#undef TAUT_ADAPTIVE_POOL
}

void bind_losses(py::module_& m) {
  using nn::functional::Reduction;
  using Weight = std::optional<Tensor>;
  const auto reduction = "reduction"_a = "mean";
  layer<nn::MSELoss, Reduction>(m, "MSELoss", reduction);
  layer<nn::L1Loss, Reduction>(m, "L1Loss", reduction);
  layer<nn::SoftMarginLoss, Reduction>(m, "SoftMarginLoss", reduction);
  layer<nn::SmoothL1Loss, Reduction, double>(m, "SmoothL1Loss", reduction, "beta"_a = 1.0);
  layer<nn::HuberLoss, Reduction, double>(m, "HuberLoss", reduction, "delta"_a = 1.0);
  layer<nn::HingeEmbeddingLoss, double, Reduction>(m, "HingeEmbeddingLoss", "margin"_a = 1.0,
                                                   reduction);
  layer<nn::MarginRankingLoss, double, Reduction>(m, "MarginRankingLoss", "margin"_a = 0.0,
                                                  reduction);
  layer<nn::CosineEmbeddingLoss, double, Reduction>(m, "CosineEmbeddingLoss", "margin"_a = 0.0,
                                                    reduction);
  layer<nn::GaussianNLLLoss, bool, double, Reduction>(m, "GaussianNLLLoss", "full"_a = false,
                                                      "eps"_a = 1e-6, reduction);
  layer<nn::PoissonNLLLoss, bool, bool, double, Reduction>(
      m, "PoissonNLLLoss", "log_input"_a = true, "full"_a = false, "eps"_a = 1e-8, reduction);
  layer<nn::TripletMarginLoss, double, double, double, bool, Reduction>(
      m, "TripletMarginLoss", "margin"_a = 1.0, "p"_a = 2.0, "eps"_a = 1e-6, "swap"_a = false,
      reduction);
  Layer<nn::KLDivLoss>(m, "KLDivLoss")
      .def(py::init([](const std::string& word, bool log_target) {
             const bool batch_mean = word == "batchmean";
             return new Hosted<nn::KLDivLoss>(
                 batch_mean ? Reduction::sum : nn::functional::parse_reduction(word), log_target,
                 batch_mean);
           }),
           reduction, "log_target"_a = false);
  Layer<nn::BCELoss>(m, "BCELoss")
      .def(py::init([](const Weight& weight, Reduction r) {
             return new Hosted<nn::BCELoss>(weight.value_or(Tensor()), r);
           }),
           "weight"_a = py::none(), reduction);
  Layer<nn::BCEWithLogitsLoss>(m, "BCEWithLogitsLoss")
      .def(py::init([](const Weight& weight, Reduction r, const Weight& pos_weight) {
             return new Hosted<nn::BCEWithLogitsLoss>(weight.value_or(Tensor()), r,
                                                      pos_weight.value_or(Tensor()));
           }),
           "weight"_a = py::none(), reduction, "pos_weight"_a = py::none());
  Layer<nn::CrossEntropyLoss>(m, "CrossEntropyLoss")
      .def(py::init([](const Weight& weight, int64_t ignore_index, Reduction r, double smoothing) {
             nn::CrossEntropyOptions options;
             options.weight = weight.value_or(Tensor());
             options.ignore_index = ignore_index;
             options.reduction = r;
             options.label_smoothing = smoothing;
             return new Hosted<nn::CrossEntropyLoss>(options);
           }),
           "weight"_a = py::none(), "ignore_index"_a = -100, reduction, "label_smoothing"_a = 0.0);
  Layer<nn::NLLLoss>(m, "NLLLoss")
      .def(py::init([](const Weight& weight, int64_t ignore_index, Reduction r) {
             nn::NLLLossOptions options;
             options.weight = weight.value_or(Tensor());
             options.ignore_index = ignore_index;
             options.reduction = r;
             return new Hosted<nn::NLLLoss>(options);
           }),
           "weight"_a = py::none(), "ignore_index"_a = -100, reduction);
}

}  // namespace

void bind_layers(py::module_& module) {
  bind_activations(module);
  bind_linear(module);
  bind_convolutions(module);
  bind_normalizations(module);
  bind_pools(module);
  bind_losses(module);
}

}  // namespace taut::python
