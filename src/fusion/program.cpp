#include "src/fusion/program.h"

#include <algorithm>

#include "src/core/cuda_runtime.h"
#include "src/fusion/schedule.h"
#include "src/ops/allocate.h"

namespace taut::fusion {

Program::Program(Graph& graph, const std::vector<NodeId>& roots, const std::vector<int>& alignments,
                 bool share_results)
    : schedule_(schedule(graph, roots, static_cast<int>(alignments.size()), share_results)) {
  refusal_ = schedule_.refusal;
  if (!refusal_.empty()) return;
  code_ = generate(graph, schedule_, alignments);
  refusal_ = code_.refusal;
}

void Program::compile(const std::string& architecture) {
  // Functions that say nothing of where they run, as those of the functors, are for the device.
  const std::vector<std::string> options = {"--device-as-default-execution-space"};
  std::vector<const kernels::jit::CompiledCode*> compiled;
  for (const KernelCode& kernel : code_.kernels) {
    compiled.push_back(
        &kernels::jit::compiled({kernel.source, kKernelName, options, architecture}));
  }
  compiled_ = std::move(compiled);
}

void Program::load() {
  for (size_t i = loaded_.size(); i < compiled_.size(); ++i) {
    loaded_.push_back(&kernels::jit::load(*compiled_[i], "fused kernel"));
  }
}

Tensors Program::run(Device device, const Tensor* arguments) const {
  cuda::enter(device);
  Tensors buffers;
  buffers.reserve(schedule_.buffers.size() + code_.parts.size());
  for (const Buffer& buffer : schedule_.buffers) {
    buffers.push_back(ops::allocate(buffer.shape, buffer.dtype, device));
  }
  const size_t first_part = buffers.size();
  for (const Parts& parts : code_.parts) {
    buffers.push_back(ops::allocate({parts.numel}, parts.dtype, device));
  }
  for (size_t i = 0; i < code_.kernels.size(); ++i) {
    const KernelCode& kernel = code_.kernels[i];
    KernelArguments given;
    for (size_t k = 0; k < kernel.pointers.size(); ++k) {
      const auto [kind, index] = kernel.pointers[k];
      const auto at = static_cast<size_t>(index);
      given.pointers[k] = (kind == Pointer::Kind::argument ? arguments[at]
                           : kind == Pointer::Kind::buffer ? buffers[at]
                                                           : buffers[first_part + at])
                              .data_ptr();
    }
    std::copy_n(kernel.sizes, kSizeCount, given.sizes);
    void* parameters[] = {&given};
    kernels::jit::launch(
        *loaded_[i], {.grid = {kernel.grid[0], kernel.grid[1], 1}, .block = {kernel.threads, 1, 1}},
        parameters);
  }
  Tensors results;
  results.reserve(schedule_.results.size());
  for (const Result& result : schedule_.results) {
    results.push_back(result.argument >= 0 ? arguments[static_cast<size_t>(result.argument)]
                                           : buffers[static_cast<size_t>(result.buffer)]);
  }
  return results;
}

}  // namespace taut::fusion
