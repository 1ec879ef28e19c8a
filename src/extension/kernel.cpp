#include "taut/extension/kernel.h"

#include <array>
#include <atomic>
#include <map>
#include <mutex>

#include "kernels/jit/compile.h"
#include "kernels/jit/loaded_kernel.h"
#include "kernels/jit/signature.h"
#include "src/core/cuda_runtime.h"
#include "src/extension/kernel_arguments.h"
#include "taut/base/check.h"
#include "taut/core/stream.h"

namespace taut::cuda {

using kernels::jit::CompiledCode;
using kernels::jit::LoadedKernel;
using kernels::jit::Parameter;

namespace {

// A kernel for one architecture.
struct ReadyKernel {
  LoadedKernel* loaded = nullptr;
  std::vector<Parameter> parameters;
  std::vector<size_t> sizes;
};

// Loaded code keeps what errors call it as long as the process.
const char* keep_name(const std::string& name) {
  static std::mutex mutex;
  static auto& names = *new std::map<std::string, bool>;
  const std::lock_guard lock(mutex);
  return names.try_emplace(name).first->first.c_str();
}

}  // namespace

struct Kernel::State {
  std::string source;
  std::string name;
  KernelOptions options;
  const char* kept_name = nullptr;
  std::mutex mutex;
  std::map<std::string, ReadyKernel> ready;                         // by architecture
  std::array<std::atomic<const ReadyKernel*>, 64> of_devices = {};  // those in there

  const CompiledCode& code(const std::string& architecture) const {
    return kernels::jit::compiled({source, name, options.compiler, architecture});
  }

  /// By the index of the device, which is current. Once found it takes no lock.
  const ReadyKernel& for_device(int index) {
    std::atomic<const ReadyKernel*>& known = of_devices.at(static_cast<size_t>(index));
    const ReadyKernel* kernel = known.load(std::memory_order_acquire);
    if (TAUT_LIKELY(kernel != nullptr)) return *kernel;
    kernel = &make_ready();
    known.store(kernel, std::memory_order_release);
    return *kernel;
  }

 private:
  const ReadyKernel& make_ready() {
    const std::string architecture = kernels::jit::current_architecture();
    const std::lock_guard lock(mutex);
    ReadyKernel& kernel = ready[architecture];
    if (kernel.loaded != nullptr) return kernel;
    const CompiledCode& compiled = code(architecture);
    std::vector<Parameter> parameters = kernels::jit::parse_signature(name, compiled.pointer);
    LoadedKernel& loaded = kernels::jit::load(compiled, kept_name);
    kernel.sizes = kernels::jit::parameter_sizes(loaded, parameters.size());
    kernel.parameters = std::move(parameters);
    kernel.loaded = &loaded;
    return kernel;
  }
};

KernelArgument KernelArgument::bytes(const void* data, size_t size) {
  KernelArgument result;
  result.bytes_.assign(static_cast<const char*>(data), size);
  return result;
}

Kernel::Kernel(std::string source, std::string name, KernelOptions options)
    : state_(std::make_shared<State>()) {
  TAUT_CHECK(!name.empty(), ValueError,
             "kernel: the name is empty; expected that of a __global__ "
             "function of the source");
  TAUT_CHECK(!source.empty(), ValueError, "kernel ", name, ": the source is empty");
  state_->kept_name = keep_name("kernel " + name);
  state_->source = std::move(source);
  state_->name = std::move(name);
  state_->options = std::move(options);
}

const std::string& Kernel::name() const { return state_->name; }

std::vector<std::string> Kernel::compile(const std::string& architecture) const {
  const CompiledCode& code = state_->code(architecture);
  std::vector<std::string> types;
  for (Parameter& parameter : kernels::jit::parse_signature(state_->name, code.pointer)) {
    types.push_back(std::move(parameter.type));
  }
  return types;
}

void Kernel::launch(const LaunchSize& grid, const LaunchSize& block,
                    std::span<const KernelArgument> arguments, int64_t shared_memory) const {
  State& state = *state_;
  const char* name = state.kept_name;
  const Device device =
      common_device(name, arguments, DeviceType::cuda, Device(DeviceType::cuda, current_device()));
  const kernels::jit::LaunchShape shape = checked_shape(name, grid, block, shared_memory);
  enter(device);
  const ReadyKernel& kernel = state.for_device(device.index());
  BoundArguments bound(arguments.size());
  bind_arguments({name, kernel.parameters, kernel.sizes, state.options.allow_strided}, arguments,
                 bound);
  kernels::jit::launch(*kernel.loaded, shape, bound.pointers());
  for (const Tensor* tensor : bound.written()) {
    if (!tensor->is_inference()) tensor->storage()->bump_version();
  }
}

}  // namespace taut::cuda
