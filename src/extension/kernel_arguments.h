#pragma once
// The check of a launch: arguments against the parameters of a kernel, sizes against what GPUs
// have. Knows nothing of the GPU itself, so that it is tested without one.

#include <span>
#include <string>
#include <vector>

#include "kernels/jit/loaded_kernel.h"
#include "kernels/jit/signature.h"
#include "taut/extension/kernel.h"

namespace taut::cuda {

/// The values of a launch, as the driver takes them, and the tensors that it writes.
class TAUT_API BoundArguments {
 public:
  /// Room for `count` values; more would move those that the driver was told of.
  explicit BoundArguments(size_t count);
  BoundArguments(const BoundArguments&) = delete;
  BoundArguments& operator=(const BoundArguments&) = delete;

  void add(const void* value, size_t bytes);
  /// A value that is kept elsewhere as long as this object.
  void add_reference(const void* value) { pointers_.push_back(const_cast<void*>(value)); }
  void add_written(const Tensor& tensor) { written_.push_back(&tensor); }

  /// Points to each value.
  void** pointers() { return pointers_.data(); }
  std::span<const Tensor* const> written() const { return written_; }

 private:
  std::vector<uint64_t> values_;
  std::vector<void*> pointers_;
  std::vector<const Tensor*> written_;
};

/// What the checks need of a kernel.
struct KernelDescription {
  const char* name;  // as errors name it: "kernel scale"
  std::span<const kernels::jit::Parameter> parameters;
  /// The bytes of each parameter as the driver knows them; empty where it does not.
  std::span<const size_t> sizes;
  bool allow_strided;
};

/// The one device of the tensors among the arguments, which is of `type`; `fallback` without any.
/// @throws DeviceError, ValueError for an undefined tensor.
TAUT_API Device common_device(const char* name, std::span<const KernelArgument> arguments,
                              DeviceType type, Device fallback);

/// Checks each argument and puts its value into `bound`. @throws as Kernel::launch does.
TAUT_API void bind_arguments(const KernelDescription& kernel,
                             std::span<const KernelArgument> arguments, BoundArguments& bound);

/// @throws ValueError for sizes that no GPU can launch.
TAUT_API kernels::jit::LaunchShape checked_shape(const char* name, const LaunchSize& grid,
                                                 const LaunchSize& block, int64_t shared_memory);

}  // namespace taut::cuda
