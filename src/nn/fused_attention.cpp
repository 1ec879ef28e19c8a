#include "src/nn/fused_attention.h"

#include <algorithm>

#include "src/nn/functional/heads.h"
#include "src/ops/composed_backward.h"
#include "src/ops/dispatch.h"
#include "src/ops/precision.h"
#include "src/ops/take_random.h"
#include "taut/autograd/backward.h"
#include "taut/autograd/record.h"
#include "taut/base/trace.h"
#include "taut/core/generator.h"
#include "taut/ops/ops.h"

namespace taut::nn::functional {
namespace {

using autograd::BackwardContext;
using kernels::AttentionShape;
using kernels::RowStrides;

constexpr int64_t kMaxWidth = 256;

RowStrides rows_of(const Tensor& tensor) {
  return {tensor.strides()[0], tensor.strides()[1], tensor.strides()[2]};
}

// The mask in the form of the kernel, over (batch, heads, queries, keys).
struct Mask {
  Tensor tensor;
  Layout layout;
};

Mask expanded_mask(const Tensor& mask, const Tensor& query, const Tensor& key) {
  if (!mask.defined()) return {};
  const Tensor cast = mask.dtype() == kBool ? mask : to(mask, query.dtype());
  Tensor four = cast;
  // A mask of three dims goes with queries of three: (batch, queries, keys).
  if (query.dim() == 3 && four.dim() == 3) four = unsqueeze(four, 1);
  const Tensor q = with_four_dims(query);
  const Dims target{q.size(0), q.size(1), q.size(2), with_four_dims(key).size(2)};
  return {cast, four.layout().broadcast_to("scaled_dot_product_attention", target)};
}

void set_shape(AttentionShape& shape, const Tensor& q, const Tensor& k, const Tensor& v,
               const Mask& mask) {
  shape.dtype = q.dtype();
  shape.batch = q.size(0);
  shape.heads = q.size(1);
  shape.kv_heads = k.size(1);
  shape.queries = q.size(2);
  shape.keys = k.size(2);
  shape.width = q.size(3);
  shape.value_width = v.size(3);
  shape.precision = ops::float32_precision();
  if (mask.tensor.defined()) {
    shape.mask = static_cast<const char*>(mask.tensor.storage()->data()) +
                 mask.layout.offset * static_cast<int64_t>(item_size(mask.tensor.dtype()));
    shape.mask_dtype = mask.tensor.dtype();
    for (int i = 0; i < 4; ++i) shape.mask_strides[i] = mask.layout.strides[i];
  }
}

struct FusedAttributes {
  double scale;
  double dropout_p;
  bool is_causal;
  bool enable_gqa;
  kernels::RandomPlace random;
};

// Pairs of a query and a key that meet: with a causal mask those where the key is not later.
double pairs_of(const Tensor& query, const Tensor& key, bool is_causal) {
  const auto length = static_cast<double>(query.size(2)), keys = static_cast<double>(key.size(2));
  if (!is_causal) return length * keys;
  const double square = std::min(length, keys);
  return square * (square + 1) / 2 + (length - square) * keys;
}

// Two products forward; backward makes the scores once more and four gradients ("FlashAttention-2",
// Dao 2023), which is 2.5 times as much.
void trace_flops(const Tensor& q, const Tensor& k, const Tensor& v, bool is_causal, double times) {
  if (!is_traced()) return;
  const auto heads = static_cast<double>(q.size(0) * q.size(1));
  const auto widths = static_cast<double>(q.size(3) + v.size(3));
  trace_cost(times * 2 * heads * pairs_of(q, k, is_causal) * widths, 0);
}

// What `body` gives when it draws the random numbers that begin there.
template <class Body>
Tensor drawing_from(const kernels::RandomPlace& place, const Body& body) {
  struct Restored {
    GeneratorState state = default_generator().state();
    ~Restored() { default_generator().set_state(state); }
  };
  const Restored restored;
  default_generator().set_state({place.seed, place.offset});
  return body();
}

struct Gradients {
  Tensor query, key, value;  // (batch, heads, length, width)
};

// Whether query, key and value, one behind the other, are the rows of one tensor, as those of a
// joint projection are: (batch, length, row), or (length, batch, row) with the batch inside.
bool are_parts_of_rows(const Tensor& q, const Tensor& k, const Tensor& v, int64_t row) {
  const int64_t length = q.size(2);
  const bool batch_inside = is_batch_inside(q);
  const int64_t batch_stride = batch_inside ? row : length * row;
  const int64_t length_stride = batch_inside ? q.size(0) * row : row;
  int64_t offset = q.layout().offset;
  for (const Tensor* part : {&q, &k, &v}) {
    const Dims& strides = part->strides();
    if (part->storage() != q.storage() || part->layout().offset != offset) return false;
    if (part->size(2) != length || strides[3] != 1 || strides[2] != length_stride) return false;
    if (strides[1] != part->size(3) && part->size(1) != 1) return false;
    if (strides[0] != batch_stride && part->size(0) != 1) return false;
    offset += part->size(1) * part->size(3);
  }
  return true;
}

// Gradients of parts of rows are such parts, too: what split the rows has them joined then.
Gradients allocate_gradients(const Tensor& q, const Tensor& k, const Tensor& v) {
  const auto width_of = [](const Tensor& part) { return part.size(1) * part.size(3); };
  const int64_t row = width_of(q) + width_of(k) + width_of(v);
  if (!are_parts_of_rows(q, k, v, row)) {
    return {allocate_heads(q.shape(), q), allocate_heads(k.shape(), k),
            allocate_heads(v.shape(), v)};
  }
  const int64_t batch = q.size(0), length = q.size(2);
  const bool batch_inside = is_batch_inside(q);
  const Tensor whole = ops::allocate(
      batch_inside ? Dims{length, batch, row} : Dims{batch, length, row}, q.dtype(), q.device());
  int64_t first = 0;
  const auto part_like = [&](const Tensor& part) {
    const Tensor rows = narrow(whole, 2, first, width_of(part));
    first += width_of(part);
    const Tensor heads = view(rows, {rows.size(0), rows.size(1), part.size(1), part.size(3)});
    return batch_inside ? permute(heads, {1, 2, 0, 3}) : transpose(heads, 1, 2);
  };
  Gradients result;
  result.query = part_like(q);
  result.key = part_like(k);
  result.value = part_like(v);
  return result;
}

// By ops that can be differentiated again.
void composed_backward(BackwardContext& context, const FusedAttributes& at) {
  TAUT_CHECK(
      at.random.base == nullptr, CudaError,
      "scaled_dot_product_attention: second derivatives with dropout cannot be captured into "
      "a graph");
  const Tensor mask = context.saved(3);
  ops::composed_backward(context, 3, [&](TensorList in) {
    const AttentionCall call{in[0],        in[1],        in[2],    mask,
                             at.dropout_p, at.is_causal, at.scale, at.enable_gqa};
    return drawing_from(at.random, [&] { return composed_attention(call).output; });
  });
}

void fused_backward(BackwardContext& context) {
  const auto& at = context.attributes<FusedAttributes>();
  if (is_grad_enabled()) return composed_backward(context, at);
  const Tensor query = context.saved(0), key = context.saved(1), value = context.saved(2);
  const Tensor q = with_four_dims(query), k = with_four_dims(key), v = with_four_dims(value);
  const Tensor output = with_four_dims(context.saved(4));
  const Tensor log_sum_exp = context.saved(5);
  const Tensor grad = with_contiguous_rows(with_four_dims(context.grad()));
  const auto [grad_q, grad_k, grad_v] = allocate_gradients(q, k, v);
  const Mask mask = expanded_mask(context.saved(3), query, key);
  kernels::AttentionBackwardArgs args;
  set_shape(args, q, k, v, mask);
  args.scale = at.scale;
  args.is_causal = at.is_causal;
  args.dropout_p = at.dropout_p;
  args.random = at.random;
  args.query = q.data_ptr();
  args.key = k.data_ptr();
  args.value = v.data_ptr();
  args.output = output.data_ptr();
  args.log_sum_exp = log_sum_exp.data_ptr<float>();
  args.grad_output = grad.data_ptr();
  args.grad_query = grad_q.data_ptr();
  args.grad_key = grad_k.data_ptr();
  args.grad_value = grad_v.data_ptr();
  args.query_strides = rows_of(q);
  args.key_strides = rows_of(k);
  args.value_strides = rows_of(v);
  args.output_strides = rows_of(output);
  args.grad_output_strides = rows_of(grad);
  args.grad_query_strides = rows_of(grad_q);
  args.grad_key_strides = rows_of(grad_k);
  args.grad_value_strides = rows_of(grad_v);
  args.must_repeat = are_deterministic_algorithms_enabled();
  ops::kernels_of(q).attention.backward(args);
  trace_flops(q, k, v, at.is_causal, 2.5);
  const Tensor* const grads[] = {&grad_q, &grad_k, &grad_v};
  const Tensor* const inputs[] = {&query, &key, &value};
  for (size_t i = 0; i < 3; ++i) {
    if (context.needs(i)) context.set(i, reshape(*grads[i], inputs[i]->shape()));
  }
}

// The counter values that dropping the weights of the composed call would take.
kernels::RandomPlace reserve_random(const AttentionShape& shape, double dropout_p, Device device) {
  if (dropout_p == 0) return {};
  return ops::take_random(
      default_generator(), device,
      kernels::random_blocks(shape.batch * shape.heads * shape.queries * shape.keys, 32));
}

}  // namespace

bool has_fused_attention(const AttentionCall& call) {
  const Tensor& q = call.query;
  const Tensor& k = call.key;
  const Tensor& v = call.value;
  if (q.is_cpu() || ops::kernels_of(q).attention.forward == nullptr) return false;
  if (q.dtype() == kFloat64 || q.dim() > 4 || k.dim() != q.dim() || v.dim() != q.dim())
    return false;
  if (q.size(-1) > kMaxWidth || v.size(-1) > kMaxWidth) return false;
  if (q.numel() == 0 || k.numel() == 0 || v.numel() == 0) return false;
  if (q.dim() >= 3 && (q.size(0) != k.size(0) || q.size(0) != v.size(0))) return false;
  if (q.dim() == 4 && k.size(1) != v.size(1)) return false;
  if (!call.mask.defined()) return true;
  // A mask that is learnt needs the gradient of the scores.
  if (call.mask.requires_grad()) return false;
  return q.dim() > 2 || call.mask.dim() <= 2;
}

Tensor fused_attention(const AttentionCall& call) {
  const TraceScope scope(ScopeKind::op, "scaled_dot_product_attention");
  const Tensor query = with_contiguous_rows(call.query);
  const Tensor key = with_contiguous_rows(call.key);
  const Tensor value = with_contiguous_rows(call.value);
  const Tensor q = with_four_dims(query.detach());
  const Tensor k = with_four_dims(key.detach());
  const Tensor v = with_four_dims(value.detach());
  const Mask mask = expanded_mask(call.mask, query, key);
  kernels::AttentionArgs args;
  set_shape(args, q, k, v, mask);
  const kernels::RandomPlace random = reserve_random(args, call.dropout_p, q.device());
  args.scale = call.scale;
  args.is_causal = call.is_causal;
  args.dropout_p = call.dropout_p;
  args.random = random;
  Tensor output = allocate_heads({q.size(0), q.size(1), q.size(2), v.size(3)}, q);
  const bool is_recorded = autograd::is_recording({query, key, value});
  Tensor log_sum_exp;
  if (is_recorded) {
    log_sum_exp = ops::allocate({q.size(0), q.size(1), q.size(2)}, kFloat32, q.device());
    args.log_sum_exp = log_sum_exp.data_ptr<float>();
  }
  args.query = q.data_ptr();
  args.key = k.data_ptr();
  args.value = v.data_ptr();
  args.output = output.data_ptr();
  args.query_strides = rows_of(q);
  args.key_strides = rows_of(k);
  args.value_strides = rows_of(v);
  args.output_strides = rows_of(output);
  ops::kernels_of(q).attention.forward(args);
  trace_flops(q, k, v, call.is_causal, 1);
  drop_added_dims(output, query.dim());
  return autograd::record(
      "scaled_dot_product_attention", {query, key, value}, output,
      {query, key, value, mask.tensor, output, log_sum_exp}, fused_backward,
      FusedAttributes{call.scale, call.dropout_p, call.is_causal, call.enable_gqa, random});
}

}  // namespace taut::nn::functional
