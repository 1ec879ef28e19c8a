#include "kernels/api/cuda_library.h"

#include <dlfcn.h>

#include <string>

namespace taut::kernels::cuda {

CudaLibrary::CudaLibrary(const char* what, std::initializer_list<const char*> names) : what_(what) {
  std::string reasons;
  for (const char* name : names) {
    handle_ = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (handle_ != nullptr) return;
    reasons += concat("\n  ", dlerror());
  }
  detail::raise<DeviceError>(
      "cuda: ", what, " was not found; install it, or add its folder to LD_LIBRARY_PATH:", reasons);
}

void* CudaLibrary::find_symbol(const char* name) const {
  void* symbol = dlsym(handle_, name);
  TAUT_CHECK(symbol != nullptr, DeviceError, "cuda: this ", what_, " has no ", name,
             "; it is too old");
  return symbol;
}

}  // namespace taut::kernels::cuda
