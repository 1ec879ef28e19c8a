#pragma once
// What is made for one kind of calls: kernels for the function and for its gradients, or the reason
// why there are none.

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "src/autograd/autocast_state.h"
#include "src/fusion/call_key.h"
#include "src/fusion/program.h"
#include "src/fusion/trace.h"
#include "taut/base/ref.h"

namespace taut::fusion {

class Plan final : public RefCounted {
 public:
  enum class Stage : uint8_t { compiling, compiled, ready, refused };

  /// For calls like this one, by this thread. The key must know the device of the inputs.
  Plan(const CallKey& key, TensorList inputs, size_t referred, uint64_t number);
  void destroy() noexcept { delete this; }

  bool fits(const CallKey& key) const;
  /// Runs the function, puts its results in `results`, and makes of its trace what there is to
  /// compile. @throws what the function throws.
  void make(const Function& function, TensorList inputs, Tensors& results);

  /// What the plan is to be compiled for; empty where there is nothing to do, or nothing that can
  /// be done. Opens the compiler, so that it outlives the thread that compiles.
  std::string architecture();
  void compile(const std::string& architecture);
  /// Whether the kernels can be launched; loads them when they were just compiled. The driver is
  /// not asked for anything while a graph is being captured.
  bool is_ready() { return TAUT_LIKELY(stage() == Stage::ready) || load(); }

  Stage stage() const { return stage_.load(std::memory_order_acquire); }
  /// Why there are no kernels, once it is refused.
  const std::string& refusal() const { return refusal_; }
  uint64_t hash() const { return hash_; }
  /// Among the plans of a function, from 1 on.
  uint64_t number() const { return number_; }
  /// The inputs in words.
  const std::string& inputs() const { return inputs_; }
  const autograd::AutocastSettings& autocast() const { return autocast_; }

  // Once it is compiled:

  Device device() const { return device_; }
  const Program& forward() const { return *forward_; }
  /// Null where no input has a gradient.
  const Program* backward() const { return backward_.get(); }
  /// How many of the inputs, the last ones, the function refers to; see FusedFunction::Call.
  size_t referred() const { return referred_; }
  /// Which inputs require grad.
  const std::vector<bool>& wanted() const { return wanted_; }
  /// Which outputs no gradient flows through.
  const std::vector<bool>& is_constant() const { return is_constant_; }
  /// The inputs and the outputs that `backward` reads, by their positions.
  const std::vector<int>& read_inputs() const { return read_inputs_; }
  const std::vector<int>& read_outputs() const { return read_outputs_; }
  /// Which result of `backward` is the gradient of each input; -1 where there is none.
  const std::vector<int>& places() const { return places_; }

  /// The next one in a list of plans; see Plans.
  Plan* next = nullptr;

 private:
  ~Plan() = default;
  void refuse(std::string reason);
  void make_programs(Trace& trace, const std::vector<int>& alignments);
  void find_reads(const Trace& trace, const std::vector<NodeId>& roots);
  bool load();

  // The call that it was made for.
  std::vector<int64_t> key_;
  std::string text_;
  uint64_t hash_;
  uint64_t number_;
  Device device_;
  size_t referred_;
  std::string inputs_;
  std::vector<bool> wanted_;
  autograd::AutocastSettings autocast_;

  std::atomic<Stage> stage_ = Stage::compiling;
  std::string refusal_;  // written before the stage
  std::mutex mutex_;     // of compiling and loading
  std::unique_ptr<Program> forward_, backward_;
  std::vector<bool> is_constant_;
  std::vector<int> read_inputs_, read_outputs_, places_;
};

/// Plans that are found without a lock. They are added one at a time, and stay as long as the list.
class Plans {
 public:
  Plans() = default;
  Plans(const Plans&) = delete;
  Plans& operator=(const Plans&) = delete;

  Plan* find(const CallKey& key) const {
    const std::atomic<Plan*>& bucket = buckets_[key.hash() % kBuckets];
    Plan* plan = bucket.load(std::memory_order_acquire);
    while (plan != nullptr && !plan->fits(key)) plan = plan->next;
    return plan;
  }
  /// The caller keeps the plan alive, and other callers away.
  void add(Plan& plan) {
    std::atomic<Plan*>& bucket = buckets_[plan.hash() % kBuckets];
    plan.next = bucket.load(std::memory_order_relaxed);
    bucket.store(&plan, std::memory_order_release);
  }

 private:
  static constexpr size_t kBuckets = 64;
  std::array<std::atomic<Plan*>, kBuckets> buckets_ = {};
};

}  // namespace taut::fusion
