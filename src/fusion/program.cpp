#include "src/fusion/program.h"

#include <algorithm>

#include "src/fusion/backend.h"
#include "src/ops/allocate.h"

namespace taut::fusion {

Program::Program(Graph& graph, const std::vector<NodeId>& roots, const std::vector<int>& alignments,
                 bool share_results)
    : kernels_(make_kernels(graph, roots, alignments, share_results)) {}

void Program::compile(const std::string& architecture) {
  std::vector<const void*> compiled;
  for (const KernelCode& kernel : code().kernels) {
    compiled.push_back(backend().compile(kernel, architecture));
  }
  compiled_ = std::move(compiled);
}

void Program::load() {
  for (size_t i = loaded_.size(); i < compiled_.size(); ++i) {
    loaded_.push_back(backend().load(compiled_[i]));
  }
}

Tensors Program::run(Device device, const Tensor* arguments) const {
  backend().enter(device);
  Tensors buffers;
  buffers.reserve(kernels_.schedule.buffers.size() + code().parts.size());
  for (const Buffer& buffer : kernels_.schedule.buffers) {
    buffers.push_back(ops::allocate(buffer.shape, buffer.dtype, device));
  }
  const size_t first_part = buffers.size();
  for (const Parts& parts : code().parts) {
    buffers.push_back(ops::allocate({parts.numel}, parts.dtype, device));
  }
  for (size_t i = 0; i < code().kernels.size(); ++i) {
    const KernelCode& kernel = code().kernels[i];
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
    backend().launch(loaded_[i], kernel, given);
  }
  Tensors results;
  results.reserve(kernels_.schedule.results.size());
  for (const Result& result : kernels_.schedule.results) {
    results.push_back(result.argument >= 0 ? arguments[static_cast<size_t>(result.argument)]
                                           : buffers[static_cast<size_t>(result.buffer)]);
  }
  return results;
}

}  // namespace taut::fusion
