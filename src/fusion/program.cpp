#include "src/fusion/program.h"

#include <algorithm>

#include "src/fusion/backend.h"
#include "src/ops/allocate.h"

namespace taut::fusion {
namespace {

Tensor allocate(const Buffer& buffer, Device device) {
  return ops::allocate(buffer.shape, buffer.dtype, device);
}

}  // namespace

Program::Program(Graph& graph, const std::vector<NodeId>& roots, const std::vector<int>& alignments,
                 bool share_results)
    : kernels_(make_kernels(graph, roots, alignments, share_results)) {
  if (refusal().empty()) find_places();
}

// What run() decides once for all calls: which memory is a result, and which only passes from one
// kernel to the next.
void Program::find_places() {
  const Schedule& schedule = kernels_.schedule;
  std::vector<Place> of_buffers(schedule.buffers.size(), {Place::Kind::scratch, -1});
  for (size_t i = 0; i < schedule.results.size(); ++i) {
    const Result& result = schedule.results[i];
    if (result.argument >= 0) continue;
    Place& place = of_buffers[static_cast<size_t>(result.buffer)];
    if (place.index < 0) place = {Place::Kind::result, static_cast<int>(i)};
  }
  for (size_t i = 0; i < of_buffers.size(); ++i) {
    if (of_buffers[i].index >= 0) continue;
    of_buffers[i].index = static_cast<int>(scratch_.size());
    scratch_.push_back(schedule.buffers[i]);
  }
  const auto first_part = static_cast<int>(scratch_.size());
  for (const Parts& parts : code().parts) scratch_.push_back({parts.dtype, {parts.numel}});

  for (const KernelCode& kernel : code().kernels) {
    std::vector<Place>& places = places_.emplace_back();
    for (const auto& [kind, index] : kernel.pointers) {
      places.push_back(kind == Pointer::Kind::argument ? Place{Place::Kind::argument, index}
                       : kind == Pointer::Kind::buffer
                           ? of_buffers[static_cast<size_t>(index)]
                           : Place{Place::Kind::scratch, first_part + index});
    }
  }
  for (const Result& result : schedule.results) {
    results_.push_back(result.argument >= 0 ? Place{Place::Kind::argument, result.argument}
                                            : of_buffers[static_cast<size_t>(result.buffer)]);
  }
}

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
  Tensors results, scratch;
  results.reserve(results_.size());
  for (size_t i = 0; i < results_.size(); ++i) {
    const auto [kind, index] = results_[i];
    const auto at = static_cast<size_t>(index);
    if (kind == Place::Kind::argument) {
      results.push_back(arguments[at]);
    } else if (at < i) {
      results.push_back(results[at]);
    } else {
      const int buffer = kernels_.schedule.results[i].buffer;
      results.push_back(allocate(kernels_.schedule.buffers[static_cast<size_t>(buffer)], device));
    }
  }
  scratch.reserve(scratch_.size());
  for (const Buffer& buffer : scratch_) scratch.push_back(allocate(buffer, device));

  const Tensor* const memory[] = {arguments, results.data(), scratch.data()};
  for (size_t i = 0; i < places_.size(); ++i) {
    const KernelCode& kernel = code().kernels[i];
    KernelArguments given;
    for (size_t k = 0; k < places_[i].size(); ++k) {
      const auto [kind, index] = places_[i][k];
      given.pointers[k] = memory[static_cast<size_t>(kind)][index].data_ptr();
    }
    std::copy_n(kernel.sizes, kSizeCount, given.sizes);
    backend().launch(loaded_[i], kernel, given);
  }
  return results;
}

}  // namespace taut::fusion
