#pragma once
// A library of the CUDA toolkit, opened when an op first needs it: importing Taut loads none.

#include <initializer_list>

#include "taut/base/check.h"

namespace taut::kernels::cuda {

class CudaLibrary {
 public:
  /// Opens the first of `names` that the loader finds; a copy that the process has already is
  /// taken.
  /// @throws DeviceError that says what to install.
  CudaLibrary(const char* what, std::initializer_list<const char*> names);

  /// @throws DeviceError when the library has no such function.
  template <class Function>
  void find(Function& function, const char* name) const {
    function = reinterpret_cast<Function>(find_symbol(name));
  }

  /// As dlopen gave it.
  void* handle() const { return handle_; }

 private:
  void* find_symbol(const char* name) const;

  const char* what_;
  void* handle_ = nullptr;
};

}  // namespace taut::kernels::cuda
