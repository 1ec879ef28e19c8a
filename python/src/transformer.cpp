// Attention and transformers in Python. What their constructors take beside numbers, such as
// functions and modules, is handled by python/taut/nn/_transformer.py.

#include "taut/nn/modules/transformer.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <string>

#include "module_binding.h"
#include "taut/nn/module_scope.h"
#include "taut/nn/modules/dropout.h"
#include "taut/nn/modules/linear.h"
#include "taut/nn/modules/multihead_attention.h"
#include "taut/nn/modules/norm.h"

namespace py = pybind11;
using namespace py::literals;

namespace taut::python {
namespace {

using Mask = std::optional<Tensor>;
using Flag = std::optional<bool>;  // PyTorch's None: is_causal is not known

Tensor tensor_in(const Mask& mask) { return mask.value_or(Tensor()); }

// Layers inside a layer as objects of Python, which may have hooks and attributes.
class PythonLayers final : public nn::LayerFactory {
 public:
  std::shared_ptr<nn::Linear> linear(int64_t in_features, int64_t out_features, bool bias,
                                     const TensorOptions& options) const override {
    return construct<nn::Linear>(in_features, out_features, bias, options.device_opt(),
                                 options.dtype_opt());
  }
  std::shared_ptr<nn::LayerNorm> layer_norm(int64_t features, double eps, bool bias,
                                            const TensorOptions& options,
                                            bool recompute) const override {
    return construct<nn::LayerNorm>(features, eps, /*elementwise_affine=*/true, bias,
                                    options.device_opt(), options.dtype_opt(), recompute);
  }
  std::shared_ptr<nn::Dropout> dropout(double p) const override {
    return construct<nn::Dropout>(p);
  }
  std::shared_ptr<nn::MultiheadAttention> attention(
      int64_t embed_dim, int64_t num_heads,
      const nn::MultiheadAttentionOptions& options) const override {
    return construct<nn::MultiheadAttention>(
        embed_dim, num_heads, options.dropout, options.bias, options.add_bias_kv,
        options.add_zero_attn, options.kdim, options.vdim, options.batch_first,
        options.options.device_opt(), options.options.dtype_opt());
  }

 private:
  template <class M, class... Arguments>
  static std::shared_ptr<M> construct(const Arguments&... arguments) {
    return py::type::of<M>()(arguments...).template cast<std::shared_ptr<M>>();
  }
};

// Runs a forward, without the interpreter's lock, as the call of a module that profilers see.
template <class Work>
auto in_module(const nn::Module& module, const Work& work) {
  return without_lock([&] {
    const nn::ModuleScope scope(module);
    return work();
  });
}

void bind_attention(py::module_& m) {
  Layer<nn::MultiheadAttention>(m, "MultiheadAttention")
      .def(py::init([](int64_t embed_dim, int64_t num_heads, double dropout, bool bias,
                       bool add_bias_kv, bool add_zero_attn, DimOpt kdim, DimOpt vdim,
                       bool batch_first, DeviceOpt device, DTypeOpt dtype) {
             const nn::MultiheadAttentionOptions options{
                 dropout, bias, add_bias_kv, add_zero_attn,
                 kdim,    vdim, batch_first, make_options(dtype, device)};
             return new Hosted<nn::MultiheadAttention>(embed_dim, num_heads, options,
                                                       PythonLayers());
           }),
           "embed_dim"_a, "num_heads"_a, "dropout"_a = 0.0, "bias"_a = true,
           "add_bias_kv"_a = false, "add_zero_attn"_a = false, "kdim"_a = py::none(),
           "vdim"_a = py::none(), "batch_first"_a = false, "device"_a = py::none(),
           "dtype"_a = py::none())
      .def(
          "forward",
          [](nn::MultiheadAttention& self, const Tensor& query, const Tensor& key,
             const Tensor& value, const Mask& key_padding_mask, bool need_weights,
             const Mask& attn_mask, bool average_attn_weights, Flag is_causal) {
            return in_module(self, [&] {
              return self.forward(query, key, value, tensor_in(key_padding_mask), need_weights,
                                  tensor_in(attn_mask), average_attn_weights,
                                  is_causal.value_or(false));
            });
          },
          "query"_a, "key"_a, "value"_a, "key_padding_mask"_a = py::none(), "need_weights"_a = true,
          "attn_mask"_a = py::none(), "average_attn_weights"_a = true, "is_causal"_a = false,
          "(output, weights); weights are None unless needed.")
      .def("_reset_parameters", &nn::MultiheadAttention::reset_parameters);
}

// What the constructors of both layers take.
template <class M>
Layer<M> bind_layer(py::module_& m, const char* name) {
  Layer<M> type(m, name);
  type.def(py::init([](int64_t d_model, int64_t nhead, int64_t dim_feedforward, double dropout,
                       double layer_norm_eps, bool batch_first, bool norm_first, bool bias,
                       DeviceOpt device, DTypeOpt dtype, bool recompute) {
             nn::TransformerLayerOptions options;
             options.dim_feedforward = dim_feedforward;
             options.dropout = dropout;
             options.layer_norm_eps = layer_norm_eps;
             options.batch_first = batch_first;
             options.norm_first = norm_first;
             options.bias = bias;
             options.options = make_options(dtype, device);
             options.recompute = recompute;
             return new Hosted<M>(d_model, nhead, options, PythonLayers());
           }),
           "d_model"_a, "nhead"_a, "dim_feedforward"_a, "dropout"_a, "layer_norm_eps"_a,
           "batch_first"_a, "norm_first"_a, "bias"_a, "device"_a, "dtype"_a, "recompute"_a);
  // A name of F::mlp's; None stands for the function that is the object's attribute.
  type.def("_set_activation", [](M& self, const std::optional<std::string>& activation) {
    if (activation) return self.set_activation(*activation);
    const M* layer = &self;  // which holds the function
    self.set_activation([layer](const Tensor& input) {
      const Locked locked;
      const py::object result = py::cast(layer).attr("activation")(input);
      if (!is_tensor(result.ptr())) {
        throw py::type_error(
            concat("activation must return a tensor; got a ", Py_TYPE(result.ptr())->tp_name));
      }
      return tensor_of(result.ptr());
    });
  });
  return type;
}

// The forward of what takes tgt, memory and their masks.
template <class M>
void bind_decoding(Layer<M>& type) {
  type.def(
      "forward",
      [](M& self, const Tensor& tgt, const Tensor& memory, const Mask& tgt_mask,
         const Mask& memory_mask, const Mask& tgt_key_padding_mask,
         const Mask& memory_key_padding_mask, Flag tgt_is_causal, Flag memory_is_causal) {
        return in_module(self, [&] {
          return self.forward(tgt, memory, tensor_in(tgt_mask), tensor_in(memory_mask),
                              tensor_in(tgt_key_padding_mask), tensor_in(memory_key_padding_mask),
                              tgt_is_causal.value_or(false), memory_is_causal.value_or(false));
        });
      },
      "tgt"_a, "memory"_a, "tgt_mask"_a = py::none(), "memory_mask"_a = py::none(),
      "tgt_key_padding_mask"_a = py::none(), "memory_key_padding_mask"_a = py::none(),
      "tgt_is_causal"_a = py::none(), "memory_is_causal"_a = false, "A tensor like tgt.");
}

// The forward of what takes src and its masks.
template <class M>
void bind_encoding(Layer<M>& type, const char* mask_name) {
  type.def(
      "forward",
      [](M& self, const Tensor& src, const Mask& mask, const Mask& src_key_padding_mask,
         Flag is_causal) {
        return in_module(self, [&] {
          return self.forward(src, tensor_in(mask), tensor_in(src_key_padding_mask),
                              is_causal.value_or(false));
        });
      },
      "src"_a, py::arg(mask_name) = py::none(), "src_key_padding_mask"_a = py::none(),
      "is_causal"_a = py::none(), "A tensor like src.");
}

template <class M>
Layer<M> bind_stack(py::module_& m, const char* name) {
  Layer<M> type(m, name);
  type.def(
      py::init([](const std::shared_ptr<nn::ModuleList>& layers,
                  const std::shared_ptr<nn::Module>& norm) { return new Hosted<M>(layers, norm); }),
      "layers"_a, "norm"_a);
  return type;
}

void bind_model(py::module_& m) {
  Layer<nn::Transformer>(m, "Transformer")
      .def(py::init([](int64_t d_model, int64_t nhead, const std::shared_ptr<nn::Module>& encoder,
                       const std::shared_ptr<nn::Module>& decoder, bool batch_first) {
             nn::TransformerLayerOptions options;
             options.batch_first = batch_first;
             return new Hosted<nn::Transformer>(d_model, nhead, 0, 0, options, encoder, decoder);
           }),
           "d_model"_a, "nhead"_a, "encoder"_a, "decoder"_a, "batch_first"_a)
      .def(
          "forward",
          [](nn::Transformer& self, const Tensor& src, const Tensor& tgt, const Mask& src_mask,
             const Mask& tgt_mask, const Mask& memory_mask, const Mask& src_key_padding_mask,
             const Mask& tgt_key_padding_mask, const Mask& memory_key_padding_mask,
             Flag src_is_causal, Flag tgt_is_causal, Flag memory_is_causal) {
            const nn::TransformerMasks masks{
                tensor_in(src_mask),
                tensor_in(tgt_mask),
                tensor_in(memory_mask),
                tensor_in(src_key_padding_mask),
                tensor_in(tgt_key_padding_mask),
                tensor_in(memory_key_padding_mask),
                src_is_causal.value_or(false),
                tgt_is_causal.value_or(false),
                memory_is_causal.value_or(false),
            };
            return in_module(self, [&] { return self.forward(src, tgt, masks); });
          },
          "src"_a, "tgt"_a, "src_mask"_a = py::none(), "tgt_mask"_a = py::none(),
          "memory_mask"_a = py::none(), "src_key_padding_mask"_a = py::none(),
          "tgt_key_padding_mask"_a = py::none(), "memory_key_padding_mask"_a = py::none(),
          "src_is_causal"_a = py::none(), "tgt_is_causal"_a = py::none(),
          "memory_is_causal"_a = false, "A tensor like tgt.")
      .def_static(
          "generate_square_subsequent_mask",
          [](int64_t sz, DeviceOpt device, DTypeOpt dtype) {
            return nn::Transformer::generate_square_subsequent_mask(sz,
                                                                    make_options(dtype, device));
          },
          "sz"_a, "device"_a = py::none(), "dtype"_a = py::none(),
          "(sz, sz): minus infinity above the diagonal, else 0.")
      .def("_reset_parameters", &nn::Transformer::reset_parameters);
}

}  // namespace

void bind_transformers(py::module_& m) {
  bind_attention(m);
  auto encoder_layer = bind_layer<nn::TransformerEncoderLayer>(m, "TransformerEncoderLayer");
  bind_encoding(encoder_layer, "src_mask");
  auto decoder_layer = bind_layer<nn::TransformerDecoderLayer>(m, "TransformerDecoderLayer");
  bind_decoding(decoder_layer);
  auto encoder = bind_stack<nn::TransformerEncoder>(m, "TransformerEncoder");
  bind_encoding(encoder, "mask");
  auto decoder = bind_stack<nn::TransformerDecoder>(m, "TransformerDecoder");
  bind_decoding(decoder);
  bind_model(m);
}

}  // namespace taut::python
