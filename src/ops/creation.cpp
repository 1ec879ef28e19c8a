#include "taut/ops/creation.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "src/ops/allocate.h"
#include "src/ops/dispatch.h"
#include "taut/autograd/record.h"
#include "taut/base/trace.h"
#include "taut/core/scalar_range.h"
#include "taut/ops/ops.h"

namespace taut {

namespace ops {

Layout preserved_layout(const Tensor& like) {
  const Layout& layout = like.layout();
  if (like.impl()->is_contiguous || !layout.is_dense()) return Layout::contiguous(layout.shape);
  return {layout.shape, layout.strides, 0};
}

}  // namespace ops

namespace {

Tensor finish(Tensor tensor, const TensorOptions& options) {
  if (options.requires_grad()) tensor.requires_grad_();
  return tensor;
}

Layout layout_for(const Dims& size, MemoryFormat format) {
  if (format != MemoryFormat::channels_last) return Layout::contiguous(size);
  TAUT_CHECK(size.rank() >= 3 && size.rank() <= 5, ShapeError,
             "empty: channels_last needs 3 to 5 dims; got ", size);
  return Layout::channels_last(size);
}

TensorOptions inherit(const Tensor& input, const TensorOptions& options) {
  return TensorOptions()
      .dtype(options.dtype_opt().value_or(input.dtype()))
      .device(options.device_opt().value_or(input.device()))
      .requires_grad(options.requires_grad());
}

bool all_integers(const Scalar& a, const Scalar& b, const Scalar& c) {
  return !a.is_floating_point() && !b.is_floating_point() && !c.is_floating_point();
}

// How many numbers from start on lie before end; the step leads there.
int64_t count_steps(int64_t start, int64_t end, int64_t step) {
  if (start == end) return 0;
  const bool rises = step > 0;
  const uint64_t from = static_cast<uint64_t>(start), to = static_cast<uint64_t>(end);
  const uint64_t span = rises ? to - from : from - to;
  const uint64_t by = rises ? static_cast<uint64_t>(step) : 0 - static_cast<uint64_t>(step);
  const uint64_t count = (span - 1) / by + 1;
  TAUT_CHECK(count <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()), ValueError,
             "arange: from ", start, " to ", end, " by ", step,
             " are more numbers than can be counted");
  return static_cast<int64_t>(count);
}

void run_arange(const Tensor& target, const Scalar& start, const Scalar& step) {
  if (target.numel() == 0) return;
  ops::kernels_of(target).copy.arange({.target = target.data_ptr(),
                                       .dtype = target.dtype(),
                                       .n = target.numel(),
                                       .start = start,
                                       .step = step});
}

// The number in every element; the caller has seen that the dtype takes it.
Tensor filled(const Dims& size, const Scalar& value, DType dtype, const TensorOptions& options) {
  const TraceScope scope(ScopeKind::op, "full");
  Tensor result = ops::allocate(size, dtype, options.device());
  if (result.numel() > 0) {
    ops::kernels_of(result).copy.fill({.target = result.data_ptr(),
                                       .dtype = dtype,
                                       .shape = Dims{result.numel()},
                                       .strides = Dims{1},
                                       .value = value});
  }
  if (TAUT_UNLIKELY(taut::detail::thread_mode().observed)) {
    const autograd::TensorRef outputs[] = {result};
    autograd::detail::record("full", {}, outputs, {}, nullptr, &value, sizeof(value));
  }
  return finish(result, options);
}

// The values as they are, converted to the dtype and device asked for.
template <class Value>
Tensor from_values(const std::vector<Value>& values, DType held, const TensorOptions& options,
                   DType by_default) {
  const DType dtype = options.dtype_opt().value_or(by_default);
  if (dtype != held && is_integral(dtype)) {
    for (const Value value : values) check_holds("tensor", dtype, value);
  }
  const Tensor result = ops::allocate({static_cast<int64_t>(values.size())}, held, kCPU);
  if (!values.empty()) std::memcpy(result.data_ptr(), values.data(), result.nbytes());
  const NoGradGuard no_grad;
  return finish(to(result, TensorOptions(dtype).device(options.device_opt().value_or(kCPU))),
                options);
}

}  // namespace

Tensor empty(const Dims& size, const TensorOptions& options, MemoryFormat format) {
  const TraceScope scope(ScopeKind::op, "empty");
  checked_numel("empty", size);
  return finish(ops::allocate_layout(layout_for(size, format), options.dtype(), options.device()),
                options);
}

Tensor empty_strided(const Dims& size, const Dims& stride, const TensorOptions& options) {
  const TraceScope scope(ScopeKind::op, "empty_strided");
  checked_numel("empty_strided", size);
  TAUT_CHECK(size.rank() == stride.rank(), ShapeError, "empty_strided: got ", size.rank(),
             " sizes and ", stride.rank(), " strides");
  for (int64_t step : stride) {
    TAUT_CHECK(step >= 0, ValueError, "empty_strided: strides cannot be negative; got ", stride);
  }
  ops::check_extent("empty_strided", size, stride);
  return finish(ops::allocate_layout({size, stride, 0}, options.dtype(), options.device()),
                options);
}

Tensor full(const Dims& size, const Scalar& value, const TensorOptions& options) {
  checked_numel("full", size);
  const DType dtype = options.dtype_opt().value_or(value.dtype());
  check_holds("full", dtype, value);
  return filled(size, value, dtype, options);
}

Tensor zeros(const Dims& size, const TensorOptions& options) {
  checked_numel("zeros", size);
  return full(size, 0, options.dtype(options.dtype()));
}

Tensor ones(const Dims& size, const TensorOptions& options) {
  checked_numel("ones", size);
  return full(size, 1, options.dtype(options.dtype()));
}

Tensor empty_like(const Tensor& input, const TensorOptions& options, MemoryFormat format) {
  const TraceScope scope(ScopeKind::op, "empty_like");
  ops::check_defined("empty_like", "input", input);
  const TensorOptions merged = inherit(input, options);
  const Layout layout = format == MemoryFormat::preserve ? ops::preserved_layout(input)
                                                         : layout_for(input.shape(), format);
  return finish(ops::allocate_layout(layout, merged.dtype(), merged.device()), merged);
}

Tensor full_like(const Tensor& input, const Scalar& value, const TensorOptions& options) {
  ops::check_defined("full_like", "input", input);
  check_holds("full_like", options.dtype_opt().value_or(input.dtype()), value);
  const Tensor result = empty_like(input, inherit(input, options).requires_grad(false));
  {
    const NoGradGuard no_grad;
    fill_(result, value);
  }
  return finish(result, options);
}

Tensor zeros_like(const Tensor& input, const TensorOptions& options) {
  return full_like(input, 0, options);
}

Tensor ones_like(const Tensor& input, const TensorOptions& options) {
  return full_like(input, 1, options);
}

Tensor arange(const Scalar& start, const Scalar& end, const Scalar& step,
              const TensorOptions& options) {
  const TraceScope scope(ScopeKind::op, "arange");
  const double width = end.to_double() - start.to_double();
  TAUT_CHECK(step.to_double() != 0, ValueError, "arange: step cannot be 0");
  TAUT_CHECK(std::isfinite(width), ValueError, "arange: unsupported range ", start, " to ", end);
  TAUT_CHECK(width == 0 || (width > 0) == (step.to_double() > 0), ValueError, "arange: step ", step,
             " leads away from ", end, ", starting at ", start);
  const bool integers = all_integers(start, end, step);
  const DType dtype = options.dtype_opt().value_or(integers ? kInt64 : get_default_dtype());
  int64_t n = 0;
  if (integers) {
    n = count_steps(start.to_int64(), end.to_int64(), step.to_int64());
  } else {
    const double steps = std::ceil(width / step.to_double());
    TAUT_CHECK(steps < 0x1p63, ValueError, "arange: from ", start, " to ", end, " by ", step,
               " are more numbers than can be counted");
    n = static_cast<int64_t>(steps);
  }
  Tensor result = ops::allocate({n}, dtype, options.device());
  if (dtype == kBool) {
    TAUT_CHECK(n <= 2, DTypeError, "arange: a bool range holds at most 2 elements; got ", n);
    result = to(arange(start, end, step, options.dtype(kInt64)), kBool);
  } else {
    run_arange(result, start, step);
  }
  return finish(result, options);
}

Tensor arange(const Scalar& end, const TensorOptions& options) {
  return arange(end.is_floating_point() ? Scalar(0.0) : Scalar(0), end, 1, options);
}

Tensor linspace(const Scalar& start, const Scalar& end, int64_t steps,
                const TensorOptions& options) {
  const TraceScope scope(ScopeKind::op, "linspace");
  TAUT_CHECK(steps >= 0, ValueError, "linspace: steps cannot be negative; got ", steps);
  const DType dtype = options.dtype();
  check_holds("linspace", dtype, start);
  check_holds("linspace", dtype, end);
  const double step =
      steps > 1 ? (end.to_double() - start.to_double()) / static_cast<double>(steps - 1) : 0.0;
  // In double, from either end to the middle, so that both ends are exact.
  const NoGradGuard no_grad;
  Tensor values = ops::allocate({steps}, kFloat64, kCPU);
  double* out = values.data_ptr<double>();
  for (int64_t i = 0; i < steps; ++i) {
    out[i] = i < (steps + 1) / 2 ? start.to_double() + step * static_cast<double>(i)
                                 : end.to_double() - step * static_cast<double>(steps - 1 - i);
  }
  return finish(to(to(values, dtype), options.device()), options);
}

Tensor logspace(const Scalar& start, const Scalar& end, int64_t steps, double base,
                const TensorOptions& options) {
  const NoGradGuard no_grad;
  const Tensor exponents = linspace(start, end, steps, TensorOptions(kFloat64));
  return finish(to(to(pow(Scalar(base), exponents), options.dtype()), options.device()), options);
}

Tensor eye(int64_t n, std::optional<int64_t> m, const TensorOptions& options) {
  const int64_t columns = m.value_or(n);
  TAUT_CHECK(n >= 0 && columns >= 0, ValueError, "eye: sizes cannot be negative; got ", n, " and ",
             columns);
  const Tensor result = zeros({n, columns}, options.requires_grad(false));
  {
    const NoGradGuard no_grad;
    if (n > 0 && columns > 0) fill_(diagonal(result), 1);
  }
  return finish(result, options);
}

Tensor scalar_tensor(const Scalar& value, const TensorOptions& options) {
  return full({}, value, options.dtype(options.dtype()));
}

// Unlike full, a float too large for its dtype becomes inf, as it does in a list.
Tensor tensor(const Scalar& value, const TensorOptions& options) {
  const DType dtype = options.dtype_opt().value_or(value.dtype());
  if (is_integral(dtype)) check_holds("tensor", dtype, value);
  return filled({}, value, dtype, options);
}

Tensor tensor(const std::vector<double>& values, const TensorOptions& options) {
  return from_values(values, kFloat64, options, get_default_dtype());
}

Tensor tensor(const std::vector<float>& values, const TensorOptions& options) {
  return from_values(values, kFloat32, options, kFloat32);
}

Tensor tensor(const std::vector<int64_t>& values, const TensorOptions& options) {
  return from_values(values, kInt64, options, kInt64);
}

Tensor from_blob(void* data, const Dims& size, const TensorOptions& options,
                 std::optional<Dims> strides,
                 void (*release)(void* data, size_t bytes, void* context) noexcept, void* context) {
  const Layout layout{size, strides.value_or(contiguous_strides(size)), 0};
  const size_t bytes =
      static_cast<size_t>(std::max<int64_t>(layout.extent_end(), 0)) * item_size(options.dtype());
  try {
    checked_numel("from_blob", size);
    TAUT_CHECK(layout.strides.rank() == size.rank(), ShapeError, "from_blob: got ", size.rank(),
               " sizes and ", layout.strides.rank(), " strides");
    TAUT_CHECK(layout.extent_begin() >= 0, ValueError,
               "from_blob: negative strides are not supported; got ", layout.strides);
    TAUT_CHECK(data != nullptr || layout.numel() == 0, ValueError,
               "from_blob: data is null for shape ", size);
  } catch (...) {
    if (release != nullptr) release(data, bytes, context);
    throw;
  }
  Storage storage =
      make_storage(options.device(),
                   Block{.data = data, .bytes = bytes, .release = release, .context = context});
  return finish(Tensor(TensorImpl::make(std::move(storage), layout, options.dtype())), options);
}

}  // namespace taut
