#pragma once
// CUDA C++ of your own, compiled at run time and launched on tensors.
//   const cuda::Kernel scale(R"(
//     __global__ void scale(const float* x, float* y, float factor, int n) {
//       const int i = blockIdx.x * blockDim.x + threadIdx.x;
//       if (i < n) y[i] = factor * x[i];
//     })", "scale");
//   scale({blocks}, {256}, {x, y, 2.0f, x.numel()});
// A kernel has no derivative: a CustomOp gives it one.

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "taut/core/scalar.h"
#include "taut/core/tensor.h"

namespace taut::cuda {

/// Blocks of a grid, or threads of a block, along x, y and z.
struct LaunchSize {
  int64_t x = 1;
  int64_t y = 1;
  int64_t z = 1;
};

/// What a kernel is launched with: a tensor, a number, or the bytes of a struct.
class TAUT_API KernelArgument {
 public:
  KernelArgument(const Tensor& tensor) : kind_(Kind::tensor), tensor_(tensor) {}
  KernelArgument(const Scalar& number) : kind_(Kind::number), number_(number) {}
  template <class T>
    requires std::is_arithmetic_v<T>
  KernelArgument(T number) : KernelArgument(Scalar(number)) {}
  /// A parameter passed by value whose type Taut does not know, byte for byte.
  static KernelArgument bytes(const void* data, size_t size);

  bool is_tensor() const { return kind_ == Kind::tensor; }
  bool is_number() const { return kind_ == Kind::number; }
  const Tensor& tensor() const { return tensor_; }
  const Scalar& number() const { return number_; }
  const std::string& bytes() const { return bytes_; }

 private:
  enum class Kind : uint8_t { tensor, number, bytes };

  KernelArgument() = default;

  Kind kind_ = Kind::bytes;
  Tensor tensor_;
  Scalar number_;
  std::string bytes_;
};

struct KernelOptions {
  /// Options of NVRTC, such as "--use_fast_math" or "-lineinfo". C++20 and the GPU's architecture
  /// are set unless they say otherwise.
  std::vector<std::string> compiler;
  /// Whether the kernel is given strides by other arguments, and tensors need not be contiguous.
  bool allow_strided = false;
};

/// A __global__ function of a source. It is compiled when it is first launched on a kind of GPU and
/// kept for the process; the disk keeps it for others ($TAUT_CACHE_DIR, or ~/.cache/taut). Copies
/// are the same kernel; safe from many threads.
class TAUT_API Kernel {
 public:
  /// `name` is an expression that names the function: "scale", or "my::scale<float>" of a template.
  /// @throws ValueError for an empty name or source.
  Kernel(std::string source, std::string name, KernelOptions options = {});

  /// Puts the kernel on the current stream of the tensors' GPU, or of the current one without
  /// tensors. Everything is checked before it is launched: the number of arguments; a tensor for
  /// each pointer, of the dtype that it points to (void and unknown types take any, unsigned
  /// integers any dtype as wide), contiguous, all on one GPU; a number that fits for each number. A
  /// tensor passed for a pointer to what is not const counts as written in place.
  /// @throws ValueError, DTypeError, DeviceError, ShapeError for such arguments; AutogradError for
  /// a tensor that requires grad while grad mode is on; CudaError when the source does not compile,
  /// with the compiler's log, or the launch fails.
  void operator()(const LaunchSize& grid, const LaunchSize& block,
                  std::initializer_list<KernelArgument> arguments,
                  int64_t shared_memory = 0) const {
    launch(grid, block, {arguments.begin(), arguments.size()}, shared_memory);
  }
  /// `shared_memory`: bytes of dynamic shared memory for each block.
  void launch(const LaunchSize& grid, const LaunchSize& block,
              std::span<const KernelArgument> arguments, int64_t shared_memory = 0) const;

  /// Compiles it now, for an architecture such as "sm_90"; no GPU is needed. Returns the types of
  /// its parameters, as in "float const*".
  /// @throws CudaError with the compiler's log; DeviceError where there is no NVRTC.
  std::vector<std::string> compile(const std::string& architecture) const;

  const std::string& name() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace taut::cuda
