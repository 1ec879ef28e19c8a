#include "src/optim/captured_step.h"

#include "src/core/cuda_runtime.h"
#include "src/optim/step_access.h"
#include "taut/autograd/grad_mode.h"
#include "taut/base/trace.h"
#include "taut/core/cuda_graph.h"

namespace taut::optim {

CapturedStep::CapturedStep(Optimizer& optimizer, size_t group, StepList list, const StepRule& rule)
    : optimizer_(StepAccess::handle(optimizer)),
      group_(group),
      rule_(rule),
      list_(std::move(list)) {}

void CapturedStep::capture() {
  list_.begin_capture(launches_);
  rule_.launch(list_, (*optimizer_)->param_groups()[group_].options);
  list_.finish();
  list_.end_capture();
}

void CapturedStep::replay() {
  Optimizer* optimizer = *optimizer_;
  TAUT_CHECK(optimizer != nullptr, CudaError,
             "graph: an optimizer whose step was captured is gone; it must live as long as it is "
             "replayed");
  TAUT_CHECK(group_ < optimizer->param_groups().size(), CudaError, "graph: parameter group ",
             group_, " of a captured step is gone");
  const NoGradGuard no_grad;
  list_.begin_replay(*optimizer, rule_);
  rule_.launch(list_, optimizer->param_groups()[group_].options);
  list_.finish();
}

namespace {

void capture_step(Optimizer& optimizer, size_t group, StepList list, const StepRule& rule) {
  const Device captured(DeviceType::cuda, cuda::current_device());
  if (list.device() != captured || !cuda::is_current_stream_capturing()) {
    cuda::refuse_capture(concat("optimizer.step: a parameter on ", list.device(),
                                " cannot be stepped while another stream than its own is captured "
                                "into a graph; step it before or after the capture"));
  }
  const auto step = std::make_shared<CapturedStep>(optimizer, group, std::move(list), rule);
  step->capture();
  cuda::on_replay([step] { step->replay(); });
}

}  // namespace

void take_steps(Optimizer& optimizer, const StepRule& rule) {
  const TraceScope scope(ScopeKind::optimizer, [&] { return optimizer.name() + ".step"; });
  const NoGradGuard no_grad;
  const bool is_captured = cuda::current_capture() != 0;
  for (size_t g = 0; g < optimizer.param_groups().size(); ++g) {
    const ParamGroup& group = optimizer.param_groups()[g];
    for (StepList& list : make_step_lists(optimizer, group, rule)) {
      if (is_captured) {
        capture_step(optimizer, g, std::move(list), rule);
        continue;
      }
      rule.launch(list, group.options);
      list.trace();
      list.finish();
    }
  }
}

}  // namespace taut::optim
