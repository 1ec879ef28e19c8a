#include "src/fusion/plan.h"

#include <algorithm>
#include <utility>

#include "src/core/cuda_runtime.h"
#include "src/fusion/backend.h"
#include "taut/base/check.h"

namespace taut::fusion {
namespace {

std::string describe(TensorList inputs) {
  std::string text;
  for (const Tensor& input : inputs) {
    if (!text.empty()) text += ", ";
    text += input.defined() ? concat(input.dtype(), " ", input.shape()) : std::string("undefined");
  }
  return text;
}

}  // namespace

Plan::Plan(const CallKey& key, TensorList inputs, size_t referred, uint64_t number)
    : key_(key.numbers().begin(), key.numbers().end()),
      text_(key.text()),
      hash_(key.hash()),
      number_(number),
      device_(*key.device()),
      referred_(referred),
      inputs_(describe(inputs)),
      autocast_(static_cast<const autograd::AutocastSettings&>(autograd::autocast_state())) {
  for (const Tensor& input : inputs) wanted_.push_back(wants_gradient(input));
}

bool Plan::fits(const CallKey& key) const {
  return hash_ == key.hash() && std::ranges::equal(key_, key.numbers()) && text_ == key.text();
}

void Plan::refuse(std::string reason) {
  refusal_ = std::move(reason);
  stage_.store(Stage::refused, std::memory_order_release);
}

void Plan::make(const Function& function, TensorList inputs, Tensors& results) {
  std::string refusal = trace_call(function, inputs, results).refusal;
  if (!refusal.empty()) return refuse(std::move(refusal));
  try {
    Trace trace = trace_with_gradients(function, inputs, wanted_, referred_);
    if (!trace.refusal.empty()) return refuse(std::move(trace.refusal));
    std::vector<int> alignments;
    for (const Tensor& input : inputs) {
      alignments.push_back(input.defined() ? alignment_of(input) : kPackBytes);
    }
    make_programs(trace, alignments);
  } catch (const Error& error) {
    // The call itself went well: want of memory for the trace, say.
    refuse(error.what());
  }
}

void Plan::make_programs(Trace& trace, const std::vector<int>& alignments) {
  const std::vector<NodeId> outputs = trace.outputs;
  is_constant_ = trace.is_constant;
  if (!trace.gradients.empty()) {
    fusion::read_outputs(trace);
    std::vector<NodeId> roots;
    places_.assign(trace.gradients.size(), -1);
    for (size_t i = 0; i < trace.gradients.size(); ++i) {
      if (trace.gradients[i] < 0) continue;
      places_[i] = static_cast<int>(roots.size());
      roots.push_back(trace.gradients[i]);
    }
    find_reads(trace, roots);
    // Outputs and gradients are made contiguous, in memory of their own.
    std::vector<int> all = alignments;
    all.resize(alignments.size() + 2 * outputs.size(), kPackBytes);
    backward_ = std::make_unique<Program>(trace.graph, roots, all, /*share_results=*/true);
    if (!backward_->refusal().empty()) {
      return refuse(concat("its gradients: ", backward_->refusal()));
    }
  }
  forward_ = std::make_unique<Program>(trace.graph, outputs, alignments, /*share_results=*/false);
  if (!forward_->refusal().empty()) refuse(forward_->refusal());
}

// Which inputs and outputs the gradients are computed from.
void Plan::find_reads(const Trace& trace, const std::vector<NodeId>& roots) {
  const int inputs = static_cast<int>(wanted_.size());
  std::vector<bool> is_read(static_cast<size_t>(inputs) + trace.outputs.size());
  for (const NodeId id : trace.graph.reachable(roots)) {
    const Node& node = trace.graph[id];
    if (node.kind != NodeKind::leaf) continue;
    const auto at = static_cast<size_t>(node.argument);
    if (at < is_read.size()) is_read[at] = true;
  }
  for (int i = 0; i < static_cast<int>(is_read.size()); ++i) {
    if (!is_read[static_cast<size_t>(i)]) continue;
    if (i < inputs) {
      read_inputs_.push_back(i);
    } else {
      read_outputs_.push_back(i - inputs);
    }
  }
}

std::string Plan::architecture() {
  if (stage() != Stage::compiling) return {};
  try {
    backend().enter(device_);
    return backend().architecture();
  } catch (const Error& error) {
    const std::lock_guard lock(mutex_);
    if (stage() == Stage::compiling) refuse(error.what());
    return {};
  }
}

void Plan::compile(const std::string& architecture) {
  const std::lock_guard lock(mutex_);
  if (stage_.load(std::memory_order_relaxed) != Stage::compiling) return;
  try {
    forward_->compile(architecture);
    if (backward_) backward_->compile(architecture);
    stage_.store(Stage::compiled, std::memory_order_release);
  } catch (const Error& error) {
    refuse(error.what());
  }
}

bool Plan::load() {
  if (stage() != Stage::compiled || cuda::current_capture() != 0) return false;
  const std::lock_guard lock(mutex_);
  if (stage_.load(std::memory_order_relaxed) != Stage::compiled) {
    return stage_.load(std::memory_order_relaxed) == Stage::ready;
  }
  try {
    backend().enter(device_);
    forward_->load();
    if (backward_) backward_->load();
  } catch (const Error& error) {
    refuse(error.what());
    return false;
  }
  stage_.store(Stage::ready, std::memory_order_release);
  return true;
}

}  // namespace taut::fusion
