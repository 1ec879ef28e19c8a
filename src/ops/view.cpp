#include "taut/ops/view.h"

#include <algorithm>
#include <span>
#include <vector>

#include "src/ops/allocate.h"
#include "src/ops/dispatch.h"
#include "src/ops/view_backward.h"
#include "taut/autograd/record.h"
#include "taut/base/trace.h"
#include "taut/ops/ops.h"

namespace taut {
namespace {

using autograd::make_view;
using autograd::record;
using namespace ops::view_backward;  // NOLINT(google-build-using-namespace)

int64_t wrap_index(const char* op, int64_t index, int64_t size, int dim) {
  TAUT_CHECK(-size <= index && index < size, IndexError, op, ": index ", index,
             " is out of range for dim ", dim, " of size ", size);
  return index < 0 ? index + size : index;
}

int64_t clamp_bound(int64_t bound, int64_t size) {
  if (bound < 0) bound += size;
  return std::clamp<int64_t>(bound, 0, size);
}

Dims inverse(const Dims& order) {
  Dims result = order;
  for (int i = 0; i < order.rank(); ++i) result[static_cast<int>(order[i])] = i;
  return result;
}

// `size`, or its copy in `room` with what was to be inferred. It is not copied where that can be
// helped: the copy would wait for what the caller has just written.
const Dims& complete(const char* op, const Dims& size, int64_t numel, Dims& room) {
  int64_t product = 1;
  bool is_complete = true;
  for (const int64_t entry : size) {
    is_complete = is_complete && entry >= 0 && !__builtin_mul_overflow(product, entry, &product);
  }
  if (TAUT_LIKELY(is_complete && product == numel)) return size;
  room = infer_size(op, size, numel);
  return room;
}

// The elements of `input` under the sizes `target`, which fit; undefined when that needs a copy.
Tensor view_if_possible(const char* op, const Tensor& input, const Dims& target) {
  const TraceScope scope(ScopeKind::op, op);
  Tensor output;
  if (TAUT_LIKELY(input.impl()->is_contiguous)) {
    output = autograd::make_contiguous_view(input, target);
  } else if (const std::optional<Layout> layout = input.layout().view(target)) {
    output = make_view(input, *layout);
  } else {
    return output;
  }
  const autograd::TensorRef inputs[] = {input};
  if (autograd::detail::is_wanted(inputs)) {
    const autograd::TensorRef outputs[] = {output};
    autograd::record_all(op, inputs, outputs, {}, reshape_backward, ShapeAttributes{input.shape()});
  }
  return output;
}

// Views are small, but a size says nothing of memory: a dim that is expanded costs none.
constexpr int64_t kMostPieces = int64_t{1} << 24;

void check_pieces(const char* op, int64_t count) {
  TAUT_CHECK(count <= kMostPieces, ValueError, op, ": ", count,
             " tensors are more than one call makes; expected at most ", kMostPieces);
}

Tensor slice_at(const Tensor& input, int dim, int64_t start, int64_t end, int64_t step) {
  const TraceScope scope(ScopeKind::op, "slice");
  const Tensor output = make_view(input, input.layout().slice(dim, start, end, step));
  return record("slice", {input}, output, {}, slice_backward,
                SliceAttributes{input.shape(), dim, start, end, step});
}

// Pieces up to which the gradients are put together: what one op has for outputs.
constexpr size_t kMostOutputs = 1024;

// Views as the outputs of one op, whose gradients are put together in one pass.
void record_pieces(const char* name, const Tensor& input, const Tensors& pieces,
                   autograd::BackwardFn backward, int dim) {
  if (pieces.empty()) return;
  const autograd::TensorRef inputs[] = {input};
  const std::vector<autograd::TensorRef> outputs(pieces.begin(), pieces.end());
  autograd::record_all(name, inputs, outputs, {}, backward, PiecesAttributes{input.shape(), dim});
}

// Pieces of these sizes, one behind the other.
Tensors split_at(const char* name, const Tensor& input, int dim, std::span<const int64_t> sizes) {
  const TraceScope scope(ScopeKind::op, name);
  const bool is_one_op = sizes.size() <= kMostOutputs;
  Tensors pieces;
  int64_t start = 0;
  for (const int64_t size : sizes) {
    const int64_t end = start + size;
    pieces.push_back(is_one_op ? make_view(input, input.layout().slice(dim, start, end, 1))
                               : slice_at(input, dim, start, end, 1));
    start = end;
  }
  if (is_one_op) record_pieces(name, input, pieces, split_backward, dim);
  return pieces;
}

}  // namespace

Tensor view(const Tensor& input, const Dims& size) {
  Dims room;
  const Dims& target = complete("view", size, input.numel(), room);
  Tensor output = view_if_possible("view", input, target);
  TAUT_CHECK(output.defined(), ShapeError, "view: a tensor of shape ", input.shape(),
             " and strides ", input.strides(), " has no view of shape ", target,
             "; use reshape, which copies when it must");
  return output;
}

Tensor reshape(const Tensor& input, const Dims& shape) {
  Dims room;
  const Dims& target = complete("reshape", shape, input.numel(), room);
  Tensor output = view_if_possible("reshape", input, target);
  return output.defined() ? output : view(clone(input, MemoryFormat::contiguous), target);
}

Tensor view_as(const Tensor& input, const Tensor& other) { return view(input, other.shape()); }
Tensor reshape_as(const Tensor& input, const Tensor& other) {
  return reshape(input, other.shape());
}

Tensor flatten(const Tensor& input, int64_t start_dim, int64_t end_dim) {
  const int start = normalize_dim("flatten", start_dim, input.dim());
  const int end = normalize_dim("flatten", end_dim, input.dim());
  TAUT_CHECK(start <= end, ValueError, "flatten: start_dim ", start_dim, " comes after end_dim ",
             end_dim);
  if (input.dim() == 0) return reshape(input, {1});
  if (start == end) return input;
  Dims shape;
  int64_t merged = 1;
  for (int i = 0; i < input.dim(); ++i) {
    if (i < start || i > end) {
      shape.push_back(input.shape()[i]);
      continue;
    }
    merged *= input.shape()[i];
    if (i == end) shape.push_back(merged);
  }
  return reshape(input, shape);
}

Tensor unflatten(const Tensor& input, int64_t dim, const Dims& sizes) {
  const int at = normalize_dim("unflatten", dim, input.dim());
  TAUT_CHECK(input.dim() > 0 && sizes.rank() > 0, ShapeError, "unflatten: cannot split dim ", dim,
             " of shape ", input.shape(), " into ", sizes);
  const Dims parts = infer_size("unflatten", sizes, input.shape()[at]);
  Dims shape;
  for (int i = 0; i < input.dim(); ++i) {
    if (i != at) {
      shape.push_back(input.shape()[i]);
      continue;
    }
    for (int64_t part : parts) shape.push_back(part);
  }
  return view(input, shape);
}

Tensor ravel(const Tensor& input) { return reshape(input, {-1}); }

Tensor permute(const Tensor& input, const Dims& dims) {
  const TraceScope scope(ScopeKind::op, "permute");
  TAUT_CHECK(dims.rank() == input.dim(), ShapeError, "permute: got ", dims.rank(),
             " dims for a tensor of shape ", input.shape());
  const Dims order = normalize_dims("permute", dims, input.dim());
  return record("permute", {input}, make_view(input, input.layout().permute(order)), {},
                permute_backward, ShapeAttributes{inverse(order)});
}

Tensor transpose(const Tensor& input, int64_t dim0, int64_t dim1) {
  const TraceScope scope(ScopeKind::op, "transpose");
  const int a = normalize_dim("transpose", dim0, input.dim());
  const int b = normalize_dim("transpose", dim1, input.dim());
  return record("transpose", {input}, make_view(input, input.layout().transpose(a, b)), {},
                transpose_backward, TransposeAttributes{a, b});
}

Tensor swapaxes(const Tensor& input, int64_t axis0, int64_t axis1) {
  return transpose(input, axis0, axis1);
}
Tensor swapdims(const Tensor& input, int64_t dim0, int64_t dim1) {
  return transpose(input, dim0, dim1);
}

Tensor t(const Tensor& input) {
  TAUT_CHECK(input.dim() <= 2, ShapeError, "t: expected at most 2 dims; got shape ", input.shape());
  return input.dim() < 2 ? alias(input) : transpose(input, 0, 1);
}

Tensor numpy_T(const Tensor& input) {
  Dims order;
  for (int i = input.dim() - 1; i >= 0; --i) order.push_back(i);
  return permute(input, order);
}

Tensor adjoint(const Tensor& input) { return transpose(input, -2, -1); }

Tensor movedim(const Tensor& input, const Dims& source, const Dims& destination) {
  TAUT_CHECK(source.rank() == destination.rank(), ShapeError, "movedim: got ", source.rank(),
             " source dims and ", destination.rank(), " destinations");
  const Dims from = normalize_dims("movedim", source, input.dim());
  const Dims to_dims = normalize_dims("movedim", destination, input.dim());
  Dims order = Dims::filled(input.dim(), -1);
  for (int i = 0; i < from.rank(); ++i) order[static_cast<int>(to_dims[i])] = from[i];
  int next = 0;
  for (int i = 0; i < input.dim(); ++i) {
    if (order[i] >= 0) continue;
    while (from.contains(next)) ++next;
    order[i] = next++;
  }
  return permute(input, order);
}
Tensor moveaxis(const Tensor& input, const Dims& source, const Dims& destination) {
  return movedim(input, source, destination);
}

Tensor squeeze(const Tensor& input) {
  Dims dims;
  for (int i = 0; i < input.dim(); ++i) dims.push_back(i);
  return squeeze(input, dims);
}

Tensor squeeze(const Tensor& input, int64_t dim) { return squeeze(input, Dims{dim}); }

Tensor squeeze(const Tensor& input, const Dims& dims) {
  const TraceScope scope(ScopeKind::op, "squeeze");
  const Dims chosen = normalize_dims("squeeze", dims, input.dim());
  Layout layout = input.layout();
  for (int i = input.dim() - 1; i >= 0; --i) {
    if (chosen.contains(i) && layout.shape[i] == 1) layout = layout.squeeze(i);
  }
  return record("squeeze", {input}, make_view(input, layout), {}, reshape_backward,
                ShapeAttributes{input.shape()});
}

Tensor unsqueeze(const Tensor& input, int64_t dim) {
  const TraceScope scope(ScopeKind::op, "unsqueeze");
  const int at = normalize_dim("unsqueeze", dim, input.dim() + 1);
  return record("unsqueeze", {input}, make_view(input, input.layout().unsqueeze(at)), {},
                reshape_backward, ShapeAttributes{input.shape()});
}

Tensor expand(const Tensor& input, const Dims& size) {
  const TraceScope scope(ScopeKind::op, "expand");
  const int added = size.rank() - input.dim();
  TAUT_CHECK(added >= 0, ShapeError, "expand: ", size, " has fewer dims than the tensor's shape ",
             input.shape());
  Dims target = size;
  for (int i = 0; i < size.rank(); ++i) {
    if (target[i] != -1) continue;
    TAUT_CHECK(i >= added, ShapeError, "expand: -1 cannot stand for a new dim; got ", size,
               " for shape ", input.shape());
    target[i] = input.shape()[i - added];
  }
  checked_numel("expand", target);
  const Tensor output = make_view(input, input.layout().broadcast_to("expand", target));
  return record("expand", {input}, output, {}, expand_backward, ShapeAttributes{input.shape()});
}

Tensor expand_as(const Tensor& input, const Tensor& other) { return expand(input, other.shape()); }
Tensor broadcast_to(const Tensor& input, const Dims& size) { return expand(input, size); }

Tensors broadcast_tensors(TensorList tensors) {
  Dims shape;
  for (const Tensor& tensor : tensors) {
    shape = broadcast_shapes("broadcast_tensors", shape, tensor.shape());
  }
  Tensors result;
  for (const Tensor& tensor : tensors) result.push_back(expand(tensor, shape));
  return result;
}

Tensor narrow(const Tensor& input, int64_t dim, int64_t start, int64_t length) {
  const int at = normalize_dim("narrow", dim, input.dim());
  TAUT_CHECK(input.dim() > 0, ShapeError, "narrow: a tensor without dims cannot be narrowed");
  const int64_t size = input.shape()[at];
  TAUT_CHECK(-size <= start && start <= size, IndexError, "narrow: start ", start,
             " is out of range for dim ", dim, " of size ", size);
  if (start < 0) start += size;
  TAUT_CHECK(length >= 0 && length <= size - start, IndexError, "narrow: ", length,
             " elements from ", start, " on do not fit dim ", dim, " of size ", size);
  return slice_at(input, at, start, start + length, 1);
}

Tensor narrow_copy(const Tensor& input, int64_t dim, int64_t start, int64_t length) {
  return clone(narrow(input, dim, start, length));
}

Tensor select(const Tensor& input, int64_t dim, int64_t index) {
  const TraceScope scope(ScopeKind::op, "select");
  TAUT_CHECK(input.dim() > 0, IndexError, "select: a tensor without dims cannot be indexed");
  const int at = normalize_dim("select", dim, input.dim());
  const int64_t position = wrap_index("select", index, input.shape()[at], at);
  const Tensor output = make_view(input, input.layout().select(at, position));
  return record("select", {input}, output, {}, select_backward,
                SelectAttributes{input.shape(), at, position});
}

Tensor slice(const Tensor& input, int64_t dim, std::optional<int64_t> start,
             std::optional<int64_t> end, int64_t step) {
  TAUT_CHECK(input.dim() > 0, IndexError, "slice: a tensor without dims cannot be sliced");
  const int at = normalize_dim("slice", dim, input.dim());
  TAUT_CHECK(step > 0, ValueError, "slice: step must be positive; got ", step);
  const int64_t size = input.shape()[at];
  const int64_t first = clamp_bound(start.value_or(0), size);
  const int64_t last = std::max(first, clamp_bound(end.value_or(size), size));
  return slice_at(input, at, first, last, step);
}

Tensor diagonal(const Tensor& input, int64_t offset, int64_t dim1, int64_t dim2) {
  const TraceScope scope(ScopeKind::op, "diagonal");
  TAUT_CHECK(input.dim() >= 2, ShapeError, "diagonal: expected at least 2 dims; got shape ",
             input.shape());
  const int a = normalize_dim("diagonal", dim1, input.dim());
  const int b = normalize_dim("diagonal", dim2, input.dim());
  TAUT_CHECK(a != b, ValueError, "diagonal: dims must differ; got ", dim1, " and ", dim2);
  const Tensor output = make_view(input, input.layout().diagonal(a, b, offset));
  return record("diagonal", {input}, output, {}, diagonal_backward,
                DiagonalAttributes{input.shape(), a, b, offset});
}

Tensor unfold(const Tensor& input, int64_t dimension, int64_t size, int64_t step) {
  const TraceScope scope(ScopeKind::op, "unfold");
  const int at = normalize_dim("unfold", dimension, input.dim());
  const int64_t available = input.dim() == 0 ? 1 : input.shape()[at];
  TAUT_CHECK(size >= 0 && size <= available, ValueError, "unfold: size ", size,
             " does not fit dim ", dimension, " of size ", available);
  TAUT_CHECK(step > 0, ValueError, "unfold: step must be positive; got ", step);
  const Tensor output = make_view(input, input.layout().unfold(at, size, step));
  return record("unfold", {input}, output, {}, unfold_backward,
                UnfoldAttributes{input.shape(), at, size, step});
}

Tensor as_strided(const Tensor& input, const Dims& size, const Dims& stride,
                  std::optional<int64_t> storage_offset) {
  const TraceScope scope(ScopeKind::op, "as_strided");
  TAUT_CHECK(size.rank() == stride.rank(), ShapeError, "as_strided: got ", size.rank(),
             " sizes and ", stride.rank(), " strides");
  checked_numel("as_strided", size);
  ops::check_extent("as_strided", size, stride);
  const Layout layout{size, stride, storage_offset.value_or(input.storage_offset())};
  const int64_t available =
      static_cast<int64_t>(input.storage()->bytes() / item_size(input.dtype()));
  TAUT_CHECK(
      layout.numel() == 0 || (layout.offset >= 0 && layout.offset <= available &&
                              layout.extent_begin() >= 0 && layout.extent_end() <= available),
      ValueError, "as_strided: size ", size, ", stride ", stride, " and offset ", layout.offset,
      " reach past a storage of ", available, " elements");
  for (int64_t step : stride) {
    TAUT_CHECK(step >= 0, ValueError, "as_strided: strides cannot be negative; got ", stride);
  }
  return record("as_strided", {input}, make_view(input, layout), {}, as_strided_backward,
                AsStridedAttributes{input.layout(), layout});
}

Tensors split_with_sizes(const Tensor& input, const std::vector<int64_t>& split_sizes,
                         int64_t dim) {
  const int at = normalize_dim("split", dim, input.dim());
  TAUT_CHECK(input.dim() > 0, ShapeError, "split: a tensor without dims cannot be split");
  int64_t total = 0;
  for (int64_t size : split_sizes) {
    TAUT_CHECK(size >= 0, ValueError, "split: sizes cannot be negative; got ", size);
    TAUT_CHECK(!__builtin_add_overflow(total, size, &total), ShapeError,
               "split: the sum of the sizes overflows; expected ", input.shape()[at],
               ", the size of dim ", dim);
  }
  TAUT_CHECK(total == input.shape()[at], ShapeError, "split: sizes add up to ", total,
             "; expected ", input.shape()[at], ", the size of dim ", dim);
  check_pieces("split", static_cast<int64_t>(split_sizes.size()));
  return split_at("split", input, at, split_sizes);
}

Tensors split(const Tensor& input, const std::vector<int64_t>& split_sizes, int64_t dim) {
  return split_with_sizes(input, split_sizes, dim);
}

Tensors split(const Tensor& input, int64_t split_size, int64_t dim) {
  const int at = normalize_dim("split", dim, input.dim());
  TAUT_CHECK(input.dim() > 0, ShapeError, "split: a tensor without dims cannot be split");
  const int64_t size = input.shape()[at];
  TAUT_CHECK(split_size > 0 || (split_size == 0 && size == 0), ValueError,
             "split: split_size must be positive; got ", split_size);
  if (size == 0) return {slice_at(input, at, 0, 0, 1)};
  const int64_t pieces = (size - 1) / split_size + 1;
  check_pieces("split", pieces);
  std::vector<int64_t> sizes(static_cast<size_t>(pieces), split_size);
  sizes.back() = size - (pieces - 1) * split_size;
  return split_at("split", input, at, sizes);
}

Tensors chunk(const Tensor& input, int64_t chunks, int64_t dim) {
  const int at = normalize_dim("chunk", dim, input.dim());
  TAUT_CHECK(input.dim() > 0, ShapeError, "chunk: a tensor without dims cannot be split");
  TAUT_CHECK(chunks > 0, ValueError, "chunk: chunks must be positive; got ", chunks);
  const int64_t size = input.shape()[at];
  if (size == 0) {
    check_pieces("chunk", chunks);
    return split_at("chunk", input, at, std::vector<int64_t>(static_cast<size_t>(chunks), 0));
  }
  return split(input, (size - 1) / chunks + 1, dim);
}

Tensors tensor_split(const Tensor& input, int64_t sections, int64_t dim) {
  const int at = normalize_dim("tensor_split", dim, input.dim());
  TAUT_CHECK(input.dim() > 0, ShapeError, "tensor_split: a tensor without dims cannot be split");
  TAUT_CHECK(sections > 0, ValueError, "tensor_split: sections must be positive; got ", sections);
  check_pieces("tensor_split", sections);
  const int64_t size = input.shape()[at];
  std::vector<int64_t> sizes;
  for (int64_t i = 0; i < sections; ++i) {
    sizes.push_back(size / sections + (i < size % sections ? 1 : 0));
  }
  return split_at("tensor_split", input, at, sizes);
}

Tensors tensor_split(const Tensor& input, const std::vector<int64_t>& indices, int64_t dim) {
  const int at = normalize_dim("tensor_split", dim, input.dim());
  TAUT_CHECK(input.dim() > 0, ShapeError, "tensor_split: a tensor without dims cannot be split");
  const int64_t size = input.shape()[at];
  Tensors result;
  int64_t start = 0;
  for (int64_t index : indices) {
    const int64_t bound = clamp_bound(index, size);
    result.push_back(slice_at(input, at, start, std::max(start, bound), 1));
    start = bound;
  }
  result.push_back(slice_at(input, at, start, size, 1));
  return result;
}

Tensors unbind(const Tensor& input, int64_t dim) {
  const TraceScope scope(ScopeKind::op, "unbind");
  TAUT_CHECK(input.dim() > 0, ShapeError, "unbind: a tensor without dims cannot be unbound");
  const int at = normalize_dim("unbind", dim, input.dim());
  check_pieces("unbind", input.shape()[at]);
  const int64_t count = input.shape()[at];
  const bool is_one_op = count <= static_cast<int64_t>(kMostOutputs);
  Tensors pieces;
  for (int64_t i = 0; i < count; ++i) {
    pieces.push_back(is_one_op ? make_view(input, input.layout().select(at, i))
                               : select(input, at, i));
  }
  if (is_one_op) record_pieces("unbind", input, pieces, unbind_backward, at);
  return pieces;
}

namespace {

Tensors split_evenly(const char* op, const Tensor& input, int64_t sections, int dim) {
  TAUT_CHECK(sections > 0 && input.shape()[dim] % sections == 0, ValueError, op, ": dim ", dim,
             " of size ", input.shape()[dim], " does not split into ", sections, " equal sections");
  return tensor_split(input, sections, dim);
}

}  // namespace

Tensors hsplit(const Tensor& input, int64_t sections) {
  TAUT_CHECK(input.dim() >= 1, ShapeError, "hsplit: expected at least 1 dim; got shape ",
             input.shape());
  return split_evenly("hsplit", input, sections, input.dim() == 1 ? 0 : 1);
}
Tensors vsplit(const Tensor& input, int64_t sections) {
  TAUT_CHECK(input.dim() >= 2, ShapeError, "vsplit: expected at least 2 dims; got shape ",
             input.shape());
  return split_evenly("vsplit", input, sections, 0);
}
Tensors dsplit(const Tensor& input, int64_t sections) {
  TAUT_CHECK(input.dim() >= 3, ShapeError, "dsplit: expected at least 3 dims; got shape ",
             input.shape());
  return split_evenly("dsplit", input, sections, 2);
}

Tensor atleast_1d(const Tensor& input) { return input.dim() >= 1 ? input : reshape(input, {1}); }
Tensor atleast_2d(const Tensor& input) {
  if (input.dim() >= 2) return input;
  return unsqueeze(atleast_1d(input), 0);
}
Tensor atleast_3d(const Tensor& input) {
  if (input.dim() >= 3) return input;
  return unsqueeze(atleast_2d(input), -1);
}

Tensor detach(const Tensor& input) {
  ops::check_defined("detach", "input", input);
  Ref<TensorImpl> impl = TensorImpl::make(input.storage(), input.layout(), input.dtype());
  impl->is_inference = input.is_inference();
  return Tensor(std::move(impl));
}

Tensor alias(const Tensor& input) {
  const TraceScope scope(ScopeKind::op, "alias");
  return record("alias", {input}, make_view(input, input.layout()), {}, reshape_backward,
                ShapeAttributes{input.shape()});
}

}  // namespace taut
