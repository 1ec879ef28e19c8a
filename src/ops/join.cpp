#include "taut/ops/join.h"

#include <algorithm>

#include "src/ops/allocate.h"
#include "src/ops/dispatch.h"
#include "taut/autograd/record.h"
#include "taut/base/trace.h"
#include "taut/core/scalar_range.h"
#include "taut/ops/ops.h"

namespace taut {
namespace {

using autograd::BackwardContext;
using autograd::record;

// Attributes of cat: the dim, then the size of each input along it.
void cat_backward(BackwardContext& context) {
  const auto* attributes = static_cast<const int64_t*>(context.node().attributes());
  const int64_t dim = attributes[0];
  int64_t start = 0;
  for (int i = 0; i < context.inputs(); ++i) {
    const int64_t size = attributes[1 + i];
    if (context.needs(i)) context.set(i, narrow(context.grad(), dim, start, size));
    start += size;
  }
}

// PyTorch lets tensors of shape (0,) join anything.
bool is_skipped(const Tensor& tensor) { return tensor.dim() == 1 && tensor.shape()[0] == 0; }

void check_joinable(const char* op, const Tensor& first, const Tensor& other, size_t at, int dim) {
  ops::check_same_device(op, first, other);
  TAUT_CHECK(first.dim() == other.dim(), ShapeError, op, ": tensors 0 and ", at,
             " have different numbers of dims; got ", first.shape(), " and ", other.shape());
  for (int i = 0; i < first.dim(); ++i) {
    TAUT_CHECK(i == dim || first.shape()[i] == other.shape()[i], ShapeError, op,
               ": sizes differ in dim ", i, "; got ", first.shape(), " and ", other.shape(),
               " for tensors 0 and ", at);
  }
}

}  // namespace

Tensor cat(TensorList tensors, int64_t dim) {
  const TraceScope scope(ScopeKind::op, "cat");
  TAUT_CHECK(!tensors.empty(), ValueError, "cat: expected at least one tensor");
  const Tensor* model = nullptr;
  DType dtype = tensors[0].dtype();
  for (size_t i = 0; i < tensors.size(); ++i) {
    ops::check_defined("cat", "a tensor", tensors[i]);
    TAUT_CHECK(tensors[i].dim() > 0, ShapeError, "cat: tensor ", i, " has no dims to join along");
    dtype = promote_types(dtype, tensors[i].dtype());
    if (model == nullptr && !is_skipped(tensors[i])) model = &tensors[i];
  }
  if (model == nullptr) model = &tensors[0];
  const int at = normalize_dim("cat", dim, model->dim());
  Dims shape = model->shape();
  shape[at] = 0;
  std::vector<int64_t> attributes{at};
  std::vector<Tensor> parts;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const bool skipped = is_skipped(tensors[i]) && model->dim() != 1;
    if (!skipped) check_joinable("cat", *model, tensors[i], i, at);
    if (skipped) continue;
    attributes.push_back(tensors[i].shape()[at]);
    TAUT_CHECK(!__builtin_add_overflow(shape[at], tensors[i].shape()[at], &shape[at]), ShapeError,
               "cat: the size of dim ", at, " overflows");
    parts.push_back(tensors[i]);
  }
  Tensor output = ops::allocate(shape, dtype, model->device());
  {
    const NoGradGuard no_grad;
    int64_t start = 0;
    for (const Tensor& part : parts) {
      const int64_t size = part.shape()[at];
      if (part.numel() > 0) {
        const Tensor place =
            autograd::make_view(output, output.layout().slice(at, start, start + size, 1));
        ops::kernels_of(output).copy.copy({.target = place.data_ptr(),
                                           .source = part.data_ptr(),
                                           .target_dtype = dtype,
                                           .source_dtype = part.dtype(),
                                           .shape = part.shape(),
                                           .target_strides = place.strides(),
                                           .source_strides = part.strides()});
      }
      start += size;
    }
  }
  const std::vector<autograd::TensorRef> inputs(parts.begin(), parts.end());
  const autograd::TensorRef outputs[] = {output};
  if (autograd::is_recording(autograd::TensorRefs(inputs)) ||
      taut::detail::thread_mode().observed) {
    autograd::detail::record("cat", inputs, outputs, {}, cat_backward, attributes.data(),
                             attributes.size() * sizeof(int64_t));
  }
  return output;
}

Tensor concat(TensorList tensors, int64_t dim) { return cat(tensors, dim); }

Tensor stack(TensorList tensors, int64_t dim) {
  TAUT_CHECK(!tensors.empty(), ValueError, "stack: expected at least one tensor");
  ops::check_defined("stack", "a tensor", tensors[0]);
  const int at = normalize_dim("stack", dim, tensors[0].dim() + 1);
  Tensors parts;
  for (size_t i = 0; i < tensors.size(); ++i) {
    ops::check_defined("stack", "a tensor", tensors[i]);
    TAUT_CHECK(tensors[i].shape() == tensors[0].shape(), ShapeError, "stack: shapes differ; got ",
               tensors[0].shape(), " and ", tensors[i].shape(), " for tensors 0 and ", i);
    parts.push_back(unsqueeze(tensors[i], at));
  }
  return cat(parts, at);
}

namespace {

Tensors map_each(TensorList tensors, Tensor (*function)(const Tensor&)) {
  Tensors result;
  for (const Tensor& tensor : tensors) result.push_back(function(tensor));
  return result;
}

}  // namespace

Tensor hstack(TensorList tensors) {
  const Tensors parts = map_each(tensors, atleast_1d);
  TAUT_CHECK(!parts.empty(), ValueError, "hstack: expected at least one tensor");
  return cat(parts, parts[0].dim() == 1 ? 0 : 1);
}
Tensor vstack(TensorList tensors) { return cat(map_each(tensors, atleast_2d), 0); }
Tensor dstack(TensorList tensors) { return cat(map_each(tensors, atleast_3d), 2); }
Tensor column_stack(TensorList tensors) {
  Tensors parts;
  for (const Tensor& tensor : tensors) {
    parts.push_back(tensor.dim() <= 1 ? reshape(tensor, {tensor.numel(), 1}) : tensor);
  }
  return cat(parts, 1);
}

Tensor block_diag(TensorList tensors) {
  Tensors rows;
  int64_t width = 0;
  for (const Tensor& tensor : tensors) {
    TAUT_CHECK(tensor.dim() <= 2, ShapeError, "block_diag: expected at most 2 dims; got shape ",
               tensor.shape());
    width += atleast_2d(tensor).size(1);
  }
  int64_t start = 0;
  for (const Tensor& tensor : tensors) {
    const Tensor block = atleast_2d(tensor);
    rows.push_back(constant_pad_nd(block, {start, width - start - block.size(1)}));
    start += block.size(1);
  }
  if (rows.empty()) return zeros({1, 0});
  return cat(rows, 0);
}

Tensor repeat(const Tensor& input, const Dims& repeats) {
  const int added = repeats.rank() - input.dim();
  TAUT_CHECK(added >= 0, ShapeError, "repeat: got ", repeats, " for a tensor of shape ",
             input.shape(), "; expected at least as many numbers as dims");
  // Each dim of size n becomes (r, n): expanded, copied, and merged again. A size that is not
  // repeated needs no dim of its own, which keeps within the largest rank.
  Dims split, wide, shape;
  for (int i = 0; i < repeats.rank(); ++i) {
    const int64_t size = i < added ? 1 : input.shape()[i - added];
    TAUT_CHECK(repeats[i] >= 0, ValueError, "repeat: cannot repeat ", repeats[i], " times");
    int64_t repeated = 0;
    TAUT_CHECK(!__builtin_mul_overflow(size, repeats[i], &repeated), ShapeError,
               "repeat: the number of elements overflows; got ", repeats, " for shape ",
               input.shape());
    shape.push_back(repeated);
    if (size == 1) {
      split.push_back(1);
      wide.push_back(repeats[i]);
      continue;
    }
    if (repeats[i] != 1) {
      split.push_back(1);
      wide.push_back(repeats[i]);
    }
    split.push_back(size);
    wide.push_back(size);
  }
  return reshape(clone(expand(reshape(input, split), wide), MemoryFormat::contiguous), shape);
}

Tensor tile(const Tensor& input, const Dims& dims) {
  Dims repeats = dims;
  while (repeats.rank() < input.dim()) repeats.insert(0, 1);
  return repeat(input, repeats);
}

Tensor repeat_interleave(const Tensor& input, int64_t repeats, std::optional<int64_t> dim) {
  TAUT_CHECK(repeats >= 0, ValueError, "repeat_interleave: cannot repeat ", repeats, " times");
  const Tensor source = dim ? input : ravel(input);
  const int at = normalize_dim("repeat_interleave", dim.value_or(0), source.dim());
  const Tensor base = source.dim() == 0 ? reshape(source, {1}) : source;
  Dims wide = base.shape();
  wide.insert(at + 1, repeats);
  Dims shape = base.shape();
  TAUT_CHECK(!__builtin_mul_overflow(shape[at], repeats, &shape[at]), ShapeError,
             "repeat_interleave: the number of elements overflows; got ", repeats, " for shape ",
             input.shape());
  return reshape(clone(expand(unsqueeze(base, at + 1), wide), MemoryFormat::contiguous), shape);
}

namespace {

struct FlipAttributes {
  Dims dims;
};

void flip_backward(BackwardContext& context) {
  context.set(0, flip(context.grad(), context.attributes<FlipAttributes>().dims));
}

}  // namespace

Tensor flip(const Tensor& input, const Dims& dims) {
  const TraceScope scope(ScopeKind::op, "flip");
  const Dims chosen = normalize_dims("flip", dims, input.dim());
  Tensor output = ops::allocate(input.shape(), input.dtype(), input.device());
  if (output.numel() > 0) {
    // The target is written from its end along the flipped dims.
    Dims strides = output.strides();
    int64_t start = 0;
    for (int64_t entry : chosen) {
      const int dim = static_cast<int>(entry);
      if (input.dim() == 0) break;
      start += strides[dim] * (output.shape()[dim] - 1);
      strides[dim] = -strides[dim];
    }
    ops::kernels_of(input).copy.copy(
        {.target = static_cast<char*>(output.data_ptr()) +
                   start * static_cast<int64_t>(item_size(input.dtype())),
         .source = input.data_ptr(),
         .target_dtype = input.dtype(),
         .source_dtype = input.dtype(),
         .shape = input.shape(),
         .target_strides = strides,
         .source_strides = input.strides()});
  }
  return record("flip", {input}, output, {}, flip_backward, FlipAttributes{chosen});
}

Tensor fliplr(const Tensor& input) {
  TAUT_CHECK(input.dim() >= 2, ShapeError, "fliplr: expected at least 2 dims; got shape ",
             input.shape());
  return flip(input, {1});
}
Tensor flipud(const Tensor& input) {
  TAUT_CHECK(input.dim() >= 1, ShapeError, "flipud: expected at least 1 dim");
  return flip(input, {0});
}

Tensor roll(const Tensor& input, const Dims& shifts, const Dims& dims) {
  if (dims.empty()) {
    TAUT_CHECK(shifts.rank() == 1, ValueError, "roll: without dims, expected one shift; got ",
               shifts);
    return reshape(roll(ravel(input), shifts, Dims{0}), input.shape());
  }
  TAUT_CHECK(shifts.rank() == dims.rank(), ValueError, "roll: got ", shifts.rank(), " shifts for ",
             dims.rank(), " dims");
  Tensor result = input;
  for (int i = 0; i < dims.rank(); ++i) {
    const int dim = normalize_dim("roll", dims[i], input.dim());
    const int64_t size = input.dim() == 0 ? 0 : input.shape()[dim];
    if (size == 0) continue;
    const int64_t shift = (shifts[i] % size + size) % size;
    if (shift == 0) continue;
    result =
        cat({narrow(result, dim, size - shift, shift), narrow(result, dim, 0, size - shift)}, dim);
  }
  return result.is_same(input) ? clone(input) : result;
}

Tensor rot90(const Tensor& input, int64_t k, const Dims& dims) {
  TAUT_CHECK(dims.rank() == 2, ValueError, "rot90: expected two dims; got ", dims);
  const Dims plane = normalize_dims("rot90", dims, input.dim());
  switch ((k % 4 + 4) % 4) {
    case 1: return transpose(flip(input, {plane[1]}), plane[0], plane[1]).clone();
    case 2: return flip(input, plane);
    case 3: return transpose(flip(input, {plane[0]}), plane[0], plane[1]).clone();
    default: return clone(input);
  }
}

namespace {

// column - row <= diagonal, as a mask of the last two dims.
Tensor triangle(const char* op, const Tensor& input, int64_t diagonal, bool lower) {
  TAUT_CHECK(input.dim() >= 2, ShapeError, op, ": expected at least 2 dims; got shape ",
             input.shape());
  const TensorOptions options = TensorOptions(kInt64).device(input.device());
  const Tensor row = unsqueeze(arange(input.size(-2), options), 1);
  const Tensor column = arange(input.size(-1), options);
  const Tensor above = sub(column, row);
  return lower ? le(above, diagonal) : ge(above, diagonal);
}

Tensor keep_where(const Tensor& mask, const Tensor& input) {
  return where(mask, input, input.dtype() == kBool ? Scalar(false) : Scalar(0));
}

}  // namespace

Tensor tril(const Tensor& input, int64_t diagonal) {
  return keep_where(triangle("tril", input, diagonal, true), input);
}
Tensor triu(const Tensor& input, int64_t diagonal) {
  return keep_where(triangle("triu", input, diagonal, false), input);
}

Tensor diag(const Tensor& input, int64_t offset) {
  TAUT_CHECK(input.dim() == 1 || input.dim() == 2, ShapeError,
             "diag: expected 1 or 2 dims; got shape ", input.shape());
  return input.dim() == 1 ? diag_embed(input, offset) : clone(diagonal(input, offset));
}

Tensor diagflat(const Tensor& input, int64_t offset) { return diag_embed(ravel(input), offset); }

Tensor diag_embed(const Tensor& input, int64_t offset, int64_t dim1, int64_t dim2) {
  TAUT_CHECK(input.dim() >= 1, ShapeError, "diag_embed: expected at least 1 dim");
  const int rank = input.dim() + 1;
  const int a = normalize_dim("diag_embed", dim1, rank);
  const int b = normalize_dim("diag_embed", dim2, rank);
  TAUT_CHECK(a != b, ValueError, "diag_embed: dims must differ; got ", dim1, " and ", dim2);
  int64_t side = 0;
  const bool is_counted = offset >= 0
                              ? !__builtin_add_overflow(input.shape().back(), offset, &side)
                              : !__builtin_sub_overflow(input.shape().back(), offset, &side);
  TAUT_CHECK(is_counted, ShapeError, "diag_embed: offset ", offset, " is too large for shape ",
             input.shape());
  Dims shape;
  int next = 0;
  for (int i = 0; i < rank; ++i) {
    shape.push_back(i == a || i == b ? side : input.shape()[next++]);
  }
  Tensor result = zeros(shape, input.options());
  copy_(diagonal(result, offset, a, b), input);
  return result;
}

Tensor trace(const Tensor& input) {
  TAUT_CHECK(input.dim() == 2, ShapeError, "trace: expected a matrix; got shape ", input.shape());
  return sum(diagonal(input));
}

namespace {

// How many positions of a matrix lie on and below (or above) a diagonal.
double triangle_size(int64_t rows, int64_t columns, int64_t offset, bool lower) {
  const auto height = static_cast<double>(rows);
  const auto width = static_cast<double>(columns);
  // The sum of clamp(i, 0, width) for i below n.
  const auto below = [width](double n) {
    if (n <= 0) return 0.0;
    const double ramp = std::min(n, width);
    return ramp * (ramp - 1) / 2 + (n - ramp) * width;
  };
  const double first = static_cast<double>(offset) + (lower ? 1 : 0);
  const double counted = below(height + first) - below(first);
  return lower ? counted : height * width - counted;
}

Tensor triangle_indices(const char* op, int64_t rows, int64_t columns, int64_t offset, bool lower) {
  TAUT_CHECK(rows >= 0 && columns >= 0, ValueError, op, ": sizes cannot be negative; got ", rows,
             " and ", columns);
  // Past the corners nothing changes, and sums with an offset cannot overflow.
  offset = std::clamp(offset, -rows, columns);
  const double count = triangle_size(rows, columns, offset, lower);
  TAUT_CHECK(count < 0x1p40, ValueError, op, ": ", count,
             " positions are more than memory holds; got sizes ", rows, " and ", columns);
  Tensor result = ops::allocate({2, static_cast<int64_t>(count)}, kInt64, kCPU);
  if (count == 0) return result;
  auto* row_indices = result.data_ptr<int64_t>();
  int64_t* column_indices = row_indices + static_cast<int64_t>(count);
  const int64_t filled = lower ? rows : std::min(rows, columns - offset);
  for (int64_t r = lower ? std::max<int64_t>(0, -offset) : 0; r < filled; ++r) {
    const int64_t first = lower ? 0 : std::clamp<int64_t>(r + offset, 0, columns);
    const int64_t last = lower ? std::clamp<int64_t>(r + offset + 1, 0, columns) : columns;
    for (int64_t c = first; c < last; ++c) {
      *row_indices++ = r;
      *column_indices++ = c;
    }
  }
  return result;
}

}  // namespace

Tensor tril_indices(int64_t row, int64_t col, int64_t offset) {
  return triangle_indices("tril_indices", row, col, offset, true);
}
Tensor triu_indices(int64_t row, int64_t col, int64_t offset) {
  return triangle_indices("triu_indices", row, col, offset, false);
}

Tensors meshgrid(TensorList tensors, std::string_view indexing) {
  TAUT_CHECK(indexing == "ij" || indexing == "xy", ValueError,
             "meshgrid: indexing must be \"ij\" or \"xy\"; got \"", indexing, "\"");
  const int rank = static_cast<int>(tensors.size());
  const bool swapped = indexing == "xy" && rank >= 2;
  const auto place = [&](int i) { return swapped && i < 2 ? 1 - i : i; };
  Dims shape = Dims::filled(rank, 1);
  for (int i = 0; i < rank; ++i) {
    const Tensor& axis = tensors[static_cast<size_t>(i)];
    TAUT_CHECK(axis.dim() <= 1, ShapeError, "meshgrid: expected at most 1 dim; got shape ",
               axis.shape());
    ops::check_same_device("meshgrid", tensors[0], axis);
    shape[place(i)] = axis.numel();
  }
  Tensors result;
  for (int i = 0; i < rank; ++i) {
    Dims one = Dims::filled(rank, 1);
    one[place(i)] = -1;
    result.push_back(expand(reshape(tensors[static_cast<size_t>(i)], one), shape));
  }
  return result;
}

Tensor cartesian_prod(TensorList tensors) {
  TAUT_CHECK(!tensors.empty(), ValueError, "cartesian_prod: expected at least one tensor");
  if (tensors.size() == 1) return tensors[0];
  Tensors columns;
  for (const Tensor& grid : meshgrid(tensors)) columns.push_back(ravel(grid));
  return stack(columns, 1);
}

namespace {

template <class Place>
Tensor scatter_into(const char* op, const Tensor& input, const Tensor& src, Place place) {
  Tensor result = clone(input);
  const Tensor target = place(result);
  TAUT_CHECK(target.shape() == src.shape(), ShapeError, op, ": src has shape ", src.shape(),
             "; expected ", target.shape());
  copy_(target, src);
  return result;
}

}  // namespace

Tensor slice_scatter(const Tensor& input, const Tensor& src, int64_t dim,
                     std::optional<int64_t> start, std::optional<int64_t> end, int64_t step) {
  return scatter_into("slice_scatter", input, src,
                      [&](const Tensor& t) { return slice(t, dim, start, end, step); });
}
Tensor select_scatter(const Tensor& input, const Tensor& src, int64_t dim, int64_t index) {
  return scatter_into("select_scatter", input, src,
                      [&](const Tensor& t) { return select(t, dim, index); });
}
Tensor diagonal_scatter(const Tensor& input, const Tensor& src, int64_t offset, int64_t dim1,
                        int64_t dim2) {
  return scatter_into("diagonal_scatter", input, src,
                      [&](const Tensor& t) { return diagonal(t, offset, dim1, dim2); });
}

Tensor constant_pad_nd(const Tensor& input, const std::vector<int64_t>& pad, const Scalar& value) {
  const int pairs = static_cast<int>(pad.size() / 2);
  TAUT_CHECK(pad.size() % 2 == 0 && pairs <= input.dim(), ShapeError,
             "constant_pad_nd: expected pairs of numbers for at most ", input.dim(), " dims; got ",
             pad.size(), " numbers");
  check_holds("constant_pad_nd", input.dtype(), value);
  Tensor source = input;
  Dims shape = input.shape();
  Dims first = Dims::filled(input.dim(), 0);
  for (int i = 0; i < pairs; ++i) {
    const int dim = input.dim() - 1 - i;
    const int64_t before = pad[2 * static_cast<size_t>(i)];
    const int64_t after = pad[2 * static_cast<size_t>(i) + 1];
    const bool is_counted = !__builtin_add_overflow(shape[dim], before, &shape[dim]) &&
                            !__builtin_add_overflow(shape[dim], after, &shape[dim]);
    TAUT_CHECK(is_counted && shape[dim] >= 0, ShapeError, "constant_pad_nd: dim ", dim, " of size ",
               input.shape()[dim], " cannot be padded by ", before, " and ", after);
    const int64_t cut_front = std::max<int64_t>(0, -before);
    const int64_t cut_back = std::max<int64_t>(0, -after);
    const int64_t left = std::max<int64_t>(0, input.shape()[dim] - cut_front - cut_back);
    source = narrow(source, dim, std::min(cut_front, input.shape()[dim]), left);
    first[dim] = std::max<int64_t>(0, before);
  }
  Tensor result = full(shape, value, input.options());
  Tensor place = result;
  for (int i = 0; i < input.dim(); ++i) place = narrow(place, i, first[i], source.shape()[i]);
  copy_(place, source);
  return result;
}

}  // namespace taut
