#include "src/fusion/call_key.h"

#include <algorithm>
#include <functional>

#include "src/autograd/hot_mode.h"
#include "src/fusion/backend.h"
#include "taut/autograd/autocast_mode.h"
#include "taut/autograd/record.h"
#include "taut/core/tensor_options.h"

namespace taut::fusion {

int alignment_of(const Tensor& tensor) {
  const auto address = reinterpret_cast<uintptr_t>(tensor.data_ptr()) | uintptr_t{kPackBytes};
  return static_cast<int>(address & (~address + 1));
}

bool wants_gradient(const Tensor& input) {
  return detail::hot_mode.grad_enabled && autograd::detail::may_require_grad(input) &&
         autograd::requires_grad(input);
}

namespace {

uint64_t mixed(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
  return hash ^ hash >> 32;
}

// The one device of all tensors, if it is one that kernels run on.
std::optional<Device> common_device(TensorList inputs) {
  std::optional<Device> device;
  for (const Tensor& input : inputs) {
    if (!input.defined()) continue;
    const Device here = input.device();
    if (here.type() != backend().device || (device && !(here == *device))) return std::nullopt;
    device = here;
  }
  return device;
}

}  // namespace

CallKey::CallKey(TensorList inputs, std::string_view text)
    : text_(text), device_(common_device(inputs)) {
  if (!device_) return;
  append_modes();
  for (const Tensor& input : inputs) append_tensor(input);
  hash_ = text_.empty() ? 0 : std::hash<std::string_view>()(text_);
  for (const int64_t number : numbers()) hash_ = mixed(hash_, static_cast<uint64_t>(number));
}

void CallKey::append_modes() {
  const detail::ThreadMode& mode = detail::hot_mode;
  int64_t bits = mode.grad_enabled ? 1 : 0;
  if (mode.inference) bits |= 2;
  if (mode.autocast && is_autocast_enabled(device_->type())) {
    bits |= 4 | static_cast<int64_t>(get_autocast_dtype(device_->type())) << 8;
  }
  bits |= static_cast<int64_t>(get_default_dtype()) << 12;
  append(bits << 16 | (device_->index() & 0xffff));
}

void CallKey::append_tensor(const Tensor& tensor) {
  if (!tensor.defined()) return append(-1);
  const TensorImpl& impl = *tensor.impl();
  const Layout& layout = impl.layout;
  append(static_cast<int64_t>(impl.dtype) | int64_t{alignment_of(tensor)} << 8 |
         int64_t{wants_gradient(tensor)} << 16 | int64_t{impl.is_contiguous} << 17 |
         int64_t{layout.rank()} << 24);
  for (const int64_t size : layout.shape) append(size);
  if (impl.is_contiguous) return;
  for (const int64_t stride : layout.strides) append(stride);
}

void CallKey::grow() {
  many_.resize(2 * capacity_);
  // From the array that belongs to the key, or within the vector, which has moved them itself.
  if (numbers_ == few_.data()) std::copy_n(few_.data(), size_, many_.data());
  numbers_ = many_.data();
  capacity_ = many_.size();
}

}  // namespace taut::fusion
