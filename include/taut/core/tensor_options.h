#pragma once
// What a new tensor is like: its dtype, its device, whether it records gradients. What is not given
// is the default, or what the tensor at hand has.
//   zeros({2, 3}, kFloat64);  zeros({2, 3}, TensorOptions().device("cuda").requires_grad(true));

#include <optional>

#include "taut/core/device.h"
#include "taut/core/dtype.h"

namespace taut {

class TensorOptions {
 public:
  TensorOptions() = default;
  TensorOptions(DType dtype) : dtype_(dtype) {}
  TensorOptions(Device device) : device_(device) {}

  TensorOptions dtype(std::optional<DType> dtype) const {
    TensorOptions result = *this;
    if (dtype) result.dtype_ = dtype;
    return result;
  }
  TensorOptions device(std::optional<Device> device) const {
    TensorOptions result = *this;
    if (device) result.device_ = device;
    return result;
  }
  TensorOptions requires_grad(bool requires_grad) const {
    TensorOptions result = *this;
    result.requires_grad_ = requires_grad;
    return result;
  }

  std::optional<DType> dtype_opt() const { return dtype_; }
  std::optional<Device> device_opt() const { return device_; }
  DType dtype() const { return dtype_ ? *dtype_ : get_default_dtype(); }
  Device device() const { return device_ ? *device_ : kCPU; }
  bool requires_grad() const { return requires_grad_; }

 private:
  std::optional<DType> dtype_;
  std::optional<Device> device_;
  bool requires_grad_ = false;
};

inline TensorOptions dtype(DType dtype) { return TensorOptions(dtype); }
inline TensorOptions device(Device device) { return TensorOptions(device); }
inline TensorOptions requires_grad(bool requires_grad = true) {
  return TensorOptions().requires_grad(requires_grad);
}

}  // namespace taut
