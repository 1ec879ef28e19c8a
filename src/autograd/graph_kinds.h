#pragma once
// The kinds of calls that a graphed step has seen, and what each of them keeps.

#include <memory>
#include <string>
#include <vector>

#include "src/autograd/grad_slots.h"
#include "taut/base/macros.h"
#include "taut/core/cuda_graph.h"
#include "taut/core/stream.h"
#include "taut/core/tensor.h"

namespace taut::autograd {

/// What calls of one kind share.
struct GraphKind {
  enum class Stage { warming_up, captured, without_graph };

  uint64_t number = 0;
  std::string signature;
  Stage stage = Stage::warming_up;
  int64_t warmup_left = 0;
  std::string reason;  // why it has no graph
  uint64_t used = 0;   // when, counted in calls
  Tensors inputs;      // what the graph reads
  Tensors staged;      // where those from the host arrive; undefined for others
  Tensors outputs;
  GradSlots grads;
  cuda::Event arrived, taken;
  cuda::Graph graph;  // last: it waits for its replays before the rest goes
};

/// A few kinds, of which the least recently used makes room for a new one.
class TAUT_API GraphKinds {
 public:
  /// Kinds are run `warmup` times before they are captured; at most `most` are kept.
  GraphKinds(int64_t warmup, int64_t most) : warmup_(warmup), most_(most) {}

  /// The kind of a call: one that has its signature and, when captured, finds the gradients that it
  /// needs (see Note [Gradients of graphs]). A new one where there is none.
  GraphKind& find(const std::string& signature);

  auto begin() const { return kinds_.begin(); }
  auto end() const { return kinds_.end(); }

 private:
  GraphKind& add(const std::string& signature);

  int64_t warmup_, most_;
  std::vector<std::unique_ptr<GraphKind>> kinds_;
  uint64_t calls_ = 0;
  uint64_t numbers_ = 0;
};

}  // namespace taut::autograd
