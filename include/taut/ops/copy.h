#pragma once
// Copies, casts and fills.

#include <optional>

#include "taut/core/tensor.h"

namespace taut {

/// A copy with its own elements. `preserve` keeps the order of dims of a dense tensor.
TAUT_API Tensor clone(const Tensor& input, MemoryFormat format = MemoryFormat::preserve);
/// input itself if it already lies that way, a copy otherwise.
TAUT_API Tensor contiguous(const Tensor& input, MemoryFormat format = MemoryFormat::contiguous);
/// input itself if it already has that dtype and device (unless copy), a copy otherwise. Floating
/// to integer truncates towards zero. Between the host and a GPU the call returns when the copy is
/// done, unless it is non_blocking and the host's memory is pinned: then the copy is queued on the
/// GPU's current stream, and who reads the result on the host waits for that stream first.
TAUT_API Tensor to(const Tensor& input, const TensorOptions& options, bool copy = false,
                   bool non_blocking = false);
TAUT_API Tensor to(const Tensor& input, DType dtype, bool copy = false);
TAUT_API Tensor to(const Tensor& input, Device device, bool non_blocking = false,
                   bool copy = false);
/// A copy in pinned host memory, from which GPUs copy without waiting for the host; input itself if
/// it is pinned already. @throws DeviceError for a tensor on a GPU, or without one.
TAUT_API Tensor pin_memory(const Tensor& input);
/// Whether the tensor lies in pinned host memory.
TAUT_API bool is_pinned(const Tensor& input);
/// Writes source, broadcast and cast, to self. @throws ShapeError when it does not fit.
TAUT_API const Tensor& copy_(const Tensor& self, const Tensor& source, bool non_blocking = false);
TAUT_API const Tensor& fill_(const Tensor& self, const Scalar& value);
TAUT_API const Tensor& zero_(const Tensor& self);
/// All elements of input set to value, as a new tensor.
TAUT_API Tensor fill(const Tensor& input, const Scalar& value);

}  // namespace taut
