// Functions that become captured graphs.
//
// Note [Inputs of graphs]
// A graph reads its inputs where they lay at the capture. What a call brings on the GPU is copied
// there in the order of the stream, which takes microseconds. What it brings from the host goes to
// a second buffer first, on a stream of its own, as soon as the copy before it has left that
// buffer: that is while the graph of the call before still runs. Two captures with inputs of their
// own would save the short copy, and cost the memory and the time of a second capture.
//
// Note [Memory of graphs]
// Each kind of calls has memory of its own. Graphs that share memory overwrite whatever another one
// left, which is well for what lives within a call; but gradients that a call leaves in parameters
// must outlive calls of other kinds.

#include "taut/autograd/graphed_step.h"

#include <algorithm>
#include <vector>

#include "src/autograd/grad_slots.h"
#include "src/autograd/graph_kinds.h"
#include "src/autograd/graph_signature.h"
#include "src/core/cuda_runtime.h"
#include "taut/autograd/autocast_mode.h"
#include "taut/autograd/grad_mode.h"
#include "taut/core/cuda.h"
#include "taut/core/cuda_graph.h"
#include "taut/core/stream.h"
#include "taut/ops/ops.h"

namespace taut::cuda {
namespace {

using autograd::GraphKind;

Device device_for(const GraphedOptions& options) {
  if (options.device) return *options.device;
  return is_available() ? Device(DeviceType::cuda, current_device()) : Device(kCPU);
}

void check_inputs(const Tensors& inputs) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    TAUT_CHECK(inputs[i].defined(), ValueError, "make_graphed: input ", i, " is undefined");
    TAUT_CHECK(!inputs[i].requires_grad(), ValueError, "make_graphed: input ", i,
               " requires grad, but results of a graph are outside of the tape; make backward part "
               "of the function, and use parameters in it where they are");
  }
}

Tensors off_tape(Tensors tensors) {
  for (Tensor& tensor : tensors) {
    if (tensor.defined()) tensor = tensor.detach();
  }
  return tensors;
}

Tensors moved_to(Device device, const Tensors& inputs) {
  Tensors result;
  for (const Tensor& input : inputs) result.push_back(input.to(device, /*non_blocking=*/true));
  return result;
}

// Work on another stream for a scope, in the order of the current one.
class OnStream {
 public:
  explicit OnStream(const Stream& side)
      : current_(current_stream(side.device())), side_(side), guard_(after(side, current_)) {}
  OnStream(const OnStream&) = delete;
  OnStream& operator=(const OnStream&) = delete;
  ~OnStream() {
    try {
      current_.wait(side_);
    } catch (const Error&) {
      // The work itself failed, and the next call that waits for the GPU says so.
    }
  }

 private:
  static const Stream& after(const Stream& side, const Stream& current) {
    side.wait(current);
    return side;
  }
  Stream current_, side_;
  StreamGuard guard_;
};

}  // namespace

struct GraphedStep::State {
  State(Step function, GraphedOptions given)
      : step(std::move(function)),
        options(std::move(given)),
        device(device_for(options)),
        kinds(options.warmup, options.max_graphs) {
    TAUT_CHECK(options.warmup >= 0, ValueError, "make_graphed: warmup cannot be negative; got ",
               options.warmup);
    TAUT_CHECK(options.max_graphs > 0, ValueError, "make_graphed: max_graphs must be above 0; got ",
               options.max_graphs);
  }

  Tensors call(const Tensors& inputs, std::string_view key, const Step& function);

  Tensors warm_up(GraphKind& kind, const Tensors& given, const Step& function);
  void copy_in(GraphKind& kind, const Tensors& given);
  bool capture(GraphKind& kind, const Step& function);
  void give_up(GraphKind& kind, const std::string& why);
  void report(const std::string& why);
  Tensors replay(GraphKind& kind);

  Step step;
  GraphedOptions options;
  Device device;
  autograd::GraphKinds kinds;
  // Made at first need: for warm-ups and captures, and for copies from the host.
  std::optional<Stream> side, copies;
  // Where the latest call's work went.
  std::optional<Stream> previous;
  uint64_t latest = 0;
  std::string reason;
};

Tensors GraphedStep::State::call(const Tensors& inputs, std::string_view key,
                                 const Step& function) {
  check_inputs(inputs);
  latest = 0;
  if (!device.is_cuda()) return off_tape(function(inputs));
  const DeviceGuard guard(device);
  // Within the capture of another graph the function is a part of that.
  if (current_capture() != 0) return off_tape(function(moved_to(device, inputs)));
  const Stream now = current_stream(device);
  if (previous && !(*previous == now)) now.wait(*previous);
  previous = now;
  GraphKind& kind = kinds.find(autograd::graph_signature(inputs, key));
  latest = kind.number;
  if (kind.stage == GraphKind::Stage::warming_up) {
    if (kind.warmup_left > 0) return warm_up(kind, inputs, function);
    copy_in(kind, inputs);
    if (capture(kind, function)) return replay(kind);
  }
  if (kind.stage == GraphKind::Stage::without_graph) {
    report(kind.reason);
    return off_tape(function(moved_to(device, inputs)));
  }
  copy_in(kind, inputs);
  return replay(kind);
}

Tensors GraphedStep::State::warm_up(GraphKind& kind, const Tensors& given, const Step& function) {
  if (!side) side = Stream::from_pool(device);
  const OnStream scope(*side);
  Tensors outputs = off_tape(function(moved_to(device, given)));
  --kind.warmup_left;
  return outputs;
}

// See Note [Inputs of graphs].
void GraphedStep::State::copy_in(GraphKind& kind, const Tensors& given) {
  const NoGradGuard no_grad;
  const Stream now = current_stream(device);
  if (kind.inputs.empty()) {
    Tensors fresh;
    for (const Tensor& input : given) {
      fresh.push_back(empty_like(input, TensorOptions(input.dtype()).device(device)));
    }
    kind.staged.resize(given.size());
    kind.inputs = std::move(fresh);
  }
  bool is_staged = false;
  for (size_t i = 0; i < given.size(); ++i) {
    if (!given[i].is_cpu()) continue;
    if (!copies) copies = Stream::from_pool(device);
    if (!is_staged) copies->wait(kind.taken);
    is_staged = true;
    const StreamGuard guard(*copies);
    if (!kind.staged[i].defined()) kind.staged[i] = empty_like(kind.inputs[i]);
    kind.staged[i].copy_(given[i], /*non_blocking=*/true);
  }
  if (is_staged) {
    kind.arrived.record(*copies);
    now.wait(kind.arrived);
  }
  for (size_t i = 0; i < given.size(); ++i) {
    kind.inputs[i].copy_(given[i].is_cpu() ? kind.staged[i] : given[i]);
  }
  if (is_staged) kind.taken.record(now);
}

// Whether it could be captured. Casts of weights that autocast keeps belong to one side of the
// capture: what is in the graph's memory is not computed yet, and what is outside may go.
bool GraphedStep::State::capture(GraphKind& kind, const Step& function) {
  if (!side) side = Stream::from_pool(device);
  const OnStream scope(*side);
  autograd::GradSlots grads;
  std::string refusal;
  clear_autocast_cache();
  // What the warm-ups left is not for the graph, which could not have it back in the midst of the
  // capture.
  taut::empty_cache(device);
  kind.graph.capture_begin();
  try {
    const autograd::GradSlotsGuard noted(grads);
    kind.outputs = off_tape(function(kind.inputs));
  } catch (...) {
    refusal = capture_refusal();
    kind.graph.abandon();
    grads.undo();
    clear_autocast_cache();
    if (refusal.empty()) throw;
  }
  if (refusal.empty()) {
    clear_autocast_cache();
    try {
      kind.graph.capture_end();
      grads.finish();
      kind.grads = std::move(grads);
      kind.stage = GraphKind::Stage::captured;
      return true;
    } catch (const CudaError& error) {
      refusal = error.what();
      grads.undo();
    }
  }
  give_up(kind, refusal);
  return false;
}

void GraphedStep::State::give_up(GraphKind& kind, const std::string& why) {
  kind.stage = GraphKind::Stage::without_graph;
  kind.reason = why;
  if (copies) copies->wait(kind.taken);  // what is staged was read, before its memory is used again
  kind.inputs.clear();
  kind.staged.clear();
  kind.outputs.clear();
}

void GraphedStep::State::report(const std::string& why) {
  if (!reason.empty()) return;
  reason = why;
  if (options.on_fallback) options.on_fallback(reason);
}

Tensors GraphedStep::State::replay(GraphKind& kind) {
  kind.graph.replay();
  kind.grads.apply();
  if (!options.clone_outputs) return kind.outputs;
  const NoGradGuard no_grad;
  Tensors copies_of_outputs;
  for (const Tensor& output : kind.outputs) {
    copies_of_outputs.push_back(output.defined() ? output.clone() : Tensor());
  }
  return copies_of_outputs;
}

GraphedStep::GraphedStep(Step step, GraphedOptions options)
    : state_(std::make_unique<State>(std::move(step), std::move(options))) {}
GraphedStep::GraphedStep(GraphedStep&&) noexcept = default;
GraphedStep& GraphedStep::operator=(GraphedStep&&) noexcept = default;
GraphedStep::~GraphedStep() = default;

Tensors GraphedStep::operator()(const Tensors& inputs) {
  return state_->call(inputs, {}, state_->step);
}

Tensors GraphedStep::call(const Tensors& inputs, std::string_view key, const Step& step) {
  return state_->call(inputs, key, step);
}

uint64_t GraphedStep::latest_kind() const { return state_->latest; }

std::vector<uint64_t> GraphedStep::kinds() const {
  std::vector<uint64_t> numbers;
  for (const auto& kind : state_->kinds) numbers.push_back(kind->number);
  return numbers;
}

int64_t GraphedStep::graphs() const {
  return std::count_if(state_->kinds.begin(), state_->kinds.end(),
                       [](const auto& kind) { return kind->stage == GraphKind::Stage::captured; });
}

const std::string& GraphedStep::fallback_reason() const { return state_->reason; }

}  // namespace taut::cuda
