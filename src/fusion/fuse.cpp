#include "taut/fusion/fuse.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>

#include "src/autograd/autocast_state.h"
#include "src/autograd/hot_mode.h"
#include "src/core/cuda_runtime.h"
#include "src/fusion/backend.h"
#include "src/fusion/background.h"
#include "src/fusion/program.h"
#include "src/fusion/trace.h"
#include "src/fusion/tracer.h"
#include "taut/autograd/backward.h"
#include "taut/autograd/function.h"
#include "taut/autograd/record.h"
#include "taut/ops/ops.h"

namespace taut {
namespace {

using autograd::FunctionContext;
using fusion::Function;
using fusion::NodeId;
using fusion::Program;

// Addresses count by what they are a multiple of: packs are loaded at once.
constexpr uintptr_t kPackBytes = 16;

int alignment_of(const Tensor& tensor) {
  const auto address = reinterpret_cast<uintptr_t>(tensor.data_ptr());
  return static_cast<int>(std::min(address & (~address + 1), kPackBytes));
}
int alignment_or_most(const Tensor& tensor) {
  const int alignment = alignment_of(tensor);
  return alignment == 0 ? static_cast<int>(kPackBytes) : alignment;
}

// All that a plan depends on, as numbers, for a look-up without text.
void append_modes(std::vector<int64_t>& key, Device device) {
  const detail::ThreadMode& mode = detail::hot_mode;
  int64_t bits = mode.grad_enabled ? 1 : 0;
  if (mode.inference) bits |= 2;
  if (mode.autocast) bits |= 4 | static_cast<int64_t>(get_autocast_dtype(device.type())) << 8;
  bits |= static_cast<int64_t>(get_default_dtype()) << 12;
  key.push_back(bits << 16 | device.index());
}
void append_tensor(std::vector<int64_t>& key, const Tensor& tensor, bool requires_grad) {
  if (!tensor.defined()) {
    key.push_back(-1);
    return;
  }
  const TensorImpl& impl = *tensor.impl();
  const Layout& layout = impl.layout;
  key.push_back(static_cast<int64_t>(impl.dtype) | int64_t{alignment_or_most(tensor)} << 8 |
                int64_t{requires_grad} << 16 | int64_t{layout.rank()} << 24 |
                int64_t{impl.is_contiguous} << 17 |
                static_cast<int64_t>(tensor.device().type()) << 18);
  key.insert(key.end(), layout.shape.begin(), layout.shape.end());
  if (!impl.is_contiguous) {
    key.insert(key.end(), layout.strides.begin(), layout.strides.end());
  }
}

// For each input the first one that is the same elements; empty where all differ. A trace takes
// such inputs for one.
std::vector<int> repeated_inputs(TensorList inputs) {
  std::vector<int> first(inputs.size());
  bool any = false;
  for (size_t i = 0; i < inputs.size(); ++i) {
    first[i] = static_cast<int>(i);
    for (size_t k = 0; k < i && inputs[i].defined(); ++k) {
      const bool is_same = inputs[k].defined() && inputs[i].data_ptr() == inputs[k].data_ptr() &&
                           inputs[i].dtype() == inputs[k].dtype() &&
                           inputs[i].shape() == inputs[k].shape() &&
                           inputs[i].strides() == inputs[k].strides();
      if (!is_same) continue;
      first[i] = static_cast<int>(k);
      any = true;
      break;
    }
  }
  return any ? first : std::vector<int>();
}

std::string describe(TensorList inputs) {
  std::string text;
  for (const Tensor& input : inputs) {
    if (!text.empty()) text += ", ";
    text += input.defined() ? concat(input.dtype(), " ", input.shape()) : std::string("undefined");
  }
  return text;
}

// What is made for one kind of calls.
struct Plan {
  enum class Stage : uint8_t { compiling, compiled, ready, refused };

  std::vector<int64_t> key;
  std::string static_key;
  std::vector<int> repeated;  // see repeated_inputs: only calls with the same fit then
  std::string inputs;
  std::atomic<Stage> stage = Stage::compiling;
  std::string refusal;  // written before the stage
  std::mutex mutex;     // of compiling and loading

  Device device = kCPU;
  std::unique_ptr<Program> forward, backward;
  std::vector<bool> wanted;       // inputs that require grad
  std::vector<bool> is_constant;  // outputs without gradient
  // What backward reads: positions of inputs and outputs, and where each gradient is in its
  // results.
  std::vector<int> read_inputs, read_outputs, places;
  int output_count = 0;
  size_t referred = 0;
  uint64_t number = 0;
  autograd::AutocastSettings autocast;

  bool wants_gradients() const { return !places.empty(); }
};

void refuse(Plan& plan, std::string reason) {
  plan.refusal = std::move(reason);
  plan.stage.store(Plan::Stage::refused, std::memory_order_release);
}

// Which inputs and outputs the gradients are computed from.
void find_reads(Plan& plan, const fusion::Trace& trace, const std::vector<NodeId>& roots) {
  const int inputs = static_cast<int>(plan.wanted.size());
  std::vector<bool> is_read(static_cast<size_t>(inputs) + trace.outputs.size());
  for (const NodeId id : trace.graph.reachable(roots)) {
    const fusion::Node& node = trace.graph[id];
    if (node.kind != fusion::NodeKind::leaf) continue;
    const auto at = static_cast<size_t>(node.argument);
    if (at < is_read.size()) is_read[at] = true;
  }
  for (int i = 0; i < static_cast<int>(is_read.size()); ++i) {
    if (!is_read[static_cast<size_t>(i)]) continue;
    if (i < inputs) {
      plan.read_inputs.push_back(i);
    } else {
      plan.read_outputs.push_back(i - inputs);
    }
  }
}

void make_programs(Plan& plan, fusion::Trace& trace, const std::vector<int>& alignments) {
  const std::vector<NodeId> outputs = trace.outputs;
  plan.is_constant = trace.is_constant;
  plan.output_count = static_cast<int>(outputs.size());
  if (!trace.gradients.empty()) {
    fusion::read_outputs(trace);
    std::vector<NodeId> roots;
    plan.places.assign(trace.gradients.size(), -1);
    for (size_t i = 0; i < trace.gradients.size(); ++i) {
      if (trace.gradients[i] < 0) continue;
      plan.places[i] = static_cast<int>(roots.size());
      roots.push_back(trace.gradients[i]);
    }
    find_reads(plan, trace, roots);
    // Outputs and gradients are made contiguous, in memory of their own.
    std::vector<int> all = alignments;
    all.resize(alignments.size() + 2 * outputs.size(), static_cast<int>(kPackBytes));
    plan.backward = std::make_unique<Program>(trace.graph, roots, all, /*share_results=*/true);
    if (!plan.backward->refusal().empty()) {
      return refuse(plan, concat("its gradients: ", plan.backward->refusal()));
    }
  }
  plan.forward =
      std::make_unique<Program>(trace.graph, outputs, alignments, /*share_results=*/false);
  if (!plan.forward->refusal().empty()) refuse(plan, plan.forward->refusal());
}

void compile_programs(Plan& plan, const std::string& architecture) {
  const std::lock_guard lock(plan.mutex);
  if (plan.stage.load(std::memory_order_relaxed) != Plan::Stage::compiling) return;
  try {
    plan.forward->compile(architecture);
    if (plan.backward) plan.backward->compile(architecture);
    plan.stage.store(Plan::Stage::compiled, std::memory_order_release);
  } catch (const Error& error) {
    refuse(plan, error.what());
  }
}

// What a plan that is to be compiled is compiled for; where nothing can be, the plan is refused.
// Opens NVRTC, so that it outlives the thread that compiles.
std::string architecture_of(Plan& plan) {
  if (plan.stage.load(std::memory_order_acquire) != Plan::Stage::compiling) return {};
  try {
    fusion::backend().enter(plan.device);
    return fusion::backend().architecture();
  } catch (const Error& error) {
    refuse(plan, error.what());
    return {};
  }
}

// Whether the plan's kernels can be launched; loads them when they were just compiled. The driver
// is not asked for anything while a graph is being captured.
bool is_ready(Plan& plan) {
  const Plan::Stage stage = plan.stage.load(std::memory_order_acquire);
  if (TAUT_LIKELY(stage == Plan::Stage::ready)) return true;
  if (stage != Plan::Stage::compiled || cuda::current_capture() != 0) return false;
  const std::lock_guard lock(plan.mutex);
  if (plan.stage.load(std::memory_order_relaxed) != Plan::Stage::compiled) {
    return plan.stage.load(std::memory_order_relaxed) == Plan::Stage::ready;
  }
  try {
    fusion::backend().enter(plan.device);
    plan.forward->load();
    if (plan.backward) plan.backward->load();
  } catch (const Error& error) {
    refuse(plan, error.what());
    return false;
  }
  plan.stage.store(Plan::Stage::ready, std::memory_order_release);
  return true;
}

// What the function takes of the inputs.
TensorList given_of(TensorList inputs, size_t referred) {
  return inputs.first(inputs.size() - referred);
}

// The function's own derivative, for second derivatives. It gets aliases, so that an input that was
// given twice does not count what goes to the other.
Tensors eager_backward(const Plan& plan, const Function& function, Tensors inputs,
                       const Tensors& grads) {
  const EnableGradGuard enable_grad;
  Tensors wanted;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!plan.wanted[i]) continue;
    if (i + plan.referred < inputs.size()) inputs[i] = alias(inputs[i]);
    wanted.push_back(inputs[i]);
  }
  Tensors outputs;
  {
    const autograd::AutocastSettingsGuard autocast(plan.autocast);
    outputs = function(given_of(inputs, plan.referred));
  }
  Tensors roots, root_grads;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!outputs[i].defined() || !autograd::requires_grad(outputs[i])) continue;
    roots.push_back(outputs[i]);
    root_grads.push_back(grads[i]);
  }
  Tensors results(inputs.size());
  if (roots.empty()) return results;
  const Tensors found = autograd::grad(roots, wanted, root_grads, /*retain_graph=*/true,
                                       /*create_graph=*/true, /*allow_unused=*/true);
  size_t next = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (plan.wanted[i]) results[i] = found[next++];
  }
  return results;
}

// A gradient as the kernels read it.
Tensor as_read(const Tensor& grad) {
  const Tensor whole = contiguous(grad);
  return alignment_or_most(whole) < static_cast<int>(kPackBytes) ? clone(whole) : whole;
}

Tensors fused_backward(const Plan& plan, FunctionContext& context, const Tensors& grads) {
  const size_t inputs = plan.wanted.size();
  const auto outputs = static_cast<size_t>(plan.output_count);
  Tensors arguments(inputs + 2 * outputs);
  const Tensors saved =
      context.saved_tensors(0, plan.read_inputs.size() + plan.read_outputs.size());
  size_t next = 0;
  for (const int i : plan.read_inputs) arguments[static_cast<size_t>(i)] = saved[next++];
  for (const int i : plan.read_outputs) arguments[inputs + static_cast<size_t>(i)] = saved[next++];
  for (size_t i = 0; i < outputs; ++i) {
    if (!plan.is_constant[i]) arguments[inputs + outputs + i] = as_read(grads[i]);
  }
  const Tensors found = plan.backward->run(plan.device, arguments.data());
  Tensors results(inputs);
  for (size_t i = 0; i < inputs; ++i) {
    if (plan.places[i] >= 0) results[i] = found[static_cast<size_t>(plan.places[i])];
  }
  return results;
}

Tensors run_with_gradients(const std::shared_ptr<Plan>& plan, TensorList inputs,
                           const Function& function) {
  return autograd::apply_function(
      "fused", inputs,
      [&](FunctionContext& context) {
        Tensors outputs = plan->forward->run(plan->device, inputs.data());
        Tensors saved;
        for (const int i : plan->read_inputs) saved.push_back(inputs[static_cast<size_t>(i)]);
        for (const int i : plan->read_outputs) saved.push_back(outputs[static_cast<size_t>(i)]);
        // Behind them all inputs, which second derivatives need.
        saved.insert(saved.end(), inputs.begin(), inputs.end());
        context.save_for_backward(std::move(saved));
        Tensors constant;
        for (size_t i = 0; i < outputs.size(); ++i) {
          if (plan->is_constant[i]) constant.push_back(outputs[i]);
        }
        context.mark_non_differentiable(std::move(constant));
        return outputs;
      },
      [plan, function](FunctionContext& context, const Tensors& grads) {
        // Grad mode is on while the walk itself is recorded, with create_graph.
        if (!is_grad_enabled()) return fused_backward(*plan, context, grads);
        const size_t first = plan->read_inputs.size() + plan->read_outputs.size();
        return eager_backward(*plan, function, context.saved_tensors(first, plan->wanted.size()),
                              grads);
      });
}

}  // namespace

struct FusedFunction::State {
  State(Function given, FuseOptions given_options)
      : function(std::move(given)), options(std::move(given_options)) {
    TAUT_CHECK(options.max_kinds > 0, ValueError, "fuse: max_kinds must be above 0; got ",
               options.max_kinds);
  }

  /// The plan for a call, made and marked as new for the first of its kind; null where the function
  /// is simply called.
  std::shared_ptr<Plan> plan_of(const Call& call, bool& is_new);
  Tensors run(const Call& call, uint64_t* kind);
  bool compile(const Call& call, uint64_t* kind);
  Tensors first_call(const Call& call, const std::shared_ptr<Plan>& plan);
  void compile_later(const std::shared_ptr<Plan>& plan);
  bool compile_now(Plan& plan);
  void report(const Plan& plan);

  Function function;
  FuseOptions options;
  mutable std::mutex mutex;
  std::vector<std::shared_ptr<Plan>> plans;
  uint64_t latest_number = 0;
  std::atomic<bool> has_reported = false;
};

namespace {

// The GPU that all tensors are on, if there is one.
std::optional<Device> common_device(TensorList inputs) {
  std::optional<Device> device;
  for (const Tensor& input : inputs) {
    if (!input.defined()) continue;
    if (input.device().type() != fusion::backend().device) return std::nullopt;
    if (device && !(input.device() == *device)) return std::nullopt;
    device = input.device();
  }
  return device;
}

bool wants_gradient(const Tensor& input) {
  return is_grad_enabled() && autograd::detail::may_require_grad(input) &&
         autograd::requires_grad(input);
}

}  // namespace

std::shared_ptr<Plan> FusedFunction::State::plan_of(const Call& call, bool& is_new) {
  is_new = false;
  const std::optional<Device> device = common_device(call.inputs);
  // A function that is being traced itself takes this one's ops for its own.
  if (!device || fusion::Tracer::is_tracing()) return nullptr;
  static thread_local std::vector<int64_t> key;
  key.clear();
  append_modes(key, *device);
  for (const Tensor& input : call.inputs) append_tensor(key, input, wants_gradient(input));
  const std::lock_guard lock(mutex);
  for (const std::shared_ptr<Plan>& plan : plans) {
    if (plan->key != key || plan->static_key != call.key) continue;
    if (plan->repeated.empty() || plan->repeated == repeated_inputs(call.inputs)) return plan;
  }
  if (cuda::current_capture() != 0 || static_cast<int64_t>(plans.size()) >= options.max_kinds) {
    return nullptr;
  }
  auto plan = std::make_shared<Plan>();
  plan->key = key;
  plan->static_key = call.key;
  plan->repeated = repeated_inputs(call.inputs);
  plan->inputs = describe(call.inputs);
  plan->device = *device;
  plan->referred = call.referred;
  plan->number = ++latest_number;
  plans.push_back(plan);
  is_new = true;
  return plan;
}

Tensors FusedFunction::State::run(const Call& call, uint64_t* kind) {
  bool is_new = false;
  const std::shared_ptr<Plan> plan = plan_of(call, is_new);
  if (kind != nullptr) *kind = plan ? plan->number : 0;
  if (!plan) return call.function(given_of(call.inputs, call.referred));
  if (is_new) {
    Tensors results = first_call(call, plan);
    if (options.wait) {
      compile_now(*plan);
    } else {
      compile_later(plan);
    }
    return results;
  }
  if (!is_ready(*plan)) {
    report(*plan);
    return call.function(given_of(call.inputs, call.referred));
  }
  if (plan->wants_gradients()) return run_with_gradients(plan, call.inputs, call.function);
  return plan->forward->run(plan->device, call.inputs.data());
}

bool FusedFunction::State::compile(const Call& call, uint64_t* kind) {
  bool is_new = false;
  const std::shared_ptr<Plan> plan = plan_of(call, is_new);
  if (kind != nullptr) *kind = plan ? plan->number : 0;
  if (!plan) return false;
  if (is_new) first_call(call, plan);
  return compile_now(*plan);
}

// Runs the function, and makes of its trace what there is to compile.
Tensors FusedFunction::State::first_call(const Call& call, const std::shared_ptr<Plan>& plan) {
  const TensorList inputs = call.inputs;
  const Function given = [&call](TensorList all) {
    return call.function(given_of(all, call.referred));
  };
  Tensors results;
  std::vector<int> alignments;
  bool wants_gradients = false;
  for (const Tensor& input : inputs) {
    alignments.push_back(input.defined() ? alignment_or_most(input) : static_cast<int>(kPackBytes));
    plan->wanted.push_back(wants_gradient(input));
    wants_gradients |= plan->wanted.back();
  }
  plan->autocast = static_cast<const autograd::AutocastSettings&>(autograd::autocast_state());
  fusion::Trace trace;
  try {
    trace = fusion::trace_call(given, inputs, results);
  } catch (...) {
    // The next call of the kind begins anew.
    const std::lock_guard lock(mutex);
    std::erase(plans, plan);
    throw;
  }
  try {
    if (trace.refusal.empty() && wants_gradients) {
      trace = fusion::trace_with_gradients(given, inputs, plan->wanted, call.referred);
    }
    if (trace.refusal.empty()) {
      make_programs(*plan, trace, alignments);
    } else {
      refuse(*plan, trace.refusal);
    }
  } catch (const Error& error) {
    // The call itself went well: want of memory for the trace, say.
    refuse(*plan, error.what());
  } catch (...) {
    refuse(*plan, "its gradients could not be traced");
    throw;
  }
  return results;
}

void FusedFunction::State::compile_later(const std::shared_ptr<Plan>& plan) {
  const std::string architecture = architecture_of(*plan);
  if (plan->stage.load(std::memory_order_acquire) != Plan::Stage::compiling) return report(*plan);
  fusion::run_in_background([plan, architecture] { compile_programs(*plan, architecture); });
}

bool FusedFunction::State::compile_now(Plan& plan) {
  const std::string architecture = architecture_of(plan);
  if (!architecture.empty()) compile_programs(plan, architecture);
  if (is_ready(plan)) return true;
  report(plan);
  return false;
}

void FusedFunction::State::report(const Plan& plan) {
  if (plan.stage.load(std::memory_order_acquire) != Plan::Stage::refused) return;
  if (has_reported.exchange(true) || !options.on_fallback) return;
  options.on_fallback(plan.refusal);
}

FusedFunction::FusedFunction(Function function, FuseOptions options)
    : state_(std::make_shared<State>(std::move(function), std::move(options))) {}
FusedFunction::FusedFunction(FusedFunction&&) noexcept = default;
FusedFunction& FusedFunction::operator=(FusedFunction&&) noexcept = default;
FusedFunction::~FusedFunction() = default;

Tensors FusedFunction::operator()(TensorList inputs) {
  return state_->run({inputs, state_->function}, nullptr);
}
bool FusedFunction::compile(TensorList inputs) {
  return state_->compile({inputs, state_->function}, nullptr);
}
Tensors FusedFunction::call(const Call& call, uint64_t* kind) { return state_->run(call, kind); }
bool FusedFunction::compile(const Call& call, uint64_t* kind) {
  return state_->compile(call, kind);
}

std::vector<FusedKind> FusedFunction::kinds() const {
  std::vector<FusedKind> result;
  const std::lock_guard lock(state_->mutex);
  for (const std::shared_ptr<Plan>& plan : state_->plans) {
    FusedKind kind;
    kind.inputs = plan->inputs;
    const Plan::Stage stage = plan->stage.load(std::memory_order_acquire);
    kind.is_ready = stage == Plan::Stage::ready || stage == Plan::Stage::compiled;
    if (stage == Plan::Stage::refused) {
      kind.refusal = plan->refusal;
    } else if (kind.is_ready) {
      for (const Program* program : {plan->forward.get(), plan->backward.get()}) {
        if (program == nullptr) continue;
        const auto& kernels = program->code().kernels;
        (program == plan->forward.get() ? kind.forward_kernels : kind.backward_kernels) =
            static_cast<int64_t>(kernels.size());
        for (const fusion::KernelCode& kernel : kernels) kind.source += kernel.kernel;
      }
    }
    result.push_back(std::move(kind));
  }
  return result;
}

}  // namespace taut
