// The rows of views, reductions and the plain questions about a tensor.

#include "op.h"
#include "op_rows.h"
#include "taut/autograd/backward.h"
#include "taut/ops/matmul.h"
#include "taut/ops/ops.h"

namespace py = pybind11;

namespace taut::python {

void add_view_rows(Rows& rows) {
  rows.method("view(input, dtype)", fn<Tensor(T, DType)>(view));
  rows.method("view(input, *size)", fn<Tensor(T, D)>(view));
  rows.both("reshape(input, *shape)", fn<Tensor(T, D)>(reshape));
  rows.method("view_as(input, other)", fn<Tensor(T, T)>(view_as));
  rows.method("reshape_as(input, other)", fn<Tensor(T, T)>(reshape_as));
  rows.both("flatten(input, start_dim=0, end_dim=-1)", fn<Tensor(T, int64_t, int64_t)>(flatten));
  rows.both("unflatten(input, dim, *sizes)", fn<Tensor(T, int64_t, D)>(unflatten));
  rows.both("ravel(input)", fn<Tensor(T)>(ravel));
  rows.both("permute(input, *dims)", fn<Tensor(T, D)>(permute));
  rows.both("transpose(input, dim0, dim1)", fn<Tensor(T, int64_t, int64_t)>(transpose));
  rows.method("transpose_(input, dim0, dim1)", [](T x, int64_t a, int64_t b) -> const Tensor& {
    TAUT_CHECK(x.is_leaf() && !x.requires_grad(), AutogradError,
               "transpose_: not for tensors on the tape; use transpose");
    x.impl()->set_layout(transpose(x, a, b).layout());
    return x;
  });
  rows.both("swapaxes(input, axis0, axis1)", fn<Tensor(T, int64_t, int64_t)>(swapaxes));
  rows.both("swapdims(input, dim0, dim1)", fn<Tensor(T, int64_t, int64_t)>(swapdims));
  rows.both("t(input)", fn<Tensor(T)>(t));
  rows.both("adjoint(input)", fn<Tensor(T)>(adjoint));
  rows.both("movedim(input, source, destination)", fn<Tensor(T, D, D)>(movedim));
  rows.both("moveaxis(input, source, destination)", fn<Tensor(T, D, D)>(moveaxis));
  rows.both("squeeze(input)", fn<Tensor(T)>(squeeze));
  rows.both("squeeze(input, dim)", fn<Tensor(T, D)>(squeeze));
  rows.both("unsqueeze(input, dim)", fn<Tensor(T, int64_t)>(unsqueeze));
  rows.method("expand(input, *size)", fn<Tensor(T, D)>(expand));
  rows.method("expand_as(input, other)", fn<Tensor(T, T)>(expand_as));
  rows.both("broadcast_to(input, size)", fn<Tensor(T, D)>(broadcast_to));
  rows.function("broadcast_tensors(*tensors)", fn<Tensors(TensorList)>(broadcast_tensors));
  rows.both("narrow(input, dim, start, length)", fn<Tensor(T, int64_t, int64_t, int64_t)>(narrow));
  rows.both("narrow_copy(input, dim, start, length)",
            fn<Tensor(T, int64_t, int64_t, int64_t)>(narrow_copy));
  rows.both("select(input, dim, index)", fn<Tensor(T, int64_t, int64_t)>(select));
  rows.both("diagonal(input, offset=0, dim1=0, dim2=1)",
            fn<Tensor(T, int64_t, int64_t, int64_t)>(diagonal));
  rows.method("unfold(input, dimension, size, step)",
              fn<Tensor(T, int64_t, int64_t, int64_t)>(unfold));
  rows.both("as_strided(input, size, stride, storage_offset=None)",
            fn<Tensor(T, D, D, DimOpt)>(as_strided));

  using Sizes = const std::vector<int64_t>&;
  rows.function("split(tensor, split_size_or_sections, dim=0)",
                fn<Tensors(T, int64_t, int64_t)>(split));
  rows.function("split(tensor, split_size_or_sections, dim=0)",
                fn<Tensors(T, Sizes, int64_t)>(split));
  rows.method("split(input, split_size, dim=0)", fn<Tensors(T, int64_t, int64_t)>(split));
  rows.method("split(input, split_size, dim=0)", fn<Tensors(T, Sizes, int64_t)>(split));
  rows.both("split_with_sizes(input, split_sizes, dim=0)",
            fn<Tensors(T, Sizes, int64_t)>(split_with_sizes));
  rows.both("chunk(input, chunks, dim=0)", fn<Tensors(T, int64_t, int64_t)>(chunk));
  rows.both("tensor_split(input, indices_or_sections, dim=0)",
            fn<Tensors(T, int64_t, int64_t)>(tensor_split));
  rows.both("tensor_split(input, indices_or_sections, dim=0)",
            fn<Tensors(T, Sizes, int64_t)>(tensor_split));
  rows.both("unbind(input, dim=0)", fn<Tensors(T, int64_t)>(unbind));
  rows.both("hsplit(input, indices_or_sections)", fn<Tensors(T, int64_t)>(hsplit));
  rows.both("vsplit(input, indices_or_sections)", fn<Tensors(T, int64_t)>(vsplit));
  rows.both("dsplit(input, indices_or_sections)", fn<Tensors(T, int64_t)>(dsplit));
  rows.both("hsplit(input, indices_or_sections)",
            [](T x, Sizes indices) { return tensor_split(x, indices, x.dim() == 1 ? 0 : 1); });
  rows.both("vsplit(input, indices_or_sections)",
            [](T x, Sizes indices) { return tensor_split(x, indices, 0); });
  rows.both("dsplit(input, indices_or_sections)",
            [](T x, Sizes indices) { return tensor_split(x, indices, 2); });
  rows.function("atleast_1d(input)", fn<Tensor(T)>(atleast_1d));
  rows.function("atleast_2d(input)", fn<Tensor(T)>(atleast_2d));
  rows.function("atleast_3d(input)", fn<Tensor(T)>(atleast_3d));
  rows.function("alias(input)", fn<Tensor(T)>(alias));
  rows.both("detach(input)", fn<Tensor(T)>(detach));
  rows.method("detach_(input)", [](T x) -> const Tensor& { return x.detach_(); });
  rows.function("broadcast_shapes(*shapes)", [](const std::vector<Dims>& shapes) {
    Dims result;
    for (const Dims& shape : shapes) result = broadcast_shapes("broadcast_shapes", result, shape);
    return result;
  });
}

void add_reduce_rows(Rows& rows) {
  rows.both("sum(input, *, dtype=None)", fn<Tensor(T, DTypeOpt)>(sum));
  rows.both("sum(input, dim=None, keepdim=False, *, dtype=None)",
            fn<Tensor(T, D, bool, DTypeOpt)>(sum));
  rows.both("nansum(input, dim=None, keepdim=False, *, dtype=None)",
            fn<Tensor(T, D, bool, DTypeOpt)>(nansum));
  rows.both("prod(input, *, dtype=None)", fn<Tensor(T, DTypeOpt)>(prod));
  rows.both("prod(input, dim, keepdim=False, *, dtype=None)",
            fn<Tensor(T, int64_t, bool, DTypeOpt)>(prod));
  rows.both("mean(input, *, dtype=None)", fn<Tensor(T, DTypeOpt)>(mean));
  rows.both("mean(input, dim=None, keepdim=False, *, dtype=None)",
            fn<Tensor(T, D, bool, DTypeOpt)>(mean));
  rows.both("nanmean(input, dim=None, keepdim=False, *, dtype=None)",
            fn<Tensor(T, D, bool, DTypeOpt)>(nanmean));
#define TAUT_MOMENT(name, result)                                               \
  rows.both(#name "(input, dim=None, *, correction=1.0, keepdim=False)" result, \
            [](T x, D dim, std::optional<double> correction, bool keepdim) {    \
              return name(x, dim, correction.value_or(1.0), keepdim);           \
            });                                                                 \
  rows.both(#name "(input, dim, unbiased, keepdim=False)" result,               \
            [](T x, D dim, bool unbiased, bool keepdim) {                       \
              return name(x, dim, unbiased ? 1.0 : 0.0, keepdim);               \
            });                                                                 \
  rows.both(#name "(input, unbiased)" result,                                   \
            [](T x, bool unbiased) { return name(x, Dims(), unbiased ? 1.0 : 0.0, false); });
  TAUT_MOMENT(var, "")
  TAUT_MOMENT(std, "")
  TAUT_MOMENT(var_mean, "")
  TAUT_MOMENT(std_mean, "")
#undef TAUT_MOMENT
  rows.both("amax(input, dim=None, keepdim=False)", fn<Tensor(T, D, bool)>(amax));
  rows.both("amin(input, dim=None, keepdim=False)", fn<Tensor(T, D, bool)>(amin));
  rows.both("aminmax(input, *, dim=None, keepdim=False) -> (min, max)",
            fn<std::pair<Tensor, Tensor>(T, DimOpt, bool)>(aminmax));
  rows.both("max(input)", fn<Tensor(T)>(max));
  rows.both("max(input, dim, keepdim=False) -> (values, indices)",
            fn<std::pair<Tensor, Tensor>(T, int64_t, bool)>(max));
  rows.both("max(input, other)", fn<Tensor(T, T)>(maximum));
  rows.both("min(input)", fn<Tensor(T)>(min));
  rows.both("min(input, dim, keepdim=False) -> (values, indices)",
            fn<std::pair<Tensor, Tensor>(T, int64_t, bool)>(min));
  rows.both("min(input, other)", fn<Tensor(T, T)>(minimum));
  rows.both("argmax(input, dim=None, keepdim=False)", fn<Tensor(T, DimOpt, bool)>(argmax));
  rows.both("argmin(input, dim=None, keepdim=False)", fn<Tensor(T, DimOpt, bool)>(argmin));
  rows.both("all(input)", fn<Tensor(T)>(all));
  rows.both("all(input, dim=None, keepdim=False)", fn<Tensor(T, D, bool)>(all));
  rows.both("any(input)", fn<Tensor(T)>(any));
  rows.both("any(input, dim=None, keepdim=False)", fn<Tensor(T, D, bool)>(any));
  rows.both("count_nonzero(input, dim=None)", fn<Tensor(T, D)>(count_nonzero));
  rows.both("logsumexp(input, dim, keepdim=False)", fn<Tensor(T, D, bool)>(logsumexp));
  rows.both("dist(input, other, p=2.0)", fn<Tensor(T, T, double)>(dist));
  rows.method("sum_to_size(input, *size)", fn<Tensor(T, D)>(sum_to_size));
  rows.both("norm(input, p='fro', dim=None, keepdim=False, dtype=None)",
            [](T x, std::string_view p, D dim, bool keepdim, DTypeOpt dtype) {
              TAUT_CHECK(p == "fro", ValueError, "norm: p must be a number or 'fro'; got '", p,
                         "'");
              return norm(x, 2.0, dim, keepdim, dtype);
            });
  rows.both("norm(input, p=2.0, dim=None, keepdim=False, dtype=None)",
            fn<Tensor(T, double, D, bool, DTypeOpt)>(norm));
}

void add_linalg_rows(Rows& rows) {
  rows.function("vector_norm(x, ord=2.0, dim=None, keepdim=False, *, dtype=None)",
                fn<Tensor(T, double, D, bool, DTypeOpt)>(linalg::vector_norm));
  rows.function("multi_dot(tensors)", fn<Tensor(TensorList)>(linalg::multi_dot));
  rows.function("matrix_power(input, n)", fn<Tensor(T, int64_t)>(linalg::matrix_power));
  rows.function("vecdot(x, y, *, dim=-1)", fn<Tensor(T, T, int64_t)>(linalg::vecdot));
  rows.function("matmul(input, other)", fn<Tensor(T, T)>(matmul));
}

/// What a tensor is, and its part in the tape.
void add_tensor_rows(Rows& rows) {
  rows.method("size(input)", [](T x) { return x.shape(); });
  rows.method("size(input, dim)", [](T x, int64_t dim) { return x.size(dim); });
  rows.method("stride(input)", [](const py::handle& self) {
    const Dims& strides = tensor_of(self.ptr()).strides();
    py::tuple result(strides.size());
    for (int i = 0; i < strides.rank(); ++i) result[static_cast<size_t>(i)] = strides[i];
    return py::object(std::move(result));
  });
  rows.method("stride(input, dim)", [](T x, int64_t dim) { return x.stride(dim); });
  rows.method("storage_offset(input)", [](T x) { return x.storage_offset(); });
  rows.method("dim(input)", [](T x) { return x.dim(); });
  rows.method("ndimension(input)", [](T x) { return x.dim(); });
  rows.both("numel(input)", [](T x) { return x.numel(); });
  rows.method("nelement(input)", [](T x) { return x.numel(); });
  rows.method("element_size(input)", [](T x) { return static_cast<int64_t>(x.element_size()); });
  rows.method("get_device(input)", [](T x) { return x.is_cpu() ? -1 : x.device().index(); });
  rows.method("data_ptr(input)",
              [](T x) { return static_cast<int64_t>(reinterpret_cast<intptr_t>(x.data_ptr())); });
  rows.method("item(input)", [](T x) { return x.item(); });
  rows.method("is_contiguous(input, memory_format=None)",
              [](T x, std::optional<MemoryFormat> format) {
                return x.is_contiguous(format.value_or(MemoryFormat::contiguous));
              });
  rows.both("is_floating_point(input)", [](T x) { return x.is_floating_point(); });
  rows.both("is_complex(input)", [](T) { return false; });
  rows.both("is_nonzero(input)", [](T x) { return x.item().to_bool(); });
  rows.method("is_signed(input)", [](T x) { return x.dtype() != kUInt8 && x.dtype() != kBool; });
  rows.both("is_inference(input)", [](T x) { return x.is_inference(); });
  rows.method("is_set_to(input, tensor)", [](T x, T other) {
    return x.storage() == other.storage() && x.storage_offset() == other.storage_offset() &&
           x.shape() == other.shape() && x.strides() == other.strides();
  });
  rows.both("is_same_size(input, other)", [](T x, T other) { return x.shape() == other.shape(); });
  rows.method("_is_view(input)", [](T x) { return x.is_view(); });

  rows.method("requires_grad_(input, requires_grad=True)",
              [](T x, bool wanted) -> const Tensor& { return x.requires_grad_(wanted); });
  rows.method("retain_grad(input)", [](T x) { x.retain_grad(); });
}

}  // namespace taut::python
