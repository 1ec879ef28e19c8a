// Launches elementwise ops. Flat calls go straight to their kernel. For all other layouts dims that
// lie end to end are merged, and operands of dtypes that the kernels do not read are converted.

#include "kernels/api/copy.h"
#include "kernels/api/strided_loop.h"
#include "kernels/elementwise/check_range.h"
#include "kernels/elementwise/launch_cuda.cuh"

namespace taut::kernels {
namespace {

using cuda::Feed;
using cuda::FlatParams;
using cuda::is_aligned;
using cuda::Stored;
using cuda::StridedParams;

constexpr int kMaxOperands = 1 + cuda::kMaxInputs;

const char* const kNames[] = {
#define TAUT_UNARY(name, Functor) #name,
#define TAUT_ACTIVATION(name, Functor) #name,
#define TAUT_PREDICATE(name, Functor) #name,
#define TAUT_BINARY(name, Functor) #name,
#define TAUT_COMPARE(name, Functor) #name,
#define TAUT_PARAMETRIC(name, Functor) #name,
#include "taut/ops/lists/activation.def"
#include "taut/ops/lists/arithmetic.def"
#include "taut/ops/lists/compare.def"
#include "taut/ops/lists/math.def"
#include "taut/ops/lists/parametric.def"
#include "taut/ops/lists/predicate.def"
#undef TAUT_UNARY
#undef TAUT_ACTIVATION
#undef TAUT_PREDICATE
#undef TAUT_BINARY
#undef TAUT_COMPARE
#undef TAUT_PARAMETRIC
};

const char* name_of(Pointwise op) { return kNames[static_cast<int>(op)]; }

const PointwiseTable& pointwise_table() {
  static const PointwiseTable& table = *[] {
    auto* result = new PointwiseTable;
    add_activation_kernels(*result);
    add_arithmetic_kernels(*result);
    add_bitwise_kernels(*result);
    add_compare_kernels(*result);
    add_exponential_kernels(*result);
    add_loss_kernels(*result);
    add_rounding_kernels(*result);
    add_special_kernels(*result);
    add_trigonometry_kernels(*result);
    return result;
  }();
  return table;
}

const PointwiseKernelSet& find_set(Pointwise op, uint8_t derivative, DType compute) {
  const PointwiseKernelSet* set =
      pointwise_table().functors[static_cast<int>(op)].sets[derivative][static_cast<int>(compute)];
  TAUT_CHECK(set != nullptr, NotImplementedError, name_of(op), ": no CUDA kernel for ", compute);
  return *set;
}

// `Args` is PointwiseArgs or FlatPointwiseArgs.
template <class Args, class Params>
void launch(const Args& args, const PointwiseKernelSet& set, const void* kernel, int64_t threads,
            Params& params) {
  alignas(8) char body[cuda::kBodyBytes];
  set.make_body(args.parameters, body);
  void* arguments[] = {body, &params};
  const auto blocks = static_cast<unsigned>((threads + cuda::kThreads - 1) / cuda::kThreads);
  cuda::launch_kernel_with(kernel, {blocks, cuda::kThreads}, arguments);
  cuda::check_launch(name_of(args.op));
}

// ---- Flat calls ---------------------------------------------------------------------------------

bool is_contiguous(const Dims& shape, const Dims& strides) {
  int64_t expected = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    if (shape[i] == 1) continue;
    if (strides[i] != expected) return false;
    expected *= shape[i];
  }
  return true;
}

bool is_repeated(const Dims& shape, const Dims& strides) {
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] != 1 && strides[i] != 0) return false;
  }
  return true;
}

// How kernels that compute in float32 read a dtype, if they do.
bool find_stored(DType dtype, DType compute, Stored& stored) {
  if (dtype == DType::bool_ || dtype == DType::uint8) {
    stored = Stored::byte;
    return true;
  }
  stored = Stored::same;
  if (dtype == compute) return true;
  if (compute != DType::float32) return false;
  stored = dtype == DType::float16 ? Stored::half : Stored::bfloat16;
  return is_reduced_floating_point(dtype);
}

void set_number(cuda::Source& source, const PointwiseOperand& operand) {
  memcpy(source.number, operand.data, item_size(operand.dtype));
}

// Whether all is contiguous, of one floating dtype and aligned, or one element for all.
bool launch_flat(const PointwiseArgs& args, const PointwiseKernelSet& set) {
  if (set.flat == nullptr) return false;
  const PointwiseOperand& out = args.operands[0];
  if (!is_contiguous(args.shape, out.strides) || !is_aligned(out.data)) return false;
  FlatParams params;
  params.out = out.data;
  params.n = args.shape.numel();
  DType common = out.dtype;
  bool is_known = !set.gives_bool;  // what dtype the elements are stored in
  for (int k = 0; k < set.inputs; ++k) {
    const PointwiseOperand& operand = args.operands[k + 1];
    params.in[k].data = operand.data;
    params.stored[k] = Stored::same;
    if (operand.is_number) {
      params.feeds[k] = Feed::number;
      set_number(params.in[k], operand);
      continue;
    }
    if (!find_stored(operand.dtype, DType::float32, params.stored[k])) return false;
    if (is_contiguous(args.shape, operand.strides)) {
      params.feeds[k] = Feed::elements;
      if (!is_known) common = operand.dtype;
      is_known = true;
      if (operand.dtype != common || !is_aligned(operand.data)) return false;
    } else if (is_repeated(args.shape, operand.strides)) {
      params.feeds[k] = Feed::scalar;
    } else {
      return false;
    }
  }
  if (!find_stored(common, DType::float32, params.out_stored)) return false;
  if (params.out_stored == Stored::byte) return false;
  if (set.gives_bool && out.dtype != DType::bool_) return false;
  const bool is_wide = common == DType::float32;
  const int per_thread = cuda::flat_count(is_wide) * cuda::flat_packs(is_wide, set.inputs);
  launch(args, set, is_wide ? set.flat : set.flat16, (params.n + per_thread - 1) / per_thread,
         params);
  return true;
}

// ---- Any layout and dtype -----------------------------------------------------------------------

// One call, its dims merged where all operands lie end to end; numbers count as operands.
struct StridedCall {
  const PointwiseArgs& args;
  const PointwiseKernelSet& set;
  Dims shape;
  Dims strides[kMaxOperands];
  char* data[kMaxOperands];
  DType dtypes[kMaxOperands];
};

bool is_number(const StridedCall& call, int k) { return k > 0 && call.args.operands[k].is_number; }

// Along the innermost dim every operand is contiguous or repeats, and packs lie aligned.
bool is_packable(const StridedCall& call) {
  const int inner = call.shape.rank() - 1;
  const int64_t count = call.set.packed_count;
  if (call.set.packed == nullptr || call.shape[inner] % count != 0) return false;
  for (int k = 0; k <= call.set.inputs; ++k) {
    if (is_number(call, k)) continue;
    const int64_t step = call.strides[k][inner];
    if (step == 0 && k > 0) continue;
    if (step != 1) return false;
    const auto bytes =
        static_cast<uintptr_t>(item_size(call.dtypes[k])) * static_cast<uintptr_t>(count);
    if (!is_aligned(call.data[k], bytes < 16 ? bytes : 16)) return false;
    for (int i = 0; i < inner; ++i) {
      if (call.strides[k][i] % count != 0) return false;
    }
  }
  return true;
}

void launch_strided(const StridedCall& call) {
  const bool packed = is_packable(call);
  const int inner = call.shape.rank() - 1;
  const int64_t count = packed ? call.set.packed_count : 1;
  StridedParams params;
  params.out = call.data[0];
  params.index.rank = call.shape.rank();
  params.items = static_cast<uint32_t>(call.shape.numel() / count);
  params.inner_steps = 0;
  for (int k = 0; k <= call.set.inputs; ++k) {
    const bool number = is_number(call, k);
    params.stored[k] = Stored::same;
    if (k > 0) {
      params.feeds[k - 1] = number ? Feed::number : Feed::elements;
      params.in[k - 1].data = call.data[k];
    }
    if (number) {
      set_number(params.in[k - 1], call.args.operands[k]);
    } else {
      find_stored(call.dtypes[k], call.args.compute, params.stored[k]);
    }
    for (int i = 0; i <= inner; ++i) {
      params.index.strides[i][k] = number ? 0 : call.strides[k][i] * (i == inner ? count : 1);
    }
    if (params.index.strides[inner][k] != 0) params.inner_steps |= static_cast<uint8_t>(1u << k);
  }
  for (int i = 0; i <= inner; ++i) {
    params.index.sizes[i] = cuda::FastDivider(call.shape[i] / (i == inner ? count : 1));
  }
  launch(call.args, call.set, packed ? call.set.packed : call.set.element, params.items, params);
}

// A call of more items than a launch takes goes in parts along its longest dim.
void launch_in_parts(const StridedCall& call) {
  if (call.shape.numel() <= cuda::kMaxItems) return launch_strided(call);
  int longest = 0;
  for (int i = 1; i < call.shape.rank(); ++i) {
    if (call.shape[i] > call.shape[longest]) longest = i;
  }
  // Whole packs in the first part, so that the second is aligned as well.
  const int64_t half = call.shape[longest] / 2;
  const int64_t first = half < 64 ? half : half / 64 * 64;
  StridedCall part = call;
  part.shape[longest] = first;
  launch_in_parts(part);
  part.shape[longest] = call.shape[longest] - first;
  for (int k = 0; k <= call.set.inputs; ++k) {
    if (is_number(call, k)) continue;
    part.data[k] +=
        first * call.strides[k][longest] * static_cast<int64_t>(item_size(call.dtypes[k]));
  }
  launch_in_parts(part);
}

void simplify_call(StridedCall& call) {
  StridedLoop loop{call.shape, {}, 0};
  for (int k = 0; k <= call.set.inputs; ++k) {
    if (!is_number(call, k)) loop.strides[loop.count++] = &call.strides[k];
  }
  simplify(loop);
  call.shape = loop.shape;
  if (call.shape.rank() > 0) return;
  call.shape.push_back(1);
  for (int k = 0; k <= call.set.inputs; ++k) {
    if (!is_number(call, k)) call.strides[k].push_back(1);
  }
}

void run_strided(const PointwiseArgs& args, const PointwiseKernelSet& set) {
  StridedCall call{args, set, args.shape, {}, {}, {}};
  for (int k = 0; k <= set.inputs; ++k) {
    const PointwiseOperand& operand = args.operands[k];
    call.data[k] = static_cast<char*>(operand.data);
    call.dtypes[k] = operand.dtype;
    call.strides[k] = operand.strides;
  }
  simplify_call(call);
  launch_in_parts(call);
}

// ---- Dtypes that the kernels do not read or write -----------------------------------------------

// Contiguous memory of another dtype for the elements of one operand, each once.
class Converted {
 public:
  Converted(const Dims& shape, const Dims& strides, DType dtype)
      : shape_(without_repeats(shape, strides)),
        given_(strides),
        dtype_(dtype),
        memory_(static_cast<size_t>(shape_.numel()) * item_size(dtype)) {
    own_.set_contiguous(shape_);
  }
  PointwiseOperand operand() const {
    PointwiseOperand result{memory_.data(), dtype_, false, own_};
    for (int i = 0; i < shape_.rank(); ++i) {
      if (given_[i] == 0) result.strides[i] = 0;
    }
    return result;
  }
  void read_from(const PointwiseOperand& source) const {
    copy_kernels_cuda().copy(
        {memory_.data(), source.data, dtype_, source.dtype, shape_, own_, given_});
  }
  void write_to(const PointwiseOperand& target) const {
    copy_kernels_cuda().copy(
        {target.data, memory_.data(), target.dtype, dtype_, shape_, given_, own_});
  }

 private:
  static Dims without_repeats(Dims shape, const Dims& strides) {
    for (int i = 0; i < shape.rank(); ++i) {
      if (strides[i] == 0) shape[i] = 1;
    }
    return shape;
  }

  Dims shape_, given_, own_;
  DType dtype_;
  taut::cuda::Scratch memory_;
};

bool is_readable(const PointwiseOperand& operand, DType compute) {
  Stored stored;
  return operand.is_number || find_stored(operand.dtype, compute, stored);
}

bool is_writable(DType dtype, const PointwiseArgs& args, const PointwiseKernelSet& set) {
  if (set.gives_bool) return dtype == DType::bool_;
  return dtype == args.compute ||
         (args.compute == DType::float32 && is_reduced_floating_point(dtype));
}

void run_set(const PointwiseArgs& args, const PointwiseKernelSet& set) {
  if (launch_flat(args, set)) return;
  // One operand at a time is converted, and the call made anew without it.
  const PointwiseOperand& out = args.operands[0];
  if (!is_writable(out.dtype, args, set)) {
    const Converted result(args.shape, out.strides, set.gives_bool ? DType::bool_ : args.compute);
    PointwiseArgs call = args;
    call.operands[0] = result.operand();
    run_set(call, set);
    return result.write_to(out);
  }
  for (int k = 1; k <= set.inputs; ++k) {
    const PointwiseOperand& operand = args.operands[k];
    if (is_readable(operand, args.compute)) continue;
    const Converted input(args.shape, operand.strides, args.compute);
    input.read_from(operand);
    PointwiseArgs call = args;
    call.operands[k] = input.operand();
    return run_set(call, set);
  }
  run_strided(args, set);
}

void run(const PointwiseArgs& args) {
  const PointwiseKernelSet& set = find_set(args.op, args.derivative, args.compute);
  if (args.shape.numel() != 0) run_set(args, set);
}

// ---- Calls that arrive flat ---------------------------------------------------------------------

bool is_number(const FlatPointwiseArgs& args, int k) { return (args.numbers >> k & 1u) != 0; }

bool is_aligned_call(const FlatPointwiseArgs& args) {
  for (int k = 0; k < args.count; ++k) {
    if (!is_number(args, k) && !is_aligned(args.data[k])) return false;
  }
  return true;
}

// The same call for kernels that take any layout.
PointwiseArgs strided_args(const FlatPointwiseArgs& args, const PointwiseKernelSet& set) {
  PointwiseArgs result;
  result.op = args.op;
  result.derivative = args.derivative;
  result.compute = args.compute;
  result.count = args.count;
  result.shape.push_back(args.n);
  for (int k = 0; k < args.count; ++k) {
    const bool number = is_number(args, k);
    const DType dtype = k == 0 && set.gives_bool ? DType::bool_ : args.compute;
    result.operands[k] = {args.data[k], dtype, number, Dims::filled(1, number ? 0 : 1)};
  }
  memcpy(result.parameters, args.parameters, sizeof(result.parameters));
  return result;
}

// What small calls take: no strides are looked at, and little is copied.
void run_flat(const FlatPointwiseArgs& args) {
  const PointwiseKernelSet& set = find_set(args.op, args.derivative, args.compute);
  if (set.flat == nullptr || !is_aligned_call(args)) return run_set(strided_args(args, set), set);
  FlatParams params;
  params.out = args.data[0];
  params.out_stored = Stored::same;
  params.n = args.n;
  for (int k = 0; k < set.inputs; ++k) {
    params.stored[k] = Stored::same;
    params.in[k].data = args.data[k + 1];
    params.feeds[k] = is_number(args, k + 1) ? Feed::number : Feed::elements;
    if (is_number(args, k + 1)) memcpy(params.in[k].number, args.data[k + 1], sizeof(float));
  }
  launch(args, set, set.flat, (args.n + 3) / 4, params);
}

}  // namespace

PointwiseKernels pointwise_kernels_cuda() {
  return {.run = run, .run_flat = run_flat, .check_range = cuda::check_range};
}

}  // namespace taut::kernels
