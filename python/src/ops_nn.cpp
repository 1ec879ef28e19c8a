// The rows of taut.nn.functional and taut.nn.init.

#include "adaptive_size.h"
#include "op_rows.h"
#include "taut/nn/functional/activation.h"
#include "taut/nn/functional/attention.h"
#include "taut/nn/functional/conv.h"
#include "taut/nn/functional/gated.h"
#include "taut/nn/functional/loss.h"
#include "taut/nn/functional/mlp.h"
#include "taut/nn/functional/norm.h"
#include "taut/nn/functional/pool.h"
#include "taut/nn/functional/rotary.h"
#include "taut/nn/functional/softmax.h"
#include "taut/nn/init.h"
#include "taut/ops/indexing.h"
#include "taut/ops/join.h"
#include "taut/ops/matmul.h"
#include "taut/ops/random.h"

namespace taut::python {

namespace F = nn::functional;

namespace {

void add_activation_rows(Rows& rows) {
#define TAUT_ACTIVATION(name, Functor)          \
  rows.function(#name "(input, inplace=False)", \
                [](T x, bool inplace) { return maybe_in_place(x, F::name(x), inplace); });
#include "taut/nn/init.h"
#include "taut/ops/lists/activation.def"
#undef TAUT_ACTIVATION
  rows.function("relu(input, inplace=False)",
                [](T x, bool inplace) { return inplace ? relu_(x) : F::relu(x); });
  rows.function("relu_(input)", fn<const Tensor&(T)>(taut::relu_));
  rows.function("sigmoid(input)", fn<Tensor(T)>(F::sigmoid));
  rows.function("tanh(input)", fn<Tensor(T)>(F::tanh));
  rows.function("leaky_relu(input, negative_slope=0.01, inplace=False)",
                [](T x, double slope, bool inplace) {
                  return maybe_in_place(x, F::leaky_relu(x, slope), inplace);
                });
  rows.function("elu(input, alpha=1.0, inplace=False)", [](T x, double alpha, bool inplace) {
    return maybe_in_place(x, F::elu(x, alpha), inplace);
  });
  rows.function("celu(input, alpha=1.0, inplace=False)", [](T x, double alpha, bool inplace) {
    return maybe_in_place(x, F::celu(x, alpha), inplace);
  });
  rows.function("gelu(input, *, approximate='none', recompute=False)",
                fn<Tensor(T, std::string_view, bool)>(F::gelu));
  rows.function("hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False)",
                [](T x, double min_val, double max_val, bool inplace) {
                  return maybe_in_place(x, F::hardtanh(x, min_val, max_val), inplace);
                });
  rows.function("threshold(input, threshold, value, inplace=False)",
                [](T x, double threshold, double value, bool inplace) {
                  return maybe_in_place(x, F::threshold(x, threshold, value), inplace);
                });
  rows.function("softplus(input, beta=1.0, threshold=20.0)",
                fn<Tensor(T, double, double)>(F::softplus));
  rows.function("softshrink(input, lambd=0.5)", fn<Tensor(T, double)>(F::softshrink));
  rows.function("hardshrink(input, lambd=0.5)", fn<Tensor(T, double)>(F::hardshrink));
  rows.function("prelu(input, weight)", fn<Tensor(T, T)>(F::prelu));
  rows.function("softmax(input, dim, _stacklevel=3, dtype=None)",
                [](T x, int64_t dim, int64_t, DTypeOpt dtype) { return softmax(x, dim, dtype); });
  rows.function(
      "log_softmax(input, dim, _stacklevel=3, dtype=None)",
      [](T x, int64_t dim, int64_t, DTypeOpt dtype) { return log_softmax(x, dim, dtype); });
  rows.function(
      "softmin(input, dim, _stacklevel=3, dtype=None)",
      [](T x, int64_t dim, int64_t, DTypeOpt dtype) { return F::softmin(x, dim, dtype); });
  rows.function("glu(input, dim=-1)", fn<Tensor(T, int64_t)>(F::glu));
}

F::Reduction reduction_of(std::string_view text) { return F::parse_reduction(text); }
using Word = std::string_view;

void add_loss_rows(Rows& rows) {
#define TAUT_REDUCED "reduction='mean')"
  rows.function("mse_loss(input, target, " TAUT_REDUCED,
                [](T x, T y, Word r) { return F::mse_loss(x, y, reduction_of(r)); });
  rows.function("l1_loss(input, target, " TAUT_REDUCED,
                [](T x, T y, Word r) { return F::l1_loss(x, y, reduction_of(r)); });
  rows.function(
      "smooth_l1_loss(input, target, reduction='mean', beta=1.0)",
      [](T x, T y, Word r, double beta) { return F::smooth_l1_loss(x, y, reduction_of(r), beta); });
  rows.function(
      "huber_loss(input, target, reduction='mean', delta=1.0)",
      [](T x, T y, Word r, double delta) { return F::huber_loss(x, y, reduction_of(r), delta); });
  rows.function("binary_cross_entropy(input, target, weight=None, " TAUT_REDUCED,
                [](T x, T y, T weight, Word r) {
                  return F::binary_cross_entropy(x, y, weight, reduction_of(r));
                });
  rows.function(
      "binary_cross_entropy_with_logits(input, target, weight=None, reduction='mean', "
      "pos_weight=None)",
      [](T x, T y, T weight, Word r, T pos_weight) {
        return F::binary_cross_entropy_with_logits(x, y, weight, reduction_of(r), pos_weight);
      });
  rows.function("nll_loss(input, target, weight=None, ignore_index=-100, " TAUT_REDUCED,
                [](T x, T y, T weight, int64_t ignore, Word r) {
                  return F::nll_loss(x, y, weight, ignore, reduction_of(r));
                });
  rows.function(
      "cross_entropy(input, target, weight=None, ignore_index=-100, reduction='mean', "
      "label_smoothing=0.0)",
      [](T x, T y, T weight, int64_t ignore, Word r, double smoothing) {
        return F::cross_entropy(x, y, weight, ignore, reduction_of(r), smoothing);
      });
  rows.function("kl_div(input, target, reduction='mean', log_target=False)",
                [](T x, T y, Word r, bool log_target) {
                  const bool batch_mean = r == "batchmean";
                  const F::Reduction reduction = batch_mean ? F::Reduction::sum : reduction_of(r);
                  return F::kl_div(x, y, reduction, log_target, batch_mean);
                });
  rows.function(
      "poisson_nll_loss(input, target, log_input=True, full=False, eps=1e-08, " TAUT_REDUCED,
      [](T x, T y, bool log_input, bool full, double eps, Word r) {
        return F::poisson_nll_loss(x, y, log_input, full, eps, reduction_of(r));
      });
  rows.function("gaussian_nll_loss(input, target, var, full=False, eps=1e-06, " TAUT_REDUCED,
                [](T x, T y, T var, bool full, double eps, Word r) {
                  return F::gaussian_nll_loss(x, y, var, full, eps, reduction_of(r));
                });
  rows.function("soft_margin_loss(input, target, " TAUT_REDUCED,
                [](T x, T y, Word r) { return F::soft_margin_loss(x, y, reduction_of(r)); });
  rows.function("hinge_embedding_loss(input, target, margin=1.0, " TAUT_REDUCED,
                [](T x, T y, double margin, Word r) {
                  return F::hinge_embedding_loss(x, y, margin, reduction_of(r));
                });
  rows.function("margin_ranking_loss(input1, input2, target, margin=0.0, " TAUT_REDUCED,
                [](T a, T b, T y, double margin, Word r) {
                  return F::margin_ranking_loss(a, b, y, margin, reduction_of(r));
                });
  rows.function("cosine_embedding_loss(input1, input2, target, margin=0.0, " TAUT_REDUCED,
                [](T a, T b, T y, double margin, Word r) {
                  return F::cosine_embedding_loss(a, b, y, margin, reduction_of(r));
                });
  rows.function(
      "triplet_margin_loss(anchor, positive, negative, margin=1.0, p=2.0, eps=1e-06, "
      "swap=False, " TAUT_REDUCED,
      [](T anchor, T positive, T negative, double margin, double p, double eps, bool swap, Word r) {
        return F::triplet_margin_loss(anchor, positive, negative, margin, p, eps, swap,
                                      reduction_of(r));
      });
#undef TAUT_REDUCED
  rows.function("cosine_similarity(x1, x2, dim=1, eps=1e-08)",
                fn<Tensor(T, T, int64_t, double)>(F::cosine_similarity));
  rows.function("pairwise_distance(x1, x2, p=2.0, eps=1e-06, keepdim=False)",
                fn<Tensor(T, T, double, double, bool)>(F::pairwise_distance));
  rows.function("normalize(input, p=2.0, dim=1, eps=1e-12)",
                fn<Tensor(T, double, int64_t, double)>(F::normalize));
}

void add_normalization_rows(Rows& rows) {
  rows.function(
      "layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-05, *, recompute=False)",
      fn<Tensor(T, D, T, T, double, bool)>(F::layer_norm));
  rows.function("rms_norm(input, normalized_shape, weight=None, eps=None, *, recompute=False)",
                fn<Tensor(T, D, T, std::optional<double>, bool)>(F::rms_norm));
  using Pair = std::pair<Tensor, Tensor>;
  rows.function(
      "add_layer_norm(input, residual, normalized_shape, weight=None, bias=None, eps=1e-05, *, "
      "recompute=False) -> (output, sum)",
      fn<Pair(T, T, D, T, T, double, bool)>(F::add_layer_norm));
  rows.function(
      "add_rms_norm(input, residual, normalized_shape, weight=None, eps=None, *, recompute=False) "
      "-> (output, sum)",
      fn<Pair(T, T, D, T, std::optional<double>, bool)>(F::add_rms_norm));
  rows.function("group_norm(input, num_groups, weight=None, bias=None, eps=1e-05)",
                fn<Tensor(T, int64_t, T, T, double)>(F::group_norm));
  rows.function(
      "batch_norm(input, running_mean=None, running_var=None, weight=None, bias=None, "
      "training=False, momentum=0.1, eps=1e-05)",
      fn<Tensor(T, T, T, T, T, bool, double, double)>(F::batch_norm));
  rows.function(
      "batch_norm_relu(input, running_mean=None, running_var=None, weight=None, bias=None, "
      "training=False, momentum=0.1, eps=1e-05, residual=None)",
      fn<Tensor(T, T, T, T, T, bool, double, double, T)>(F::batch_norm_relu));
  rows.function(
      "instance_norm(input, running_mean=None, running_var=None, weight=None, bias=None, "
      "use_input_stats=True, momentum=0.1, eps=1e-05)",
      fn<Tensor(T, T, T, T, T, bool, double, double)>(F::instance_norm));
}

void add_conv_rows(Rows& rows) {
#define TAUT_CONV(name)                                                                        \
  rows.function(#name "(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1)", \
                fn<Tensor(T, T, T, D, D, D, int64_t)>(F::name));                               \
  rows.function(                                                                               \
      #name "(input, weight, bias=None, stride=1, padding='valid', dilation=1, groups=1)",     \
      [](T x, T weight, T bias, D stride, Word padding, D dilation, int64_t groups) {          \
        return F::name(x, weight, bias, stride, F::parse_padding(padding), dilation, groups);  \
      });
  TAUT_CONV(conv1d)
  TAUT_CONV(conv2d)
  TAUT_CONV(conv3d)
#undef TAUT_CONV
#define TAUT_CONV_TRANSPOSE(name)                                                              \
  rows.function(#name                                                                          \
                "(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, " \
                "dilation=1)",                                                                 \
                fn<Tensor(T, T, T, D, D, D, int64_t, D)>(F::name));
  TAUT_CONV_TRANSPOSE(conv_transpose1d)
  TAUT_CONV_TRANSPOSE(conv_transpose2d)
  TAUT_CONV_TRANSPOSE(conv_transpose3d)
#undef TAUT_CONV_TRANSPOSE
  rows.function("unfold(input, kernel_size, dilation=1, padding=0, stride=1)",
                fn<Tensor(T, D, D, D, D)>(F::unfold));
  rows.function("fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1)",
                fn<Tensor(T, D, D, D, D, D)>(F::fold));
}

using DimsOpt = const std::optional<Dims>&;

void add_pool_rows(Rows& rows) {
#define TAUT_MAX_POOL(name, dims)                                                                  \
  rows.function(#name                                                                              \
                "(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, "       \
                "return_indices=False)",                                                           \
                [](T x, D kernel, DimsOpt stride, D padding, D dilation, bool ceil_mode,           \
                   bool return_indices) -> TensorOrPair {                                          \
                  if (!return_indices) {                                                           \
                    return {F::name(x, kernel, stride, padding, dilation, ceil_mode), {}};         \
                  }                                                                                \
                  auto [values, indices] = F::max_pool_with_indices(dims, x, kernel, stride,       \
                                                                    padding, dilation, ceil_mode); \
                  return {values, indices};                                                        \
                });
  TAUT_MAX_POOL(max_pool1d, 1)
  TAUT_MAX_POOL(max_pool2d, 2)
  TAUT_MAX_POOL(max_pool3d, 3)
#undef TAUT_MAX_POOL
  rows.function(
      "avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, "
      "count_include_pad=True)",
      fn<Tensor(T, D, DimsOpt, D, bool, bool)>(F::avg_pool1d));
  rows.function(
      "avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False, "
      "count_include_pad=True, divisor_override=None)",
      fn<Tensor(T, D, DimsOpt, D, bool, bool, DimOpt)>(F::avg_pool2d));
  rows.function(
      "avg_pool3d(input, kernel_size, stride=None, padding=0, ceil_mode=False, "
      "count_include_pad=True, divisor_override=None)",
      fn<Tensor(T, D, DimsOpt, D, bool, bool, DimOpt)>(F::avg_pool3d));
  rows.function("adaptive_avg_pool1d(input, output_size)",
                fn<Tensor(T, const F::AdaptiveSize&)>(F::adaptive_avg_pool1d));
  rows.function("adaptive_avg_pool2d(input, output_size)",
                fn<Tensor(T, const F::AdaptiveSize&)>(F::adaptive_avg_pool2d));
  rows.function("adaptive_avg_pool3d(input, output_size)",
                fn<Tensor(T, const F::AdaptiveSize&)>(F::adaptive_avg_pool3d));
#define TAUT_ADAPTIVE_MAX_POOL(name, dims)                                                   \
  rows.function(#name "(input, output_size, return_indices=False)",                          \
                [](T x, const F::AdaptiveSize& size, bool return_indices) -> TensorOrPair {  \
                  if (!return_indices) return {F::name(x, size), {}};                        \
                  auto [values, indices] = F::adaptive_max_pool_with_indices(dims, x, size); \
                  return {values, indices};                                                  \
                });
  TAUT_ADAPTIVE_MAX_POOL(adaptive_max_pool1d, 1)
  TAUT_ADAPTIVE_MAX_POOL(adaptive_max_pool2d, 2)
  TAUT_ADAPTIVE_MAX_POOL(adaptive_max_pool3d, 3)
#undef TAUT_ADAPTIVE_MAX_POOL
}

using TensorOpt = const std::optional<Tensor>&;

void add_attention_rows(Rows& rows) {
  rows.function(
      "scaled_dot_product_attention(query, key, value, attn_mask=None, dropout_p=0.0, "
      "is_causal=False, *, scale=None, enable_gqa=False)",
      fn<Tensor(T, T, T, T, double, bool, std::optional<double>, bool)>(
          F::scaled_dot_product_attention));
  rows.function(
      "multi_head_attention_forward(query, key, value, embed_dim_to_check, num_heads, "
      "in_proj_weight, in_proj_bias, bias_k, bias_v, add_zero_attn, dropout_p, out_proj_weight, "
      "out_proj_bias, training=True, key_padding_mask=None, need_weights=True, attn_mask=None, "
      "use_separate_proj_weight=False, q_proj_weight=None, k_proj_weight=None, "
      "v_proj_weight=None, static_k=None, static_v=None, average_attn_weights=True, "
      "is_causal=False) -> (attn_output, attn_output_weights)",
      [](T query, T key, T value, int64_t embed_dim_to_check, int64_t num_heads,
         TensorOpt in_proj_weight, TensorOpt in_proj_bias, TensorOpt bias_k, TensorOpt bias_v,
         bool add_zero_attn, double dropout_p, T out_proj_weight, TensorOpt out_proj_bias,
         bool training, T key_padding_mask, bool need_weights, T attn_mask,
         bool use_separate_proj_weight, T q_proj_weight, T k_proj_weight, T v_proj_weight,
         T static_k, T static_v, bool average_attn_weights, bool is_causal) {
        TAUT_CHECK(query.dim() < 2 || query.size(-1) == embed_dim_to_check, ShapeError,
                   "multi_head_attention_forward: query has ", query.size(-1),
                   " features; expected ", embed_dim_to_check);
        F::MultiHeadParameters parameters;
        if (use_separate_proj_weight) {
          parameters.q_proj_weight = q_proj_weight;
          parameters.k_proj_weight = k_proj_weight;
          parameters.v_proj_weight = v_proj_weight;
        } else {
          parameters.in_proj_weight = in_proj_weight.value_or(Tensor());
        }
        parameters.in_proj_bias = in_proj_bias.value_or(Tensor());
        parameters.bias_k = bias_k.value_or(Tensor());
        parameters.bias_v = bias_v.value_or(Tensor());
        parameters.out_proj_weight = out_proj_weight;
        parameters.out_proj_bias = out_proj_bias.value_or(Tensor());
        F::MultiHeadOptions options;
        options.dropout_p = training ? dropout_p : 0.0;
        options.add_zero_attn = add_zero_attn;
        options.key_padding_mask = key_padding_mask;
        options.attn_mask = attn_mask;
        options.is_causal = is_causal;
        options.need_weights = need_weights;
        options.average_attn_weights = average_attn_weights;
        options.static_k = static_k;
        options.static_v = static_v;
        return F::multi_head_attention_forward(query, key, value, num_heads, parameters, options);
      });
}

void add_layer_rows(Rows& rows) {
  rows.function(
      "embedding(input, weight, padding_idx=None, max_norm=None, norm_type=2.0, "
      "scale_grad_by_freq=False, sparse=False)",
      [](T x, T weight, DimOpt padding_idx, std::optional<double> max_norm, double, bool by_freq,
         bool sparse) {
        TAUT_CHECK(!max_norm && !sparse, NotImplementedError,
                   "embedding: max_norm and sparse gradients are not there yet");
        return F::embedding(x, weight, padding_idx, by_freq);
      });
  rows.function("pad(input, pad, mode='constant', value=None)",
                [](T x, const std::vector<int64_t>& pad, Word mode, std::optional<double> value) {
                  TAUT_CHECK(mode == "constant", NotImplementedError,
                             "pad: mode is 'constant' so far; got '", mode, "'");
                  return constant_pad_nd(x, pad, value.value_or(0.0));
                });
  rows.function("one_hot(tensor, num_classes=-1)", fn<Tensor(T, int64_t)>(F::one_hot));
  rows.function("linear(input, weight, bias=None)", fn<Tensor(T, T, T)>(F::linear));
  rows.function(
      "mlp(input, weight1, weight2, bias1=None, bias2=None, activation='gelu', *, recompute=False)",
      fn<Tensor(T, T, T, T, T, std::string_view, bool)>(F::mlp));
  rows.function("dropout(input, p=0.5, training=True, inplace=False)",
                [](T x, double p, bool training, bool inplace) {
                  return maybe_in_place(x, F::dropout(x, p, training), inplace && training);
                });
  rows.function("swiglu(gate, up=None, *, recompute=False)", fn<Tensor(T, T, bool)>(F::swiglu));
  rows.function("geglu(gate, up=None, *, approximate='none', recompute=False)",
                fn<Tensor(T, T, std::string_view, bool)>(F::geglu));
  rows.function("rotary_embedding(input, cos, sin, interleaved=False, offset=0)",
                fn<Tensor(T, T, T, bool, int64_t)>(F::rotary_embedding));
  rows.function(
      "rotary_qkv(qkv, cos, sin, num_heads, num_kv_heads=None, interleaved=False, offset=0) -> "
      "(query, key, value)",
      fn<std::tuple<Tensor, Tensor, Tensor>(T, T, T, int64_t, DimOpt, bool, int64_t)>(
          F::rotary_qkv));
  rows.function(
      "rotary_tables(positions, width, base=10000.0, *, dtype=None, device=None) -> (cos, sin)",
      [](int64_t positions, int64_t width, double base, DTypeOpt dtype, DeviceOpt device) {
        return F::rotary_tables(positions, width, base, make_options(dtype, device));
      });
  rows.function("dropout_add(input, residual, p=0.5, training=True)",
                fn<Tensor(T, T, double, bool)>(F::dropout_add));
  rows.function("dropout2d(input, p=0.5, training=True, inplace=False)",
                [](T x, double p, bool training, bool inplace) {
                  return maybe_in_place(x, F::dropout2d(x, p, training), inplace && training);
                });
}

}  // namespace

void add_init_rows(Rows& rows) {
  namespace init = nn::init;
  using G = Generator*;
  rows.function("constant_(tensor, val)", fn<T(T, double)>(init::constant_));
  rows.function("zeros_(tensor)", fn<T(T)>(init::zeros_));
  rows.function("ones_(tensor)", fn<T(T)>(init::ones_));
  rows.function("uniform_(tensor, a=0.0, b=1.0, generator=None)",
                fn<T(T, double, double, G)>(init::uniform_));
  rows.function("normal_(tensor, mean=0.0, std=1.0, generator=None)",
                fn<T(T, double, double, G)>(init::normal_));
  rows.function("trunc_normal_(tensor, mean=0.0, std=1.0, a=-2.0, b=2.0, generator=None)",
                fn<T(T, double, double, double, double, G)>(init::trunc_normal_));
  rows.function("xavier_uniform_(tensor, gain=1.0, generator=None)",
                fn<T(T, double, G)>(init::xavier_uniform_));
  rows.function("xavier_normal_(tensor, gain=1.0, generator=None)",
                fn<T(T, double, G)>(init::xavier_normal_));
  rows.function(
      "kaiming_uniform_(tensor, a=0.0, mode='fan_in', nonlinearity='leaky_relu', generator=None)",
      fn<T(T, double, Word, Word, G)>(init::kaiming_uniform_));
  rows.function(
      "kaiming_normal_(tensor, a=0.0, mode='fan_in', nonlinearity='leaky_relu', generator=None)",
      fn<T(T, double, Word, Word, G)>(init::kaiming_normal_));
  rows.function("eye_(tensor)", fn<T(T)>(init::eye_));
  rows.function("dirac_(tensor, groups=1)", fn<T(T, int64_t)>(init::dirac_));
  rows.function("sparse_(tensor, sparsity, std=0.01, generator=None)",
                fn<T(T, double, double, G)>(init::sparse_));
  rows.function("calculate_gain(nonlinearity, param=None)",
                [](Word nonlinearity, std::optional<double> param) {
                  return init::calculate_gain(nonlinearity, param.value_or(0.01));
                });
  rows.function("_calculate_fan_in_and_fan_out(tensor)",
                fn<std::pair<int64_t, int64_t>(T)>(init::calculate_fan_in_and_fan_out));
}

void add_functional_rows(Rows& rows) {
  add_activation_rows(rows);
  add_loss_rows(rows);
  add_normalization_rows(rows);
  add_conv_rows(rows);
  add_pool_rows(rows);
  add_attention_rows(rows);
  add_layer_rows(rows);
}

}  // namespace taut::python
