#include "tests/fusion/host_backend.h"

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace taut::fusion {
namespace {

std::atomic<int> launch_count = 0;

// Threads of an emulated block are global state.
std::mutex& emulation() {
  static std::mutex mutex;
  return mutex;
}

const void* compile(const KernelCode& kernel, const std::string&) {
  static auto& compiled = *new std::map<std::string, std::unique_ptr<EmulatedKernels>>;
  const std::lock_guard lock(emulation());
  std::unique_ptr<EmulatedKernels>& found = compiled[kernel.kernel];
  if (!found) found = std::make_unique<EmulatedKernels>(std::vector<KernelCode>{kernel});
  return found.get();
}

void launch(void* loaded, const KernelCode& kernel, KernelArguments& arguments) {
  const std::lock_guard lock(emulation());
  static_cast<const EmulatedKernels*>(loaded)->run(0, kernel, arguments);
  ++launch_count;
}

constexpr Backend kHost = {
    .device = DeviceType::cpu,
    .enter = [](Device) {},
    .architecture = [] { return std::string("host"); },
    .compile = compile,
    .load = [](const void* compiled) { return const_cast<void*>(compiled); },
    .launch = launch,
};

}  // namespace

HostBackend::HostBackend() { set_backend(&kHost); }
HostBackend::~HostBackend() { set_backend(nullptr); }
int HostBackend::launches() { return launch_count; }

}  // namespace taut::fusion
