#include "taut/fusion/fuse.h"

#include <atomic>
#include <mutex>
#include <optional>
#include <vector>

#include "src/core/cuda_runtime.h"
#include "src/fusion/background.h"
#include "src/fusion/call_key.h"
#include "src/fusion/fused_op.h"
#include "src/fusion/plan.h"
#include "src/fusion/tracer.h"
#include "taut/base/check.h"

namespace taut {

using fusion::CallKey;
using fusion::Plan;

struct FusedFunction::State {
  State(Function given, FuseOptions given_options)
      : function(std::move(given)), options(std::move(given_options)) {
    TAUT_CHECK(options.max_kinds > 0, ValueError, "fuse: max_kinds must be above 0; got ",
               options.max_kinds);
  }

  Tensors run(const Call& call, uint64_t* kind);
  std::optional<Tensors> run_if_ready(const Call& call, uint64_t* kind);
  bool compile(const Call& call, uint64_t* kind);

  Function function;
  FuseOptions options;
  mutable std::mutex mutex;
  std::vector<Ref<Plan>> plans;  // in the order of their first calls

 private:
  Tensors run_plain(const Call& call) const {
    return call.function(fusion::given_of(call.inputs, call.referred));
  }
  Tensors run_plan(Plan& plan, const Call& call);
  Ref<Plan> plan_of(const CallKey& key, const Call& call, bool& is_new);
  Tensors first_call(const Call& call, const Ref<Plan>& plan);
  void compile_later(const Ref<Plan>& plan);
  bool compile_now(Plan& plan);
  void report(const Plan& plan);

  // Those whose first call is over.
  fusion::Plans known_;
  uint64_t latest_number_ = 0;
  std::atomic<bool> has_reported_ = false;
};

namespace {

// A function that is being traced itself takes this one's ops for its own.
bool may_be_fused(const CallKey& key) { return key.device() && !fusion::Tracer::is_tracing(); }

void tell(uint64_t* kind, const Plan* plan) {
  if (kind != nullptr) *kind = plan == nullptr ? 0 : plan->number();
}

}  // namespace

Tensors FusedFunction::State::run(const Call& call, uint64_t* kind) {
  const CallKey key(call.inputs, call.key);
  tell(kind, nullptr);
  if (!may_be_fused(key)) return run_plain(call);
  if (Plan* plan = known_.find(key)) {
    tell(kind, plan);
    return run_plan(*plan, call);
  }
  bool is_new = false;
  const Ref<Plan> plan = plan_of(key, call, is_new);
  tell(kind, plan.get());
  if (!plan) return run_plain(call);
  if (!is_new) return run_plan(*plan, call);
  Tensors results = first_call(call, plan);
  if (options.wait) {
    compile_now(*plan);
  } else {
    compile_later(plan);
  }
  return results;
}

std::optional<Tensors> FusedFunction::State::run_if_ready(const Call& call, uint64_t* kind) {
  const CallKey key(call.inputs, call.key);
  tell(kind, nullptr);
  if (!may_be_fused(key)) return std::nullopt;
  Plan* plan = known_.find(key);
  if (plan == nullptr || !plan->is_ready()) return std::nullopt;
  tell(kind, plan);
  return fusion::run_fused(*plan, call.inputs, call.function);
}

Tensors FusedFunction::State::run_plan(Plan& plan, const Call& call) {
  if (TAUT_LIKELY(plan.is_ready())) return fusion::run_fused(plan, call.inputs, call.function);
  report(plan);
  return run_plain(call);
}

bool FusedFunction::State::compile(const Call& call, uint64_t* kind) {
  const CallKey key(call.inputs, call.key);
  tell(kind, nullptr);
  if (!may_be_fused(key)) return false;
  bool is_new = false;
  const Ref<Plan> plan = plan_of(key, call, is_new);
  tell(kind, plan.get());
  if (!plan) return false;
  if (is_new) first_call(call, plan);
  return compile_now(*plan);
}

// The plan for a call, made and marked as new for the first of its kind; null where the function is
// simply called.
Ref<Plan> FusedFunction::State::plan_of(const CallKey& key, const Call& call, bool& is_new) {
  const std::lock_guard lock(mutex);
  for (const Ref<Plan>& plan : plans) {
    if (plan->fits(key)) return plan;
  }
  if (cuda::current_capture() != 0 || static_cast<int64_t>(plans.size()) >= options.max_kinds) {
    return nullptr;
  }
  is_new = true;
  plans.push_back(Ref<Plan>::adopt(new Plan(key, call.inputs, call.referred, ++latest_number_)));
  return plans.back();
}

Tensors FusedFunction::State::first_call(const Call& call, const Ref<Plan>& plan) {
  const Function given = [&call](TensorList all) {
    return call.function(fusion::given_of(all, call.referred));
  };
  Tensors results;
  try {
    plan->make(given, call.inputs, results);
  } catch (...) {
    // The next call of the kind begins anew.
    const std::lock_guard lock(mutex);
    std::erase(plans, plan);
    throw;
  }
  const std::lock_guard lock(mutex);
  known_.add(*plan);
  return results;
}

void FusedFunction::State::compile_later(const Ref<Plan>& plan) {
  const std::string architecture = plan->architecture();
  if (architecture.empty()) return report(*plan);
  fusion::run_in_background([plan, architecture] { plan->compile(architecture); });
}

bool FusedFunction::State::compile_now(Plan& plan) {
  const std::string architecture = plan.architecture();
  if (!architecture.empty()) plan.compile(architecture);
  if (plan.is_ready()) return true;
  report(plan);
  return false;
}

void FusedFunction::State::report(const Plan& plan) {
  if (plan.stage() != Plan::Stage::refused) return;
  if (has_reported_.exchange(true) || !options.on_fallback) return;
  options.on_fallback(plan.refusal());
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
std::optional<Tensors> FusedFunction::call_if_ready(const Call& call, uint64_t* kind) {
  return state_->run_if_ready(call, kind);
}
bool FusedFunction::compile(const Call& call, uint64_t* kind) {
  return state_->compile(call, kind);
}

namespace {

void add_kernels(const fusion::Program& program, int64_t& count, std::string& source) {
  const auto& kernels = program.code().kernels;
  count = static_cast<int64_t>(kernels.size());
  for (const fusion::KernelCode& kernel : kernels) source += kernel.kernel;
}

}  // namespace

std::vector<FusedKind> FusedFunction::kinds() const {
  std::vector<FusedKind> result;
  const std::lock_guard lock(state_->mutex);
  for (const Ref<Plan>& plan : state_->plans) {
    FusedKind kind;
    kind.inputs = plan->inputs();
    const Plan::Stage stage = plan->stage();
    kind.is_ready = stage == Plan::Stage::ready || stage == Plan::Stage::compiled;
    if (stage == Plan::Stage::refused) {
      kind.refusal = plan->refusal();
    } else if (kind.is_ready) {
      add_kernels(plan->forward(), kind.forward_kernels, kind.source);
      if (plan->backward() != nullptr) {
        add_kernels(*plan->backward(), kind.backward_kernels, kind.source);
      }
    }
    result.push_back(std::move(kind));
  }
  return result;
}

}  // namespace taut
