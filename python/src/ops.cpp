// The rows of all ops. Elementwise ones come from include/taut/ops/lists/*.def; the others are
// grouped as the headers of include/taut/ops are.

#include "taut/ops/ops.h"

#include "bindings.h"
#include "interop.h"
#include "op.h"
#include "op_rows.h"
#include "taut/core/cuda.h"

namespace py = pybind11;

namespace taut::python {
namespace {

void add_list_rows(Rows& rows) {
  // Each list row gives the function and the method, and their in-place forms.
#define TAUT_UNARY(name, Functor)                        \
  rows.both(#name "(input)", fn<Tensor(T)>(taut::name)); \
  rows.both(#name "_(input)", fn<const Tensor&(T)>(taut::name##_));
#include "taut/ops/lists/math.def"
#undef TAUT_UNARY
#define TAUT_PREDICATE(name, Functor) rows.both(#name "(input)", fn<Tensor(T)>(taut::name));
#include "taut/ops/lists/predicate.def"
#undef TAUT_PREDICATE
#define TAUT_BINARY(name, Functor)                                              \
  rows.both(#name "(input, other)", fn<Tensor(T, T)>(taut::name));              \
  rows.both(#name "(input, other)", fn<Tensor(T, S)>(taut::name));              \
  rows.function(#name "(input, other)", fn<Tensor(S, T)>(taut::name));          \
  rows.method(#name "_(input, other)", fn<const Tensor&(T, T)>(taut::name##_)); \
  rows.method(#name "_(input, other)", fn<const Tensor&(T, S)>(taut::name##_));
#define TAUT_COMPARE(name, Functor)                                             \
  rows.both(#name "(input, other)", fn<Tensor(T, T)>(taut::name));              \
  rows.both(#name "(input, other)", fn<Tensor(T, S)>(taut::name));              \
  rows.method(#name "_(input, other)", fn<const Tensor&(T, T)>(taut::name##_)); \
  rows.method(#name "_(input, other)", fn<const Tensor&(T, S)>(taut::name##_));
#include "taut/ops/lists/arithmetic.def"
#include "taut/ops/lists/compare.def"
#undef TAUT_BINARY
#undef TAUT_COMPARE
  // PyTorch writes these two with another name for the exponent and the base.
  rows.both("pow(input, exponent)", fn<Tensor(T, T)>(taut::pow));
  rows.both("pow(input, exponent)", fn<Tensor(T, S)>(taut::pow));
  rows.function("pow(self, exponent)", fn<Tensor(S, T)>(taut::pow));
  rows.method("pow_(input, exponent)", fn<const Tensor&(T, T)>(taut::pow_));
  rows.method("pow_(input, exponent)", fn<const Tensor&(T, S)>(taut::pow_));
}

RoundingMode rounding_mode(const std::optional<std::string_view>& name) {
  if (!name) return RoundingMode::none;
  if (*name == "trunc") return RoundingMode::trunc;
  TAUT_CHECK(*name == "floor", ValueError,
             "div: rounding_mode must be None, 'trunc' or 'floor'; got '", *name, "'");
  return RoundingMode::floor;
}

void add_pointwise_rows(Rows& rows) {
  rows.both("add(input, other, *, alpha=1)", fn<Tensor(T, T, S)>(add));
  rows.both("add(input, other, *, alpha=1)", fn<Tensor(T, S, S)>(add));
  rows.method("add_(input, other, *, alpha=1)", fn<const Tensor&(T, T, S)>(add_));
  rows.method("add_(input, other, *, alpha=1)", fn<const Tensor&(T, S, S)>(add_));
  rows.both("sub(input, other, *, alpha=1)", fn<Tensor(T, T, S)>(sub));
  rows.both("sub(input, other, *, alpha=1)", fn<Tensor(T, S, S)>(sub));
  rows.method("sub_(input, other, *, alpha=1)", fn<const Tensor&(T, T, S)>(sub_));
  rows.method("sub_(input, other, *, alpha=1)", fn<const Tensor&(T, S, S)>(sub_));
  rows.function("rsub(input, other, *, alpha=1)", fn<Tensor(T, T, S)>(rsub));
  rows.function("rsub(input, other, *, alpha=1)", fn<Tensor(T, S, S)>(rsub));
  rows.both("div(input, other, *, rounding_mode=None)",
            [](T x, T y, std::optional<std::string_view> mode) {
              return div(x, y, rounding_mode(mode));
            });
  rows.both("div(input, other, *, rounding_mode=None)",
            [](T x, S y, std::optional<std::string_view> mode) {
              return div(x, y, rounding_mode(mode));
            });
  rows.method("div_(input, other, *, rounding_mode=None)",
              [](T x, T y, std::optional<std::string_view> mode) -> const Tensor& {
                return div_(x, y, rounding_mode(mode));
              });
  rows.method("div_(input, other, *, rounding_mode=None)",
              [](T x, S y, std::optional<std::string_view> mode) -> const Tensor& {
                return div_(x, y, rounding_mode(mode));
              });
  rows.both("bitwise_not(input)", fn<Tensor(T)>(bitwise_not));
  rows.method("bitwise_not_(input)", fn<const Tensor&(T)>(bitwise_not_));
  rows.both("positive(input)", fn<Tensor(T)>(positive));
  rows.both("round(input, *, decimals=0)", fn<Tensor(T, int64_t)>(taut::round));
  rows.both("round_(input, *, decimals=0)", fn<const Tensor&(T, int64_t)>(round_));
  rows.both("nan_to_num(input, nan=None, posinf=None, neginf=None)",
            [](T x, std::optional<double> nan, std::optional<double> posinf,
               std::optional<double> neginf) {
              return nan_to_num(x, nan.value_or(0.0), posinf, neginf);
            });

  using Bound = const std::optional<Scalar>&;
  rows.both("clamp(input, min=None, max=None)", fn<Tensor(T, Bound, Bound)>(clamp));
  rows.both("clamp(input, min=None, max=None)", fn<Tensor(T, T, T)>(clamp));
  rows.both("clamp_(input, min=None, max=None)", fn<const Tensor&(T, Bound, Bound)>(clamp_));
  rows.both("clamp_(input, min=None, max=None)", fn<const Tensor&(T, T, T)>(clamp_));
  rows.both("clamp_min(input, min)", fn<Tensor(T, T)>(clamp_min));
  rows.both("clamp_min(input, min)", fn<Tensor(T, S)>(clamp_min));
  rows.both("clamp_max(input, max)", fn<Tensor(T, T)>(clamp_max));
  rows.both("clamp_max(input, max)", fn<Tensor(T, S)>(clamp_max));

  rows.function("where(condition, input, other)", fn<Tensor(T, T, T)>(where));
  rows.function("where(condition, input, other)", fn<Tensor(T, S, T)>(where));
  rows.function("where(condition, input, other)", fn<Tensor(T, T, S)>(where));
  rows.function("where(condition, input, other)", fn<Tensor(T, S, S)>(where));
  rows.method("where(input, condition, other)",
              [](T x, T condition, T other) { return where(condition, x, other); });
  rows.method("where(input, condition, other)",
              [](T x, T condition, S other) { return where(condition, x, other); });
  rows.both("masked_fill(input, mask, value)", fn<Tensor(T, T, S)>(masked_fill));
  rows.both("masked_fill(input, mask, value)", fn<Tensor(T, T, T)>(masked_fill));
  rows.method("masked_fill_(input, mask, value)", fn<const Tensor&(T, T, S)>(masked_fill_));
  rows.method("masked_fill_(input, mask, value)", fn<const Tensor&(T, T, T)>(masked_fill_));
  rows.both("lerp(input, end, weight)", fn<Tensor(T, T, S)>(lerp));
  rows.both("lerp(input, end, weight)", fn<Tensor(T, T, T)>(lerp));
  rows.method("lerp_(input, end, weight)", fn<const Tensor&(T, T, S)>(lerp_));
  rows.method("lerp_(input, end, weight)", fn<const Tensor&(T, T, T)>(lerp_));
  rows.both("addcmul(input, tensor1, tensor2, *, value=1)", fn<Tensor(T, T, T, S)>(addcmul));
  rows.method("addcmul_(input, tensor1, tensor2, *, value=1)",
              fn<const Tensor&(T, T, T, S)>(addcmul_));
  rows.both("addcdiv(input, tensor1, tensor2, *, value=1)", fn<Tensor(T, T, T, S)>(addcdiv));
  rows.method("addcdiv_(input, tensor1, tensor2, *, value=1)",
              fn<const Tensor&(T, T, T, S)>(addcdiv_));
  rows.both("logit(input, eps=None)", fn<Tensor(T, std::optional<double>)>(logit));
  rows.function("polygamma(n, input)", fn<Tensor(int64_t, T)>(polygamma));
  rows.method("polygamma(input, n)", [](T x, int64_t n) { return polygamma(n, x); });
  rows.both("isclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False)",
            fn<Tensor(T, T, double, double, bool)>(isclose));
  rows.both("allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False)",
            fn<bool(T, T, double, double, bool)>(allclose));
  rows.both("equal(input, other)", fn<bool(T, T)>(equal));
  rows.function("result_type(tensor1, tensor2)", fn<DType(T, T)>(result_type));
  rows.function("result_type(tensor, scalar)", fn<DType(T, S)>(result_type));
  rows.function("result_type(scalar, tensor)", [](S a, T b) { return result_type(b, a); });

  const char* const aliases[][2] = {
      {"absolute", "abs"},    {"absolute_", "abs_"},   {"greater", "gt"},
      {"greater_", "gt_"},    {"greater_equal", "ge"}, {"greater_equal_", "ge_"},
      {"less", "lt"},         {"less_", "lt_"},        {"less_equal", "le"},
      {"less_equal_", "le_"}, {"not_equal", "ne"},     {"not_equal_", "ne_"},
      {"multiply", "mul"},    {"multiply_", "mul_"},   {"subtract", "sub"},
      {"subtract_", "sub_"},  {"divide", "div"},       {"divide_", "div_"},
      {"negative", "neg"},    {"negative_", "neg_"},   {"clip", "clamp"},
      {"clip_", "clamp_"},    {"arccos", "acos"},      {"arccosh", "acosh"},
      {"arcsin", "asin"},     {"arcsinh", "asinh"},    {"arctan", "atan"},
      {"arctanh", "atanh"},   {"arctan2", "atan2"},    {"fix", "trunc"}};
  for (const auto& [name, existing] : aliases) rows.alias(name, existing);
}

void add_copy_rows(Rows& rows) {
  rows.both("clone(input, *, memory_format=None)", [](T x, std::optional<MemoryFormat> format) {
    return clone(x, format.value_or(MemoryFormat::preserve));
  });
  rows.method("contiguous(input, memory_format=None)", [](T x, std::optional<MemoryFormat> format) {
    return contiguous(x, format.value_or(MemoryFormat::contiguous));
  });
  rows.method("to(input, dtype, non_blocking=False, copy=False, *, memory_format=None)",
              [](T x, DType dtype, bool, bool copy, std::optional<MemoryFormat> format) {
                Tensor result = to(x, dtype, copy);
                return format ? contiguous(result, *format) : result;
              });
  rows.method(
      "to(input, device=None, dtype=None, non_blocking=False, copy=False, *, memory_format=None)",
      [](T x, DeviceOpt device, DTypeOpt dtype, bool non_blocking, bool copy,
         std::optional<MemoryFormat> format) {
        Tensor result = to(x, make_options(dtype.value_or(x.dtype()), device.value_or(x.device())),
                           copy, non_blocking);
        return format ? contiguous(result, *format) : result;
      });
  rows.method("to(input, other, non_blocking=False, copy=False)",
              [](T x, T other, bool non_blocking, bool copy) {
                return to(x, other.options(), copy, non_blocking);
              });
  rows.method("type(input, dtype=None)", [](const py::handle& self, const py::handle& dtype) {
    const Tensor& x = tensor_of(self.ptr());
    if (dtype.is_none()) return py::str("taut." + std::string(name(x.dtype()))).cast<py::object>();
    return py::cast(to(x, dtype.cast<DType>()));
  });
  rows.method("type_as(input, other)", [](T x, T other) { return to(x, other.options()); });
  rows.method("cpu(input)", [](T x) { return x.cpu(); });
  rows.method("cuda(input, device=None, non_blocking=False)",
              [](T x, DeviceOpt device, bool non_blocking) {
                return x.to(device ? *device : Device("cuda"), non_blocking);
              });
  rows.method("pin_memory(input)", fn<Tensor(T)>(pin_memory));
  rows.method("is_pinned(input)", [](T x) { return is_pinned(x); });
  rows.method("record_stream(input, stream)",
              [](const py::handle& self, const py::handle& stream) -> py::object {
                cuda::record_stream(tensor_of(self.ptr()).storage(), stream.cast<cuda::Stream>());
                return py::none();
              });
#define TAUT_CAST(method_name, dtype) \
  rows.method(#method_name "(input)", [](T x) { return to(x, dtype); });
  TAUT_CAST(float, kFloat32)
  TAUT_CAST(double, kFloat64)
  TAUT_CAST(half, kFloat16)
  TAUT_CAST(bfloat16, kBFloat16)
  TAUT_CAST(char, kInt8)
  TAUT_CAST(short, kInt16)
  TAUT_CAST(int, kInt32)
  TAUT_CAST(long, kInt64)
  TAUT_CAST(byte, kUInt8)
  TAUT_CAST(bool, kBool)
#undef TAUT_CAST
  rows.method("copy_(input, src, non_blocking=False)", fn<const Tensor&(T, T, bool)>(copy_));
  rows.method("fill_(input, value)", [](T x, T value) -> const Tensor& {
    TAUT_CHECK(value.dim() == 0, ShapeError, "fill_: expected a value without dims; got shape ",
               value.shape());
    return copy_(x, value);
  });
  rows.method("fill_(input, value)", fn<const Tensor&(T, S)>(fill_));
  rows.both("zero_(input)", fn<const Tensor&(T)>(zero_));
  rows.function("fill(input, value)", fn<Tensor(T, S)>(fill));
}

void add_creation_rows(Rows& rows) {
  using Options = TensorOptions;
#define TAUT_OPTIONS "*, dtype=None, device=None, requires_grad=False)"
#define TAUT_OPTION_ARGUMENTS DTypeOpt dtype, DeviceOpt device, bool requires_grad
#define TAUT_MADE_OPTIONS make_options(dtype, device, requires_grad)
  rows.function("empty(*size, *, dtype=None, device=None, requires_grad=False, memory_format=None)",
                [](const Dims& size, TAUT_OPTION_ARGUMENTS, std::optional<MemoryFormat> format) {
                  return empty(size, TAUT_MADE_OPTIONS, format.value_or(MemoryFormat::contiguous));
                });
  rows.function("empty_strided(size, stride, " TAUT_OPTIONS,
                [](const Dims& size, const Dims& stride, TAUT_OPTION_ARGUMENTS) {
                  return empty_strided(size, stride, TAUT_MADE_OPTIONS);
                });
  rows.function("zeros(*size, " TAUT_OPTIONS, [](const Dims& size, TAUT_OPTION_ARGUMENTS) {
    return zeros(size, TAUT_MADE_OPTIONS);
  });
  rows.function("ones(*size, " TAUT_OPTIONS, [](const Dims& size, TAUT_OPTION_ARGUMENTS) {
    return ones(size, TAUT_MADE_OPTIONS);
  });
  rows.function("full(size, fill_value, " TAUT_OPTIONS,
                [](const Dims& size, S value, TAUT_OPTION_ARGUMENTS) {
                  return full(size, value, TAUT_MADE_OPTIONS);
                });
  rows.function("arange(start, end, step=1, " TAUT_OPTIONS,
                [](S start, S end, S step, TAUT_OPTION_ARGUMENTS) {
                  return arange(start, end, step, TAUT_MADE_OPTIONS);
                });
  rows.function("arange(end, " TAUT_OPTIONS,
                [](S end, TAUT_OPTION_ARGUMENTS) { return arange(end, TAUT_MADE_OPTIONS); });
  rows.function("linspace(start, end, steps, " TAUT_OPTIONS,
                [](S start, S end, int64_t steps, TAUT_OPTION_ARGUMENTS) {
                  return linspace(start, end, steps, TAUT_MADE_OPTIONS);
                });
  rows.function("logspace(start, end, steps, base=10.0, " TAUT_OPTIONS,
                [](S start, S end, int64_t steps, double base, TAUT_OPTION_ARGUMENTS) {
                  return logspace(start, end, steps, base, TAUT_MADE_OPTIONS);
                });
  rows.function("eye(n, m=None, " TAUT_OPTIONS,
                [](int64_t n, std::optional<int64_t> m, TAUT_OPTION_ARGUMENTS) {
                  return eye(n, m, TAUT_MADE_OPTIONS);
                });
  rows.function("scalar_tensor(s, " TAUT_OPTIONS, [](S value, TAUT_OPTION_ARGUMENTS) {
    return scalar_tensor(value, TAUT_MADE_OPTIONS);
  });

  rows.function(
      "empty_like(input, *, dtype=None, device=None, requires_grad=False, memory_format=None)",
      [](T x, TAUT_OPTION_ARGUMENTS, std::optional<MemoryFormat> format) {
        return empty_like(x, TAUT_MADE_OPTIONS, format.value_or(MemoryFormat::preserve));
      });
  rows.function("zeros_like(input, " TAUT_OPTIONS,
                [](T x, TAUT_OPTION_ARGUMENTS) { return zeros_like(x, TAUT_MADE_OPTIONS); });
  rows.function("ones_like(input, " TAUT_OPTIONS,
                [](T x, TAUT_OPTION_ARGUMENTS) { return ones_like(x, TAUT_MADE_OPTIONS); });
  rows.function(
      "full_like(input, fill_value, " TAUT_OPTIONS,
      [](T x, S value, TAUT_OPTION_ARGUMENTS) { return full_like(x, value, TAUT_MADE_OPTIONS); });

  const auto own_options = [](T x, DTypeOpt dtype, DeviceOpt device,
                              bool requires_grad) -> Options {
    return make_options(dtype.value_or(x.dtype()), device.value_or(x.device()), requires_grad);
  };
  static const auto options_like = own_options;
#define TAUT_LIKE options_like(x, dtype, device, requires_grad)
  rows.method("new_empty(input, *size, " TAUT_OPTIONS,
              [](T x, const Dims& size, TAUT_OPTION_ARGUMENTS) { return empty(size, TAUT_LIKE); });
  rows.method("new_zeros(input, *size, " TAUT_OPTIONS,
              [](T x, const Dims& size, TAUT_OPTION_ARGUMENTS) { return zeros(size, TAUT_LIKE); });
  rows.method("new_ones(input, *size, " TAUT_OPTIONS,
              [](T x, const Dims& size, TAUT_OPTION_ARGUMENTS) { return ones(size, TAUT_LIKE); });
  rows.method("new_full(input, size, fill_value, " TAUT_OPTIONS,
              [](T x, const Dims& size, S value, TAUT_OPTION_ARGUMENTS) {
                return full(size, value, TAUT_LIKE);
              });
  rows.method("new_empty_strided(input, size, stride, " TAUT_OPTIONS,
              [](T x, const Dims& size, const Dims& stride, TAUT_OPTION_ARGUMENTS) {
                return empty_strided(size, stride, TAUT_LIKE);
              });
  rows.method("new_tensor(input, data, " TAUT_OPTIONS, [](T x, const py::handle& data,
                                                          TAUT_OPTION_ARGUMENTS) {
    Tensor result = tensor_from(data, dtype.value_or(x.dtype()), device.value_or(x.device()));
    if (requires_grad) result.requires_grad_();
    return result;
  });
#undef TAUT_LIKE
#undef TAUT_OPTIONS
#undef TAUT_OPTION_ARGUMENTS
#undef TAUT_MADE_OPTIONS
}

}  // namespace

void bind_ops(py::module_& module) {
  bind_generator(module);
  Rows rows(module, "");
  add_list_rows(rows);
  add_pointwise_rows(rows);
  add_copy_rows(rows);
  add_creation_rows(rows);
  add_view_rows(rows);
  add_reduce_rows(rows);
  add_index_rows(rows);
  add_join_rows(rows);
  add_sort_rows(rows);
  add_matmul_rows(rows);
  add_random_rows(rows);
  add_tensor_rows(rows);
  add_interop_rows(rows);

  py::module_ functional = module.def_submodule("_functional");
  Rows functional_rows(functional, "nn.functional.");
  add_functional_rows(functional_rows);

  py::module_ init_module = module.def_submodule("_init");
  Rows init_rows(init_module, "nn.init.");
  add_init_rows(init_rows);

  py::module_ linalg_module = module.def_submodule("_linalg");
  Rows linalg_rows(linalg_module, "linalg.");
  add_linalg_rows(linalg_rows);
}

}  // namespace taut::python
