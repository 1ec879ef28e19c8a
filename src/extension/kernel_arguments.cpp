#include "src/extension/kernel_arguments.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "taut/autograd/grad_mode.h"
#include "taut/autograd/record.h"
#include "taut/base/check.h"
#include "taut/core/half.h"

namespace taut::cuda {
namespace {

using kernels::jit::NumberType;
using kernels::jit::Parameter;
using kernels::jit::ParameterKind;

// Which argument a message speaks of: "kernel scale: argument 1 (float*)".
struct Place {
  const KernelDescription& kernel;
  size_t index;
  const Parameter& parameter() const { return kernel.parameters[index]; }
};
void append(std::string& message, const Place& place) {
  message +=
      concat(place.kernel.name, ": argument ", place.index, " (", place.parameter().type, ")");
}

// ---- tensors ----------------------------------------------------------------------------------

bool is_taken(const NumberType& pointee, DType dtype) {
  switch (pointee.kind) {
    case ParameterKind::floating: return dtype == (pointee.bytes == 4 ? kFloat32 : kFloat64);
    case ParameterKind::half: return dtype == kFloat16;
    case ParameterKind::bfloat16: return dtype == kBFloat16;
    case ParameterKind::boolean: return dtype == kBool;
    case ParameterKind::integer:
      if (pointee.bytes != item_size(dtype)) return false;
      // There are no wide unsigned dtypes: such a pointer sees the bits of any other.
      if (!pointee.is_signed) return pointee.bytes > 1 || dtype == kUInt8;
      return is_integral(dtype) && dtype != kUInt8;
    default: return true;
  }
}

void check_autograd(const Place& place, const Tensor& tensor, bool is_written) {
  if (is_written) {
    autograd::check_in_place(place.kernel.name, tensor);
  }
  if (TAUT_LIKELY(!is_grad_enabled() || !autograd::requires_grad(tensor))) return;
  detail::raise<AutogradError>(place,
                               ": the tensor requires grad, and a kernel has no derivative; launch "
                               "it in a CustomOp, under no_grad, or on a detached tensor");
}

void bind_tensor(const Place& place, const Tensor& tensor, BoundArguments& bound) {
  const Parameter& parameter = place.parameter();
  TAUT_CHECK(parameter.kind == ParameterKind::pointer, ValueError, place,
             ": a tensor was given for what is no pointer; pass its item()");
  TAUT_CHECK(is_taken(parameter.number, tensor.dtype()), DTypeError, place,
             ": the kernel reads other elements; got a tensor of ", tensor.dtype());
  TAUT_CHECK(
      place.kernel.allow_strided || tensor.is_contiguous(), ShapeError, place,
      ": the tensor is not contiguous; got shape ", tensor.shape(), " and strides ",
      tensor.strides(),
      "; call contiguous() on it, or make the kernel take strides and say so in its options");
  check_autograd(place, tensor, !parameter.is_const);
  const void* data = tensor.data_ptr();
  bound.add(&data, sizeof data);
  if (!parameter.is_const) bound.add_written(tensor);
}

// ---- numbers ----------------------------------------------------------------------------------

[[noreturn]] void raise_out_of_range(const Place& place, const Scalar& number) {
  detail::raise<ValueError>(place, ": ", number, " does not fit");
}

void bind_integer(const Place& place, const Scalar& number, BoundArguments& bound) {
  TAUT_CHECK(!number.is_floating_point(), DTypeError, place,
             ": an integer is wanted; got the float ", number);
  const auto [kind, is_signed, bytes] = place.parameter().number;
  const int64_t value = number.to_int64();
  const int bits = static_cast<int>(8 * bytes);
  const int64_t lowest = is_signed ? std::numeric_limits<int64_t>::min() >> (64 - bits) : 0;
  // Of 64 unsigned bits a Scalar holds 63.
  const int64_t highest =
      std::numeric_limits<int64_t>::max() >> (bits == 64 ? 0 : (is_signed ? 64 - bits : 63 - bits));
  if (value < lowest || value > highest) raise_out_of_range(place, number);
  bound.add(&value, bytes);  // the low bytes come first
}

void bind_boolean(const Place& place, const Scalar& number, BoundArguments& bound) {
  const bool is_bit = !number.is_floating_point() && (number.to_int64() >> 1) == 0;
  TAUT_CHECK(is_bit, ValueError, place, ": a bool is wanted; got ", number);
  const bool value = number.to_bool();
  bound.add(&value, sizeof value);
}

// A finite number that is infinite in a T was too large for it.
template <class T>
void bind_float(const Place& place, const Scalar& number, BoundArguments& bound) {
  const double exact = number.to_double();
  const T value(static_cast<std::conditional_t<std::is_same_v<T, double>, double, float>>(exact));
  if (std::isfinite(exact) && !std::isfinite(static_cast<double>(value))) {
    raise_out_of_range(place, number);
  }
  bound.add(&value, sizeof value);
}

void bind_number(const Place& place, const Scalar& number, BoundArguments& bound) {
  const NumberType& type = place.parameter().number;
  switch (place.parameter().kind) {
    case ParameterKind::integer: return bind_integer(place, number, bound);
    case ParameterKind::boolean: return bind_boolean(place, number, bound);
    case ParameterKind::half: return bind_float<Float16>(place, number, bound);
    case ParameterKind::bfloat16: return bind_float<BFloat16>(place, number, bound);
    case ParameterKind::floating:
      return type.bytes == 4 ? bind_float<float>(place, number, bound)
                             : bind_float<double>(place, number, bound);
    case ParameterKind::pointer:
      detail::raise<ValueError>(place, ": a tensor is wanted; got the number ", number);
    case ParameterKind::other:
      detail::raise<ValueError>(place, ": the bytes of a value are wanted; got the number ",
                                number);
  }
}

void bind_bytes(const Place& place, const std::string& bytes, BoundArguments& bound) {
  TAUT_CHECK(place.parameter().kind == ParameterKind::other, ValueError, place, ": a ",
             place.parameter().kind == ParameterKind::pointer ? "tensor" : "number",
             " is wanted; got ", bytes.size(), " bytes");
  const std::span<const size_t> sizes = place.kernel.sizes;
  TAUT_CHECK(sizes.empty() || sizes[place.index] == bytes.size(), ValueError, place, ": it has ",
             sizes[place.index], " bytes; got ", bytes.size());
  bound.add_reference(bytes.data());
}

// ---- sizes of a launch ------------------------------------------------------------------------

constexpr LaunchSize kMostBlocks = {0x7fffffff, 65535, 65535};
constexpr LaunchSize kMostThreads = {1024, 1024, 64};
constexpr int64_t kMostThreadsOfBlock = 1024;

std::string text_of(const LaunchSize& size) {
  return concat("(", size.x, ", ", size.y, ", ", size.z, ")");
}

void check_size(const char* name, const char* what, const LaunchSize& size,
                const LaunchSize& most) {
  const bool fits = size.x >= 1 && size.y >= 1 && size.z >= 1 && size.x <= most.x &&
                    size.y <= most.y && size.z <= most.z;
  TAUT_CHECK(fits, ValueError, name, ": the ", what, " is ", text_of(size),
             "; expected (1, 1, 1) to ", text_of(most));
}

}  // namespace

BoundArguments::BoundArguments(size_t count) {
  values_.reserve(count);
  pointers_.reserve(count);
}

void BoundArguments::add(const void* value, size_t bytes) {
  TAUT_ASSERT(bytes <= sizeof(uint64_t) && values_.size() < values_.capacity());
  uint64_t& place = values_.emplace_back(0);
  std::memcpy(&place, value, bytes);
  pointers_.push_back(&place);
}

Device common_device(const char* name, std::span<const KernelArgument> arguments, DeviceType type,
                     Device fallback) {
  bool is_first = true;
  Device device = fallback;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (!arguments[i].is_tensor()) continue;
    const Tensor& tensor = arguments[i].tensor();
    TAUT_CHECK(tensor.defined(), ValueError, name, ": argument ", i, " is an undefined tensor");
    TAUT_CHECK(tensor.device().type() == type, DeviceError, name, ": argument ", i, " is on ",
               tensor.device(), "; expected a tensor on a GPU");
    TAUT_CHECK(is_first || tensor.device() == device, DeviceError, name, ": argument ", i,
               " is on ", tensor.device(), " and an earlier one on ", device,
               "; expected all on one device");
    device = tensor.device();
    is_first = false;
  }
  return device;
}

void bind_arguments(const KernelDescription& kernel, std::span<const KernelArgument> arguments,
                    BoundArguments& bound) {
  TAUT_CHECK(arguments.size() == kernel.parameters.size(), ValueError, kernel.name, ": it has ",
             kernel.parameters.size(), " parameters; got ", arguments.size(), " arguments");
  for (size_t i = 0; i < arguments.size(); ++i) {
    const Place place{kernel, i};
    if (arguments[i].is_tensor()) {
      bind_tensor(place, arguments[i].tensor(), bound);
    } else if (arguments[i].is_number()) {
      bind_number(place, arguments[i].number(), bound);
    } else {
      bind_bytes(place, arguments[i].bytes(), bound);
    }
  }
}

kernels::jit::LaunchShape checked_shape(const char* name, const LaunchSize& grid,
                                        const LaunchSize& block, int64_t shared_memory) {
  check_size(name, "grid", grid, kMostBlocks);
  check_size(name, "block", block, kMostThreads);
  TAUT_CHECK(block.x * block.y * block.z <= kMostThreadsOfBlock, ValueError, name,
             ": the block is ", text_of(block), ", ", block.x * block.y * block.z,
             " threads; expected at most ", kMostThreadsOfBlock);
  TAUT_CHECK(shared_memory >= 0 && shared_memory <= std::numeric_limits<int32_t>::max(), ValueError,
             name, ": shared_memory is ", shared_memory, " bytes; expected 0 or more, below 2 GiB");
  const auto narrow = [](int64_t size) { return static_cast<uint32_t>(size); };
  return {.grid = {narrow(grid.x), narrow(grid.y), narrow(grid.z)},
          .block = {narrow(block.x), narrow(block.y), narrow(block.z)},
          .shared_memory = narrow(shared_memory)};
}

}  // namespace taut::cuda
