#include "taut/nn/functional/rotary.h"

#include <cstdint>

#include "src/nn/functional/heads.h"
#include "src/ops/dispatch.h"
#include "taut/autograd/record.h"
#include "taut/base/trace.h"
#include "taut/ops/ops.h"

namespace taut::nn::functional {
namespace {

using autograd::BackwardContext;

// The tables from the first position on, in the dtype that the input is computed in.
struct Tables {
  Tensor cos, sin;
};

void check_table(const char* op, const char* name, const Tensor& table, const Tensor& input) {
  ops::check_defined(op, name, table);
  ops::check_same_device(op, input, table);
  TAUT_CHECK(table.is_floating_point(), DTypeError, op, ": ", name, " must be floating; got ",
             table.dtype());
  TAUT_CHECK(table.dim() == 2, ShapeError, op, ": ", name, " has shape ", table.shape(),
             "; expected (positions, half of the turned numbers)");
  TAUT_CHECK(!autograd::is_recording({table}), ValueError, op, ": ", name,
             " is a table and gets no gradient; detach it");
}

// `width` of a head and `length` positions from `offset` on.
Tables prepare_tables(const char* op, const Tensor& input, const Tensor& cos, const Tensor& sin,
                      int64_t width, int64_t length, int64_t offset) {
  check_table(op, "cos", cos, input);
  check_table(op, "sin", sin, input);
  TAUT_CHECK(cos.shape() == sin.shape(), ShapeError, op, ": cos has shape ", cos.shape(),
             " and sin ", sin.shape());
  TAUT_CHECK(2 * cos.size(1) <= width, ShapeError, op, ": tables of shape ", cos.shape(), " turn ",
             2 * cos.size(1), " numbers; expected at most the width of a head, ", width);
  TAUT_CHECK(offset >= 0, ValueError, op, ": offset cannot be negative; got ", offset);
  TAUT_CHECK(length <= cos.size(0) && offset <= cos.size(0) - length, ValueError, op,
             ": positions from ", offset, " to ", offset + length, " are asked of tables with ",
             cos.size(0));
  const DType compute = compute_dtype(input.dtype());
  const NoGradGuard no_grad;
  const auto part = [&](const Tensor& table) {
    return contiguous(to(narrow(table.detach(), 0, offset, length), compute));
  };
  return {part(cos), part(sin)};
}

kernels::HeadStrides strides_of(const Tensor& heads) {
  return {.batch = heads.strides()[0], .position = heads.strides()[2], .head = heads.strides()[1]};
}

// Turns (batch, heads, length, width) `from` into `to`, each with contiguous rows.
void rotate(const Tensor& from, const Tensor& to, const Tables& tables, bool is_interleaved,
            bool is_inverse) {
  if (from.numel() == 0) return;
  kernels::RotaryArgs args;
  args.input = from.data_ptr();
  args.output = to.data_ptr();
  args.cos = tables.cos.data_ptr();
  args.sin = tables.sin.data_ptr();
  args.dtype = from.dtype();
  args.batch = from.size(0);
  args.heads = from.size(1);
  args.positions = from.size(2);
  args.width = from.size(3);
  args.rotary_width = 2 * tables.cos.size(1);
  args.input_strides = strides_of(from);
  args.output_strides = strides_of(to);
  args.is_interleaved = is_interleaved;
  args.is_inverse = is_inverse;
  ops::kernels_of(from).rotary.rotate(args);
}

struct RotaryAttributes {
  bool is_interleaved;
  bool is_inverse;
};

void rotary_backward(BackwardContext& context);

// The op on checked arguments; its gradient is the op with the other direction.
Tensor rotated(const Tensor& input, const Tables& tables, bool is_interleaved, bool is_inverse) {
  const TraceScope scope(ScopeKind::op, "rotary_embedding");
  const Tensor source = with_contiguous_rows(input);
  const Tensor heads = with_four_dims(source.detach());
  const Tensor output = allocate_heads(heads.shape(), heads);
  rotate(heads, output, tables, is_interleaved, is_inverse);
  drop_added_dims(output, source.dim());
  return autograd::record("rotary_embedding", {source}, output, {tables.cos, tables.sin},
                          rotary_backward, RotaryAttributes{is_interleaved, is_inverse});
}

Tables saved_tables(const BackwardContext& context) { return {context.saved(0), context.saved(1)}; }

void rotary_backward(BackwardContext& context) {
  const auto& at = context.attributes<RotaryAttributes>();
  context.set(0, rotated(context.grad(), saved_tables(context), at.is_interleaved, !at.is_inverse));
}

// ---- Query, key and value of one product --------------------------------------------------------

struct QkvShape {
  int64_t heads, kv_heads, width;

  int64_t turned() const { return heads + kv_heads; }
  int64_t all() const { return heads + 2 * kv_heads; }
};

struct QkvAttributes {
  QkvShape shape;
  bool is_interleaved;
};

// (batch, length, heads, width) as (batch, heads, length, width), without its first heads.
Layout heads_from(const Layout& layout, int64_t first, int64_t count) {
  return layout.slice(2, first, first + count, 1).transpose(1, 2);
}

Tensor shown(const Tensor& tensor, const Layout& layout) {
  return Tensor(TensorImpl::make(tensor.storage(), layout, tensor.dtype()));
}

void rotary_qkv_backward(BackwardContext& context) {
  const auto& at = context.attributes<QkvAttributes>();
  const QkvShape& shape = at.shape;
  const Tables tables = saved_tables(context);
  const Tensor query = context.grad_or_zeros(0), key = context.grad_or_zeros(1),
               value = context.grad_or_zeros(2);
  const int64_t batch = query.size(0), length = query.size(2), width = shape.all() * shape.width;
  if (is_grad_enabled()) {
    const Tensor parts[] = {rotated(query, tables, at.is_interleaved, true),
                            rotated(key, tables, at.is_interleaved, true), value};
    return context.set(0, reshape(transpose(cat(parts, 1), 1, 2), {batch, length, width}));
  }
  const Tensor grad = ops::allocate({batch, length, width}, query.dtype(), query.device());
  const Layout heads = Layout::contiguous({batch, length, shape.all(), shape.width});
  const Tensor parts[] = {shown(grad, heads_from(heads, 0, shape.heads)),
                          shown(grad, heads_from(heads, shape.heads, shape.kv_heads)),
                          shown(grad, heads_from(heads, shape.turned(), shape.kv_heads))};
  rotate(with_contiguous_rows(query), parts[0], tables, at.is_interleaved, true);
  rotate(with_contiguous_rows(key), parts[1], tables, at.is_interleaved, true);
  copy_(parts[2], value);
  context.set(0, grad);
}

QkvShape qkv_shape(const Tensor& qkv, int64_t num_heads, int64_t num_kv_heads) {
  constexpr auto kOp = "rotary_qkv";
  TAUT_CHECK(qkv.dim() == 3, ShapeError, kOp, ": qkv has shape ", qkv.shape(),
             "; expected (batch, length, (num_heads + 2 num_kv_heads) width)");
  TAUT_CHECK(num_heads > 0 && num_kv_heads > 0, ValueError, kOp,
             ": num_heads and num_kv_heads must be positive; got ", num_heads, " and ",
             num_kv_heads);
  const int64_t all = num_heads + 2 * num_kv_heads;
  TAUT_CHECK(qkv.size(2) % all == 0, ShapeError, kOp, ": the last dim of qkv, ", qkv.size(2),
             ", does not split into ", num_heads, " + 2 x ", num_kv_heads, " heads");
  return {num_heads, num_kv_heads, qkv.size(2) / all};
}

void check_input(const char* op, const char* name, const Tensor& input) {
  ops::check_defined(op, name, input);
  TAUT_CHECK(input.is_floating_point(), DTypeError, op, ": ", name, " must be floating; got ",
             input.dtype());
}

}  // namespace

std::pair<Tensor, Tensor> rotary_tables(int64_t positions, int64_t width, double base,
                                        const TensorOptions& options) {
  TAUT_CHECK(positions >= 0, ValueError, "rotary_tables: positions cannot be negative; got ",
             positions);
  TAUT_CHECK(width > 0 && width % 2 == 0, ValueError,
             "rotary_tables: width must be even and positive; got ", width);
  TAUT_CHECK(base > 0, ValueError, "rotary_tables: base must be positive; got ", base);
  const NoGradGuard no_grad;
  const TensorOptions wide(kFloat64);
  const Tensor powers = arange(0, width, 2, wide) / static_cast<double>(-width);
  const Tensor angles = outer(arange(0, positions, 1, wide), pow(Scalar(base), powers));
  const TensorOptions wanted = options.dtype(options.dtype_opt().value_or(kFloat32));
  return {to(cos(angles), wanted), to(sin(angles), wanted)};
}

Tensor rotary_embedding(const Tensor& input, const Tensor& cos, const Tensor& sin, bool interleaved,
                        int64_t offset) {
  constexpr auto kOp = "rotary_embedding";
  check_input(kOp, "input", input);
  TAUT_CHECK(input.dim() >= 2 && input.dim() <= 4, ShapeError, kOp, ": input has shape ",
             input.shape(), "; expected 2 to 4 dims");
  const Tables tables =
      prepare_tables(kOp, input, cos, sin, input.size(-1), input.size(-2), offset);
  return rotated(input, tables, interleaved, false);
}

std::tuple<Tensor, Tensor, Tensor> rotary_qkv(const Tensor& qkv, const Tensor& cos,
                                              const Tensor& sin, int64_t num_heads,
                                              std::optional<int64_t> num_kv_heads, bool interleaved,
                                              int64_t offset) {
  constexpr auto kOp = "rotary_qkv";
  const TraceScope scope(ScopeKind::op, kOp);
  check_input(kOp, "qkv", qkv);
  const QkvShape shape = qkv_shape(qkv, num_heads, num_kv_heads.value_or(num_heads));
  const Tables tables = prepare_tables(kOp, qkv, cos, sin, shape.width, qkv.size(1), offset);
  const Tensor source = with_contiguous_rows(qkv);
  const Layout heads = *source.layout().view({qkv.size(0), qkv.size(1), shape.all(), shape.width});
  // Queries and keys side by side, as they are in the product.
  const Tensor turned = ops::allocate({qkv.size(0), qkv.size(1), shape.turned(), shape.width},
                                      qkv.dtype(), qkv.device());
  rotate(shown(source, heads_from(heads, 0, shape.turned())),
         shown(turned, heads_from(turned.layout(), 0, shape.turned())), tables, interleaved, false);
  Tensor query = shown(turned, heads_from(turned.layout(), 0, shape.heads));
  Tensor key = shown(turned, heads_from(turned.layout(), shape.heads, shape.kv_heads));
  Tensor value = autograd::make_view(source, heads_from(heads, shape.turned(), shape.kv_heads));
  const autograd::TensorRef inputs[] = {source};
  const autograd::TensorRef outputs[] = {query, key, value};
  const autograd::TensorRef saved[] = {tables.cos, tables.sin};
  autograd::record_all(kOp, inputs, outputs, saved, rotary_qkv_backward,
                       QkvAttributes{shape, interleaved});
  return {query, key, value};
}

}  // namespace taut::nn::functional
