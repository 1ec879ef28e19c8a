#pragma once
// What tells the kinds of calls of a fused function apart: all that its kernels depend on, as
// numbers.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "taut/base/macros.h"
#include "taut/core/device.h"
#include "taut/core/tensor.h"

namespace taut::fusion {

/// Addresses count by what they are a multiple of, up to this: packs are loaded at once.
inline constexpr int kPackBytes = 16;
/// What the address of a tensor's first element is a multiple of, kPackBytes at most.
int alignment_of(const Tensor& tensor);

/// Whether a call by this thread would be put on the tape for this input.
bool wants_gradient(const Tensor& input);

/// Made for each call, and so without a block from the heap where the inputs are not very many.
class TAUT_API CallKey {
 public:
  /// `text` tells the other arguments; it is not copied.
  CallKey(TensorList inputs, std::string_view text);
  CallKey(const CallKey&) = delete;
  CallKey& operator=(const CallKey&) = delete;

  /// The device of all inputs; none where they are not on one that kernels run on.
  const std::optional<Device>& device() const { return device_; }
  uint64_t hash() const { return hash_; }
  std::span<const int64_t> numbers() const { return {numbers_, size_}; }
  std::string_view text() const { return text_; }

 private:
  void append(int64_t number) {
    if (TAUT_UNLIKELY(size_ == capacity_)) grow();
    numbers_[size_++] = number;
  }
  void append_modes();
  void append_tensor(const Tensor& tensor);
  void grow();

  std::array<int64_t, 64> few_;
  std::vector<int64_t> many_;
  int64_t* numbers_ = few_.data();
  size_t size_ = 0;
  size_t capacity_ = few_.size();
  std::string_view text_;
  std::optional<Device> device_;
  uint64_t hash_ = 0;
};

}  // namespace taut::fusion
