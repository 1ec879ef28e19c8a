// x[indices] and x[indices] = value.

#include "taut/ops/indexing.h"

#include <algorithm>

#include "src/ops/allocate.h"
#include "src/ops/autocast.h"
#include "src/ops/dispatch.h"
#include "src/ops/index_address.h"
#include "taut/autograd/record.h"
#include "taut/base/trace.h"
#include "taut/core/scalar_range.h"
#include "taut/ops/ops.h"

namespace taut {
namespace {

using autograd::BackwardContext;
using Kind = TensorIndex::Kind;

// After numbers, slices, None and Ellipsis are applied: a view and the index tensor of each of its
// dims, undefined for dims that are kept.
struct Resolved {
  Tensor view;
  std::vector<Tensor> indices;
  bool is_advanced = false;
};

int dims_used(const TensorIndex& index) {
  switch (index.kind()) {
    case Kind::integer:
    case Kind::slice: return 1;
    case Kind::tensor: return index.tensor().dtype() == kBool ? index.tensor().dim() : 1;
    default: return 0;
  }
}

Tensor as_index(const char* op, const Tensor& index, const Tensor& indexed) {
  TAUT_CHECK(!index.is_floating_point(), IndexError, op,
             ": index tensors must be integers or bool; got ", index.dtype());
  return to(index.detach(), TensorOptions(kInt64).device(indexed.device()));
}

// What True and False pick of a new dim of size 1.
Tensor truth_index(bool value, const Tensor& indexed) {
  return zeros({value ? 1 : 0}, TensorOptions(kInt64).device(indexed.device()));
}

// A mask over some dims becomes one index tensor for each.
void add_mask(const char* op, Resolved& result, const Tensor& mask, int dim) {
  for (int i = 0; i < mask.dim(); ++i) {
    TAUT_CHECK(mask.shape()[i] == result.view.shape()[dim + i], IndexError, op,
               ": a mask of shape ", mask.shape(), " does not match the tensor's sizes ",
               result.view.shape(), " from dim ", dim, " on");
  }
  const Tensor positions = to(nonzero(mask), result.view.device());
  for (int i = 0; i < mask.dim(); ++i) result.indices.push_back(select(positions, 1, i));
}

Resolved resolve(const char* op, const Tensor& input, TensorIndices indices) {
  ops::check_defined(op, "input", input);
  int used = 0;
  int ellipses = 0;
  for (const TensorIndex& index : indices) {
    used += dims_used(index);
    ellipses += index.kind() == Kind::ellipsis ? 1 : 0;
  }
  TAUT_CHECK(ellipses <= 1, IndexError, op, ": only one Ellipsis can stand in an index");
  TAUT_CHECK(used <= input.dim(), IndexError, op, ": too many indices; got ", used,
             " for a tensor of shape ", input.shape());
  Resolved result{input, {}, false};
  const auto dim = [&] { return static_cast<int>(result.indices.size()); };
  for (const TensorIndex& index : indices) {
    switch (index.kind()) {
      case Kind::none:
        result.view = unsqueeze(result.view, dim());
        result.indices.emplace_back();
        break;
      case Kind::ellipsis:
        result.indices.resize(result.indices.size() + static_cast<size_t>(input.dim() - used));
        break;
      case Kind::integer:
        TAUT_CHECK(-result.view.shape()[dim()] <= index.integer() &&
                       index.integer() < result.view.shape()[dim()],
                   IndexError, op, ": index ", index.integer(), " is out of range for dim ", dim(),
                   " of size ", result.view.shape()[dim()]);
        result.view = select(result.view, dim(), index.integer());
        break;
      case Kind::slice:
        result.view = slice(result.view, dim(), index.slice().start(), index.slice().stop(),
                            index.slice().step());
        result.indices.emplace_back();
        break;
      case Kind::boolean:
        // A new dim of size 1, kept or dropped.
        result.view = unsqueeze(result.view, dim());
        result.indices.push_back(truth_index(index.boolean(), input));
        result.is_advanced = true;
        break;
      case Kind::tensor: {
        const Tensor& tensor = index.tensor();
        ops::check_defined(op, "an index", tensor);
        if (tensor.dtype() == kBool && tensor.dim() == 0) {
          result.view = unsqueeze(result.view, dim());
          result.indices.push_back(truth_index(tensor.item().to_bool(), input));
        } else if (tensor.dtype() == kBool) {
          add_mask(op, result, tensor, dim());
        } else {
          result.indices.push_back(as_index(op, tensor, input));
        }
        result.is_advanced = true;
        break;
      }
    }
  }
  result.indices.resize(static_cast<size_t>(result.view.dim()));
  return result;
}

// Where the broadcast index tensors' dims stand in the result.
ops::Access access_of(const char* op, const Tensor& self, const std::vector<Tensor>& indices) {
  Dims broadcast;
  int first = -1;
  int last = -1;
  int count = 0;
  for (int i = 0; i < self.dim(); ++i) {
    const Tensor& index = indices[static_cast<size_t>(i)];
    if (!index.defined()) continue;
    broadcast = count == 0 ? index.shape() : broadcast_shapes(op, broadcast, index.shape());
    if (first < 0) first = i;
    last = i;
    ++count;
  }
  const bool side_by_side = last - first + 1 == count;
  ops::Access access;
  access.wrap_negative = true;
  int broadcast_at = 0;
  const auto add_broadcast = [&] {
    broadcast_at = access.size.rank();
    for (int64_t size : broadcast) {
      access.size.push_back(size);
      access.self_strides.push_back(0);
    }
  };
  if (!side_by_side) add_broadcast();
  for (int i = 0; i < self.dim(); ++i) {
    if (indices[static_cast<size_t>(i)].defined()) {
      if (side_by_side && i == first) add_broadcast();
      continue;
    }
    access.size.push_back(self.shape()[i]);
    access.self_strides.push_back(self.strides()[i]);
  }
  for (int i = 0; i < self.dim(); ++i) {
    const Tensor& index = indices[static_cast<size_t>(i)];
    if (!index.defined()) continue;
    kernels::IndexedDim& entry = access.indices[access.index_count++];
    entry.index = index.data_ptr();
    entry.dim_size = self.shape()[i];
    entry.dim_stride = self.strides()[i];
    entry.strides = Dims::filled(access.size.rank(), 0);
    const Dims strides = index.layout().broadcast_to(op, broadcast).strides;
    for (int k = 0; k < broadcast.rank(); ++k) entry.strides[broadcast_at + k] = strides[k];
  }
  return access;
}

std::vector<TensorIndex> as_tensor_indices(const std::vector<Tensor>& indices) {
  std::vector<TensorIndex> result;
  for (const Tensor& index : indices) {
    if (index.defined()) {
      result.emplace_back(index);
    } else {
      result.emplace_back(indexing::Slice());
    }
  }
  return result;
}

// The op's saved tensors after the first `skip` are the index tensors, one for each dim.
std::vector<TensorIndex> saved_indices(const BackwardContext& context, int skip) {
  std::vector<Tensor> indices;
  for (int i = skip; i < context.saved_count(); ++i) indices.push_back(context.saved(i));
  return as_tensor_indices(indices);
}

struct IndexAttributes {
  Dims shape;
};

void index_backward(BackwardContext& context) {
  const Tensor whole = zeros(context.attributes<IndexAttributes>().shape, context.grad().options());
  context.set(0, index_put_(whole, saved_indices(context, 0), context.grad(), true));
}

struct IndexPutAttributes {
  bool accumulate;
};

void index_put_backward(BackwardContext& context) {
  const std::vector<TensorIndex> indices = saved_indices(context, 0);
  if (context.needs(0)) {
    context.set(0, context.attributes<IndexPutAttributes>().accumulate
                       ? context.grad()
                       : index_put(context.grad(), indices, zeros({}, context.grad().options())));
  }
  if (context.needs(1)) context.set(1, index(context.grad(), indices));
}

std::vector<autograd::TensorRef> refs_of(const std::vector<Tensor>& tensors) {
  return {tensors.begin(), tensors.end()};
}

void put_advanced(const char* op, const Tensor& self, const std::vector<Tensor>& indices,
                  const Tensor& value, bool accumulate) {
  const TraceScope scope(ScopeKind::op, op);
  autograd::check_in_place(op, self);
  const ops::Access access = access_of(op, self, indices);
  Tensor source = to(value, TensorOptions(self.dtype()).device(self.device()));
  if (source.storage() == self.storage()) source = clone(source);
  // A value may have leading dims of size 1 that the target lacks.
  while (source.dim() > access.size.rank() && source.shape()[0] == 1) source = squeeze(source, 0);
  const Dims strides = source.layout().broadcast_to(op, access.size).strides;
  ops::run_put(op, self, access, source.data_ptr(), strides,
               accumulate ? kernels::PutMode::sum : kernels::PutMode::assign);
  const std::vector<autograd::TensorRef> saved = refs_of(indices);
  const autograd::TensorRef inputs[] = {self, source};
  const IndexPutAttributes attributes{accumulate};
  autograd::detail::record_in_place(op, inputs, self, saved, index_put_backward, &attributes,
                                    sizeof(attributes));
}

}  // namespace

Tensor index(const Tensor& input, TensorIndices indices) {
  const TraceScope scope(ScopeKind::op, "index");
  const Resolved resolved = resolve("index", input, indices);
  if (!resolved.is_advanced) {
    return resolved.view.is_same(input) ? alias(input) : resolved.view;
  }
  const Tensor& self = resolved.view;
  Tensor output = ops::run_get("index", self, access_of("index", self, resolved.indices));
  const std::vector<autograd::TensorRef> saved = refs_of(resolved.indices);
  const autograd::TensorRef inputs[] = {self};
  const autograd::TensorRef outputs[] = {output};
  autograd::record_all("index", inputs, outputs, saved, index_backward,
                       IndexAttributes{self.shape()});
  return output;
}

namespace {

const Tensor& put_named(const char* op, const Tensor& input, TensorIndices indices,
                        const Tensor& value, bool accumulate) {
  ops::check_defined(op, "value", value);
  TAUT_CHECK(!accumulate || value.dtype() == input.dtype(), DTypeError, op,
             ": to accumulate, the value must have the tensor's dtype; got ", value.dtype(),
             " and ", input.dtype());
  const Resolved resolved = resolve(op, input, indices);
  if (resolved.is_advanced) {
    put_advanced(op, resolved.view, resolved.indices, value, accumulate);
    return input;
  }
  Tensor source = to(value, TensorOptions(input.dtype()).device(input.device()));
  while (source.dim() > resolved.view.dim() && source.shape()[0] == 1) source = squeeze(source, 0);
  source.layout().broadcast_to(op, resolved.view.shape());  // throws unless it fits
  if (accumulate) {
    add_(resolved.view, source);
  } else {
    copy_(resolved.view, source);
  }
  return input;
}

}  // namespace

const Tensor& index_put_(const Tensor& input, TensorIndices indices, const Tensor& value,
                         bool accumulate) {
  return put_named("index_put_", input, indices, value, accumulate);
}

Tensor index_put(const Tensor& input, TensorIndices indices, const Tensor& value, bool accumulate) {
  if (ops::is_autocast()) {
    return ops::in_widest_dtype(
        [&](const Tensor& to, const Tensor& from) {
          return index_put(to, indices, from, accumulate);
        },
        input, value);
  }
  Tensor result = clone(input);
  put_named("index_put", result, indices, value, accumulate);
  return result;
}

Tensor Tensor::index(std::span<const TensorIndex> indices) const {
  return taut::index(*this, indices);
}
Tensor Tensor::index(std::initializer_list<TensorIndex> indices) const {
  return taut::index(*this, TensorIndices(indices.begin(), indices.size()));
}
const Tensor& Tensor::index_put_(std::span<const TensorIndex> indices, const Tensor& value) const {
  return taut::index_put_(*this, indices, value);
}
const Tensor& Tensor::index_put_(std::initializer_list<TensorIndex> indices,
                                 const Tensor& value) const {
  return taut::index_put_(*this, TensorIndices(indices.begin(), indices.size()), value);
}
const Tensor& Tensor::index_put_(std::initializer_list<TensorIndex> indices,
                                 const Scalar& value) const {
  check_holds("index_put_", dtype(), value);
  return taut::index_put_(*this, TensorIndices(indices.begin(), indices.size()),
                          scalar_tensor(value, options()));
}

// Masks -----------------------------------------------------------------------------------------

Tensor nonzero(const Tensor& input) {
  ops::check_defined("nonzero", "input", input);
  const NoGradGuard no_grad;
  const Tensor source = contiguous(input.detach());
  const int64_t count = ops::kernels_of(source).index.count_nonzero(
      {.dtype = source.dtype(), .n = source.numel(), .input = source.data_ptr()});
  Tensor output = ops::allocate({count, input.dim()}, kInt64, input.device());
  if (output.numel() > 0) {
    ops::kernels_of(source).index.nonzero({.dtype = source.dtype(),
                                           .size = source.shape(),
                                           .input = source.data_ptr(),
                                           .output = output.data_ptr<int64_t>(),
                                           .row_stride = output.strides()[0],
                                           .col_stride = output.strides()[1]});
  }
  return output;
}

Tensor argwhere(const Tensor& input) { return nonzero(input); }

Tensors nonzero_as_tuple(const Tensor& input) {
  return unbind(nonzero(input.dim() == 0 ? unsqueeze(input, 0) : input), 1);
}

Tensor masked_select(const Tensor& input, const Tensor& mask) {
  ops::check_same_device("masked_select", input, mask);
  TAUT_CHECK(mask.dtype() == kBool, DTypeError, "masked_select: mask must be bool; got ",
             mask.dtype());
  const Dims shape = broadcast_shapes("masked_select", input.shape(), mask.shape());
  const Tensor source = expand(input, shape);
  const Tensor chosen = expand(mask, shape);
  if (shape.rank() == 0)
    return index(unsqueeze(source, 0), std::vector<TensorIndex>{unsqueeze(chosen, 0)});
  return index(source, std::vector<TensorIndex>{chosen});
}

namespace {

// The gradient of the replaced elements goes to the source's first ones, in order.
void masked_scatter_backward(BackwardContext& context) {
  const Tensor mask = context.saved(0);
  if (context.needs(0)) context.set(0, masked_fill(context.grad(), mask, 0.0));
  if (context.needs(1)) {
    const Dims shape = context.attributes<IndexAttributes>().shape;
    const Tensor taken = masked_select(context.grad(), mask);
    const Tensor rest = zeros({shape.numel() - taken.numel()}, taken.options());
    context.set(1, reshape(cat({taken, rest}), shape));
  }
}

Tensor scatter_where(const char* op, const Tensor& input, const Tensor& mask,
                     const Tensor& source) {
  const TraceScope scope(ScopeKind::op, "masked_scatter");
  ops::check_same_device(op, input, mask);
  ops::check_same_device(op, input, source);
  TAUT_CHECK(mask.dtype() == kBool, DTypeError, op, ": mask must be bool; got ", mask.dtype());
  TAUT_CHECK(input.dtype() == source.dtype(), DTypeError, op, ": source is ", source.dtype(),
             "; expected ", input.dtype());
  const Dims shape = broadcast_shapes(op, input.shape(), mask.shape());
  const Tensor full_mask = contiguous(expand(mask, shape));
  const Tensor values = contiguous(source);
  Tensor output;
  {
    const NoGradGuard no_grad;
    output = clone(expand(input.detach(), shape), MemoryFormat::contiguous);
  }
  const int64_t needed =
      ops::kernels_of(output).index.masked_scatter({.dtype = output.dtype(),
                                                    .n = output.numel(),
                                                    .self = output.data_ptr(),
                                                    .mask = full_mask.data_ptr(),
                                                    .source = values.data_ptr(),
                                                    .source_count = values.numel()});
  TAUT_CHECK(needed <= values.numel(), ValueError, op, ": the mask is true ", needed,
             " times; source has only ", values.numel(), " elements");
  return autograd::record("masked_scatter", {input, values}, output, {full_mask},
                          masked_scatter_backward, IndexAttributes{source.shape()});
}

}  // namespace

Tensor masked_scatter(const Tensor& input, const Tensor& mask, const Tensor& source) {
  return scatter_where("masked_scatter", input, mask, source);
}
const Tensor& masked_scatter_(const Tensor& input, const Tensor& mask, const Tensor& source) {
  mask.layout().broadcast_to("masked_scatter_", input.shape());  // throws unless it fits
  return copy_(input, scatter_where("masked_scatter_", input, mask, source));
}

}  // namespace taut
