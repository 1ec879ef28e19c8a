#include "taut/ops/sort.h"

#include <algorithm>
#include <limits>

#include "src/ops/allocate.h"
#include "src/ops/dispatch.h"
#include "src/ops/index_address.h"
#include "taut/autograd/record.h"
#include "taut/base/trace.h"
#include "taut/ops/ops.h"

namespace taut {
namespace {

using autograd::BackwardContext;
using kernels::PickMode;

// Every op here that picks values by index has one derivative: the gradient goes to those indices.
struct PickAttributes {
  Dims shape;
  int dim;
  bool squeezed;  // the outputs lack the dim
};

void pick_backward(BackwardContext& context) {
  const auto& at = context.attributes<PickAttributes>();
  const Tensor& grad = context.grad(0);
  if (!grad.defined()) return;
  Tensor indices = context.saved(0);
  if (at.shape.rank() == 0) {
    context.set(0, grad);
    return;
  }
  Tensor values = grad;
  if (at.squeezed) {
    indices = unsqueeze(indices, at.dim);
    values = unsqueeze(values, at.dim);
  }
  context.set(0, scatter_add(zeros(at.shape, grad.options()), at.dim, indices, values));
}

std::pair<Tensor, Tensor> record_picked(const char* op, const Tensor& input, const Tensor& values,
                                        const Tensor& indices, int dim, bool squeezed) {
  const autograd::TensorRef inputs[] = {input};
  const autograd::TensorRef outputs[] = {values, indices};
  const autograd::TensorRef saved[] = {indices};
  autograd::record_all(op, inputs, outputs, saved, pick_backward,
                       PickAttributes{input.shape(), dim, squeezed});
  return {values, indices};
}

std::pair<Tensor, Tensor> sort_along(const char* op, const Tensor& input, int64_t dim,
                                     bool descending) {
  const TraceScope scope(ScopeKind::op, op);
  ops::check_defined(op, "input", input);
  const int at = normalize_dim(op, dim, input.dim());
  Tensor values = ops::allocate(input.shape(), input.dtype(), input.device());
  Tensor indices = ops::allocate(input.shape(), kInt64, input.device());
  if (input.dim() == 0) {
    const NoGradGuard no_grad;
    copy_(values, input);
    zero_(indices);
  } else if (input.numel() > 0) {
    ops::kernels_of(input).sort.sort({.dtype = input.dtype(),
                                      .size = input.shape(),
                                      .dim = at,
                                      .descending = descending,
                                      .input = input.data_ptr(),
                                      .input_strides = input.strides(),
                                      .values = values.data_ptr(),
                                      .values_strides = values.strides(),
                                      .indices = indices.data_ptr<int64_t>(),
                                      .indices_strides = indices.strides()});
  }
  return record_picked(op, input, values, indices, at, false);
}

std::pair<Tensor, Tensor> pick(const char* op, PickMode mode, const Tensor& input, int64_t k,
                               int64_t dim, bool keepdim) {
  const TraceScope scope(ScopeKind::op, op);
  ops::check_defined(op, "input", input);
  const int at = normalize_dim(op, dim, input.dim());
  if (input.dim() == 0) {
    Tensor indices = zeros({}, TensorOptions(kInt64).device(input.device()));
    return record_picked(op, input, clone(input.detach()), indices, at, false);
  }
  TAUT_CHECK(input.shape()[at] > 0, ValueError, op, ": dim ", dim, " is empty; got shape ",
             input.shape());
  Dims shape = input.shape();
  shape[at] = 1;
  Tensor values = ops::allocate(shape, input.dtype(), input.device());
  Tensor indices = ops::allocate(shape, kInt64, input.device());
  if (values.numel() > 0) {
    ops::kernels_of(input).sort.pick({.dtype = input.dtype(),
                                      .mode = mode,
                                      .k = k,
                                      .size = input.shape(),
                                      .dim = at,
                                      .input = input.data_ptr(),
                                      .input_strides = input.strides(),
                                      .values = values.data_ptr(),
                                      .values_strides = values.strides(),
                                      .indices = indices.data_ptr<int64_t>(),
                                      .indices_strides = indices.strides()});
  }
  if (!keepdim) {
    shape.erase(at);
    values.impl()->set_layout(Layout::contiguous(shape));
    indices.impl()->set_layout(Layout::contiguous(shape));
  }
  return record_picked(op, input, values, indices, at, !keepdim);
}

}  // namespace

std::pair<Tensor, Tensor> sort(const Tensor& input, int64_t dim, bool descending) {
  return sort_along("sort", input, dim, descending);
}
Tensor argsort(const Tensor& input, int64_t dim, bool descending) {
  return sort_along("argsort", input.detach(), dim, descending).second;
}
Tensor msort(const Tensor& input) { return sort_along("msort", input, 0, false).first; }

std::pair<Tensor, Tensor> topk(const Tensor& input, int64_t k, int64_t dim, bool largest,
                               bool sorted) {
  const TraceScope scope(ScopeKind::op, "topk");
  ops::check_defined("topk", "input", input);
  const int at = normalize_dim("topk", dim, input.dim());
  const int64_t size = input.dim() == 0 ? 1 : input.shape()[at];
  TAUT_CHECK(k >= 0 && k <= size, ValueError, "topk: k must be in 0..", size, "; got ", k);
  if (input.dim() == 0) return sort_along("topk", input, 0, false);
  Dims shape = input.shape();
  shape[at] = k;
  Tensor values = ops::allocate(shape, input.dtype(), input.device());
  Tensor indices = ops::allocate(shape, kInt64, input.device());
  if (values.numel() > 0) {
    ops::kernels_of(input).sort.topk({.dtype = input.dtype(),
                                      .size = input.shape(),
                                      .dim = at,
                                      .k = k,
                                      .largest = largest,
                                      .sorted = sorted,
                                      .input = input.data_ptr(),
                                      .input_strides = input.strides(),
                                      .values = values.data_ptr(),
                                      .values_strides = values.strides(),
                                      .indices = indices.data_ptr<int64_t>(),
                                      .indices_strides = indices.strides()});
  }
  return record_picked("topk", input, values, indices, at, false);
}

std::pair<Tensor, Tensor> kthvalue(const Tensor& input, int64_t k, int64_t dim, bool keepdim) {
  const int at = normalize_dim("kthvalue", dim, input.dim());
  const int64_t size = input.dim() == 0 ? 1 : input.shape()[at];
  TAUT_CHECK(k >= 1 && k <= size, ValueError, "kthvalue: k must be in 1..", size, "; got ", k);
  return pick("kthvalue", PickMode::kth_value, input, k, dim, keepdim);
}
std::pair<Tensor, Tensor> median(const Tensor& input, int64_t dim, bool keepdim) {
  return pick("median", PickMode::median, input, 1, dim, keepdim);
}
std::pair<Tensor, Tensor> nanmedian(const Tensor& input, int64_t dim, bool keepdim) {
  return pick("nanmedian", PickMode::nan_median, input, 1, dim, keepdim);
}

namespace {

Tensor pick_of_all(const char* op, PickMode mode, const Tensor& input) {
  ops::check_defined(op, "input", input);
  // No number is in the middle of none; integers have nothing to say so, and the error stays.
  if (input.numel() == 0 && input.is_floating_point()) {
    return full({}, std::numeric_limits<double>::quiet_NaN(), input.options());
  }
  return pick(op, mode, ravel(input), 1, 0, false).first;
}

}  // namespace

Tensor median(const Tensor& input) { return pick_of_all("median", PickMode::median, input); }
Tensor nanmedian(const Tensor& input) {
  return pick_of_all("nanmedian", PickMode::nan_median, input);
}
std::pair<Tensor, Tensor> mode(const Tensor& input, int64_t dim, bool keepdim) {
  return pick("mode", PickMode::mode, input, 1, dim, keepdim);
}

Tensor searchsorted(const Tensor& sorted_sequence, const Tensor& values, bool out_int32,
                    bool right) {
  ops::check_same_device("searchsorted", sorted_sequence, values);
  TAUT_CHECK(sorted_sequence.dim() >= 1, ShapeError,
             "searchsorted: sorted_sequence needs at least one dim");
  const bool one_row = sorted_sequence.dim() == 1;
  if (!one_row) {
    bool matches = sorted_sequence.dim() == values.dim();
    for (int i = 0; matches && i + 1 < values.dim(); ++i) {
      matches = sorted_sequence.shape()[i] == values.shape()[i];
    }
    TAUT_CHECK(matches, ShapeError,
               "searchsorted: the leading sizes of boundaries and values differ; got ",
               sorted_sequence.shape(), " and ", values.shape());
  }
  const DType dtype = promote_types(sorted_sequence.dtype(), values.dtype());
  const NoGradGuard no_grad;
  const Tensor boundaries = contiguous(to(sorted_sequence.detach(), dtype));
  const Tensor wanted = contiguous(to(values.detach(), dtype));
  Tensor output = ops::allocate(values.shape(), out_int32 ? kInt32 : kInt64, values.device());
  const int64_t per_row = one_row ? wanted.numel() : wanted.shape().back();
  if (output.numel() > 0) {
    ops::check_result("searchsorted",
                      ops::kernels_of(values).sort.searchsorted(
                          {.op = "searchsorted",
                           .dtype = dtype,
                           .rows = wanted.numel() / per_row,
                           .values_per_row = per_row,
                           .length = boundaries.shape().back(),
                           .boundaries_row_stride = one_row ? 0 : boundaries.shape().back(),
                           .right = right,
                           .out_int32 = out_int32,
                           .boundaries = boundaries.data_ptr(),
                           .values = wanted.data_ptr(),
                           .output = output.data_ptr()}));
  }
  return output;
}

Tensor bucketize(const Tensor& input, const Tensor& boundaries, bool out_int32, bool right) {
  TAUT_CHECK(boundaries.dim() == 1, ShapeError, "bucketize: boundaries must have one dim; got ",
             boundaries.shape());
  return searchsorted(boundaries, input, out_int32, right);
}

namespace {

std::tuple<Tensor, Tensor, Tensor> find_unique(const char* op, const Tensor& input,
                                               bool consecutive, bool return_inverse,
                                               bool return_counts, std::optional<int64_t> dim) {
  ops::check_defined(op, "input", input);
  const NoGradGuard no_grad;
  const int at = dim ? normalize_dim(op, *dim, input.dim()) : 0;
  const Tensor rows =
      dim ? contiguous(movedim(input.detach(), {at}, {0})) : contiguous(ravel(input.detach()));
  const int64_t n = rows.dim() == 0 ? 1 : rows.shape()[0];
  const TensorOptions options = TensorOptions(kInt64).device(input.device());
  Tensor first = empty({n}, options);
  Tensor inverse = return_inverse ? empty({n}, options) : Tensor();
  Tensor counts = return_counts ? empty({n}, options) : Tensor();
  int64_t distinct = 0;
  if (n > 0) {
    distinct = ops::kernels_of(input).sort.unique(
        {.dtype = rows.dtype(),
         .n = n,
         .width = rows.numel() / n,
         .consecutive = consecutive,
         .input = rows.data_ptr(),
         .first = first.data_ptr<int64_t>(),
         .inverse = return_inverse ? inverse.data_ptr<int64_t>() : nullptr,
         .counts = return_counts ? counts.data_ptr<int64_t>() : nullptr});
  }
  const Tensor chosen = narrow(first, 0, 0, distinct);
  Tensor values = dim ? index_select(input.detach(), at, chosen) : index_select(rows, 0, chosen);
  if (return_inverse && !dim) inverse = reshape(inverse, input.shape());
  if (return_counts) counts = clone(narrow(counts, 0, 0, distinct));
  return {values, inverse, counts};
}

}  // namespace

std::tuple<Tensor, Tensor, Tensor> unique(const Tensor& input, bool, bool return_inverse,
                                          bool return_counts, std::optional<int64_t> dim) {
  return find_unique("unique", input, false, return_inverse, return_counts, dim);
}
std::tuple<Tensor, Tensor, Tensor> unique_consecutive(const Tensor& input, bool return_inverse,
                                                      bool return_counts,
                                                      std::optional<int64_t> dim) {
  return find_unique("unique_consecutive", input, true, return_inverse, return_counts, dim);
}

Tensor bincount(const Tensor& input, const Tensor& weights, int64_t minlength) {
  TAUT_CHECK(input.dim() == 1 && is_integral(input.dtype()), ShapeError,
             "bincount: expected one dim of integers; got shape ", input.shape(), " of ",
             input.dtype());
  TAUT_CHECK(minlength >= 0, ValueError, "bincount: minlength cannot be negative; got ", minlength);
  const NoGradGuard no_grad;
  const Tensor source = contiguous(input);
  int64_t bins = minlength;
  if (source.numel() > 0) {
    const auto [low, high] = aminmax(source);
    TAUT_CHECK(low.item<int64_t>() >= 0, ValueError, "bincount: numbers cannot be negative; got ",
               low.item<int64_t>());
    bins = std::max(bins, ops::count_up_to("bincount", high.item<int64_t>()));
  }
  Tensor factors;
  if (weights.defined()) {
    ops::check_same_device("bincount", input, weights);
    TAUT_CHECK(weights.shape() == input.shape(), ShapeError, "bincount: weights have shape ",
               weights.shape(), "; expected ", input.shape());
    factors =
        contiguous(weights.dtype() == kFloat32 ? weights.detach() : to(weights.detach(), kFloat64));
  }
  Tensor output = zeros(
      {bins}, TensorOptions(factors.defined() ? factors.dtype() : kInt64).device(input.device()));
  if (bins > 0 && source.numel() > 0) {
    ops::check_result("bincount", ops::kernels_of(input).sort.bincount(
                                      {.op = "bincount",
                                       .dtype = source.dtype(),
                                       .weights_dtype = output.dtype(),
                                       .n = source.numel(),
                                       .bins = bins,
                                       .input = source.data_ptr(),
                                       .weights = factors.defined() ? factors.data_ptr() : nullptr,
                                       .output = output.data_ptr()}));
  }
  return output;
}

Tensor histc(const Tensor& input, int64_t bins, double min_value, double max_value) {
  TAUT_CHECK(bins > 0, ValueError, "histc: bins must be positive; got ", bins);
  TAUT_CHECK(input.is_floating_point(), DTypeError, "histc: expected a floating dtype; got ",
             input.dtype());
  TAUT_CHECK(min_value <= max_value, ValueError, "histc: min ", min_value, " is above max ",
             max_value);
  const NoGradGuard no_grad;
  const Tensor source = contiguous(input.detach());
  double low = min_value;
  double high = max_value;
  if (low == high && source.numel() > 0) {
    const auto [smallest, largest] = aminmax(source);
    low = smallest.item<double>();
    high = largest.item<double>();
  }
  if (low == high) {
    low -= 1;
    high += 1;
  }
  Tensor output = zeros({bins}, source.options());
  if (source.numel() > 0) {
    ops::kernels_of(input).sort.histogram({.dtype = source.dtype(),
                                           .n = source.numel(),
                                           .bins = bins,
                                           .low = low,
                                           .high = high,
                                           .input = source.data_ptr(),
                                           .output = output.data_ptr()});
  }
  return output;
}

Tensor isin(const Tensor& elements, const Tensor& test_elements, bool invert) {
  const NoGradGuard no_grad;
  const DType dtype = promote_types(elements.dtype(), test_elements.dtype());
  const Tensor wanted = to(elements.detach(), dtype);
  const Tensor known = sort(ravel(to(test_elements.detach(), dtype)), 0).first;
  Tensor found = zeros(elements.shape(), TensorOptions(kBool).device(elements.device()));
  if (known.numel() > 0) {
    const Tensor at = clamp_max(searchsorted(known, wanted), Scalar(known.numel() - 1));
    found = eq(reshape(index_select(known, 0, ravel(at)), elements.shape()), wanted);
  }
  return invert ? logical_not(found) : found;
}

}  // namespace taut
