#include "src/ops/pointwise.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "src/autograd/derivatives_as_ops.h"
#include "src/autograd/hot_mode.h"
#include "src/base/traced.h"
#include "src/ops/allocate.h"
#include "src/ops/autocast.h"
#include "src/ops/dispatch.h"
#include "taut/autograd/recompute.h"
#include "taut/autograd/record.h"
#include "taut/base/trace.h"
#include "taut/ops/ops.h"

namespace taut::ops {
namespace {

using autograd::BackwardContext;
using autograd::TensorRef;
using kernels::Derivative;
using kernels::Domain;
using kernels::FlatPointwiseArgs;
using kernels::kMaxPointwiseInputs;
using kernels::kMaxPointwiseOperands;
using kernels::kMaxPointwiseParameters;
using kernels::PointwiseArgs;
using kernels::PointwiseOperand;

int category(DType dtype) {
  if (dtype == DType::bool_) return 0;
  return is_integral(dtype) ? 1 : 2;
}

// What is fixed of a call before the kernel runs.
struct Call {
  const FunctorInfo& info;
  Inputs inputs;
  DType common;
  DType compute;
  DType output;
  Device device;
  Dims shape;
};

DType computing_dtype(const FunctorInfo& info, DType common) {
  if (info.domain == Domain::floating && !is_floating_point(common)) return get_default_dtype();
  const bool is_bool = common == DType::bool_;
  const bool refused = (info.domain == Domain::numeric && is_bool) ||
                       (info.domain == Domain::integer && (is_bool || is_floating_point(common))) ||
                       (info.domain == Domain::integral && is_floating_point(common));
  TAUT_CHECK(!refused, DTypeError, info.name, ": not defined for ", common, "; expected ",
             info.domain == Domain::numeric   ? "a number type"
             : info.domain == Domain::integer ? "an integer type"
                                              : "an integer type or bool");
  return common;
}

Device common_device(const FunctorInfo& info, Inputs inputs) {
  Device device = kCPU;
  bool found = false;
  for (const Input& input : inputs) {
    if (input.is_scalar()) continue;
    TAUT_CHECK(input.tensor().defined(), ValueError, info.name,
               ": an argument is an undefined tensor");
    const Device here = input.tensor().device();
    // A number held by a CPU tensor without dims goes with any device.
    const bool number = here.is_cpu() && input.tensor().dim() == 0;
    if (!found || (device.is_cpu() && !here.is_cpu() && !number)) device = here;
    found = found || !number;
  }
  for (const Input& input : inputs) {
    if (input.is_scalar()) continue;
    const Device here = input.tensor().device();
    TAUT_CHECK(here == device || (here.is_cpu() && input.tensor().dim() == 0), DeviceError,
               info.name, ": tensors are on different devices; got ", device, " and ", here);
  }
  return device;
}

Dims common_shape(const FunctorInfo& info, Inputs inputs) {
  const Tensor* first = nullptr;
  Dims shape;
  for (const Input& input : inputs) {
    if (input.is_scalar()) continue;
    if (first == nullptr) {
      first = &input.tensor();
      shape = first->shape();
    } else if (!(input.tensor().shape() == shape)) {
      shape = broadcast_shapes(info.name, shape, input.tensor().shape());
    }
  }
  return shape;
}

Call prepare(Pointwise op, Inputs inputs) {
  const FunctorInfo& info = functor_info(op);
  const Device device = common_device(info, inputs);
  const DType common = computing_dtype(info, result_type(inputs));
  const DType output = info.domain == Domain::compare ? DType::bool_ : common;
  return {info, inputs, common, compute_dtype(common), output, device, common_shape(info, inputs)};
}

// Stores a number in the dtype that the kernel computes in.
void store_immediate(char* target, DType dtype, const Scalar& value) {
  const auto put = [target](auto typed) { std::memcpy(target, &typed, sizeof(typed)); };
  switch (dtype) {
    case DType::float32: put(static_cast<float>(value.to_double())); break;
    case DType::float64: put(value.to_double()); break;
    case DType::int8: put(static_cast<int8_t>(value.to_int64())); break;
    case DType::int16: put(static_cast<int16_t>(value.to_int64())); break;
    case DType::int32: put(static_cast<int32_t>(value.to_int64())); break;
    case DType::int64: put(value.to_int64()); break;
    case DType::uint8: put(static_cast<uint8_t>(value.to_int64())); break;
    case DType::bool_: put(value.to_bool()); break;
    default: TAUT_ASSERT(false);
  }
}

// A kernel call in the making whose operands need no promotion, no broadcasting and no strides: the
// common case. Made on the stack of every op, so what is not needed is not set.
struct FlatCall {
  FlatPointwiseArgs args;
  char immediates[kMaxPointwiseOperands][8];
  uint16_t device;  // a Device's bytes, compared at once

  FlatCall(Pointwise op, uint8_t derivative, DType compute, Device where, const double* parameters)
      : device(std::bit_cast<uint16_t>(where)) {
    args.op = op;
    args.derivative = derivative;
    args.compute = compute;
    args.count = 1;
    args.parameters = parameters;
  }
  void add_number(const Scalar& number) {
    const int k = args.count++;
    store_immediate(immediates[k], args.compute, number);
    args.data[k] = immediates[k];
    args.numbers = static_cast<uint8_t>(args.numbers | 1u << k);
  }
  /// Whether the operand is a number or a contiguous tensor of the device, shape and dtype.
  bool add(const Input& input, const Dims& shape) {
    if (input.is_scalar()) {
      add_number(input.scalar());
      return true;
    }
    const TensorImpl* impl = input.tensor().impl();
    if (impl == nullptr || impl->dtype != args.compute || !impl->is_contiguous ||
        std::bit_cast<uint16_t>(impl->storage->device()) != device ||
        !(impl->layout.shape == shape)) {
      return false;
    }
    args.data[args.count++] = static_cast<char*>(impl->data());
    return true;
  }
  bool add_all(std::span<const Input> inputs, const Dims& shape) {
    for (const Input& input : inputs) {
      if (!add(input, shape)) return false;
    }
    return true;
  }
  void run(const TensorImpl& result) {
    args.data[0] = static_cast<char*>(result.data());
    args.n = result.numel;
    if (args.n != 0) kernels_of(std::bit_cast<Device>(device)).pointwise.run_flat(args);
  }
};

// Runs the call if it is a flat one. `output` is the dtype that the kernel writes.
bool run_flat(Pointwise op, uint8_t derivative, DType compute, DType output, const Tensor& result,
              std::span<const Input> operands, const double* parameters) {
  const TensorImpl& target = *result.impl();
  if (!target.is_contiguous || target.dtype != output) return false;
  FlatCall call(op, derivative, compute, target.storage->device(), parameters);
  if (!call.add_all(operands, target.layout.shape)) return false;
  call.run(target);
  return true;
}

void set_operand(PointwiseOperand& operand, const char* op, const Tensor& tensor,
                 const Dims& shape) {
  operand.data = tensor.data_ptr();
  operand.dtype = tensor.dtype();
  operand.is_number = false;
  operand.strides =
      tensor.shape() == shape ? tensor.strides() : tensor.layout().broadcast_to(op, shape).strides;
}

// A number that lives on the CPU is read there; the kernel gets it by value.
void set_number(PointwiseOperand& operand, const Scalar& value, DType compute, int rank,
                char* room) {
  store_immediate(room, compute, value);
  operand.data = room;
  operand.dtype = compute;
  operand.is_number = true;
  operand.strides = Dims::filled(rank, 0);
}

// The general kernel call: any strides and dtypes, numbers wherever they live. operands[0] belongs
// to `result`.
void run_strided(PointwiseArgs& args, const char* name, const Tensor& result, const Dims& shape,
                 std::span<const Input> operands) {
  args.count = static_cast<int8_t>(1 + operands.size());
  args.shape = shape;
  set_operand(args.operands[0], name, result, shape);
  char immediates[kMaxPointwiseOperands][8];
  for (size_t i = 0; i < operands.size(); ++i) {
    const Input& operand = operands[i];
    PointwiseOperand& target = args.operands[i + 1];
    if (operand.is_scalar()) {
      set_number(target, operand.scalar(), args.compute, shape.rank(), immediates[i]);
    } else if (operand.tensor().device() == result.device()) {
      set_operand(target, name, operand.tensor(), shape);
    } else {
      set_number(target, operand.tensor().item(), args.compute, shape.rank(), immediates[i]);
    }
  }
  kernels_of(result).pointwise.run(args);
}

void run_kernel(Pointwise op, const Call& call, const Tensor& output, const double* parameters) {
  if (output.numel() == 0) return;
  if (run_flat(op, 0, call.compute, call.output, output, call.inputs, parameters)) return;
  PointwiseArgs args;
  args.op = op;
  args.compute = call.compute;
  std::copy_n(parameters, kMaxPointwiseParameters, args.parameters);
  run_strided(args, call.info.name, output, call.shape, call.inputs);
}

Tensor zeros_for(const BackwardContext& context) { return zeros_like(context.grad()); }

// The derivative by one input as one kernel: the gradient and what it needs, broadcast.
Tensor fused_gradient(const FunctorInfo& info, const PointwiseAttributes& attributes, int input,
                      std::span<const Input> operands) {
  const Tensor& grad = operands[0].tensor();
  Tensor result = allocate(grad.shape(), grad.dtype(), grad.device());
  if (result.numel() == 0) return result;
  const DType compute = compute_dtype(grad.dtype());
  const auto derivative = static_cast<uint8_t>(input + 1);
  if (run_flat(attributes.op, derivative, compute, compute, result, operands,
               attributes.parameters)) {
    return result;
  }
  PointwiseArgs args;
  args.op = attributes.op;
  args.derivative = derivative;
  args.compute = compute;
  std::copy_n(attributes.parameters, kMaxPointwiseParameters, args.parameters);
  run_strided(args, info.name, result, grad.shape(), operands);
  return result;
}

Tensor differentiable_gradient(const FunctorInfo& info, const PointwiseAttributes& attributes,
                               int input, std::span<const Input> operands) {
  Tensor tensors[4];
  for (size_t i = 0; i < operands.size(); ++i) {
    tensors[i] = operands[i].is_scalar()
                     ? tensor(operands[i].scalar(), operands[0].tensor().options())
                     : operands[i].tensor();
  }
  return info.vjp[input](attributes.parameters, tensors);
}

const Tensor kUndefined;

// The fused gradient, off the tape and shown to the observer as one op.
Tensor observed_gradient(const FunctorInfo& info, const PointwiseAttributes& attributes, int input,
                         std::span<const Input> operands) {
  const TraceScope scope(ScopeKind::op, kDerivativeName);
  Tensor result = fused_gradient(info, attributes, input, operands);
  DerivativeAttributes shown{attributes.op, static_cast<uint8_t>(input + 1), 0, {}, {}};
  std::copy_n(attributes.parameters, kMaxPointwiseParameters, shown.parameters);
  TensorRef inputs[kMaxPointwiseInputs + 2] = {kUndefined, kUndefined, kUndefined, kUndefined,
                                               kUndefined};
  for (size_t i = 0; i < operands.size(); ++i) {
    if (!operands[i].is_scalar()) {
      inputs[i] = operands[i].tensor();
      continue;
    }
    shown.scalar_mask = static_cast<uint8_t>(shown.scalar_mask | 1u << i);
    shown.scalars[i] = operands[i].scalar();
  }
  const TensorRef outputs[] = {result};
  autograd::detail::record(kDerivativeName, {inputs, operands.size()}, outputs, {}, nullptr, &shown,
                           sizeof(shown));
  return result;
}

Tensor gradient_by(const BackwardContext& context, const FunctorInfo& info,
                   const PointwiseAttributes& attributes, int input) {
  if (info.derivative == Derivative::zero) return zeros_for(context);
  TAUT_CHECK(info.derivative == Derivative::given, NotImplementedError, info.name,
             ": has no derivative");
  const bool passes = (info.passes >> input & 1u) != 0 ||
                      (attributes.op == Pointwise::Add && attributes.parameters[0] == 1);
  if (passes) return context.grad();

  // The gradient, then a, b, c and y as far as they are needed.
  Tensor unpacked[kMaxPointwiseInputs + 1];
  Input operands[kMaxPointwiseInputs + 2] = {context.grad(), Scalar(), Scalar(), Scalar(),
                                             Scalar()};
  size_t count = 1;
  const unsigned needs = info.needs[input];
  for (int i = 0; i < info.arity; ++i) {
    if ((needs >> i & 1u) == 0) continue;
    if ((attributes.scalar_mask >> i & 1u) != 0) {
      operands[count++] = Input(attributes.scalars[i]);
    } else {
      unpacked[i] = context.saved(i);
      operands[count++] = Input(unpacked[i]);
    }
  }
  if ((needs & kernels::kY) != 0) {
    unpacked[info.arity] = context.saved(info.arity);
    operands[count++] = Input(unpacked[info.arity]);
  }
  const std::span<const Input> used(operands, count);
  if (!is_grad_enabled()) return fused_gradient(info, attributes, input, used);
  if (TAUT_UNLIKELY(autograd::DerivativesAsOps::is_on())) {
    return observed_gradient(info, attributes, input, used);
  }
  return differentiable_gradient(info, attributes, input, used);
}

void pointwise_backward(BackwardContext& context) {
  const auto& attributes = context.attributes<PointwiseAttributes>();
  const FunctorInfo& info = functor_info(attributes.op);
  for (int i = 0; i < info.arity; ++i) {
    if (context.needs(i)) context.set(i, gradient_by(context, info, attributes, i));
  }
}

// Which inputs gradients flow to: bit i for input i.
[[gnu::noinline]] unsigned gradient_mask(Inputs inputs) {
  unsigned mask = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].is_scalar() && autograd::detail::may_require_grad(inputs[i].tensor()) &&
        autograd::requires_grad(inputs[i].tensor())) {
      mask |= 1u << i;
    }
  }
  return mask;
}

// What backward will want: the inputs (a, b, c) and the output (y), by the functor's needs.
unsigned saved_mask(const FunctorInfo& info, unsigned gradients) {
  unsigned mask = 0;
  for (int i = 0; i < info.arity; ++i) {
    if ((gradients >> i & 1u) != 0) mask |= info.needs[i];
  }
  return mask;
}

PointwiseAttributes attributes_of(Pointwise op, Inputs inputs, const double* parameters) {
  // Field by field: to clear all of it first takes g++ as long as the rest of the call.
  PointwiseAttributes attributes;
  attributes.op = op;
  attributes.scalar_mask = 0;
  std::copy_n(parameters, kMaxPointwiseParameters, attributes.parameters);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].is_scalar()) continue;
    attributes.scalar_mask = static_cast<uint8_t>(attributes.scalar_mask | (1u << i));
    attributes.scalars[i] = inputs[i].scalar();
  }
  return attributes;
}

struct Operands {
  TensorRef tensors[kMaxPointwiseInputs] = {kUndefined, kUndefined, kUndefined};
  size_t count = 0;
  explicit Operands(Inputs inputs) : count(inputs.size()) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs[i].is_scalar()) tensors[i] = inputs[i].tensor();
    }
  }
  std::span<const TensorRef> span() const { return {tensors, count}; }
};

// How many saved tensors that makes: they are kept by position.
size_t saved_count(unsigned mask, size_t inputs) {
  return (mask & kernels::kY) != 0 ? inputs + 1 : static_cast<size_t>(std::bit_width(mask));
}

[[gnu::noinline]] void put_on_tape(Pointwise op, Inputs inputs, unsigned gradients,
                                   const Tensor& output, const double* parameters) {
  const FunctorInfo& info = functor_info(op);
  const Operands operands(inputs);
  const unsigned mask = is_floating_point(output.dtype()) ? saved_mask(info, gradients) : 0;
  TensorRef saved[kMaxPointwiseInputs + 1] = {kUndefined, kUndefined, kUndefined, kUndefined};
  for (size_t i = 0; i < operands.count; ++i) {
    if ((mask >> i & 1u) != 0) saved[i] = operands.tensors[i];
  }
  if ((mask & kernels::kY) != 0) saved[operands.count] = output;
  const TensorRef outputs[] = {output};
  const PointwiseAttributes attributes = attributes_of(op, inputs, parameters);
  autograd::detail::record(info.name, operands.span(), outputs,
                           {saved, saved_count(mask, operands.count)},
                           info.domain == Domain::compare ? nullptr : pointwise_backward,
                           &attributes, sizeof(attributes));
}

// Whether the call may have to go on the tape; quick, for the many that need not.
inline bool may_record(const taut::detail::ThreadMode& mode, Inputs inputs) {
  bool possible = mode.observed;
  for (const Input& input : inputs) {
    possible |= !input.is_scalar() && autograd::detail::may_require_grad(input.tensor());
  }
  return possible;
}

[[gnu::noinline]] void record_pointwise(Pointwise op, Inputs inputs, const Tensor& output,
                                        const double* parameters) {
  const taut::detail::ThreadMode& mode = taut::detail::hot_mode;
  if (!may_record(mode, inputs)) return;
  const unsigned gradients = mode.grad_enabled ? gradient_mask(inputs) : 0;
  if (gradients != 0 || mode.observed) put_on_tape(op, inputs, gradients, output, parameters);
}

// The parameters of a functor; those not given are 0. Spelled out: a loop becomes a call.
struct Parameters {
  double values[kMaxPointwiseParameters];

  explicit Parameters(std::initializer_list<double> given)
      : values{at(given, 0), at(given, 1), at(given, 2), at(given, 3)} {}
  static double at(std::initializer_list<double> given, size_t i) {
    return i < given.size() ? given.begin()[i] : 0;
  }
};
static_assert(kMaxPointwiseParameters == 4);

bool shows_the_same(const Tensor& a, const Tensor& b) {
  return a.storage() == b.storage() && a.layout().offset == b.layout().offset &&
         a.shape() == b.shape() && a.strides() == b.strides();
}

// Whether writing `self` element by element would change elements of `other` still to be read.
bool overlaps_differently(const Tensor& self, const Tensor& other) {
  if (!(self.storage() == other.storage()) || shows_the_same(self, other)) return false;
  const Layout& a = self.layout();
  const Layout& b = other.layout();
  return a.extent_begin() < b.extent_end() && b.extent_begin() < a.extent_end();
}

// The inputs of an in-place op, with copies of those that its own writes would spoil.
struct SafeInputs {
  Tensor copies[kMaxPointwiseInputs];
  Input inputs[kMaxPointwiseInputs] = {Scalar(), Scalar(), Scalar()};

  SafeInputs(const Tensor& self, Inputs given) {
    for (size_t i = 0; i < given.size(); ++i) {
      inputs[i] = given[i];
      if (i == 0 || given[i].is_scalar() || !overlaps_differently(self, given[i].tensor()))
        continue;
      copies[i] = clone(given[i].tensor());
      inputs[i] = Input(copies[i]);
    }
  }
};

// Numbers and contiguous tensors of one floating dtype, shape and device; undefined for others. The
// result is not yet on the tape.
Tensor apply_plain(Pointwise op, Inputs inputs, const double* parameters) {
  if (inputs[0].is_scalar()) return {};
  const TensorImpl* first = inputs[0].tensor().impl();
  const Domain domain = functor_info(op).domain;
  if (first == nullptr || first->dtype > DType::float64 || domain >= Domain::integral ||
      !first->is_contiguous) {
    return {};
  }
  FlatCall call(op, 0, first->dtype, first->storage->device(), parameters);
  call.args.data[call.args.count++] = static_cast<char*>(first->data());
  if (!call.add_all(inputs.subspan(1), first->layout.shape)) return {};
  const DType dtype = domain == Domain::compare ? DType::bool_ : first->dtype;
  Tensor output = allocate_like(*first, dtype);
  call.run(*output.impl());
  return output;
}

// Any shapes, strides, dtypes and devices that go together; not yet on the tape.
[[gnu::noinline]] Tensor apply_general(Pointwise op, Inputs inputs, const double* parameters) {
  const Call call = prepare(op, inputs);
  // A result of the first input's shape lies as that does, so that channels_last stays so.
  const Tensor* model = inputs[0].is_scalar() ? nullptr : &inputs[0].tensor();
  const bool keeps_layout =
      model != nullptr && !model->impl()->is_contiguous && model->shape() == call.shape;
  Tensor output = keeps_layout ? allocate_layout(preserved_layout(*model), call.output, call.device)
                               : allocate(call.shape, call.output, call.device);
  run_kernel(op, call, output, parameters);
  return output;
}

}  // namespace

DType result_type(Inputs inputs) {
  // One dtype for each kind of operand, then the higher category wins over the earlier kind.
  std::optional<DType> kinds[3];  // tensors with dims, tensors without, numbers
  for (const Input& input : inputs) {
    const bool number = input.is_scalar();
    const DType dtype = number ? input.scalar().dtype() : input.tensor().dtype();
    std::optional<DType>& kind = kinds[number ? 2 : input.tensor().dim() == 0 ? 1 : 0];
    kind = kind ? promote_types(*kind, dtype) : dtype;
  }
  std::optional<DType> result;
  for (const std::optional<DType>& kind : kinds) {
    if (!kind) continue;
    if (!result) {
      result = kind;
    } else if (category(*kind) > category(*result)) {
      result = promote_types(*result, *kind);
    }
  }
  return *result;
}

namespace {

// Functions that leave the range of 16-bit floats, or need more of their digits.
bool needs_float32(Pointwise op, Inputs inputs) {
  switch (op) {
    case Pointwise::Acos:
    case Pointwise::Asin:
    case Pointwise::Cosh:
    case Pointwise::Erfinv:
    case Pointwise::Exp:
    case Pointwise::Expm1:
    case Pointwise::Log:
    case Pointwise::Log10:
    case Pointwise::Log1p:
    case Pointwise::Log2:
    case Pointwise::Pow:
    case Pointwise::Reciprocal:
    case Pointwise::Rsqrt:
    case Pointwise::Sinh:
    case Pointwise::Softplus:
    case Pointwise::Tan: return true;
    case Pointwise::TrueDivide: return inputs[0].is_scalar();  // a reciprocal
    default: return false;
  }
}

[[gnu::noinline]] Tensor apply_in_float32(Pointwise op, Inputs inputs, const double* parameters) {
  const AutocastPause pause;
  Tensor tensors[kMaxPointwiseInputs];
  Input cast[kMaxPointwiseInputs] = {Scalar(), Scalar(), Scalar()};
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].is_scalar()) tensors[i] = raised(inputs[i].tensor());
    cast[i] = inputs[i].is_scalar() ? inputs[i] : Input(tensors[i]);
  }
  const Inputs span(cast, inputs.size());
  Tensor output = apply_general(op, span, parameters);
  record_pointwise(op, span, output, parameters);
  return output;
}

// Whether apply() was called by apply_in_scope(). A scope within apply() itself would make every op
// pay for its end.
constinit thread_local bool has_scope = false;

[[gnu::noinline]] Tensor apply_in_scope(Pointwise op, std::initializer_list<Input> inputs,
                                        std::initializer_list<double> parameters) {
  const TraceScope scope(ScopeKind::op, functor_info(op).name);
  has_scope = true;
  return apply(op, inputs, parameters);
}

}  // namespace

Tensor apply(Pointwise op, std::initializer_list<Input> inputs,
             std::initializer_list<double> parameters) {
  if (TAUT_UNLIKELY(taut::detail::has_trace_sink.load(std::memory_order_relaxed)) &&
      !std::exchange(has_scope, false)) {
    return apply_in_scope(op, inputs, parameters);
  }
  const Inputs span(inputs.begin(), inputs.size());
  const Parameters given(parameters);
  const double* values = given.values;
  const taut::detail::ThreadMode& mode = taut::detail::hot_mode;
  if (TAUT_UNLIKELY(mode.autocast) && needs_float32(op, span)) {
    return apply_in_float32(op, span, values);
  }
  Tensor output = apply_plain(op, span, values);
  if (TAUT_UNLIKELY(!output.defined())) output = apply_general(op, span, values);
  if (TAUT_UNLIKELY(may_record(mode, span))) record_pointwise(op, span, output, values);
  return output;
}

Tensor apply_recomputed(Pointwise op, const Tensor& input) {
  Tensor output = apply(op, {input});
  autograd::recompute_when_saved(output, [](const BackwardContext& context) {
    return apply(context.attributes<PointwiseAttributes>().op, {context.saved(0)});
  });
  return output;
}

const Tensor& apply_in_place(Pointwise op, std::initializer_list<Input> inputs,
                             std::initializer_list<double> parameters) {
  const Tensor& self = inputs.begin()->tensor();
  check_defined(functor_info(op).name, "self", self);
  const TraceScope scope(ScopeKind::op, functor_info(op).name);
  const SafeInputs safe(self, Inputs(inputs.begin(), inputs.size()));
  const Inputs span(safe.inputs, inputs.size());
  const Parameters given(parameters);
  const double* values = given.values;
  const Call call = prepare(op, span);
  TAUT_CHECK(call.shape == self.shape(), ShapeError, call.info.name, "_: the result has shape ",
             call.shape, "; expected that of self, ", self.shape());
  TAUT_CHECK(can_cast(call.output, self.dtype()), DTypeError, call.info.name, "_: the result is ",
             call.output, ", which self cannot hold; got ", self.dtype());
  TAUT_CHECK(self.device() == call.device, DeviceError, call.info.name, "_: self is on ",
             self.device(), ", the others on ", call.device);
  autograd::check_in_place(call.info.name, self);

  const Operands operands(call.inputs);
  const bool recording = autograd::is_recording(operands.span());
  const unsigned mask = recording ? saved_mask(call.info, gradient_mask(call.inputs)) : 0;
  // Backward wants the values that are about to be overwritten.
  Tensor original;
  TensorRef saved[kMaxPointwiseInputs + 1] = {kUndefined, kUndefined, kUndefined, kUndefined};
  for (size_t i = 0; i < operands.count; ++i) {
    if ((mask >> i & 1u) == 0 || !(*operands.tensors[i]).defined()) continue;
    const bool overwritten = shows_the_same(*operands.tensors[i], self);
    if (overwritten && !original.defined()) original = clone(self);
    saved[i] = overwritten ? TensorRef(original) : operands.tensors[i];
  }
  if ((mask & kernels::kY) != 0) saved[operands.count] = self;
  run_kernel(op, call, self, values);
  const PointwiseAttributes attributes = attributes_of(op, call.inputs, values);
  autograd::detail::record_in_place(
      call.info.name, operands.span(), self, {saved, operands.count + 1},
      call.info.domain == Domain::compare ? nullptr : pointwise_backward, &attributes,
      sizeof(attributes));
  return self;
}

}  // namespace taut::ops
