#include "src/ops/pointwise.h"

#include <algorithm>
#include <cstring>

#include "src/ops/allocate.h"
#include "src/ops/dispatch.h"
#include "taut/autograd/record.h"
#include "taut/ops/ops.h"

namespace taut::ops {
namespace {

using autograd::BackwardContext;
using autograd::TensorRef;
using kernels::Derivative;
using kernels::Domain;
using kernels::kMaxPointwiseInputs;
using kernels::kMaxPointwiseParameters;
using kernels::PointwiseArgs;
using kernels::PointwiseOperand;

// What the tape keeps of an elementwise op beside tensors.
struct PointwiseAttributes {
  Pointwise op;
  uint8_t scalar_mask;  // which inputs are numbers
  double parameters[kMaxPointwiseParameters];
  Scalar scalars[kMaxPointwiseInputs];
};

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

// Tensors of one floating dtype and shape on the CPU need no promotion and no broadcasting: the
// common case, told apart by a few comparisons.
bool is_uniform(Inputs inputs) {
  if (inputs[0].is_scalar() || !inputs[0].tensor().defined()) return false;
  const Tensor& first = inputs[0].tensor();
  const DType dtype = first.dtype();
  if (dtype > DType::float64 || !first.device().is_cpu()) return false;
  for (size_t i = 1; i < inputs.size(); ++i) {
    if (inputs[i].is_scalar()) return false;
    const Tensor& other = inputs[i].tensor();
    if (!other.defined() || other.dtype() != dtype || !other.device().is_cpu() ||
        !(other.shape() == first.shape())) {
      return false;
    }
  }
  return true;
}

Call prepare(Pointwise op, Inputs inputs) {
  const FunctorInfo& info = functor_info(op);
  if (TAUT_LIKELY(is_uniform(inputs)) && info.domain < Domain::integral) {
    const Tensor& first = inputs[0].tensor();
    return {info, inputs, first.dtype(), first.dtype(), first.dtype(), kCPU, first.shape()};
  }
  const Device device = common_device(info, inputs);
  const DType common = computing_dtype(info, result_type(inputs));
  const DType output = info.domain == Domain::compare ? DType::bool_ : common;
  return {info, inputs, common, compute_dtype(common), output, device, common_shape(info, inputs)};
}

// Room for the numbers among the inputs, each stored in the dtype that the kernel computes in.
struct Immediates {
  alignas(8) char values[kMaxPointwiseInputs][8];
};

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

bool lies_flat(const Tensor& tensor, const Dims& shape) {
  return tensor.impl()->is_contiguous && tensor.shape() == shape;
}

void set_operand(PointwiseOperand& operand, const char* op, const Tensor& tensor, const Dims& shape,
                 bool flat) {
  operand.data = tensor.data_ptr();
  operand.dtype = tensor.dtype();
  if (flat) {
    operand.strides = Dims{1};
  } else if (tensor.shape() == shape) {
    operand.strides = tensor.strides();
  } else {
    operand.strides = tensor.layout().broadcast_to(op, shape).strides;
  }
}

// A number that lives on the CPU is read there; the kernel gets it by value.
void set_number(PointwiseOperand& operand, const Scalar& value, DType compute, int rank,
                char* room) {
  store_immediate(room, compute, value);
  operand.data = room;
  operand.dtype = compute;
  operand.strides = Dims::filled(rank, 0);
}

void run_kernel(Pointwise op, const Call& call, const Tensor& output, const double* parameters) {
  if (output.numel() == 0) return;
  PointwiseArgs args;
  args.op = op;
  args.compute = call.compute;
  args.count = static_cast<int8_t>(1 + call.inputs.size());
  std::copy_n(parameters, kMaxPointwiseParameters, args.parameters);
  bool flat = lies_flat(output, call.shape);
  for (const Input& input : call.inputs) {
    flat = flat && !input.is_scalar() && lies_flat(input.tensor(), call.shape);
  }
  args.shape = flat ? Dims{output.numel()} : call.shape;
  set_operand(args.operands[0], call.info.name, output, call.shape, flat);
  Immediates immediates;
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    const Input& input = call.inputs[i];
    PointwiseOperand& operand = args.operands[i + 1];
    if (input.is_scalar()) {
      set_number(operand, input.scalar(), call.compute, args.shape.rank(), immediates.values[i]);
    } else if (input.tensor().device() == call.device) {
      set_operand(operand, call.info.name, input.tensor(), call.shape, flat);
    } else {
      set_number(operand, input.tensor().item(), call.compute, args.shape.rank(),
                 immediates.values[i]);
    }
  }
  kernels_of(call.device).pointwise.run(args);
}

Tensor zeros_for(const BackwardContext& context) { return zeros_like(context.grad()); }

// The derivative by one input as one kernel: the gradient and what it needs, broadcast.
Tensor fused_gradient(const FunctorInfo& info, const PointwiseAttributes& attributes, int input,
                      std::span<const Input> operands) {
  const Tensor& grad = operands[0].tensor();
  Tensor result = allocate(grad.shape(), grad.dtype(), grad.device());
  if (result.numel() == 0) return result;
  PointwiseArgs args;
  args.op = attributes.op;
  args.derivative = static_cast<uint8_t>(input + 1);
  args.compute = compute_dtype(grad.dtype());
  args.count = static_cast<int8_t>(1 + operands.size());
  std::copy_n(attributes.parameters, kMaxPointwiseParameters, args.parameters);
  bool flat = true;
  for (const Input& operand : operands) {
    flat = flat && !operand.is_scalar() && lies_flat(operand.tensor(), grad.shape());
  }
  args.shape = flat ? Dims{grad.numel()} : grad.shape();
  set_operand(args.operands[0], info.name, result, grad.shape(), flat);
  char immediates[4][8];
  for (size_t i = 0; i < operands.size(); ++i) {
    PointwiseOperand& target = args.operands[i + 1];
    const Input& operand = operands[i];
    if (operand.is_scalar()) {
      set_number(target, operand.scalar(), args.compute, args.shape.rank(), immediates[i]);
    } else if (operand.tensor().device() == grad.device()) {
      set_operand(target, info.name, operand.tensor(), grad.shape(), flat);
    } else {
      set_number(target, operand.tensor().item(), args.compute, args.shape.rank(), immediates[i]);
    }
  }
  kernels_of(grad).pointwise.run(args);
  return result;
}

Tensor differentiable_gradient(const FunctorInfo& info, const PointwiseAttributes& attributes,
                               int input, std::span<const Input> operands) {
  Tensor tensors[4];
  for (size_t i = 0; i < operands.size(); ++i) {
    tensors[i] = operands[i].is_scalar()
                     ? scalar_tensor(operands[i].scalar(), operands[0].tensor().options())
                     : operands[i].tensor();
  }
  return info.vjp[input](attributes.parameters, tensors);
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
  return is_grad_enabled() ? differentiable_gradient(info, attributes, input, used)
                           : fused_gradient(info, attributes, input, used);
}

void pointwise_backward(BackwardContext& context) {
  const auto& attributes = context.attributes<PointwiseAttributes>();
  const FunctorInfo& info = functor_info(attributes.op);
  for (int i = 0; i < info.arity; ++i) {
    if (context.needs(i)) context.set(i, gradient_by(context, info, attributes, i));
  }
}

// What backward will want: the inputs (a, b, c) and the output (y), by the functor's needs.
unsigned saved_mask(const FunctorInfo& info, std::span<const TensorRef> tensors) {
  unsigned mask = 0;
  for (int i = 0; i < info.arity; ++i) {
    const Tensor& tensor = *tensors[static_cast<size_t>(i)];
    if (tensor.defined() && tensor.is_floating_point() && autograd::requires_grad(tensor)) {
      mask |= info.needs[i];
    }
  }
  return mask;
}

const Tensor& undefined() {
  static const Tensor tensor;
  return tensor;
}

PointwiseAttributes attributes_of(Pointwise op, Inputs inputs, const double* parameters) {
  PointwiseAttributes attributes{op, 0, {}, {}};
  std::copy_n(parameters, kMaxPointwiseParameters, attributes.parameters);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].is_scalar()) continue;
    attributes.scalar_mask = static_cast<uint8_t>(attributes.scalar_mask | (1u << i));
    attributes.scalars[i] = inputs[i].scalar();
  }
  return attributes;
}

struct Operands {
  TensorRef tensors[kMaxPointwiseInputs] = {undefined(), undefined(), undefined()};
  size_t count = 0;
  explicit Operands(Inputs inputs) : count(inputs.size()) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs[i].is_scalar()) tensors[i] = inputs[i].tensor();
    }
  }
  std::span<const TensorRef> span() const { return {tensors, count}; }
};

void record_pointwise(Pointwise op, const Call& call, const Tensor& output,
                      const double* parameters) {
  const Operands operands(call.inputs);
  const bool observed = taut::detail::thread_mode().observed;
  if (!observed && !autograd::is_recording(operands.span())) return;
  const unsigned mask =
      is_floating_point(output.dtype()) ? saved_mask(call.info, operands.span()) : 0;
  TensorRef saved[kMaxPointwiseInputs + 1] = {undefined(), undefined(), undefined(), undefined()};
  for (size_t i = 0; i < operands.count; ++i) {
    if ((mask >> i & 1u) != 0) saved[i] = operands.tensors[i];
  }
  if ((mask & kernels::kY) != 0) saved[operands.count] = output;
  const TensorRef outputs[] = {output};
  autograd::record_all(call.info.name, operands.span(), outputs, {saved, operands.count + 1},
                       call.info.domain == Domain::compare ? nullptr : pointwise_backward,
                       attributes_of(op, call.inputs, parameters));
}

void copy_parameters(double (&target)[kMaxPointwiseParameters],
                     std::initializer_list<double> parameters) {
  std::copy(parameters.begin(), parameters.end(), target);
}

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

Tensor apply(Pointwise op, std::initializer_list<Input> inputs,
             std::initializer_list<double> parameters) {
  const Inputs span(inputs.begin(), inputs.size());
  double values[kMaxPointwiseParameters] = {};
  copy_parameters(values, parameters);
  const Call call = prepare(op, span);
  // A result of the first input's shape lies as that does, so that channels_last stays so.
  const Tensor* model = span[0].is_scalar() ? nullptr : &span[0].tensor();
  const bool keeps_layout =
      model != nullptr && !model->impl()->is_contiguous && model->shape() == call.shape;
  Tensor output = keeps_layout ? allocate_layout(preserved_layout(*model), call.output, call.device)
                               : allocate(call.shape, call.output, call.device);
  run_kernel(op, call, output, values);
  record_pointwise(op, call, output, values);
  return output;
}

const Tensor& apply_in_place(Pointwise op, std::initializer_list<Input> inputs,
                             std::initializer_list<double> parameters) {
  const Tensor& self = inputs.begin()->tensor();
  check_defined(functor_info(op).name, "self", self);
  const SafeInputs safe(self, Inputs(inputs.begin(), inputs.size()));
  const Inputs span(safe.inputs, inputs.size());
  double values[kMaxPointwiseParameters] = {};
  copy_parameters(values, parameters);
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
  const unsigned mask = recording ? saved_mask(call.info, operands.span()) : 0;
  // Backward wants the values that are about to be overwritten.
  Tensor original;
  TensorRef saved[kMaxPointwiseInputs + 1] = {undefined(), undefined(), undefined(), undefined()};
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
