// Reading and writing along one dim by index: gather, scatter, index_select and their kin.

#include "src/ops/allocate.h"
#include "src/ops/autocast.h"
#include "src/ops/dispatch.h"
#include "src/ops/index_address.h"
#include "taut/autograd/record.h"
#include "taut/base/trace.h"
#include "taut/core/scalar_range.h"
#include "taut/ops/indexing.h"
#include "taut/ops/ops.h"

namespace taut {
namespace {

using autograd::BackwardContext;
using autograd::record;
using autograd::record_in_place;
using kernels::PutMode;

struct DimAttributes {
  int dim;
  Dims shape;
  double alpha;
};

Tensor checked_index(const char* op, const Tensor& index, const Tensor& input) {
  ops::check_defined(op, "index", index);
  TAUT_CHECK(index.dtype() == kInt64 || index.dtype() == kInt32, DTypeError, op,
             ": index must be int64 or int32; got ", index.dtype());
  ops::check_same_device(op, input, index);
  return to(index, kInt64);
}

// gather and scatter: element x of the index names the place along `dim`.
ops::Access pointwise_access(const char* op, const Tensor& input, int dim, const Tensor& index) {
  const Tensor self = input.dim() == 0 ? unsqueeze(input, 0) : input;
  const Tensor at = index.dim() == 0 ? unsqueeze(index, 0) : index;
  TAUT_CHECK(self.dim() == at.dim(), ShapeError, op,
             ": index must have as many dims as input; got ", index.shape(), " and ",
             input.shape());
  for (int i = 0; i < self.dim(); ++i) {
    TAUT_CHECK(i == dim || at.shape()[i] <= self.shape()[i] || at.numel() == 0, ShapeError, op,
               ": index of shape ", index.shape(), " reaches past the input of shape ",
               input.shape(), " in dim ", i);
  }
  ops::Access access;
  access.size = at.shape();
  access.self_strides = self.strides();
  access.self_strides[dim] = 0;
  access.index_count = 1;
  access.indices[0] = {at.data_ptr(), at.strides(), self.shape()[dim], self.strides()[dim]};
  return access;
}

// index_select and its kin: position i along `dim` is index[i].
ops::Access slicewise_access(const char* op, const Tensor& input, int dim, const Tensor& index) {
  TAUT_CHECK(index.dim() <= 1, ShapeError, op, ": index must have one dim; got shape ",
             index.shape());
  const Tensor self = input.dim() == 0 ? unsqueeze(input, 0) : input;
  ops::Access access;
  access.size = self.shape();
  access.size[dim] = index.numel();
  access.self_strides = self.strides();
  access.self_strides[dim] = 0;
  access.index_count = 1;
  Dims strides = Dims::filled(self.dim(), 0);
  strides[dim] = index.dim() == 0 ? 0 : index.strides()[0];
  access.indices[0] = {index.data_ptr(), strides, self.shape()[dim], self.strides()[dim]};
  return access;
}

Tensor separate(const Tensor& source, const Tensor& self) {
  return source.storage() == self.storage() ? clone(source) : source;
}

void check_source_dtype(const char* op, const Tensor& self, const Tensor& source) {
  ops::check_defined(op, "source", source);
  ops::check_same_device(op, self, source);
  TAUT_CHECK(self.dtype() == source.dtype(), DTypeError, op, ": source is ", source.dtype(),
             "; expected ", self.dtype());
}

void check_source_covers(const char* op, const Tensor& index, const Tensor& src) {
  const int rank = std::max(index.dim(), 1);
  TAUT_CHECK(std::max(src.dim(), 1) == rank, ShapeError, op,
             ": src must have as many dims as index; got ", src.shape(), " and ", index.shape());
  for (int i = 0; i < index.dim(); ++i) {
    TAUT_CHECK(index.shape()[i] <= src.shape()[i], ShapeError, op, ": index of shape ",
               index.shape(), " reaches past src of shape ", src.shape());
  }
}

// The gradient of src is what stood at the places written to, within the part of src that was read.
Tensor gathered_for(const BackwardContext& context, const Tensor& index) {
  const auto& at = context.attributes<DimAttributes>();
  Tensor taken = gather(context.grad(), at.dim, index);
  if (taken.shape() == at.shape) return taken;
  Tensor whole = zeros(at.shape, taken.options());
  Tensor part = whole;
  for (int i = 0; i < taken.dim(); ++i) part = narrow(part, i, 0, taken.shape()[i]);
  copy_(part, taken);
  return whole;
}

void gather_backward(BackwardContext& context) {
  const auto& at = context.attributes<DimAttributes>();
  const Tensor whole = zeros(at.shape, context.grad().options());
  context.set(0, scatter_add_(whole, at.dim, context.saved(0), context.grad()));
}

void scatter_backward(BackwardContext& context) {
  const auto& at = context.attributes<DimAttributes>();
  const Tensor index = context.saved(0);
  if (context.needs(0)) {
    context.set(0, scatter(context.grad(), at.dim, index, Scalar(0)));
  }
  if (context.inputs() > 1 && context.needs(1)) context.set(1, gathered_for(context, index));
}

void scatter_add_backward(BackwardContext& context) {
  if (context.needs(0)) context.set(0, context.grad());
  if (context.needs(1)) context.set(1, gathered_for(context, context.saved(0)));
}

Tensor gather_named(const char* op, const Tensor& input, int64_t dim, const Tensor& index) {
  const TraceScope scope(ScopeKind::op, op);
  const int at = normalize_dim(op, dim, input.dim());
  const Tensor positions = checked_index(op, index, input);
  Tensor output = ops::run_get(op, input, pointwise_access(op, input, at, positions));
  if (index.dim() == 0) output.impl()->set_layout(Layout::contiguous({}));
  return record(op, {input}, output, {positions}, gather_backward,
                DimAttributes{at, input.shape(), 1});
}

}  // namespace

Tensor gather(const Tensor& input, int64_t dim, const Tensor& index) {
  return gather_named("gather", input, dim, index);
}

namespace {

const Tensor& scatter_named(const char* op, const Tensor& input, int64_t dim, const Tensor& index,
                            const Tensor& src) {
  const TraceScope scope(ScopeKind::op, op);
  const int at = normalize_dim(op, dim, input.dim());
  const Tensor positions = checked_index(op, index, input);
  check_source_dtype(op, input, src);
  check_source_covers(op, index, src);
  const ops::Access access = pointwise_access(op, input, at, positions);
  autograd::check_in_place(op, input);
  const Tensor source = separate(src, input);
  ops::run_put(op, input, access, source.data_ptr(), source.dim() == 0 ? Dims{0} : source.strides(),
               PutMode::assign);
  return record_in_place(op, {input, source}, input, {positions}, scatter_backward,
                         DimAttributes{at, src.shape(), 1});
}

const Tensor& scatter_named(const char* op, const Tensor& input, int64_t dim, const Tensor& index,
                            const Scalar& value) {
  const TraceScope scope(ScopeKind::op, op);
  const int at = normalize_dim(op, dim, input.dim());
  const Tensor positions = checked_index(op, index, input);
  const ops::Access access = pointwise_access(op, input, at, positions);
  check_holds(op, input.dtype(), value);
  autograd::check_in_place(op, input);
  const Tensor source = scalar_tensor(value, input.options());
  ops::run_put(op, input, access, source.data_ptr(), Dims::filled(access.size.rank(), 0),
               PutMode::assign);
  return record_in_place(op, {input}, input, {positions}, scatter_backward,
                         DimAttributes{at, {}, 1});
}

const Tensor& scatter_add_named(const char* op, const Tensor& input, int64_t dim,
                                const Tensor& index, const Tensor& src) {
  const TraceScope scope(ScopeKind::op, op);
  const int at = normalize_dim(op, dim, input.dim());
  const Tensor positions = checked_index(op, index, input);
  check_source_dtype(op, input, src);
  check_source_covers(op, index, src);
  const ops::Access access = pointwise_access(op, input, at, positions);
  autograd::check_in_place(op, input);
  const Tensor source = separate(src, input);
  ops::run_put(op, input, access, source.data_ptr(), source.dim() == 0 ? Dims{0} : source.strides(),
               PutMode::sum);
  return record_in_place(op, {input, source}, input, {positions}, scatter_add_backward,
                         DimAttributes{at, src.shape(), 1});
}

}  // namespace

const Tensor& scatter_(const Tensor& input, int64_t dim, const Tensor& index, const Tensor& src) {
  return scatter_named("scatter_", input, dim, index, src);
}

const Tensor& scatter_(const Tensor& input, int64_t dim, const Tensor& index, const Scalar& value) {
  return scatter_named("scatter_", input, dim, index, value);
}

const Tensor& scatter_add_(const Tensor& input, int64_t dim, const Tensor& index,
                           const Tensor& src) {
  return scatter_add_named("scatter_add_", input, dim, index, src);
}

Tensor scatter(const Tensor& input, int64_t dim, const Tensor& index, const Tensor& src) {
  const Tensor result = clone(input);
  return scatter_named("scatter", result, dim, index, src);
}
Tensor scatter(const Tensor& input, int64_t dim, const Tensor& index, const Scalar& value) {
  const Tensor result = clone(input);
  return scatter_named("scatter", result, dim, index, value);
}
Tensor scatter_add(const Tensor& input, int64_t dim, const Tensor& index, const Tensor& src) {
  if (ops::is_autocast()) {
    return ops::in_widest_dtype([](const auto&... x) { return scatter_add(x...); }, input, dim,
                                index, src);
  }
  const Tensor result = clone(input);
  return scatter_add_named("scatter_add", result, dim, index, src);
}

namespace {

PutMode parse_put_mode(const char* op, std::string_view reduce) {
  if (reduce == "sum") return PutMode::sum;
  if (reduce == "prod") return PutMode::prod;
  if (reduce == "mean") return PutMode::mean;
  if (reduce == "amax") return PutMode::amax;
  TAUT_CHECK(reduce == "amin", ValueError, op, ": expected sum, prod, mean, amax or amin; got \"",
             reduce, "\"");
  return PutMode::amin;
}

struct ScatterReduceAttributes {
  DimAttributes base;
  PutMode mode;
  bool include_self;
};

void refuse_second_derivative(BackwardContext&) {
  detail::raise<NotImplementedError>(
      "scatter_reduce: the second derivative of prod by src is not there where several zeros of src"
      " meet in one element");
}

struct Shares {
  Tensor self;
  Tensor src;
};

// The product of all factors but one is the result divided by it. Where that factor is 0, the
// product is taken again with 1 in its place; where two are 0, nothing is left of it.
Shares prod_shares(const Tensor& grad, int dim, const Tensor& index, const Tensor& self,
                   const Tensor& src, const Tensor& result, bool include_self) {
  const auto product = [&](const Tensor& of_self, const Tensor& of_src) {
    return scatter_reduce(of_self, dim, index, of_src, "prod", include_self);
  };
  const Tensor nonzero_self = masked_fill(self, eq(self, 0), 1);
  const Tensor share_self = grad * product(nonzero_self, src) / nonzero_self;

  const Tensor is_zero = eq(src, 0);
  const Tensor zeros_met =
      gather(scatter_add(zeros(self.shape(), TensorOptions(kInt64).device(self.device())), dim,
                         index, to(is_zero, kInt64)),
             dim, index);
  const Tensor is_only_zero = logical_and(is_zero, eq(zeros_met, 1));
  const Tensor without_it =
      gather(grad * product(self, masked_fill(src, is_only_zero, 1)), dim, index);
  const Tensor divided = gather(grad * result, dim, index) / masked_fill(src, is_zero, 1);
  const Tensor share_src = where(is_only_zero, without_it, divided);
  // With two zeros the first derivative is 0 and the second one is not, which this does not see.
  if (is_grad_enabled() && any(gt(zeros_met, 1)).item().to_bool()) {
    return {share_self,
            record("scatter_reduce", {share_src}, detach(share_src), {}, refuse_second_derivative)};
  }
  return {share_self, share_src};
}

// Saved: index, self before, src, result.
void scatter_reduce_backward(BackwardContext& context) {
  const auto& attributes = context.attributes<ScatterReduceAttributes>();
  const auto& at = attributes.base;
  const Tensor index = context.saved(0);
  const Tensor self = context.saved(1);
  const Tensor src = context.saved(2);
  const Tensor result = context.saved(3);
  const Tensor& grad = context.grad();
  const auto narrowed = [&](const Tensor& tensor) {
    Tensor part = tensor;
    for (int i = 0; i < index.dim(); ++i) part = narrow(part, i, 0, index.shape()[i]);
    return part;
  };
  const auto widened = [&](const Tensor& part) {
    if (part.shape() == at.shape) return part;
    Tensor whole = zeros(at.shape, part.options());
    Tensor place = whole;
    for (int i = 0; i < part.dim(); ++i) place = narrow(place, i, 0, part.shape()[i]);
    copy_(place, part);
    return whole;
  };
  Tensor share_self = grad;
  Tensor share_src = gather(grad, at.dim, index);
  if (attributes.mode == PutMode::mean) {
    Tensor count = attributes.include_self ? ones_like(self) : zeros_like(self);
    count = scatter_add(count, at.dim, index, ones(index.shape(), self.options()));
    count = clamp_min(count, Scalar(1));
    share_self = grad / count;
    share_src = share_src / gather(count, at.dim, index);
  } else if (attributes.mode == PutMode::prod) {
    const Shares shares =
        prod_shares(grad, at.dim, index, self, narrowed(src), result, attributes.include_self);
    share_self = shares.self;
    share_src = shares.src;
  } else if (attributes.mode != PutMode::sum) {
    const Tensor self_equal = to(eq(self, result), grad.dtype());
    const Tensor src_equal = to(eq(narrowed(src), gather(result, at.dim, index)), grad.dtype());
    Tensor count = attributes.include_self ? self_equal : zeros_like(self);
    count = scatter_add(count, at.dim, index, src_equal);
    const Tensor divisor = clamp_min(count, Scalar(1));
    share_self = grad * self_equal / divisor;
    share_src = share_src * src_equal / gather(divisor, at.dim, index);
  }
  if (context.needs(0)) {
    context.set(
        0, attributes.include_self ? share_self : scatter(share_self, at.dim, index, Scalar(0)));
  }
  if (context.needs(1)) context.set(1, widened(share_src));
}

Tensor scatter_reduce_named(const char* op, const Tensor& input, int64_t dim, const Tensor& index,
                            const Tensor& src, std::string_view reduce, bool include_self) {
  const TraceScope scope(ScopeKind::op, op);
  const int at = normalize_dim(op, dim, input.dim());
  const PutMode mode = parse_put_mode(op, reduce);
  const Tensor positions = checked_index(op, index, input);
  check_source_dtype(op, input, src);
  check_source_covers(op, index, src);
  Tensor output;
  {
    const NoGradGuard no_grad;
    output = clone(input.detach());
  }
  ops::run_put(op, output, pointwise_access(op, output, at, positions), src.data_ptr(),
               src.dim() == 0 ? Dims{0} : src.strides(), mode, 1.0, include_self);
  return record(op, {input, src}, output, {positions, input, src, output}, scatter_reduce_backward,
                ScatterReduceAttributes{{at, src.shape(), 1}, mode, include_self});
}

}  // namespace

Tensor scatter_reduce(const Tensor& input, int64_t dim, const Tensor& index, const Tensor& src,
                      std::string_view reduce, bool include_self) {
  return scatter_reduce_named("scatter_reduce", input, dim, index, src, reduce, include_self);
}

const Tensor& scatter_reduce_(const Tensor& input, int64_t dim, const Tensor& index,
                              const Tensor& src, std::string_view reduce, bool include_self) {
  return copy_(
      input, scatter_reduce_named("scatter_reduce_", input, dim, index, src, reduce, include_self));
}

namespace {

void index_select_backward(BackwardContext& context) {
  const auto& at = context.attributes<DimAttributes>();
  const Tensor whole = zeros(at.shape, context.grad().options());
  context.set(0, index_add_(whole, at.dim, context.saved(0), context.grad()));
}

void index_add_backward(BackwardContext& context) {
  const auto& at = context.attributes<DimAttributes>();
  if (context.needs(0)) context.set(0, context.grad());
  if (context.needs(1)) {
    context.set(
        1, reshape(index_select(context.grad(), at.dim, context.saved(0)), at.shape) * at.alpha);
  }
}

void index_copy_backward(BackwardContext& context) {
  const auto& at = context.attributes<DimAttributes>();
  const Tensor index = context.saved(0);
  if (context.needs(0)) context.set(0, index_fill(context.grad(), at.dim, index, Scalar(0)));
  if (context.inputs() > 1 && context.needs(1)) {
    context.set(1, reshape(index_select(context.grad(), at.dim, index), at.shape));
  }
}

// The strides of a source over the shape that is walked.
Dims source_strides(const char* op, const Tensor& source, const ops::Access& access) {
  const Tensor aligned = source.dim() == 0 ? unsqueeze(source, 0) : source;
  TAUT_CHECK(aligned.shape() == access.size, ShapeError, op, ": source has shape ", source.shape(),
             "; expected ", access.size);
  return aligned.strides();
}

}  // namespace

Tensor index_select(const Tensor& input, int64_t dim, const Tensor& index) {
  const TraceScope scope(ScopeKind::op, "index_select");
  const int at = normalize_dim("index_select", dim, input.dim());
  const Tensor positions = checked_index("index_select", index, input);
  Tensor output =
      ops::run_get("index_select", input, slicewise_access("index_select", input, at, positions));
  if (input.dim() == 0) output.impl()->set_layout(Layout::contiguous({}));
  return record("index_select", {input}, output, {positions}, index_select_backward,
                DimAttributes{at, input.shape(), 1});
}

namespace {

const Tensor& index_add_named(const char* op, const Tensor& input, int64_t dim, const Tensor& index,
                              const Tensor& source, const Scalar& alpha) {
  const TraceScope scope(ScopeKind::op, op);
  const int at = normalize_dim(op, dim, input.dim());
  const Tensor positions = checked_index(op, index, input);
  check_source_dtype(op, input, source);
  const ops::Access access = slicewise_access(op, input, at, positions);
  const Tensor values = separate(source, input);
  const Dims strides = source_strides(op, values, access);
  autograd::check_in_place(op, input);
  ops::run_put(op, input, access, values.data_ptr(), strides, PutMode::sum, alpha.to_double());
  return record_in_place(op, {input, values}, input, {positions}, index_add_backward,
                         DimAttributes{at, source.shape(), alpha.to_double()});
}

const Tensor& index_copy_named(const char* op, const Tensor& input, int64_t dim,
                               const Tensor& index, const Tensor& source) {
  const TraceScope scope(ScopeKind::op, op);
  const int at = normalize_dim(op, dim, input.dim());
  const Tensor positions = checked_index(op, index, input);
  check_source_dtype(op, input, source);
  const ops::Access access = slicewise_access(op, input, at, positions);
  const Tensor values = separate(source, input);
  const Dims strides = source_strides(op, values, access);
  autograd::check_in_place(op, input);
  ops::run_put(op, input, access, values.data_ptr(), strides, PutMode::assign);
  return record_in_place(op, {input, values}, input, {positions}, index_copy_backward,
                         DimAttributes{at, source.shape(), 1});
}

const Tensor& index_fill_named(const char* op, const Tensor& input, int64_t dim,
                               const Tensor& index, const Scalar& value) {
  const TraceScope scope(ScopeKind::op, op);
  const int at = normalize_dim(op, dim, input.dim());
  const Tensor positions = checked_index(op, index, input);
  const ops::Access access = slicewise_access(op, input, at, positions);
  check_holds(op, input.dtype(), value);
  autograd::check_in_place(op, input);
  const Tensor source = scalar_tensor(value, input.options());
  ops::run_put(op, input, access, source.data_ptr(), Dims::filled(access.size.rank(), 0),
               PutMode::assign);
  return record_in_place(op, {input}, input, {positions}, index_copy_backward,
                         DimAttributes{at, {}, 1});
}

}  // namespace

const Tensor& index_add_(const Tensor& input, int64_t dim, const Tensor& index,
                         const Tensor& source, const Scalar& alpha) {
  return index_add_named("index_add_", input, dim, index, source, alpha);
}

const Tensor& index_copy_(const Tensor& input, int64_t dim, const Tensor& index,
                          const Tensor& source) {
  return index_copy_named("index_copy_", input, dim, index, source);
}

const Tensor& index_fill_(const Tensor& input, int64_t dim, const Tensor& index,
                          const Scalar& value) {
  return index_fill_named("index_fill_", input, dim, index, value);
}

Tensor index_add(const Tensor& input, int64_t dim, const Tensor& index, const Tensor& source,
                 const Scalar& alpha) {
  const Tensor result = clone(input);
  return index_add_named("index_add", result, dim, index, source, alpha);
}
Tensor index_copy(const Tensor& input, int64_t dim, const Tensor& index, const Tensor& source) {
  if (ops::is_autocast()) {
    return ops::in_widest_dtype([](const auto&... x) { return index_copy(x...); }, input, dim,
                                index, source);
  }
  const Tensor result = clone(input);
  return index_copy_named("index_copy", result, dim, index, source);
}
Tensor index_fill(const Tensor& input, int64_t dim, const Tensor& index, const Scalar& value) {
  const Tensor result = clone(input);
  return index_fill_named("index_fill", result, dim, index, value);
}

namespace {

void take_backward(BackwardContext& context) {
  const Tensor whole = zeros(context.attributes<DimAttributes>().shape, context.grad().options());
  const TensorIndex at[] = {context.saved(0)};
  context.set(0, index_put_(whole, at, context.grad(), true));
}

}  // namespace

Tensor take(const Tensor& input, const Tensor& index) {
  const TraceScope scope(ScopeKind::op, "take");
  const Tensor positions = checked_index("take", index, input);
  const Tensor flat = ravel(input);
  ops::Access access;
  access.size = positions.shape();
  access.self_strides = Dims::filled(positions.dim(), 0);
  access.wrap_negative = true;
  access.index_count = 1;
  access.indices[0] = {positions.data_ptr(), positions.strides(), flat.numel(), flat.strides()[0]};
  const Tensor output = ops::run_get("take", flat, access);
  return record("take", {flat}, output, {positions}, take_backward,
                DimAttributes{0, flat.shape(), 1});
}

Tensor take_along_dim(const Tensor& input, const Tensor& indices, std::optional<int64_t> dim) {
  if (!dim) return gather_named("take_along_dim", ravel(input), 0, ravel(indices));
  const int at = normalize_dim("take_along_dim", *dim, input.dim());
  TAUT_CHECK(input.dim() == indices.dim(), ShapeError,
             "take_along_dim: input and indices must have as many dims; got ", input.shape(),
             " and ", indices.shape());
  Dims input_shape = input.shape();
  Dims index_shape = indices.shape();
  input_shape[at] = 1;
  index_shape[at] = 1;
  const Dims shape = broadcast_shapes("take_along_dim", input_shape, index_shape);
  Dims wide_input = shape;
  Dims wide_index = shape;
  wide_input[at] = input.shape()[at];
  wide_index[at] = indices.shape()[at];
  return gather_named("take_along_dim", expand(input, wide_input), at, expand(indices, wide_index));
}

namespace nn::functional {
namespace {

struct EmbeddingAttributes {
  Dims weight_shape;
  int64_t padding_idx;
  bool scale_grad_by_freq;
};

void embedding_backward(BackwardContext& context) {
  const auto& at = context.attributes<EmbeddingAttributes>();
  const Tensor index = context.saved(0);
  const Tensor& grad = context.grad();
  const int64_t rows = at.weight_shape[0];
  const int64_t width = at.weight_shape[1];
  if (is_grad_enabled()) {
    Tensor source = reshape(grad, {-1, width});
    const Tensor flat = reshape(index, {-1});
    if (at.padding_idx >= 0) {
      source = masked_fill(source, unsqueeze(eq(flat, at.padding_idx), 1), 0.0);
    }
    if (at.scale_grad_by_freq) {
      const Tensor counts =
          index_add(zeros({rows}, grad.options()), 0, flat, ones({flat.numel()}, grad.options()));
      source = source / unsqueeze(index_select(counts, 0, flat), 1);
    }
    context.set(0, index_add(zeros(at.weight_shape, grad.options()), 0, flat, source));
    return;
  }
  const Tensor grad_output = contiguous(grad);
  Tensor grad_weight = empty(at.weight_shape, grad.options());
  kernels::EmbeddingBackwardArgs args;
  args.op = "embedding";
  args.dtype = grad.dtype();
  args.index_dtype = kInt64;
  args.count = index.numel();
  args.width = width;
  args.rows = rows;
  args.padding_idx = at.padding_idx;
  args.scale_grad_by_freq = at.scale_grad_by_freq;
  args.grad_output = grad_output.data_ptr();
  args.index = index.data_ptr();
  args.grad_weight = grad_weight.data_ptr();
  if (grad_weight.numel() > 0) {
    ops::check_result("embedding", ops::kernels_of(grad).index.embedding_backward(args));
  }
  context.set(0, grad_weight);
}

}  // namespace

Tensor embedding(const Tensor& input, const Tensor& weight, std::optional<int64_t> padding_idx,
                 bool scale_grad_by_freq) {
  const TraceScope scope(ScopeKind::op, "embedding");
  const Tensor index = contiguous(checked_index("embedding", input, weight));
  TAUT_CHECK(weight.dim() == 2, ShapeError, "embedding: weight must have 2 dims; got shape ",
             weight.shape());
  const int64_t rows = weight.shape()[0];
  int64_t padding = padding_idx.value_or(-1);
  if (padding_idx) {
    TAUT_CHECK(-rows <= padding && padding < rows, ValueError, "embedding: padding_idx ", padding,
               " is out of range for ", rows, " rows");
    if (padding < 0) padding += rows;
  }
  Dims shape = input.shape();
  shape.push_back(weight.shape()[1]);
  const Tensor flat = view(index, {-1});
  Tensor output = ops::run_get("embedding", weight, slicewise_access("embedding", weight, 0, flat));
  output.impl()->set_layout(Layout::contiguous(shape));
  return record("embedding", {weight}, output, {index}, embedding_backward,
                EmbeddingAttributes{weight.shape(), padding, scale_grad_by_freq});
}

Tensor one_hot(const Tensor& input, int64_t num_classes) {
  TAUT_CHECK(input.dtype() == kInt64, DTypeError, "one_hot: classes must be int64; got ",
             input.dtype());
  TAUT_CHECK(num_classes != -1 || input.numel() > 0, ValueError,
             "one_hot: num_classes is needed for an empty tensor");
  int64_t classes = num_classes;
  if (input.numel() > 0) {
    const auto [low, high] = aminmax(input);
    if (classes == -1) classes = ops::count_up_to("one_hot", high.item<int64_t>());
    TAUT_CHECK(low.item<int64_t>() >= 0 && high.item<int64_t>() < classes, IndexError,
               "one_hot: classes reach from ", low.item<int64_t>(), " to ", high.item<int64_t>(),
               "; expected 0..", classes - 1);
  }
  const TensorOptions options = TensorOptions(kInt64).device(input.device());
  return to(eq(unsqueeze(input, -1), arange(classes, options)), kInt64);
}

}  // namespace nn::functional
}  // namespace taut
