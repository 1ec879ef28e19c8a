// The numbers and words that layers were made with, as attributes that may be read and set:
// conv.out_channels, dropout.p = 0.1.

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
#include "taut/nn/modules/multihead_attention.h"
#include "taut/nn/modules/norm.h"
#include "taut/nn/modules/pool.h"
#include "taut/nn/modules/transformer.h"

namespace py = pybind11;

namespace taut::python {
namespace {

constexpr char kDoc[] = "What the constructor was given; may be set.";

/// Adds attributes to a class that is bound already, and their names to its _fields, which copies
/// of a layer take over.
template <class M>
class Fields {
 public:
  Fields(py::module_& module, const char* name)
      : type_(py::reinterpret_borrow<py::class_<M>>(module.attr(name))) {
    type_.attr("_fields") = py::tuple(0);
  }
  Fields(const Fields&) = delete;
  Fields& operator=(const Fields&) = delete;

  template <class T, class Owner>
  Fields& add(const char* name, T Owner::*member) {
    type_.def_readwrite(name, static_cast<T M::*>(member), kDoc);
    names_.append(name);
    type_.attr("_fields") = py::tuple(names_);
    return *this;
  }
  /// One that only tells.
  template <class Get>
  Fields& tell(const char* name, Get get) {
    type_.def_property_readonly(name, get, "What the constructor was given.");
    return *this;
  }

 private:
  py::class_<M> type_;
  py::list names_;
};

#define TAUT_FIELD(Type, name) add(#name, &nn::Type::name)

void add_activation_fields(py::module_& m) {
#define TAUT_INPLACE(Name) Fields<nn::Name>(m, #Name).TAUT_FIELD(Name, inplace);
  TAUT_INPLACE(ReLU)
  TAUT_INPLACE(ReLU6)
  TAUT_INPLACE(SELU)
  TAUT_INPLACE(SiLU)
  TAUT_INPLACE(Mish)
  TAUT_INPLACE(Hardsigmoid)
  TAUT_INPLACE(Hardswish)
#undef TAUT_INPLACE
  Fields<nn::LeakyReLU>(m, "LeakyReLU")
      .TAUT_FIELD(LeakyReLU, negative_slope)
      .TAUT_FIELD(LeakyReLU, inplace);
  Fields<nn::ELU>(m, "ELU").TAUT_FIELD(ELU, alpha).TAUT_FIELD(ELU, inplace);
  Fields<nn::CELU>(m, "CELU").TAUT_FIELD(CELU, alpha).TAUT_FIELD(CELU, inplace);
  Fields<nn::GELU>(m, "GELU").TAUT_FIELD(GELU, approximate).TAUT_FIELD(GELU, recompute);
  Fields<nn::Softplus>(m, "Softplus").TAUT_FIELD(Softplus, beta).TAUT_FIELD(Softplus, threshold);
  Fields<nn::Hardtanh>(m, "Hardtanh")
      .TAUT_FIELD(Hardtanh, min_val)
      .TAUT_FIELD(Hardtanh, max_val)
      .TAUT_FIELD(Hardtanh, inplace);
  Fields<nn::Softshrink>(m, "Softshrink").TAUT_FIELD(Softshrink, lambd);
  Fields<nn::Hardshrink>(m, "Hardshrink").TAUT_FIELD(Hardshrink, lambd);
  Fields<nn::Threshold>(m, "Threshold")
      .TAUT_FIELD(Threshold, threshold)
      .TAUT_FIELD(Threshold, value)
      .TAUT_FIELD(Threshold, inplace);
  Fields<nn::PReLU>(m, "PReLU").TAUT_FIELD(PReLU, num_parameters);
  Fields<nn::GLU>(m, "GLU").TAUT_FIELD(GLU, dim);
  Fields<nn::Softmax>(m, "Softmax").TAUT_FIELD(Softmax, dim);
  Fields<nn::LogSoftmax>(m, "LogSoftmax").TAUT_FIELD(LogSoftmax, dim);
  Fields<nn::Softmin>(m, "Softmin").TAUT_FIELD(Softmin, dim);
}

void add_linear_fields(py::module_& m) {
  Fields<nn::Linear>(m, "Linear").TAUT_FIELD(Linear, in_features).TAUT_FIELD(Linear, out_features);
  Fields<nn::Bilinear>(m, "Bilinear")
      .TAUT_FIELD(Bilinear, in1_features)
      .TAUT_FIELD(Bilinear, in2_features)
      .TAUT_FIELD(Bilinear, out_features);
  Fields<nn::Flatten>(m, "Flatten").TAUT_FIELD(Flatten, start_dim).TAUT_FIELD(Flatten, end_dim);
  Fields<nn::Unflatten>(m, "Unflatten")
      .TAUT_FIELD(Unflatten, dim)
      .TAUT_FIELD(Unflatten, unflattened_size);
  Fields<nn::Dropout>(m, "Dropout").TAUT_FIELD(Dropout, p).TAUT_FIELD(Dropout, inplace);
  Fields<nn::Dropout2d>(m, "Dropout2d").TAUT_FIELD(Dropout2d, p).TAUT_FIELD(Dropout2d, inplace);
  Fields<nn::Embedding>(m, "Embedding")
      .TAUT_FIELD(Embedding, num_embeddings)
      .TAUT_FIELD(Embedding, embedding_dim)
      .TAUT_FIELD(Embedding, padding_idx)
      .TAUT_FIELD(Embedding, scale_grad_by_freq);
}

template <class M>
void add_conv_fields(py::module_& m, const char* name) {
  Fields<M>(m, name)
      .TAUT_FIELD(ConvBase, in_channels)
      .TAUT_FIELD(ConvBase, out_channels)
      .TAUT_FIELD(ConvBase, kernel_size)
      .TAUT_FIELD(ConvBase, stride)
      .TAUT_FIELD(ConvBase, dilation)
      .TAUT_FIELD(ConvBase, output_padding)
      .TAUT_FIELD(ConvBase, groups)
      .TAUT_FIELD(ConvBase, padding_mode)
      .tell("padding", [](const M& self) -> py::object {
        if (!self.padding_word.empty()) return py::cast(self.padding_word);
        return py::cast(self.padding);
      });
}

template <class M>
void add_running_norm_fields(py::module_& m, const char* name) {
  Fields<M>(m, name)
      .TAUT_FIELD(NormBase, num_features)
      .TAUT_FIELD(NormBase, eps)
      .TAUT_FIELD(NormBase, momentum)
      .TAUT_FIELD(NormBase, affine)
      .TAUT_FIELD(NormBase, track_running_stats);
}

void add_norm_fields(py::module_& m) {
  add_running_norm_fields<nn::BatchNorm1d>(m, "BatchNorm1d");
  add_running_norm_fields<nn::BatchNorm2d>(m, "BatchNorm2d");
  add_running_norm_fields<nn::BatchNorm3d>(m, "BatchNorm3d");
  add_running_norm_fields<nn::BatchNormReLU2d>(m, "BatchNormReLU2d");
  add_running_norm_fields<nn::InstanceNorm1d>(m, "InstanceNorm1d");
  add_running_norm_fields<nn::InstanceNorm2d>(m, "InstanceNorm2d");
  add_running_norm_fields<nn::InstanceNorm3d>(m, "InstanceNorm3d");
  Fields<nn::LayerNorm>(m, "LayerNorm")
      .TAUT_FIELD(LayerNorm, normalized_shape)
      .TAUT_FIELD(LayerNorm, eps)
      .TAUT_FIELD(LayerNorm, elementwise_affine)
      .TAUT_FIELD(LayerNorm, recompute);
  Fields<nn::RMSNorm>(m, "RMSNorm")
      .TAUT_FIELD(RMSNorm, normalized_shape)
      .TAUT_FIELD(RMSNorm, eps)
      .TAUT_FIELD(RMSNorm, elementwise_affine)
      .TAUT_FIELD(RMSNorm, recompute);
  Fields<nn::GroupNorm>(m, "GroupNorm")
      .TAUT_FIELD(GroupNorm, num_groups)
      .TAUT_FIELD(GroupNorm, num_channels)
      .TAUT_FIELD(GroupNorm, eps)
      .TAUT_FIELD(GroupNorm, affine);
}

template <class M>
void add_max_pool_fields(py::module_& m, const char* name) {
  Fields<M>(m, name)
      .TAUT_FIELD(MaxPoolBase, kernel_size)
      .TAUT_FIELD(MaxPoolBase, stride)
      .TAUT_FIELD(MaxPoolBase, padding)
      .TAUT_FIELD(MaxPoolBase, dilation)
      .TAUT_FIELD(MaxPoolBase, ceil_mode);
}

template <class M>
void add_avg_pool_fields(py::module_& m, const char* name) {
  Fields<M>(m, name)
      .TAUT_FIELD(AvgPoolBase, kernel_size)
      .TAUT_FIELD(AvgPoolBase, stride)
      .TAUT_FIELD(AvgPoolBase, padding)
      .TAUT_FIELD(AvgPoolBase, ceil_mode)
      .TAUT_FIELD(AvgPoolBase, count_include_pad)
      .TAUT_FIELD(AvgPoolBase, divisor_override);
}

void add_pool_fields(py::module_& m) {
  add_max_pool_fields<nn::MaxPool1d>(m, "MaxPool1d");
  add_max_pool_fields<nn::MaxPool2d>(m, "MaxPool2d");
  add_max_pool_fields<nn::MaxPool3d>(m, "MaxPool3d");
  add_avg_pool_fields<nn::AvgPool1d>(m, "AvgPool1d");
  add_avg_pool_fields<nn::AvgPool2d>(m, "AvgPool2d");
  add_avg_pool_fields<nn::AvgPool3d>(m, "AvgPool3d");
#define TAUT_ADAPTIVE(Name) Fields<nn::Name>(m, #Name).TAUT_FIELD(AdaptivePoolBase, output_size);
  TAUT_ADAPTIVE(AdaptiveAvgPool1d)
  TAUT_ADAPTIVE(AdaptiveAvgPool2d)
  TAUT_ADAPTIVE(AdaptiveAvgPool3d)
  TAUT_ADAPTIVE(AdaptiveMaxPool1d)
  TAUT_ADAPTIVE(AdaptiveMaxPool2d)
  TAUT_ADAPTIVE(AdaptiveMaxPool3d)
#undef TAUT_ADAPTIVE
}

void add_loss_fields(py::module_& m) {
#define TAUT_REDUCED(Name) Fields<nn::Name>(m, #Name).TAUT_FIELD(Name, reduction)
  TAUT_REDUCED(MSELoss);
  TAUT_REDUCED(L1Loss);
  TAUT_REDUCED(SoftMarginLoss);
  TAUT_REDUCED(BCELoss);
  TAUT_REDUCED(BCEWithLogitsLoss);
  TAUT_REDUCED(SmoothL1Loss).TAUT_FIELD(SmoothL1Loss, beta);
  TAUT_REDUCED(HuberLoss).TAUT_FIELD(HuberLoss, delta);
  TAUT_REDUCED(HingeEmbeddingLoss).TAUT_FIELD(HingeEmbeddingLoss, margin);
  TAUT_REDUCED(MarginRankingLoss).TAUT_FIELD(MarginRankingLoss, margin);
  TAUT_REDUCED(CosineEmbeddingLoss).TAUT_FIELD(CosineEmbeddingLoss, margin);
  TAUT_REDUCED(GaussianNLLLoss).TAUT_FIELD(GaussianNLLLoss, full).TAUT_FIELD(GaussianNLLLoss, eps);
  TAUT_REDUCED(NLLLoss).TAUT_FIELD(NLLLoss, ignore_index);
  TAUT_REDUCED(CrossEntropyLoss)
      .TAUT_FIELD(CrossEntropyLoss, ignore_index)
      .TAUT_FIELD(CrossEntropyLoss, label_smoothing);
  TAUT_REDUCED(PoissonNLLLoss)
      .TAUT_FIELD(PoissonNLLLoss, log_input)
      .TAUT_FIELD(PoissonNLLLoss, full)
      .TAUT_FIELD(PoissonNLLLoss, eps);
  TAUT_REDUCED(TripletMarginLoss)
      .TAUT_FIELD(TripletMarginLoss, margin)
      .TAUT_FIELD(TripletMarginLoss, p)
      .TAUT_FIELD(TripletMarginLoss, eps)
      .TAUT_FIELD(TripletMarginLoss, swap);
#undef TAUT_REDUCED
  Fields<nn::KLDivLoss>(m, "KLDivLoss")
      .TAUT_FIELD(KLDivLoss, log_target)
      .tell("reduction", [](const nn::KLDivLoss& self) -> py::object {
        if (self.batch_mean) return py::str("batchmean");
        return py::cast(self.reduction);
      });
}

void add_transformer_fields(py::module_& m) {
  Fields<nn::MultiheadAttention>(m, "MultiheadAttention")
      .TAUT_FIELD(MultiheadAttention, embed_dim)
      .TAUT_FIELD(MultiheadAttention, num_heads)
      .TAUT_FIELD(MultiheadAttention, head_dim)
      .TAUT_FIELD(MultiheadAttention, kdim)
      .TAUT_FIELD(MultiheadAttention, vdim)
      .TAUT_FIELD(MultiheadAttention, dropout)
      .TAUT_FIELD(MultiheadAttention, add_zero_attn)
      .TAUT_FIELD(MultiheadAttention, batch_first);
  Fields<nn::TransformerEncoderLayer>(m, "TransformerEncoderLayer")
      .TAUT_FIELD(TransformerLayer, norm_first)
      .TAUT_FIELD(TransformerLayer, recompute);
  Fields<nn::TransformerDecoderLayer>(m, "TransformerDecoderLayer")
      .TAUT_FIELD(TransformerLayer, norm_first)
      .TAUT_FIELD(TransformerLayer, recompute);
  Fields<nn::TransformerEncoder>(m, "TransformerEncoder").TAUT_FIELD(TransformerStack, num_layers);
  Fields<nn::TransformerDecoder>(m, "TransformerDecoder").TAUT_FIELD(TransformerStack, num_layers);
  Fields<nn::Transformer>(m, "Transformer")
      .TAUT_FIELD(Transformer, d_model)
      .TAUT_FIELD(Transformer, nhead)
      .TAUT_FIELD(Transformer, batch_first);
}

}  // namespace

void bind_layer_fields(py::module_& module) {
  add_activation_fields(module);
  add_linear_fields(module);
  add_conv_fields<nn::Conv1d>(module, "Conv1d");
  add_conv_fields<nn::Conv2d>(module, "Conv2d");
  add_conv_fields<nn::Conv3d>(module, "Conv3d");
  add_conv_fields<nn::ConvTranspose1d>(module, "ConvTranspose1d");
  add_conv_fields<nn::ConvTranspose2d>(module, "ConvTranspose2d");
  add_conv_fields<nn::ConvTranspose3d>(module, "ConvTranspose3d");
  add_norm_fields(module);
  add_pool_fields(module);
  add_loss_fields(module);
  add_transformer_fields(module);
}

}  // namespace taut::python
